//! The cluster as its rows say it is: at the beginning of a term, and again when memory may have lost touch with them.
//!
//! Invariant: nothing is decided before everything is there.

use std::time::Duration;

use fogline_core::Cluster;
use fogline_core::cluster::Durable;
use fogline_core::id::IdSource;
use fogline_core::settings::Settings;
use fogline_core::time::Timestamp;
use fogline_store::{Lease, Store, StoreError};

use super::Stopped;
use crate::auth::random_bytes;
use crate::clock::Clock;

/// Pause between two attempts while the database does not answer.
const AGAIN: Duration = Duration::from_millis(250);

/// Loads the cluster as its rows say it is.
pub(crate) async fn load(store: &Store, settings: &Settings, clock: &Clock) -> Result<Cluster, Stopped> {
    let durable = store.load().await?;
    // No row may be newer than what is decided next: see there.
    clock.start_no_earlier_than(newest(&durable));
    let ids = IdSource::new(u64::from_ne_bytes(random_bytes()));
    let cluster = Cluster::load(durable, settings.clone(), ids, clock.now())?;
    for (policy, faults) in cluster.faulty_policies() {
        let faults = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let (id, name) = (policy.id, &policy.spec.name);
        tracing::warn!(%id, name, faults, "a scaling policy of an older version cannot be evaluated: please correct it");
    }
    Ok(cluster)
}

/// The newest time in the rows.
fn newest(durable: &Durable) -> Timestamp {
    let nodes = durable.nodes.iter().map(|node| node.updated_at);
    let deployments = durable.deployments.iter().map(|deployment| deployment.updated_at);
    let replicas = durable.replicas.iter().map(|replica| replica.updated_at);
    let policies = durable.policies.iter().map(|policy| policy.updated_at);
    let states = durable.scaling_states.iter().map(|state| state.updated_at);
    let decisions = durable.decisions.iter().map(|decision| decision.decision.at);
    let scaling = policies.chain(states).chain(decisions);
    nodes.chain(deployments).chain(replicas).chain(scaling).max().unwrap_or(Timestamp::EPOCH)
}

/// The database's revision, and the cluster as it was then or later.
pub(super) async fn load_again(
    store: &Store,
    lease: &Lease,
    settings: &Settings,
    clock: &Clock,
    patient: bool,
) -> Result<(u64, Cluster), Stopped> {
    loop {
        let read = async {
            let incumbent = store.incumbent().await?;
            let incumbent = incumbent.filter(|now| (now.epoch, &now.holder) == (lease.epoch, &lease.holder));
            let revision = incumbent.ok_or(Stopped::NotLeader)?.revision;
            Ok((revision, load(store, settings, clock).await?))
        };
        match read.await {
            Err(Stopped::Store(StoreError::Unavailable { detail })) if patient => {
                tracing::debug!(detail, "the cluster cannot be loaded again yet");
                tokio::time::sleep(AGAIN).await;
            }
            result => return result,
        }
    }
}
