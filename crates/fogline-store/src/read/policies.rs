//! Scaling policies, and what they said before.

use fogline_core::id::PolicyId;
use fogline_core::record::{PolicyRecord, PolicyVersionRecord};
use sqlx::types::Uuid;

use super::{Query, Reader};
use crate::error::StoreError;
use crate::filter::PolicyFilter;
use crate::page::{List, Page, PageRequest};
use crate::row;

const TABLE: &str = "scaling_policies";
const VERSIONS: &str = "scaling_policy_versions";

/// Those of one target, which an index answers, or all, along the key.
macro_rules! of {
    ($from:literal) => {
        concat!(
            "SELECT * FROM scaling_policies WHERE ",
            $from,
            " AND ($1 IS NULL OR (user_id = $1 AND substr(target, 1, 11) <> 'deployment:') \
                OR target IN (SELECT 'deployment:' || CAST(id AS TEXT) FROM deployments WHERE user_id = $1)) \
                AND ($2 IS NULL OR user_id = $2) AND ($3 IS NULL OR name = $3) AND id > $5 ORDER BY id LIMIT $6"
        )
    };
}

const ON_ONE: &str = of!("target = $4");
const ON_ALL: &str = of!("$4 IS NULL");

pub(crate) async fn policy(db: &mut impl Reader, id: PolicyId) -> Result<Option<PolicyRecord>, StoreError> {
    let query = Query::new("SELECT * FROM scaling_policies WHERE id = $1").id(id.as_uuid());
    db.one(query, TABLE, row::policy).await
}

/// Ids grow with time, so this is the order in which they were made.
pub(crate) async fn policies(
    db: &mut impl Reader,
    filter: &PolicyFilter,
    page: &PageRequest,
) -> Result<Page<PolicyRecord>, StoreError> {
    let after = List::Policies.parse::<PolicyId>(page)?.map_or(Uuid::nil(), |id| id.as_uuid());
    let query = Query::new(if filter.target.is_some() { ON_ONE } else { ON_ALL })
        .optional_id(filter.visible_to.map(|id| id.as_uuid()))
        .optional_id(filter.user.map(|id| id.as_uuid()))
        .optional_text(filter.name.clone())
        .optional_text(filter.target.as_ref().map(ToString::to_string))
        .id(after)
        .number(page.rows());
    let policies = db.all(query, TABLE, row::policy).await?;
    Ok(Page::of(policies, page, List::Policies, |policy| policy.id.to_string()))
}

pub(crate) async fn policy_versions(
    db: &mut impl Reader,
    policy: PolicyId,
    page: &PageRequest,
) -> Result<Page<PolicyVersionRecord>, StoreError> {
    let before = List::PolicyVersions.parse::<u32>(page)?.map_or(i64::MAX, i64::from);
    let sql = "SELECT * FROM scaling_policy_versions WHERE policy_id = $1 AND version < $2 \
        ORDER BY version DESC LIMIT $3";
    let query = Query::new(sql).id(policy.as_uuid()).number(before).number(page.rows());
    let versions = db.all(query, VERSIONS, row::policy_version).await?;
    Ok(Page::of(versions, page, List::PolicyVersions, |version| version.version.to_string()))
}
