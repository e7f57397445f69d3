//! Replicas: by far the most rows.

use fogline_core::record::ReplicaRecord;

use super::{Record, Table, Values};

const NAME: &str = "deployment_replicas";

impl Record for ReplicaRecord {
    const TABLE: Table = Table {
        name: NAME,
        columns: &[
            "id",
            "deployment_id",
            "node_id",
            "status",
            "container_id",
            "started_at",
            "stopped_at",
            "created_at",
            "updated_at",
            "revision",
            "cpu_cores",
            "memory_mb",
            "gpu_units",
            "storage_gb",
            "host_port",
            "endpoint",
            "restarts",
            "replaces",
            "exit_code",
            "reason",
        ],
    };

    fn values(&self, to: &mut impl Values) {
        to.id(self.id.as_uuid());
        to.id(self.deployment_id.as_uuid());
        to.optional_id(self.node_id.map(|id| id.as_uuid()));
        to.text(self.status.as_str());
        to.shared(self.container_id.as_ref());
        to.optional_time(self.started_at);
        to.optional_time(self.stopped_at);
        to.time(self.created_at);
        to.time(self.updated_at);
        to.number(self.revision);
        to.resources(self.resources);
        to.optional_number(self.host_port);
        to.shared(self.endpoint.as_ref());
        to.number(self.restarts);
        to.optional_id(self.replaces.map(|id| id.as_uuid()));
        to.optional_number(self.exit_code);
        to.shared(self.reason.as_ref());
    }
}

/// What agents tell of a replica. Nearly every change is one of these alone.
pub(crate) struct Progress<'r>(pub(crate) &'r ReplicaRecord);

impl Record for Progress<'_> {
    const TABLE: Table = Table {
        name: NAME,
        columns: &[
            "id",
            "status",
            "container_id",
            "started_at",
            "stopped_at",
            "updated_at",
            "endpoint",
            "restarts",
            "exit_code",
            "reason",
        ],
    };

    fn values(&self, to: &mut impl Values) {
        let replica = self.0;
        to.id(replica.id.as_uuid());
        to.text(replica.status.as_str());
        to.shared(replica.container_id.as_ref());
        to.optional_time(replica.started_at);
        to.optional_time(replica.stopped_at);
        to.time(replica.updated_at);
        to.shared(replica.endpoint.as_ref());
        to.number(replica.restarts);
        to.optional_number(replica.exit_code);
        to.shared(replica.reason.as_ref());
    }
}

/// Whether no column beside those of [`Progress`] differs.
pub(crate) fn only_progressed(before: &ReplicaRecord, after: &ReplicaRecord) -> bool {
    let rest = |of: &ReplicaRecord| {
        (of.deployment_id, of.node_id, of.revision, of.resources, of.host_port, of.replaces, of.created_at)
    };
    rest(before) == rest(after)
}
