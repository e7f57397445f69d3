//! Nodes.

use fogline_core::id::NodeId;
use fogline_core::record::NodeRecord;

use super::{Query, Reader};
use crate::error::StoreError;
use crate::page::{List, Page, PageRequest};
use crate::row;

pub(crate) async fn node(db: &mut impl Reader, id: NodeId) -> Result<Option<NodeRecord>, StoreError> {
    db.one(Query::new("SELECT * FROM nodes WHERE id = $1").id(id.as_uuid()), "nodes", row::node).await
}

pub(crate) async fn nodes(db: &mut impl Reader, page: &PageRequest) -> Result<Page<NodeRecord>, StoreError> {
    let query = Query::new("SELECT * FROM nodes WHERE node_id > $1 ORDER BY node_id LIMIT $2")
        .text(page.key(List::Nodes)?.unwrap_or_default())
        .number(page.rows());
    let nodes = db.all(query, "nodes", row::node).await?;
    Ok(Page::of(nodes, page, List::Nodes, |node| node.name.clone()))
}
