//! `/api/v1/nodes`: everybody who is logged in may look, administrators may change.

pub mod delete;
pub mod get;
pub mod list;
pub mod patch;
pub mod stop_unlisted;

use fogline_api::http::NodeResponse;
use fogline_core::id::NodeId;
use fogline_core::record::NodeRecord;

use crate::http::app::Http;
use crate::http::present;
use crate::http::problem::{ApiError, ApiResult};

/// The node that `id` means, by id or by name.
async fn find(app: &Http, id: &str) -> ApiResult<NodeRecord> {
    let not_found = || ApiError::not_found("node", id);
    let node_id = match id.parse::<NodeId>() {
        Ok(id) => id,
        Err(_) => {
            let name = id.to_owned();
            let named = move |cluster: &fogline_core::Cluster| {
                let table = cluster.nodes();
                table.record(table.index_named(&name)?).map(|record| record.id)
            };
            app.shared.writer.view(move |cluster, _| named(cluster)).await?.ok_or_else(not_found)?
        }
    };
    app.shared.store.node(node_id).await?.ok_or_else(not_found)
}

/// A node as it is shown.
async fn shown(app: &Http, record: NodeRecord) -> ApiResult<NodeResponse> {
    let id = record.id;
    present::nodes(app, vec![record]).await?.pop().ok_or_else(|| ApiError::not_found("node", &id.to_string()))
}
