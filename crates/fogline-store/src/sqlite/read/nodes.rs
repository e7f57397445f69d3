//! Nodes.

use fogline_core::id::NodeId;
use fogline_core::record::NodeRecord;

use super::{all, one};
use crate::error::StoreError;
use crate::page::{List, Page, PageRequest};
use crate::sqlite::{SqliteStore, row};

impl SqliteStore {
    pub(crate) async fn node(&self, id: NodeId) -> Result<Option<NodeRecord>, StoreError> {
        let query = sqlx::query("SELECT * FROM nodes WHERE id = ?1").bind(id.to_string());
        one(&self.readers, query, "nodes", row::node).await
    }

    pub(crate) async fn nodes(&self, page: &PageRequest) -> Result<Page<NodeRecord>, StoreError> {
        let sql = "SELECT * FROM nodes WHERE node_id > ?1 ORDER BY node_id LIMIT ?2";
        let query = sqlx::query(sql).bind(page.key(List::Nodes)?.unwrap_or_default()).bind(page.rows());
        let nodes = all(&self.readers, query, "nodes", row::node).await?;
        Ok(Page::of(nodes, page, List::Nodes, |node| node.name.clone()))
    }
}
