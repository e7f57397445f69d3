//! Nodes.

use fogline_core::cluster::Edits;
use fogline_core::id::NodeId;
use fogline_core::record::NodeRecord;
use fogline_core::spec::Runtime;
use sqlx::sqlite::SqliteConnection;

use super::bulk::{self, Table};
use super::values::Values;
use super::{Stop, added, changed, swaps_rows};

const NODES: Table = Table {
    name: "nodes",
    columns: &[
        "id",
        "node_id",
        "region",
        "zone",
        "cpu_cores",
        "memory_mb",
        "gpu_units",
        "storage_gb",
        "runtimes",
        "labels",
        "liveness",
        "cordoned",
        "draining",
        "created_at",
        "updated_at",
    ],
};

fn values(node: &NodeRecord, to: &mut Values) {
    to.id(node.id);
    to.text(&node.name);
    to.text(&node.region);
    to.text(&node.zone);
    to.resources(node.capacity);
    to.text(&node.runtimes.iter().map(Runtime::as_str).collect::<Vec<_>>().join(","));
    to.json(&node.labels);
    to.text(node.liveness.as_str());
    to.number(node.cordoned);
    to.number(node.draining);
    to.time(node.created_at);
    to.time(node.updated_at);
}

/// A node may be removed and declared again in one batch.
pub(super) async fn free_names(db: &mut SqliteConnection, nodes: &Edits<NodeId, NodeRecord>) -> Result<(), Stop> {
    if !swaps_rows(nodes) {
        return Ok(());
    }
    bulk::each(db, "UPDATE nodes SET node_id = id WHERE id = ?1", nodes.removals()).await
}

pub(super) async fn write(db: &mut SqliteConnection, nodes: &Edits<NodeId, NodeRecord>) -> Result<(), Stop> {
    NODES.update_all(db, &changed(nodes), |node, to| values(node, to)).await?;
    NODES.insert(db, &added(nodes), |node, to| values(node, to)).await
}

pub(super) async fn remove(db: &mut SqliteConnection, nodes: &Edits<NodeId, NodeRecord>) -> Result<(), Stop> {
    bulk::each(db, "DELETE FROM nodes WHERE id = ?1", nodes.removals()).await
}
