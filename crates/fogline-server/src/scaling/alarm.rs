//! Targets that should not wait for the next round: a person has changed a policy on them, or their load has moved.
//!
//! Invariant: at most [`MOST`] are remembered; those beyond wait for their round.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use fogline_core::cluster::Changes;
use fogline_core::record::ScalingTarget;
use tokio::sync::Notify;

/// More than people change in one interval, and than are worth a round of their own.
const MOST: usize = 256;

/// What was touched since somebody looked.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    touched: Mutex<BTreeSet<ScalingTarget>>,
    bell: Notify,
}

impl Alarm {
    /// A commit is durable.
    pub(crate) fn committed(&self, changes: &Changes) {
        for policy in changes.policies.iter().filter_map(|(_, edit)| edit.after.as_ref()) {
            self.ring(policy.target.clone());
        }
    }

    /// A target should be looked at.
    pub(crate) fn ring(&self, target: ScalingTarget) {
        let mut touched = self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        if touched.len() < MOST {
            touched.insert(target);
        }
        drop(touched);
        self.bell.notify_one();
    }

    /// Waits until something is touched, and takes it. Nothing is lost when the future is dropped.
    pub(crate) async fn rung(&self) -> BTreeSet<ScalingTarget> {
        loop {
            let touched = std::mem::take(&mut *self.touched.lock().unwrap_or_else(PoisonError::into_inner));
            if !touched.is_empty() {
                return touched;
            }
            self.bell.notified().await;
        }
    }
}
