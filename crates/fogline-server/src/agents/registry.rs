//! Which session presents which node.
//!
//! Invariant: a node is presented by one session, the newest that declared it; the one before is ended. Tests: below.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fogline_core::id::NodeId;
use tonic::Status;

use super::mailbox::Mailbox;

#[derive(Debug, Default)]
pub(crate) struct Registry {
    nodes: Mutex<HashMap<NodeId, Arc<Mailbox>>>,
    sessions: AtomicU64,
}

impl Registry {
    /// A mailbox for a new session, which presents nothing yet.
    pub(super) fn mailbox(&self) -> Arc<Mailbox> {
        Mailbox::new(self.sessions.fetch_add(1, Ordering::SeqCst) + 1)
    }

    /// The session presents these nodes from now on. Whoever did so before is ended: it is most often the same agent,
    /// whose old connection has not been noticed to be dead.
    pub(super) fn attach(&self, session: &Arc<Mailbox>, nodes: &[NodeId]) {
        let mut known = self.lock();
        for node in nodes {
            let before = known.insert(*node, Arc::clone(session)).filter(|before| before.number != session.number);
            if let Some(before) = before {
                before.end(Status::aborted(format!(
                    "another session presents node {node} now. If two agents run with the same node name, rename one"
                )));
            }
        }
    }

    /// The session is over.
    pub(super) fn detach(&self, session: &Mailbox, nodes: &[NodeId]) {
        let mut known = self.lock();
        for node in nodes {
            if known.get(node).is_some_and(|now| now.number == session.number) {
                known.remove(node);
            }
        }
    }

    /// The node is no more. Its agent may declare it anew.
    pub(crate) fn removed(&self, node: NodeId) {
        if let Some(session) = self.lock().remove(&node) {
            session.end(Status::aborted(format!("node {node} was removed: attach again to declare it anew")));
        }
    }

    /// Ends every session.
    pub(crate) fn end_all(&self, status: &Status) {
        for session in self.lock().values() {
            session.end(status.clone());
        }
    }

    /// The session that presents a node.
    pub(crate) fn session_of(&self, node: NodeId) -> Option<Arc<Mailbox>> {
        self.lock().get(&node).cloned()
    }

    /// Every node that somebody presents.
    pub(crate) fn nodes(&self) -> Vec<NodeId> {
        self.lock().keys().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<NodeId, Arc<Mailbox>>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fogline_core::id::IdSource;
    use fogline_core::time::Timestamp;

    #[test]
    fn the_newer_session_wins_and_the_older_takes_nothing_with_it() {
        let mut ids = IdSource::new(1);
        let nodes: [NodeId; 2] = [ids.next(Timestamp::EPOCH), ids.next(Timestamp::EPOCH)];
        let registry = Registry::default();
        let (older, newer) = (registry.mailbox(), registry.mailbox());
        registry.attach(&older, &nodes);
        registry.attach(&newer, &nodes[..1]);
        assert!(older.next().expect_err("ended").message().contains("another session presents node"));
        assert!(newer.next().expect("goes on").is_none());
        registry.detach(&older, &nodes);
        assert_eq!(registry.session_of(nodes[0]).map(|session| session.number), Some(newer.number));
        assert!(registry.session_of(nodes[1]).is_none());
    }

    #[test]
    fn a_removed_node_ends_its_session() {
        let node: NodeId = IdSource::new(1).next(Timestamp::EPOCH);
        let registry = Registry::default();
        let session = registry.mailbox();
        registry.attach(&session, &[node]);
        registry.removed(node);
        assert!(session.next().is_err() && registry.nodes().is_empty());
    }
}
