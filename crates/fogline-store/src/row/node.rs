//! Nodes.

use fogline_core::id::NodeId;
use fogline_core::record::{Liveness, NodeRecord, Runtimes};
use fogline_core::spec::Runtime;

use super::Columns;
use crate::error::StoreError;

pub(crate) fn node(row: &Columns<'_>) -> Result<NodeRecord, StoreError> {
    Ok(NodeRecord {
        id: row.id("id", NodeId::from_uuid)?,
        name: row.text("node_id")?,
        region: row.text("region")?,
        zone: row.text("zone")?,
        capacity: row.resources()?,
        runtimes: row.word("runtimes", runtimes)?,
        labels: row.json("labels")?,
        liveness: row.word("liveness", liveness)?,
        cordoned: row.flag("cordoned")?,
        draining: row.flag("draining")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

fn liveness(word: &str) -> Option<Liveness> {
    [Liveness::Online, Liveness::Offline].into_iter().find(|liveness| liveness.as_str() == word)
}

/// Names with commas between them, such as `docker,process`.
fn runtimes(words: &str) -> Option<Runtimes> {
    let named = words.split(',').filter(|word| !word.is_empty());
    let runtime = |word| Runtime::ALL.into_iter().find(|runtime| runtime.as_str() == word);
    Some(Runtimes::of(&named.map(runtime).collect::<Option<Vec<_>>>()?))
}
