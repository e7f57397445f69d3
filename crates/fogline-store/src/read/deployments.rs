//! Deployments.

use fogline_core::id::DeploymentId;
use fogline_core::record::DeploymentRecord;
use sqlx::types::Uuid;

use super::counts::count;
use super::{Query, Reader};
use crate::error::StoreError;
use crate::filter::DeploymentFilter;
use crate::page::{List, Page, PageRequest};
use crate::row;

/// Ids grow with time, so this is the order in which they were made. One text for an owner's list, which an index
/// answers, and one for everyone's, which goes along the key.
const OF_ONE: &str = "SELECT * FROM deployments WHERE user_id = $1 AND ($2 IS NULL OR CAST(status AS TEXT) = $2) \
    AND ($3 IS NULL OR name = $3) AND ($4 OR deleted_at IS NULL) AND id > $5 ORDER BY id LIMIT $6";
const OF_ALL: &str = "SELECT * FROM deployments WHERE $1 IS NULL AND ($2 IS NULL OR CAST(status AS TEXT) = $2) \
    AND ($3 IS NULL OR name = $3) AND ($4 OR deleted_at IS NULL) AND id > $5 ORDER BY id LIMIT $6";

/// How many are in the lists above.
const COUNT_OF_ONE: &str = "SELECT count(*) AS count FROM deployments WHERE user_id = $1 \
    AND ($2 IS NULL OR CAST(status AS TEXT) = $2) AND ($3 IS NULL OR name = $3) AND ($4 OR deleted_at IS NULL)";
const COUNT_OF_ALL: &str = "SELECT count(*) AS count FROM deployments WHERE $1 IS NULL \
    AND ($2 IS NULL OR CAST(status AS TEXT) = $2) AND ($3 IS NULL OR name = $3) AND ($4 OR deleted_at IS NULL)";

pub(crate) async fn deployment(db: &mut impl Reader, id: DeploymentId) -> Result<Option<DeploymentRecord>, StoreError> {
    let query = Query::new("SELECT * FROM deployments WHERE id = $1").id(id.as_uuid());
    db.one(query, "deployments", row::deployment).await
}

pub(crate) async fn deployments(
    db: &mut impl Reader,
    filter: &DeploymentFilter,
    page: &PageRequest,
) -> Result<Page<DeploymentRecord>, StoreError> {
    let after = List::Deployments.parse::<DeploymentId>(page)?.map_or(Uuid::nil(), |id| id.as_uuid());
    let query = filtered(if filter.user.is_some() { OF_ONE } else { OF_ALL }, filter);
    let deployments = db.all(query.id(after).number(page.rows()), "deployments", row::deployment).await?;
    Ok(Page::of(deployments, page, List::Deployments, |deployment| deployment.id.to_string()))
}

pub(crate) async fn deployment_count(db: &mut impl Reader, filter: &DeploymentFilter) -> Result<u64, StoreError> {
    count(db, filtered(if filter.user.is_some() { COUNT_OF_ONE } else { COUNT_OF_ALL }, filter)).await
}

fn filtered(sql: &'static str, filter: &DeploymentFilter) -> Query {
    Query::new(sql)
        .optional_id(filter.user.map(|id| id.as_uuid()))
        .optional_text(filter.status.map(|status| status.as_str().to_owned()))
        .optional_text(filter.name.clone())
        .flag(filter.include_deleted)
}
