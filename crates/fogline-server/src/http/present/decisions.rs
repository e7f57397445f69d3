//! Decisions about a target: those that left a row, and between them those that are only remembered.
//!
//! Invariant: each is shown once, newest first, and none is lost where a page ends: a page holds all the decisions of
//! its last moment.

use std::collections::BTreeSet;
use std::sync::Arc;

use fogline_api::http::{DecisionResponse, Page};
use fogline_core::id::PolicyId;
use fogline_core::record::{DecisionRecord, ScalingTarget};
use fogline_core::scaling::Decision;
use fogline_core::scaling::inputs::Run;
use fogline_core::time::Timestamp;
use fogline_store::{DecisionFilter, DecisionsOf, PageRequest};

use crate::http::app::Http;
use crate::http::problem::{ApiError, ApiResult};

/// Decisions of one moment, shadows and a manual scale beside the live one.
const OF_ONE_MOMENT: u32 = 64;

/// A page of decisions about a target; with `policy`, those of them that it had a part in.
///
/// # Errors
/// When the cursor is none, or the database fails.
pub async fn decisions(
    app: &Http,
    target: &ScalingTarget,
    policy: Option<PolicyId>,
    request: PageRequest,
) -> ApiResult<Page<DecisionResponse>> {
    let before = request.cursor.as_deref().map(moment).transpose()?;
    let filter = DecisionFilter { of: DecisionsOf::Target(target.clone()), before, ..DecisionFilter::default() };
    let rows = app.shared.store.decisions(&filter, &PageRequest::first(request.limit + OF_ONE_MOMENT)).await?;
    let recent = app.shared.scaler().map(|scaler| scaler.recent(target)).unwrap_or_default();
    let took_part = |decision: &Decision| policy.is_none_or(|id| decision.policies.iter().any(|one| one.id == id));
    let recent = recent.into_iter().filter(|one| before.is_none_or(|end| one.at < end)).collect();
    let mut page = page(target, recent, rows.items, rows.next.is_some(), request.limit as usize);
    // Only now: a page may come out short, and the next one still begins where it ends.
    page.items.retain(|item| took_part(&item.decision));
    Ok(page)
}

fn page(
    target: &ScalingTarget,
    recent: Vec<Arc<Decision>>,
    rows: Vec<DecisionRecord>,
    more_rows: bool,
    limit: usize,
) -> Page<DecisionResponse> {
    let key = |decision: &Decision| (decision.at, run(decision.run), decision.policies.first().map(|one| one.id));
    let kept: BTreeSet<_> = rows.iter().map(|row| key(&row.decision)).collect();
    // Behind the last row that was read there may be others that these belong between.
    let end = rows.last().filter(|_| more_rows).map(|row| row.decision.at);
    let recent = recent.into_iter().filter(|one| end.is_none_or(|end| one.at > end) && !kept.contains(&key(one)));
    let mut items: Vec<DecisionResponse> = rows.into_iter().map(Into::into).collect();
    items.extend(recent.map(|one| remembered(target, &one)));
    items.sort_by_key(|item| std::cmp::Reverse(item.decision.at));
    let last = items.get(limit.saturating_sub(1)).map(|item| item.decision.at);
    let whole = last.map_or(items.len(), |last| items.partition_point(|item| item.decision.at >= last));
    let more = whole < items.len() || more_rows;
    items.truncate(whole);
    let next = items.last().filter(|_| more).map(|item| item.decision.at.as_micros().to_string());
    Page { items, next }
}

fn remembered(target: &ScalingTarget, decision: &Decision) -> DecisionResponse {
    DecisionResponse {
        id: None,
        resolved_target: target.clone(),
        dry_run: decision.run != Run::Live,
        status: None,
        error: None,
        triggered_by: None,
        completed_at: None,
        duration_ms: None,
        decision: decision.clone(),
    }
}

const fn run(run: Run) -> u8 {
    run as u8
}

fn moment(cursor: &str) -> ApiResult<Timestamp> {
    cursor.parse().map(Timestamp::from_micros).map_err(|_| {
        let shown = crate::http::problem::shown(cursor);
        ApiError::field("cursor", format!("{shown:?} is no cursor of this list"), "`next` of the page before")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use fogline_core::record::DecisionStatus;
    use serde_json::json;

    fn decision(at: i64, replicas: u32) -> Decision {
        serde_json::from_value(json!({
            "at": Timestamp::from_micros(at), "run": "live", "policies": [], "trigger": "auto", "action": "hold",
            "current": 1, "ready": 1, "replicas": replicas, "reason": "", "inputs": [], "votes": [], "steps": [],
        }))
        .expect("a decision")
    }

    fn target() -> ScalingTarget {
        "deployment:00000000-0000-7000-8000-000000000001".parse().expect("a target")
    }

    fn row(at: i64) -> DecisionRecord {
        DecisionRecord {
            id: format!("00000000-0000-7000-8000-{at:012}").parse().expect("an id"),
            target: target(),
            policy_id: None,
            policy_name: None,
            dry_run: false,
            status: DecisionStatus::Completed,
            error: None,
            triggered_by: None,
            completed_at: None,
            decision: Arc::new(decision(at, 2)),
        }
    }

    fn shown(recent: &[i64], rows: &[i64], more_rows: bool, limit: usize) -> (Vec<(i64, bool)>, Option<String>) {
        let recent = recent.iter().map(|at| Arc::new(decision(*at, 2))).collect();
        let page = page(&target(), recent, rows.iter().map(|at| row(*at)).collect(), more_rows, limit);
        (page.items.iter().map(|item| (item.decision.at.as_micros(), item.id.is_some())).collect(), page.next)
    }

    #[test]
    fn rows_and_what_is_remembered_make_one_list_without_doubles() {
        let (items, next) = shown(&[9, 8, 7, 6, 5], &[8, 5, 1], false, 10);
        assert_eq!(items, [(9, false), (8, true), (7, false), (6, false), (5, true), (1, true)]);
        assert_eq!(next, None);
    }

    #[test]
    fn a_page_ends_where_everything_before_it_was_seen() {
        assert_eq!(shown(&[9, 8, 7], &[8, 5, 1], false, 2), (vec![(9, false), (8, true)], Some("8".to_owned())));
        let (items, next) = shown(&[9, 8, 3], &[8, 5], true, 10);
        assert_eq!((items, next), (vec![(9, false), (8, true), (5, true)], Some("5".to_owned())));
        assert_eq!(shown(&[9], &[], false, 1), (vec![(9, false)], None));
    }

    #[test]
    fn decisions_of_one_moment_stay_on_one_page() {
        let (items, next) = shown(&[], &[8, 7, 7, 7, 6], false, 2);
        assert_eq!((items.len(), next), (4, Some("7".to_owned())));
    }
}
