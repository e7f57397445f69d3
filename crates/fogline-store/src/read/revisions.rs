//! What deployments looked like before.

use fogline_core::cluster::RevisionRecord;
use fogline_core::id::DeploymentId;

use super::{Query, Reader};
use crate::error::StoreError;
use crate::page::{List, Page, PageRequest};
use crate::row;

const TABLE: &str = "deployment_revisions";

pub(crate) async fn revision(
    db: &mut impl Reader,
    deployment: DeploymentId,
    revision: u32,
) -> Result<Option<RevisionRecord>, StoreError> {
    let sql = "SELECT * FROM deployment_revisions WHERE deployment_id = $1 AND revision = $2";
    db.one(Query::new(sql).id(deployment.as_uuid()).number(revision), TABLE, row::revision).await
}

pub(crate) async fn revisions(
    db: &mut impl Reader,
    deployment: DeploymentId,
    page: &PageRequest,
) -> Result<Page<RevisionRecord>, StoreError> {
    let before = List::Revisions.parse::<u32>(page)?.map_or(i64::MAX, i64::from);
    let sql = "SELECT * FROM deployment_revisions WHERE deployment_id = $1 AND revision < $2 \
        ORDER BY revision DESC LIMIT $3";
    let query = Query::new(sql).id(deployment.as_uuid()).number(before).number(page.rows());
    let revisions = db.all(query, TABLE, row::revision).await?;
    Ok(Page::of(revisions, page, List::Revisions, |revision| revision.revision.to_string()))
}
