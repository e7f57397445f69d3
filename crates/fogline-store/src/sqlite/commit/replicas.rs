//! Replicas: by far the most rows, so the ones that the budget of 30,000 a second is about.

use fogline_core::cluster::Edits;
use fogline_core::id::ReplicaId;
use fogline_core::record::ReplicaRecord;
use sqlx::sqlite::SqliteConnection;

use super::bulk::{self, Table};
use super::values::Values;
use super::{Stop, added};

const NAME: &str = "deployment_replicas";

const ALL: Table = Table {
    name: NAME,
    columns: &[
        "id",
        "status",
        "endpoint",
        "container_id",
        "restarts",
        "exit_code",
        "reason",
        "updated_at",
        "started_at",
        "stopped_at",
        "deployment_id",
        "node_id",
        "revision",
        "cpu_cores",
        "memory_mb",
        "gpu_units",
        "storage_gb",
        "host_port",
        "replaces",
        "created_at",
    ],
};

/// What agents tell. Nearly every change is one of these alone, and then neither the index of nodes nor its foreign key
/// is touched, which halves the time.
const PROGRESS: Table = Table { name: NAME, columns: ALL.columns.split_at(10).0 };

fn progress(replica: &ReplicaRecord, to: &mut Values) {
    to.id(replica.id);
    to.text(replica.status.as_str());
    to.shared(replica.endpoint.as_ref());
    to.shared(replica.container_id.as_ref());
    to.number(replica.restarts);
    to.optional_number(replica.exit_code);
    to.shared(replica.reason.as_ref());
    to.time(replica.updated_at);
    to.optional_time(replica.started_at);
    to.optional_time(replica.stopped_at);
}

fn all(replica: &ReplicaRecord, to: &mut Values) {
    progress(replica, to);
    to.id(replica.deployment_id);
    to.optional_id(replica.node_id);
    to.number(replica.revision);
    to.resources(replica.resources);
    to.optional_number(replica.host_port);
    to.optional_id(replica.replaces);
    to.time(replica.created_at);
}

/// Whether no column beside those of [`PROGRESS`] differs.
fn only_progressed(before: &ReplicaRecord, after: &ReplicaRecord) -> bool {
    let rest = |of: &ReplicaRecord| {
        (of.deployment_id, of.node_id, of.revision, of.resources, of.host_port, of.replaces, of.created_at)
    };
    rest(before) == rest(after)
}

pub(super) async fn write(db: &mut SqliteConnection, replicas: &Edits<ReplicaId, ReplicaRecord>) -> Result<(), Stop> {
    let changed = replicas.iter().filter_map(|(_, edit)| Some((edit.before.as_ref()?, edit.after.as_ref()?)));
    let (progressed, moved): (Vec<_>, Vec<_>) = changed.partition(|(before, after)| only_progressed(before, after));
    PROGRESS.update_all(db, &progressed, |(_, replica), to| progress(replica, to)).await?;
    ALL.update_all(db, &moved, |(_, replica), to| all(replica, to)).await?;
    ALL.insert(db, &added(replicas), |replica, to| all(replica, to)).await
}

pub(super) async fn remove(db: &mut SqliteConnection, replicas: &Edits<ReplicaId, ReplicaRecord>) -> Result<(), Stop> {
    bulk::each(db, "DELETE FROM deployment_replicas WHERE id = ?1", replicas.removals()).await
}
