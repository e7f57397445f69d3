//! Who carries a decision out that is not a commit alone.
//!
//! A deployment is scaled by the commit of its decision. Everything else is committed as pending first, carried out by a
//! task, and completed by another commit; what is pending after a take-over is carried out again, under the same key. Must
//! never act for a term that is over. Invariant: at most one task a decision. Tests: `tests/it/scaling/executors.rs`.

mod carrying;
mod logging;
mod webhook;

use fogline_core::record::ScalingTarget;

pub(super) use carrying::Carrying;
pub(super) use logging::log;
pub(super) use webhook::Webhook;

/// Everybody who can scale a target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Executor {
    /// The commit of the decision itself.
    Deployment,
    /// Whoever listens there.
    Webhook {
        /// Where changes are posted to.
        url: String,
    },
    /// Nobody.
    None {
        /// What the target was called.
        target_type: String,
    },
}

impl Executor {
    /// Who scales a target on which a policy has this callback.
    pub(super) fn of(target: &ScalingTarget, callback_url: Option<&str>) -> Self {
        match (target, callback_url) {
            (ScalingTarget::Deployment(_), _) => Self::Deployment,
            (ScalingTarget::Outside { .. }, Some(url)) => Self::Webhook { url: url.to_owned() },
            (ScalingTarget::Outside { target_type, .. }, None) => Self::None { target_type: target_type.clone() },
        }
    }

    /// The name in figures.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::Webhook { .. } => "webhook",
            Self::None { .. } => "none",
        }
    }
}
