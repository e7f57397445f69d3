//! Everything that the cluster holds in memory. The caller sees to it that all is of one moment.

use fogline_core::cluster::Durable;

use super::{Query, Reader};
use crate::error::StoreError;
use crate::row;

const USERS: Query = Query::new("SELECT * FROM users ORDER BY id");
/// By the database's own clock.
const SESSIONS: Query = Query::either(
    "SELECT * FROM sessions WHERE revoked_at IS NULL AND expires_at > CAST(unixepoch('subsec') * 1000000 AS INTEGER) \
        ORDER BY id",
    "SELECT * FROM sessions WHERE revoked_at IS NULL AND expires_at > clock_timestamp() ORDER BY id",
);
const NODES: Query = Query::new("SELECT * FROM nodes ORDER BY id");
/// Each asks an index about its own rows. A list of all live replicas to look into is, where there are many, more than
/// PostgreSQL keeps in memory, and then it makes one for each row.
const DEPLOYMENTS: Query = Query::new(
    "SELECT * FROM deployments WHERE deleted_at IS NULL OR EXISTS (SELECT 1 FROM deployment_replicas \
        WHERE deployment_id = deployments.id AND status NOT IN ('stopped', 'failed')) ORDER BY id",
);
const REVISIONS: Query = Query::new(
    "SELECT * FROM deployment_revisions AS old WHERE EXISTS (SELECT 1 FROM deployment_replicas \
        WHERE deployment_id = old.deployment_id AND revision = old.revision AND status NOT IN ('stopped', 'failed')) \
        OR image_digest IS NOT NULL AND EXISTS (SELECT 1 FROM deployments \
        WHERE id = old.deployment_id AND revision = old.revision AND deleted_at IS NULL) \
        ORDER BY deployment_id, revision",
);
const REPLICAS: Query =
    Query::new("SELECT * FROM deployment_replicas WHERE status NOT IN ('stopped', 'failed') ORDER BY id");
const POLICIES: Query = Query::new("SELECT * FROM scaling_policies ORDER BY id");
const SCALING_STATES: Query = Query::new("SELECT * FROM scaling_states ORDER BY target");
const PENDING: Query = Query::new("SELECT * FROM scaling_decisions WHERE status = 'pending' ORDER BY id");

pub(crate) async fn load(db: &mut impl Reader) -> Result<Durable, StoreError> {
    Ok(Durable {
        users: db.all(USERS, "users", row::user).await?,
        sessions: db.all(SESSIONS, "sessions", row::session).await?,
        nodes: db.all(NODES, "nodes", row::node).await?,
        deployments: db.all(DEPLOYMENTS, "deployments", row::deployment).await?,
        revisions: db.all(REVISIONS, "deployment_revisions", row::revision).await?,
        replicas: db.all(REPLICAS, "deployment_replicas", row::replica).await?,
        policies: db.all(POLICIES, "scaling_policies", row::policy).await?,
        scaling_states: db.all(SCALING_STATES, "scaling_states", row::scaling_state).await?,
        decisions: db.all(PENDING, "scaling_decisions", row::decision).await?,
    })
}
