//! What an agent says its nodes are, on the wire.

use fogline_core::observation::NodeDeclaration;
use fogline_core::record::Runtimes;

use super::field::{self, WireError};
use super::generated as wire;

impl From<&NodeDeclaration> for wire::NodeDeclaration {
    fn from(node: &NodeDeclaration) -> Self {
        Self {
            name: node.name.clone(),
            region: node.region.clone(),
            zone: node.zone.clone(),
            capacity: Some(node.capacity.into()),
            runtimes: node.runtimes.iter().map(|runtime| wire::Runtime::from(runtime).into()).collect(),
            labels: field::unordered(&node.labels),
        }
    }
}

impl TryFrom<wire::NodeDeclaration> for NodeDeclaration {
    type Error = WireError;

    fn try_from(node: wire::NodeDeclaration) -> Result<Self, WireError> {
        let mut runtimes = Vec::with_capacity(node.runtimes.len());
        for value in node.runtimes {
            runtimes.push(field::runtime("hello.nodes.runtimes", value)?);
        }
        Ok(Self {
            name: field::filled("hello.nodes.name", node.name)?,
            region: node.region,
            zone: node.zone,
            capacity: field::required("hello.nodes.capacity", node.capacity)?.into(),
            runtimes: Runtimes::of(&runtimes),
            labels: field::ordered(node.labels),
        })
    }
}
