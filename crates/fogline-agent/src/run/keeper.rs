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
    /// What is known to be on disk: a server repeats itself, and that is worth no write.
    saved: BTreeMap<Arc<str>, NodeAssignment>,
    memos: BTreeMap<ReplicaId, Memo>,
    again_at_us: Option<u64>,
}

impl Keeper {
    /// `lists` are on the disk.
    pub fn new(disk: Arc<Disk>, lists: &[(String, NodeAssignment)]) -> Self {
        let saved = lists.iter().map(|(node, list)| (Arc::from(node.as_str()), list.clone())).collect();
        Self { disk, seen: None, lists: BTreeMap::new(), saved, memos: BTreeMap::new(), again_at_us: None }
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
        if self.saved.get(node) == Some(&list) {
            return None;
        }
        // Until it is written, nobody knows what is there.
        self.saved.remove(node);
        let (name, copy) = (Arc::clone(node), list.clone());
        let written = self.write(move |disk| disk.save_list(&name, &copy)).await;
        let why = written.as_ref().err().map(ToString::to_string);
        if written.is_ok() {
            self.saved.insert(Arc::clone(node), list.clone());
        }
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use fogline_core::assignment::Assignment;

    use super::*;

    fn list(generation: u64) -> NodeAssignment {
        NodeAssignment {
            authority: Authority { cluster_id: "c".to_owned(), epoch: 1, holder: "h".to_owned(), generation },
            node_id: "00000000-0000-7000-8000-000000000002".parse().expect("an id"),
            assignment: Assignment { replicas: Vec::new(), templates: [].into() },
        }
    }

    #[tokio::test]
    async fn a_list_that_is_repeated_is_not_written_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let disk = Arc::new(Disk::open(dir.path()).expect("free"));
        let mut keeper = Keeper::new(Arc::clone(&disk), &[]);
        let (node, path) = (Arc::from("one"), dir.path().join("assignment-one.json"));
        // Each write makes a new file beside the old one, so it never has that one's number.
        let file = || fs::metadata(&path).expect("there").ino();
        assert_eq!(keeper.save_list(&node, list(1), 0).await, None);
        let first = file();
        assert_eq!(keeper.save_list(&node, list(1), 0).await, None);
        assert_eq!(file(), first, "nothing was new");
        // Nor by the next agent, which has read it.
        let mut keeper = Keeper::new(Arc::clone(&disk), &disk.load(&["one"]).lists);
        assert_eq!(keeper.save_list(&node, list(1), 0).await, None);
        assert_eq!(file(), first);
        assert_eq!(keeper.save_list(&node, list(2), 0).await, None);
        assert_ne!(file(), first);

        // What could not be written is no reason to leave the next one out.
        fs::remove_file(&path).expect("removed");
        fs::create_dir_all(path.join("in the way")).expect("made");
        assert!(keeper.save_list(&node, list(3), 0).await.is_some());
        fs::remove_dir_all(&path).expect("removed");
        assert_eq!(keeper.save_list(&node, list(2), 0).await, None);
        assert_eq!(disk.load(&["one"]).lists, [("one".to_owned(), list(2))]);
    }
}
