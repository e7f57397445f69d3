//! By which right this server tells agents what to do, and which agents it must not tell.

use fogline_api::protocol::Greeting;
use fogline_core::assignment::Authority;
use fogline_store::Lease;
use tonic::Status;

/// One take-over: fixed for as long as this server leads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Leadership {
    cluster_id: String,
    epoch: u64,
    holder: String,
}

impl Leadership {
    pub(crate) fn of(lease: &Lease) -> Self {
        Self { cluster_id: lease.cluster_id.clone(), epoch: lease.epoch, holder: lease.holder.clone() }
    }

    /// The authority of what follows from a commit.
    pub(crate) fn authority(&self, revision: u64) -> Authority {
        Authority {
            cluster_id: self.cluster_id.clone(),
            epoch: self.epoch,
            holder: self.holder.clone(),
            generation: revision,
        }
    }

    /// Why an agent must not be led by this server, if so: it belongs elsewhere, or has obeyed somebody who knew more.
    pub(super) fn refusal(&self, greeting: &Greeting) -> Option<Status> {
        if let Some(theirs) = greeting.cluster_id.as_ref().filter(|theirs| **theirs != self.cluster_id) {
            return Some(Status::failed_precondition(format!(
                "this agent belongs to cluster {theirs}, and this server leads cluster {}: give the agent the address of \
                 a server of its cluster, or a fresh data directory if it should join this one",
                self.cluster_id
            )));
        }
        let obeyed = greeting.obeyed.as_ref()?;
        if obeyed.cluster_id != self.cluster_id {
            return Some(Status::failed_precondition(format!(
                "this agent has obeyed cluster {}, and this server leads cluster {}: give the agent a fresh data \
                 directory if it should join this one",
                obeyed.cluster_id, self.cluster_id
            )));
        }
        if obeyed.epoch > self.epoch {
            return Some(Status::failed_precondition(format!(
                "this agent has obeyed epoch {} of the cluster, and this server has epoch {}: its database is older than \
                 what the agent knows. If it was restored from a backup, restore it with an epoch above {}; else stop \
                 this server, another one leads",
                obeyed.epoch, self.epoch, obeyed.epoch
            )));
        }
        if obeyed.epoch == self.epoch && obeyed.holder != self.holder {
            return Some(Status::failed_precondition(format!(
                "this agent has obeyed another server in epoch {}, which this server holds too: two copies of one \
                 database are in use. Stop one of the servers, then start the other anew",
                self.epoch
            )));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting(cluster_id: Option<&str>, obeyed: Option<(u64, &str)>) -> Greeting {
        Greeting {
            version: "0.1.0".to_owned(),
            cluster_id: cluster_id.map(str::to_owned),
            obeyed: obeyed.map(|(epoch, holder)| Authority {
                cluster_id: cluster_id.unwrap_or("ours").to_owned(),
                epoch,
                holder: holder.to_owned(),
                generation: 7,
            }),
            nodes: Vec::new(),
        }
    }

    #[test]
    fn who_is_led_and_who_is_not() {
        let leadership = Leadership { cluster_id: "ours".to_owned(), epoch: 5, holder: "me".to_owned() };
        let led = [
            greeting(None, None),
            greeting(Some("ours"), None),
            greeting(Some("ours"), Some((4, "somebody"))),
            greeting(Some("ours"), Some((5, "me"))),
        ];
        for greeting in led {
            assert!(leadership.refusal(&greeting).is_none(), "{greeting:?}");
        }
        for (greeting, words) in [
            (greeting(Some("theirs"), None), "belongs to cluster theirs"),
            (greeting(Some("theirs"), Some((1, "x"))), "belongs to cluster theirs"),
            (greeting(Some("ours"), Some((6, "me"))), "has obeyed epoch 6"),
            (greeting(Some("ours"), Some((5, "somebody"))), "two copies of one database"),
        ] {
            let status = leadership.refusal(&greeting).expect("refused");
            assert!(status.message().contains(words), "{status:?}");
        }
    }
}
