//! What a round sees of the cluster, in one look at the writer's memory.

use fogline_core::Cluster;
use fogline_core::cluster::TargetView;
use fogline_core::record::{DecisionRecord, ScalingTarget};
use fogline_core::scaling::Policy;
use fogline_core::scaling::inputs::ProxySignal;
use fogline_core::time::Timestamp;

use super::builtin::Usage;

/// A target, and what the system measures of it.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) view: TargetView,
    /// Nothing for what is no deployment.
    pub(super) usage: Option<Usage>,
    /// What proxies see of its requests; nothing without a route, or where none was heard.
    pub(super) proxy: Option<ProxySignal>,
}

/// A decision that waits for an executor.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) record: DecisionRecord,
    /// The version of the target's state by now: of a later decision on it, it is a larger one.
    pub(super) generation: u64,
    /// Where a policy on the target has changes posted to.
    pub(super) callback_url: Option<String>,
}

/// All of it.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) targets: Vec<Seen>,
    pub(super) pending: Vec<Pending>,
}

impl Look {
    /// At every target.
    pub(super) fn at_all(cluster: &Cluster, now: Timestamp) -> Self {
        let targets = cluster.scaling_targets().into_iter().map(|view| Seen::new(cluster, view, now)).collect();
        Self { targets, pending: pending(cluster) }
    }

    /// At some targets. Those without an enabled policy are left out.
    pub(super) fn at(cluster: &Cluster, targets: impl IntoIterator<Item = ScalingTarget>, now: Timestamp) -> Self {
        let seen = targets.into_iter().filter_map(|target| Seen::at(cluster, &target, now));
        let targets = seen.filter(|seen| !seen.view.policies.is_empty() || !seen.view.shadows.is_empty()).collect();
        Self { targets, pending: pending(cluster) }
    }
}

impl Seen {
    /// One target; nothing where no policy is on it.
    pub(super) fn at(cluster: &Cluster, target: &ScalingTarget, now: Timestamp) -> Option<Self> {
        Some(Self::new(cluster, cluster.scaling_target(target)?, now))
    }

    fn new(cluster: &Cluster, view: TargetView, now: Timestamp) -> Self {
        let (usage, proxy) = match &view.target {
            ScalingTarget::Deployment(id) => {
                (Some(Usage::of(cluster, *id, view.counts, now)), cluster.proxy_signal(*id, now))
            }
            ScalingTarget::Outside { .. } => (None, None),
        };
        Self { view, usage, proxy }
    }
}

/// Where changes of a target are posted to: what only records has no say in it.
pub(super) fn callback(view: &TargetView) -> Option<&str> {
    let mut owning = view.policies.iter().map(Policy::spec).filter(|spec| !spec.dry_run);
    owning.find_map(|spec| spec.callback_url.as_deref())
}

fn pending(cluster: &Cluster) -> Vec<Pending> {
    let pending = |record: &DecisionRecord| {
        let view = cluster.scaling_target(&record.target);
        Pending {
            record: record.clone(),
            generation: view.as_ref().map_or(0, |view| view.version),
            callback_url: view.as_ref().and_then(callback).map(str::to_owned),
        }
    };
    cluster.pending_decisions().map(pending).collect()
}
