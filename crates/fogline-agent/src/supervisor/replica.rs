//! One replica: what is known of it, and what is told and remembered of that. How it moves is in `life.rs`.
//!
//! Invariant: phases end in [`Phase::Ended`], which nothing leaves, and between two starts there is always an end of the
//! first.

use std::sync::Arc;

use fogline_core::id::{DeploymentId, NodeId, ReplicaId};
use fogline_core::image_digest::ImageDigest;
use fogline_core::observation::{ReplicaReport, ReportedState};
use fogline_core::spec::ReplicaTemplate;

use super::crashes::Crashes;
use super::memo::{End, Memo};
use super::readiness::{Past, Readiness};
use super::warm_up::WarmUp;
use crate::driver::StartOrder;

/// What a replica is started from.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Subject {
    pub deployment_id: DeploymentId,
    pub deployment_name: String,
    pub node_id: NodeId,
    pub revision: u32,
    pub template: Arc<ReplicaTemplate>,
    /// As the list has it.
    pub image_digest: Option<ImageDigest>,
}

impl Subject {
    /// As an order names it.
    pub fn of(order: &StartOrder) -> Self {
        Self {
            deployment_id: order.deployment_id,
            deployment_name: order.deployment_name.clone(),
            node_id: order.node_id,
            revision: order.revision,
            template: Arc::clone(&order.template),
            image_digest: order.image_digest.clone(),
        }
    }
}

/// What the last list said of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Listing {
    /// The leader has sent no list of its node since the agent started, and the one on disk does not name it.
    Unknown,
    /// It is on it.
    Listed,
    /// It is not: nothing is done to it, and it is not started either.
    Unlisted,
}

/// How far it has come.
#[derive(Debug)]
pub(super) enum Phase {
    /// To be started, at the earliest then.
    Waiting { until_us: u64, restart: bool },
    /// The driver is at it.
    Starting,
    /// It runs.
    Alive { readiness: Readiness, warm_up: WarmUp, start_deadline_us: u64 },
    /// Something of it runs that the driver cannot make out. `past` is what was last known, and holds until the driver
    /// says more; killed at that time, once it was told to stop.
    Held { past: Past, kill_at_us: Option<u64> },
    /// It was told to end.
    Ending { kill_at_us: u64, why: Ending },
    /// It is over.
    Ended(End),
}

/// Why it was told to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ending {
    /// The list says so.
    Ordered,
    /// It did not become ready, or not warm.
    NotReady,
}

/// One replica.
#[derive(Debug)]
pub(super) struct Replica {
    pub id: ReplicaId,
    pub node: Arc<str>,
    pub subject: Option<Subject>,
    pub listing: Listing,
    pub stop_ordered: bool,
    pub phase: Phase,
    pub run: u32,
    pub restarts: u32,
    pub crashes: Crashes,
    pub port: Option<u16>,
    pub been_ready: bool,
    pub container_id: Option<String>,
    /// What it is made of, as the driver found out.
    pub image_digest: Option<ImageDigest>,
    pub exit_code: Option<i32>,
    pub message: Option<String>,
    /// How far a start is that takes long.
    pub progress: Option<String>,
    /// What was said last, to say only what is new.
    pub reported: Option<ReplicaReport>,
    pub saved: Option<Memo>,
    /// When it is due, as the timer queue has it.
    pub timer_us: Option<u64>,
}

impl Replica {
    /// One that was never heard of before.
    pub fn new(id: ReplicaId, node: Arc<str>, phase: Phase) -> Self {
        Self {
            id,
            node,
            subject: None,
            listing: Listing::Unknown,
            stop_ordered: false,
            phase,
            run: 0,
            restarts: 0,
            crashes: Crashes::default(),
            port: None,
            been_ready: false,
            container_id: None,
            image_digest: None,
            exit_code: None,
            message: None,
            progress: None,
            reported: None,
            saved: None,
            timer_us: None,
        }
    }

    /// One that an earlier agent process remembered.
    pub fn remembered(memo: Memo, node: Arc<str>, phase: Phase) -> Self {
        Self {
            stop_ordered: memo.stop_ordered,
            run: memo.run,
            restarts: memo.restarts,
            crashes: memo.crashes,
            been_ready: memo.been_ready,
            exit_code: memo.exit_code,
            message: memo.message.clone(),
            image_digest: memo.image_digest.clone(),
            saved: Some(memo.clone()),
            ..Self::new(memo.replica_id, node, phase)
        }
    }

    /// Whether something of it may be running.
    pub const fn may_run(&self) -> bool {
        matches!(self.phase, Phase::Starting | Phase::Alive { .. } | Phase::Held { .. } | Phase::Ending { .. })
    }

    /// Whether something of it runs. While it is being started another program may have its port.
    const fn has_started(&self) -> bool {
        matches!(self.phase, Phase::Alive { .. } | Phase::Held { .. } | Phase::Ending { .. })
    }

    /// When [`Self::advance`] has something to do next.
    pub fn due_us(&self) -> Option<u64> {
        match &self.phase {
            Phase::Waiting { until_us, .. } => {
                (self.listing == Listing::Listed && self.subject.is_some()).then_some(*until_us)
            }
            Phase::Alive { readiness, warm_up, start_deadline_us } => {
                let deadline_us = (!readiness.was_ready()).then_some(*start_deadline_us);
                readiness.due_us().into_iter().chain(deadline_us).chain(warm_up.due_us()).min()
            }
            Phase::Held { kill_at_us, .. } => *kill_at_us,
            Phase::Ending { kill_at_us, .. } => Some(*kill_at_us),
            Phase::Starting | Phase::Ended(_) => None,
        }
    }

    /// What is said of it, with the number of the last report.
    pub fn report(&self, address: &str) -> ReplicaReport {
        ReplicaReport {
            replica_id: self.id,
            seq: self.reported.as_ref().map_or(0, |report| report.seq),
            state: match &self.phase {
                Phase::Ended(End::Stopped) => ReportedState::Stopped,
                Phase::Ended(End::Failed) => ReportedState::Failed,
                _ if self.been_ready => ReportedState::Running,
                _ => ReportedState::Starting,
            },
            ready: self.is_ready(),
            restarts: self.restarts,
            endpoint: self.port.filter(|_| self.has_started()).map(|port| endpoint(address, port)),
            container_id: self.container_id.clone(),
            image_digest: self.image_digest.clone(),
            exit_code: self.exit_code,
            message: self.progress.as_ref().or(self.message.as_ref()).cloned(),
        }
    }

    /// What must survive the agent.
    pub fn memo(&self) -> Memo {
        Memo {
            replica_id: self.id,
            node: self.node.to_string(),
            run: self.run,
            restarts: self.restarts,
            crashes: self.crashes,
            been_ready: self.been_ready,
            ready: self.is_ready(),
            run_was_ready: self.been_ready_in_this_run(),
            stop_ordered: self.stop_ordered,
            end: match self.phase {
                Phase::Ended(end) => Some(end),
                _ => None,
            },
            exit_code: self.exit_code,
            message: self.message.clone(),
            image_digest: self.image_digest.clone(),
        }
    }

    /// Whether it is warm and its check passes, or did when it could last be asked.
    pub const fn is_ready(&self) -> bool {
        match &self.phase {
            Phase::Alive { readiness, warm_up, .. } => warm_up.is_done() && readiness.is_ready(),
            Phase::Held { past, kill_at_us: None } => matches!(past, Past::Ready),
            _ => false,
        }
    }

    /// Whether the run that goes on was ever ready.
    pub const fn been_ready_in_this_run(&self) -> bool {
        match &self.phase {
            Phase::Alive { readiness, warm_up, .. } => warm_up.is_done() && readiness.was_ready(),
            Phase::Held { past, .. } => matches!(past, Past::Ready | Past::WasReady),
            _ => false,
        }
    }
}

/// `address:port`, with brackets where the address is one of IPv6.
pub(crate) fn endpoint(address: &str, port: u16) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}
