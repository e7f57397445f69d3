//! Whom the agent obeys.
//!
//! Invariant: what was obeyed only grows: first the epoch, then within an epoch of one holder the generation of each
//! node's list. A cluster, once joined, is never changed. Tests: below, and properties in `tests/it/session.rs`.

use std::collections::BTreeMap;

use fogline_core::assignment::Authority;
use fogline_core::id::NodeId;

/// Why somebody is not obeyed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// Not the cluster that this agent has joined.
    #[error(
        "the server belongs to cluster {theirs}, this agent to {ours}: point it to a server of its own cluster, or give it a fresh data directory"
    )]
    OtherCluster {
        /// The server's.
        theirs: String,
        /// The agent's.
        ours: String,
    },
    /// Somebody has taken over since.
    #[error("the server leads in epoch {theirs}, which is over: epoch {ours} was seen")]
    OldEpoch {
        /// The server's.
        theirs: u64,
        /// The highest seen.
        ours: u64,
    },
    /// Two servers in one epoch: one of them has an older copy of the database.
    #[error("the server claims epoch {epoch} as {theirs}, but {ours} holds it: one of the two has an older database")]
    OtherHolder {
        /// The epoch of both.
        epoch: u64,
        /// The server's nonce.
        theirs: String,
        /// The one that was seen first.
        ours: String,
    },
    /// A list that is older than the one that was obeyed last.
    #[error("the list is of generation {theirs}, and that of generation {ours} was obeyed already")]
    OldGeneration {
        /// The list's.
        theirs: u64,
        /// The highest obeyed for this node.
        ours: u64,
    },
    /// A list for a node that this agent does not present, or that the server has not welcomed.
    #[error("the list is for node {node_id}, which is not one of this agent's")]
    UnknownNode {
        /// Whose list it is.
        node_id: NodeId,
    },
    /// Something other than the greeting's answer came first.
    #[error("the server sent a list before it has welcomed this agent")]
    NotWelcomed,
}

/// The highest authority seen, and how far each node's list is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Obeyed {
    highest: Option<Authority>,
    generations: BTreeMap<String, u64>,
}

impl Obeyed {
    /// What was written down: the highest authority seen, and that of each node's list.
    #[must_use]
    pub fn restored(seen: Option<Authority>, lists: impl IntoIterator<Item = (String, Authority)>) -> Self {
        let lists: Vec<(String, Authority)> = lists.into_iter().collect();
        let mut obeyed = Self::default();
        for authority in seen.iter().chain(lists.iter().map(|(_, authority)| authority)) {
            // A file of another cluster, or of a holder that lost, is older than what is kept and says nothing.
            let _ = obeyed.raise(authority);
        }
        for (node, authority) in lists {
            if obeyed.highest.as_ref().is_some_and(|highest| same_term(highest, &authority)) {
                obeyed.generations.insert(node, authority.generation);
            }
        }
        obeyed
    }

    /// The highest authority seen.
    #[must_use]
    pub const fn highest(&self) -> Option<&Authority> {
        self.highest.as_ref()
    }

    /// Takes note of a leader; says whether that is news.
    ///
    /// # Errors
    /// When it is not to be obeyed.
    pub fn raise(&mut self, authority: &Authority) -> Result<bool, Refusal> {
        let Some(highest) = &mut self.highest else {
            self.highest = Some(authority.clone());
            return Ok(true);
        };
        if highest.cluster_id != authority.cluster_id {
            let (theirs, ours) = (authority.cluster_id.clone(), highest.cluster_id.clone());
            return Err(Refusal::OtherCluster { theirs, ours });
        }
        if authority.epoch < highest.epoch {
            return Err(Refusal::OldEpoch { theirs: authority.epoch, ours: highest.epoch });
        }
        if authority.epoch == highest.epoch {
            if authority.holder != highest.holder {
                let (theirs, ours) = (authority.holder.clone(), highest.holder.clone());
                return Err(Refusal::OtherHolder { epoch: highest.epoch, theirs, ours });
            }
            highest.generation = highest.generation.max(authority.generation);
            return Ok(false);
        }
        *highest = authority.clone();
        self.generations.clear();
        Ok(true)
    }

    /// Takes note of a node's list. The same list again is fine.
    ///
    /// # Errors
    /// When it is not to be obeyed.
    pub fn accept(&mut self, node: &str, authority: &Authority) -> Result<(), Refusal> {
        // Within a leader's term its lists are numbered node by node: another node's may be older and yet new.
        if let (Some(highest), Some(ours)) = (&self.highest, self.generations.get(node))
            && same_term(highest, authority)
            && authority.generation < *ours
        {
            return Err(Refusal::OldGeneration { theirs: authority.generation, ours: *ours });
        }
        self.raise(authority)?;
        self.generations.insert(node.to_owned(), authority.generation);
        Ok(())
    }
}

fn same_term(one: &Authority, other: &Authority) -> bool {
    one.cluster_id == other.cluster_id && one.epoch == other.epoch && one.holder == other.holder
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority(epoch: u64, holder: &str, generation: u64) -> Authority {
        Authority { cluster_id: "c".to_owned(), epoch, holder: holder.to_owned(), generation }
    }

    #[test]
    fn the_table_of_who_is_obeyed_after_epoch_5_of_a_generation_10() {
        let other_cluster = Authority { cluster_id: "d".to_owned(), ..authority(9, "a", 99) };
        let table = [
            (authority(5, "a", 10), "yes"),
            (authority(5, "a", 11), "yes"),
            (authority(6, "b", 1), "yes"),
            (authority(6, "a", 1), "yes"),
            (authority(5, "a", 9), "generation 9"),
            (authority(5, "b", 11), "claims epoch 5"),
            (authority(4, "a", 99), "epoch 4, which is over"),
            (other_cluster, "cluster d"),
        ];
        for (next, words) in table {
            let mut obeyed = Obeyed::default();
            assert_eq!(obeyed.accept("one", &authority(5, "a", 10)), Ok(()));
            match obeyed.accept("one", &next) {
                Ok(()) => assert_eq!(words, "yes", "{next:?}"),
                Err(refusal) => {
                    assert!(refusal.to_string().contains(words), "{refusal}");
                    assert_eq!(obeyed.highest(), Some(&authority(5, "a", 10)), "a refusal changes nothing");
                }
            }
        }
    }

    #[test]
    fn each_node_has_its_own_generation_and_a_new_epoch_starts_them_anew() {
        let mut obeyed = Obeyed::default();
        assert_eq!(obeyed.accept("one", &authority(1, "a", 10)), Ok(()));
        assert_eq!(obeyed.accept("two", &authority(1, "a", 7)), Ok(()));
        assert!(obeyed.accept("two", &authority(1, "a", 6)).is_err());
        assert_eq!(obeyed.accept("one", &authority(2, "b", 1)), Ok(()));
        assert_eq!(obeyed.accept("two", &authority(2, "b", 1)), Ok(()));
    }

    #[test]
    fn what_was_written_down_counts_after_a_restart() {
        let lists = [("one".to_owned(), authority(3, "a", 8)), ("two".to_owned(), authority(2, "z", 50))];
        let mut obeyed = Obeyed::restored(Some(authority(3, "a", 4)), lists);
        assert!(obeyed.accept("one", &authority(3, "a", 7)).is_err());
        assert!(obeyed.accept("one", &authority(2, "z", 60)).is_err());
        assert_eq!(obeyed.accept("two", &authority(3, "a", 1)), Ok(()), "its list is of an epoch that is over");
    }
}
