//! Every table and column that a backup holds, once for all backends and all versions of the schema.
//!
//! Parents come before children, and the key's columns first. `leader` and `cluster_keys` are not among them: what is
//! worth keeping of their one row is in the [`super::Header`]. Invariant: every column of the newest schema is here; a
//! test compares this list with the schema of each backend (`tests/it/transfer/catalogue.rs`).

/// What a column holds, and so how its values look in a backup.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A UUID: text in lower case, with dashes.
    Id,
    /// Text, or a word of a closed set: text.
    Text,
    /// A whole number: a number.
    Integer,
    /// A finite number: a number with a point.
    Float,
    /// Yes or no: a boolean.
    Flag,
    /// A point in time: microseconds since 1970.
    Time,
    /// A JSON document: itself, with its keys in order.
    Document,
    /// Bytes: hexadecimal text.
    Bytes,
}

/// A column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Column {
    /// Its name in every backend.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// The migration that brought it.
    pub since: i64,
}

/// A table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Table {
    /// Its name in every backend.
    pub name: &'static str,
    /// How many of the first columns are its key. Rows are in the key's order.
    pub key: usize,
    /// All of them.
    pub columns: &'static [Column],
}

impl Table {
    /// The columns that a schema with migrations up to `schema` has. None: it has no such table.
    #[must_use]
    pub fn columns_at(&self, schema: i64) -> Vec<Column> {
        self.columns.iter().filter(|column| column.since <= schema).copied().collect()
    }

    /// Whether a schema with migrations up to `schema` has it.
    pub(crate) fn is_in(&self, schema: i64) -> bool {
        self.columns.iter().take(self.key).all(|column| column.since <= schema)
    }
}

/// The first schema that has a leader, and so a cluster to speak of.
pub(crate) const OLDEST_SCHEMA: i64 = 3;

/// The schema that this list describes. A backup with a higher one is of a newer program.
pub(crate) const NEWEST_SCHEMA: i64 = 6;

/// The migration that brought `cluster_keys`.
pub(crate) const KEYS_SINCE: i64 = 5;

/// The tables, in the order in which they are written and read.
pub const TABLES: &[Table] = &[
    Table {
        name: "users",
        key: 1,
        columns: &[
            of(1, "id", Kind::Id),
            of(1, "username", Kind::Text),
            of(1, "password_hash", Kind::Text),
            of(1, "role", Kind::Text),
            of(1, "tier", Kind::Text),
            of(1, "disabled", Kind::Flag),
            of(1, "created_at", Kind::Time),
            of(1, "updated_at", Kind::Time),
        ],
    },
    Table {
        name: "sessions",
        key: 1,
        columns: &[
            of(1, "id", Kind::Id),
            of(1, "user_id", Kind::Id),
            of(1, "refresh_hash", Kind::Bytes),
            of(1, "created_at", Kind::Time),
            of(1, "expires_at", Kind::Time),
            of(1, "revoked_at", Kind::Time),
        ],
    },
    Table {
        name: "nodes",
        key: 1,
        columns: &[
            of(1, "id", Kind::Id),
            of(1, "node_id", Kind::Text),
            of(1, "region", Kind::Text),
            of(1, "zone", Kind::Text),
            of(1, "cpu_cores", Kind::Float),
            of(1, "memory_mb", Kind::Integer),
            of(1, "gpu_units", Kind::Integer),
            of(1, "storage_gb", Kind::Integer),
            of(1, "runtimes", Kind::Text),
            of(1, "labels", Kind::Document),
            of(1, "liveness", Kind::Text),
            of(1, "cordoned", Kind::Flag),
            of(1, "draining", Kind::Flag),
            of(1, "created_at", Kind::Time),
            of(1, "updated_at", Kind::Time),
        ],
    },
    Table {
        name: "audit_logs",
        key: 1,
        columns: &[
            of(1, "id", Kind::Id),
            of(1, "at", Kind::Time),
            of(1, "actor", Kind::Id),
            of(1, "actor_name", Kind::Text),
            of(1, "action", Kind::Text),
            of(1, "object", Kind::Text),
            of(1, "outcome", Kind::Text),
            of(1, "remote", Kind::Text),
            of(1, "detail", Kind::Text),
        ],
    },
    Table {
        name: "deployments",
        key: 1,
        columns: &[
            of(2, "id", Kind::Id),
            of(2, "name", Kind::Text),
            of(2, "user_id", Kind::Id),
            of(2, "container_image", Kind::Text),
            of(2, "runtime", Kind::Text),
            of(2, "status", Kind::Text),
            of(2, "target_replicas", Kind::Integer),
            of(2, "revision", Kind::Integer),
            of(2, "history_seq", Kind::Integer),
            of(2, "spec", Kind::Document),
            of(2, "created_at", Kind::Time),
            of(2, "updated_at", Kind::Time),
            of(2, "deleted_at", Kind::Time),
        ],
    },
    Table {
        name: "deployment_resources",
        key: 1,
        columns: &[
            of(2, "id", Kind::Id),
            of(2, "deployment_id", Kind::Id),
            of(2, "cpu_cores", Kind::Float),
            of(2, "memory_mb", Kind::Integer),
            of(2, "gpu_units", Kind::Integer),
            of(2, "storage_gb", Kind::Integer),
        ],
    },
    Table {
        name: "deployment_revisions",
        key: 2,
        columns: &[
            of(2, "deployment_id", Kind::Id),
            of(2, "revision", Kind::Integer),
            of(2, "spec", Kind::Document),
            of(2, "created_at", Kind::Time),
            of(2, "created_by", Kind::Id),
            of(4, "image_digest", Kind::Text),
        ],
    },
    Table {
        name: "deployment_replicas",
        key: 1,
        columns: &[
            of(2, "id", Kind::Id),
            of(2, "deployment_id", Kind::Id),
            of(2, "node_id", Kind::Id),
            of(2, "status", Kind::Text),
            of(2, "container_id", Kind::Text),
            of(2, "started_at", Kind::Time),
            of(2, "stopped_at", Kind::Time),
            of(2, "created_at", Kind::Time),
            of(2, "updated_at", Kind::Time),
            of(2, "revision", Kind::Integer),
            of(2, "cpu_cores", Kind::Float),
            of(2, "memory_mb", Kind::Integer),
            of(2, "gpu_units", Kind::Integer),
            of(2, "storage_gb", Kind::Integer),
            of(2, "host_port", Kind::Integer),
            of(2, "endpoint", Kind::Text),
            of(2, "restarts", Kind::Integer),
            of(2, "replaces", Kind::Id),
            of(2, "exit_code", Kind::Integer),
            of(2, "reason", Kind::Text),
        ],
    },
    Table {
        name: "deployment_status_history",
        key: 1,
        columns: &[
            of(2, "id", Kind::Id),
            of(2, "deployment_id", Kind::Id),
            of(2, "seq", Kind::Integer),
            of(2, "old_status", Kind::Text),
            of(2, "new_status", Kind::Text),
            of(2, "changed_by", Kind::Id),
            of(2, "changed_at", Kind::Time),
            of(2, "reason", Kind::Text),
        ],
    },
    Table {
        name: "scaling_policies",
        key: 1,
        columns: &[
            of(6, "id", Kind::Id),
            of(6, "user_id", Kind::Id),
            of(6, "name", Kind::Text),
            of(6, "version", Kind::Integer),
            of(6, "target_type", Kind::Text),
            of(6, "target_id", Kind::Text),
            of(6, "target", Kind::Text),
            of(6, "enabled", Kind::Flag),
            of(6, "mode", Kind::Text),
            of(6, "spec", Kind::Document),
            of(6, "created_at", Kind::Time),
            of(6, "updated_at", Kind::Time),
        ],
    },
    Table {
        name: "scaling_policy_versions",
        key: 2,
        columns: &[
            of(6, "policy_id", Kind::Id),
            of(6, "version", Kind::Integer),
            of(6, "spec", Kind::Document),
            of(6, "created_at", Kind::Time),
            of(6, "created_by", Kind::Id),
        ],
    },
    Table {
        name: "scaling_states",
        key: 1,
        columns: &[
            of(6, "target", Kind::Text),
            of(6, "version", Kind::Integer),
            of(6, "replicas", Kind::Integer),
            of(6, "memory", Kind::Document),
            of(6, "updated_at", Kind::Time),
        ],
    },
    Table {
        name: "scaling_decisions",
        key: 1,
        columns: &[
            of(6, "id", Kind::Id),
            of(6, "target", Kind::Text),
            of(6, "policy_id", Kind::Id),
            of(6, "policy_name", Kind::Text),
            of(6, "at", Kind::Time),
            of(6, "run", Kind::Text),
            of(6, "trigger", Kind::Text),
            of(6, "action", Kind::Text),
            of(6, "previous_replicas", Kind::Integer),
            of(6, "new_replicas", Kind::Integer),
            of(6, "reason", Kind::Text),
            of(6, "dry_run", Kind::Flag),
            of(6, "status", Kind::Text),
            of(6, "error", Kind::Text),
            of(6, "triggered_by", Kind::Id),
            of(6, "completed_at", Kind::Time),
            of(6, "decision", Kind::Document),
        ],
    },
    Table {
        name: "idempotency_keys",
        key: 2,
        columns: &[
            of(3, "user_id", Kind::Id),
            of(3, "key", Kind::Text),
            of(3, "fingerprint", Kind::Bytes),
            of(3, "outcome", Kind::Document),
            of(3, "created_at", Kind::Time),
        ],
    },
];

const fn of(since: i64, name: &'static str, kind: Kind) -> Column {
    Column { name, kind, since }
}
