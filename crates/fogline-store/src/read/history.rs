//! Status history.

use fogline_core::id::DeploymentId;
use fogline_core::record::StatusHistoryRecord;

use super::{Query, Reader};
use crate::error::StoreError;
use crate::page::{List, Page, PageRequest};
use crate::row;

const TABLE: &str = "deployment_status_history";

pub(crate) async fn history(
    db: &mut impl Reader,
    deployment: DeploymentId,
    page: &PageRequest,
) -> Result<Page<StatusHistoryRecord>, StoreError> {
    let after = List::History.parse::<u32>(page)?.unwrap_or(0);
    let sql = "SELECT * FROM deployment_status_history WHERE deployment_id = $1 AND seq > $2 ORDER BY seq LIMIT $3";
    let query = Query::new(sql).id(deployment.as_uuid()).number(after).number(page.rows());
    let lines = db.all(query, TABLE, row::history).await?;
    Ok(Page::of(lines, page, List::History, |line| line.seq.to_string()))
}

pub(crate) async fn last_history(
    db: &mut impl Reader,
    deployment: DeploymentId,
) -> Result<Option<StatusHistoryRecord>, StoreError> {
    let sql = "SELECT * FROM deployment_status_history WHERE deployment_id = $1 ORDER BY seq DESC LIMIT 1";
    db.one(Query::new(sql).id(deployment.as_uuid()), TABLE, row::history).await
}
