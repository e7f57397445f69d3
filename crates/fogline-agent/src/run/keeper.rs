//! Writes state down, and tries again what could not be written.
//!
//! A full disk must not end the agent: what it holds in memory is right, and is written once there is room.

use std::collections::BTreeMap;
use std::sync::Arc;

use fogline_api::protocol::NodeAssignment;
use fogline_core::assignment::Authority;
use fogline_core::id::ReplicaId;
use tracing::{error, info};

use crate::disk::{Disk, DiskError};
use crate::supervisor::Memo;

/// What could not be written is tried again so often.
const AGAIN_US: u64 = 5_000_000;

/// The disk, and what it lacks.
#[derive(Debug)]
pub(super) struct Keeper {
    disk: Arc<Disk>,
    seen: Option<Authority>,
    lists: BTreeMap<Arc<str>, NodeAssignment>,
    memos: BTreeMap<ReplicaId, Memo>,
    again_at_us: Option<u64>,
}

impl Keeper {
    pub fn new(disk: Arc<Disk>) -> Self {
        Self { disk, seen: None, lists: BTreeMap::new(), memos: BTreeMap::new(), again_at_us: None }
    }

    /// When [`Self::again`] is wanted.
    pub const fn next_wake(&self) -> Option<u64> {
        self.again_at_us
    }

    pub async fn save_seen(&mut self, seen: Authority, now_us: u64) {
        let copy = seen.clone();
        let written = self.write(move |disk| disk.save_seen(&copy)).await;
        self.seen = self.lacking(written, seen, now_us).ok();
    }

    /// Says why it could not be written.
    pub async fn save_list(&mut self, node: &Arc<str>, list: NodeAssignment, now_us: u64) -> Option<String> {
        let (name, copy) = (Arc::clone(node), list.clone());
        let written = self.write(move |disk| disk.save_list(&name, &copy)).await;
        let why = written.as_ref().err().map(ToString::to_string);
        match self.lacking(written, list, now_us) {
            Ok(list) => self.lists.insert(Arc::clone(node), list),
            Err(()) => self.lists.remove(node),
        };
        why
    }

    pub async fn save_memo(&mut self, memo: Memo, now_us: u64) {
        let (id, copy) = (memo.replica_id, memo.clone());
        let written = self.write(move |disk| disk.save_memo(&copy)).await;
        match self.lacking(written, memo, now_us) {
            Ok(memo) => self.memos.insert(id, memo),
            Err(()) => self.memos.remove(&id),
        };
    }

    pub async fn remove_memo(&mut self, replica_id: ReplicaId) {
        self.memos.remove(&replica_id);
        if let Err(error) = self.write(move |disk| disk.remove_memo(replica_id)).await {
            // It is read again at the next start, and forgotten again.
            error!(%error, "state of an ended replica stays behind");
        }
    }

    /// Tries again what could not be written.
    pub async fn again(&mut self, now_us: u64) {
        if self.again_at_us.is_none_or(|again_at_us| now_us < again_at_us) {
            return;
        }
        self.again_at_us = None;
        if let Some(seen) = self.seen.take() {
            self.save_seen(seen, now_us).await;
        }
        for (node, list) in std::mem::take(&mut self.lists) {
            self.save_list(&node, list, now_us).await;
        }
        for memo in std::mem::take(&mut self.memos).into_values() {
            self.save_memo(memo, now_us).await;
        }
        if self.again_at_us.is_none() {
            info!("the agent's state can be written again");
        }
    }

    /// Gives the value back when it was not written.
    fn lacking<T>(&mut self, written: Result<(), DiskError>, value: T, now_us: u64) -> Result<T, ()> {
        match written {
            Ok(()) => Err(()),
            Err(error) => {
                error!(%error, "the agent's state cannot be written; trying again");
                self.again_at_us.get_or_insert(now_us.saturating_add(AGAIN_US));
                Ok(value)
            }
        }
    }

    async fn write(
        &self,
        write: impl FnOnce(&Disk) -> Result<(), DiskError> + Send + 'static,
    ) -> Result<(), DiskError> {
        let disk = Arc::clone(&self.disk);
        match tokio::task::spawn_blocking(move || write(&disk)).await {
            Ok(written) => written,
            // The runtime is going away, and the agent with it.
            Err(_) => Ok(()),
        }
    }
}
