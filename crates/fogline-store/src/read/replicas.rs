//! Replicas.

use fogline_core::id::{DeploymentId, ReplicaId};
use fogline_core::record::ReplicaRecord;
use sqlx::types::Uuid;

use super::{Query, Reader};
use crate::error::StoreError;
use crate::page::{List, Page, PageRequest};
use crate::row;

const TABLE: &str = "deployment_replicas";

/// One parameter however many deployments there are, so that it is one statement.
const LIVE: Query = Query::either(
    "SELECT deployment_replicas.* FROM json_each($1) AS asked JOIN deployment_replicas \
        ON deployment_id = asked.value WHERE status NOT IN ('stopped', 'failed') ORDER BY deployment_replicas.id",
    "SELECT * FROM deployment_replicas WHERE deployment_id = ANY($1) AND status NOT IN ('stopped', 'failed') \
        ORDER BY id",
);

pub(crate) async fn replica(db: &mut impl Reader, id: ReplicaId) -> Result<Option<ReplicaRecord>, StoreError> {
    let query = Query::new("SELECT * FROM deployment_replicas WHERE id = $1").id(id.as_uuid());
    db.one(query, TABLE, row::replica).await
}

pub(crate) async fn replicas(
    db: &mut impl Reader,
    deployment: DeploymentId,
    page: &PageRequest,
    include_ended: bool,
) -> Result<Page<ReplicaRecord>, StoreError> {
    let after = List::Replicas.parse::<ReplicaId>(page)?.map_or(Uuid::nil(), |id| id.as_uuid());
    let sql = "SELECT * FROM deployment_replicas WHERE deployment_id = $1 AND id > $2 \
        AND ($3 OR status NOT IN ('stopped', 'failed')) ORDER BY id LIMIT $4";
    let query = Query::new(sql).id(deployment.as_uuid()).id(after).flag(include_ended).number(page.rows());
    let replicas = db.all(query, TABLE, row::replica).await?;
    Ok(Page::of(replicas, page, List::Replicas, |replica| replica.id.to_string()))
}

pub(crate) async fn live_replicas(
    db: &mut impl Reader,
    deployments: &[DeploymentId],
) -> Result<Vec<ReplicaRecord>, StoreError> {
    if deployments.is_empty() {
        return Ok(Vec::new());
    }
    let query = LIVE.ids(deployments.iter().map(|id| id.as_uuid()).collect());
    db.all(query, TABLE, row::replica).await
}
