//! Scaling decisions, newest first.
//!
//! In the order of the moments that they are of, and of their ids within one. Ranges of moments are asked for with both
//! ends, which an index answers.

use std::fmt;
use std::str::FromStr;

use fogline_core::id::DecisionId;
use fogline_core::record::{DecisionRecord, ScalingTarget};
use fogline_core::time::Timestamp;
use sqlx::types::Uuid;

use super::{Query, Reader};
use crate::counts::DecisionCount;
use crate::error::StoreError;
use crate::filter::{DecisionFilter, DecisionsOf};
use crate::page::{List, Page, PageRequest};
use crate::row;

const TABLE: &str = "scaling_decisions";

/// The end of the year 9999: no decision is later, and every backend knows it.
const FAR: Timestamp = Timestamp::from_micros(253_402_300_799_999_999);

/// `$1` says of what, and is text, an id or nothing.
macro_rules! of {
    ($which:literal) => {
        concat!(
            "SELECT * FROM scaling_decisions WHERE ",
            $which,
            " AND at >= $2 AND (at, id) < ($3, $4) AND ($5 OR action <> 'hold') AND ($6 OR dry_run = $7) \
                ORDER BY at DESC, id DESC LIMIT $8"
        )
    };
}

const OF_TARGET: Query = Query::new(of!("target = $1"));
const OF_POLICY: Query = Query::new(of!("policy_id = $1"));
const OF_ALL: Query = Query::new(of!("$1 IS NULL"));
/// The key of a target that is no deployment has its owner's id behind the first colon.
const OF_USER: Query = Query::either(
    of!("(substr(target, instr(target, ':') + 1, 36) = $1 OR target IN \
        (SELECT 'deployment:' || id FROM deployments WHERE user_id = $1))"),
    of!("(substr(target, strpos(target, ':') + 1, 36) = $1::text OR target IN \
        (SELECT 'deployment:' || id::text FROM deployments WHERE user_id = $1))"),
);

const COUNTS: Query = Query::either(
    "SELECT action, trigger, status, count(*) AS count, count(completed_at) AS timed, \
        coalesce(sum(completed_at - at), 0) AS micros FROM scaling_decisions WHERE target = $1 AND at >= $2 \
        GROUP BY action, trigger, status ORDER BY action, trigger, status",
    "SELECT action, trigger, status, count(*) AS count, count(completed_at) AS timed, \
        coalesce((extract(epoch FROM sum(completed_at - at)) * 1000000)::bigint, 0) AS micros FROM scaling_decisions \
        WHERE target = $1 AND at >= $2 GROUP BY action, trigger, status \
        ORDER BY action::text, trigger, status::text",
);

pub(crate) async fn decision(db: &mut impl Reader, id: DecisionId) -> Result<Option<DecisionRecord>, StoreError> {
    let query = Query::new("SELECT * FROM scaling_decisions WHERE id = $1").id(id.as_uuid());
    db.one(query, TABLE, row::decision).await
}

pub(crate) async fn decisions(
    db: &mut impl Reader,
    filter: &DecisionFilter,
    page: &PageRequest,
) -> Result<Page<DecisionRecord>, StoreError> {
    // No id is less than that of nothing, so none of the moment itself is let in.
    let end = filter.before.map(|at| Position { at: known(at), id: Uuid::nil() });
    let end = end.unwrap_or(Position { at: FAR, id: Uuid::max() });
    let before = List::Decisions.parse::<Position>(page)?.unwrap_or(end);
    let query = match &filter.of {
        DecisionsOf::All => OF_ALL.optional_text(None),
        DecisionsOf::VisibleTo(user) => OF_USER.id(user.as_uuid()),
        DecisionsOf::Target(target) => OF_TARGET.text(target.to_string()),
        DecisionsOf::Policy(policy) => OF_POLICY.id(policy.as_uuid()),
    };
    let query = query
        .time(known(filter.from.unwrap_or(Timestamp::EPOCH)))
        .time(before.at)
        .id(before.id)
        .flag(!filter.changes_only)
        .flag(filter.dry_run.is_none())
        .flag(filter.dry_run.unwrap_or_default())
        .number(page.rows());
    let decisions = db.all(query, TABLE, row::decision).await?;
    let position = |record: &DecisionRecord| Position { at: record.decision.at, id: record.id.as_uuid() }.to_string();
    Ok(Page::of(decisions, page, List::Decisions, position))
}

pub(crate) async fn decision_counts(
    db: &mut impl Reader,
    target: &ScalingTarget,
    since: Timestamp,
) -> Result<Vec<DecisionCount>, StoreError> {
    db.all(COUNTS.text(target.to_string()).time(known(since)), TABLE, row::decision_count).await
}

/// A moment that every backend knows.
fn known(at: Timestamp) -> Timestamp {
    at.clamp(Timestamp::EPOCH, FAR)
}

/// Where a page ends.
struct Position {
    at: Timestamp,
    id: Uuid,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.at.as_micros(), self.id)
    }
}

/// No position.
struct BadPosition;

impl FromStr for Position {
    type Err = BadPosition;

    fn from_str(text: &str) -> Result<Self, BadPosition> {
        let (at, id) = text.split_once(':').ok_or(BadPosition)?;
        let at = at.parse().map(Timestamp::from_micros).map_err(|_| BadPosition)?;
        Ok(Self { at: known(at), id: id.parse().map_err(|_| BadPosition)? })
    }
}
