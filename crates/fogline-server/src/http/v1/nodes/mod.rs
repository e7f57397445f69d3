//! `/api/v1/nodes`: everybody who is logged in may look, administrators may change.

pub mod delete;
pub mod get;
pub mod list;
pub mod patch;
pub mod stop_unlisted;

use fogline_api::http::NodeResponse;
use fogline_core::Cluster;
use fogline_core::id::{NodeId, canonical_id};
use fogline_core::record::NodeRecord;

use crate::http::app::Http;
use crate::http::present;
use crate::http::problem::{ApiError, ApiResult};

/// The node that `id` means, by id or by name.
async fn find(app: &Http, id: &str) -> ApiResult<NodeRecord> {
    let node_id = find_id(app, id).await?;
    app.shared.store.node(node_id).await?.ok_or_else(|| ApiError::not_found("node", id))
}

/// The id of the node that `id` means. An id is not looked up: there may be no node with it.
async fn find_id(app: &Http, id: &str) -> ApiResult<NodeId> {
    if let Some(id) = canonical_id(id) {
        return Ok(id);
    }
    let name = id.to_owned();
    let named = move |cluster: &Cluster| {
        let table = cluster.nodes();
        table.record(table.index_named(&name)?).map(|record| record.id)
    };
    let found = app.shared.writer.view(move |cluster, _| named(cluster)).await?;
    found.ok_or_else(|| ApiError::not_found("node", id))
}

/// A node as it is shown.
async fn shown(app: &Http, record: NodeRecord) -> ApiResult<NodeResponse> {
    let id = record.id;
    present::nodes(app, vec![record]).await?.pop().ok_or_else(|| ApiError::not_found("node", &id.to_string()))
}
