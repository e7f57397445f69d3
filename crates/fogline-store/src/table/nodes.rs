//! Nodes.

use fogline_core::record::NodeRecord;
use fogline_core::spec::Runtime;

use super::{Record, Table, Values};

impl Record for NodeRecord {
    const TABLE: Table = Table {
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

    fn values(&self, to: &mut impl Values) {
        to.id(self.id.as_uuid());
        to.text(&self.name);
        to.text(&self.region);
        to.text(&self.zone);
        to.resources(self.capacity);
        to.text(&self.runtimes.iter().map(Runtime::as_str).collect::<Vec<_>>().join(","));
        to.json(&self.labels);
        to.text(self.liveness.as_str());
        to.flag(self.cordoned);
        to.flag(self.draining);
        to.time(self.created_at);
        to.time(self.updated_at);
    }
}
