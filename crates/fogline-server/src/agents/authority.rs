//! Which agents this server must not tell what to do, though it leads.
//!
//! An agent that has obeyed a higher epoch proves that this server's database is not the one that leads: a copy that was
//! left behind, or an old backup. Such an agent is refused, and the epoch is not raised over what it says: two copies of a
//! database that are both written to would otherwise take the agents from each other for ever.

use fogline_api::protocol::Greeting;
use tonic::Status;

use crate::attach::belongs_elsewhere;
use crate::leadership::Mandate;

/// Why an agent must not be led by this server, if so: it belongs elsewhere, or has obeyed somebody who knew more.
pub(super) fn refusal(mandate: &Mandate, greeting: &Greeting) -> Option<Status> {
    if let Some(refusal) = belongs_elsewhere(mandate, "agent", greeting.cluster_id.as_ref()) {
        return Some(refusal);
    }
    let obeyed = greeting.obeyed.as_ref()?;
    if obeyed.cluster_id != mandate.cluster_id() {
        return Some(Status::failed_precondition(format!(
            "this agent has obeyed cluster {}, and this server leads cluster {}: give the agent a fresh data \
             directory if it should join this one",
            obeyed.cluster_id,
            mandate.cluster_id()
        )));
    }
    if obeyed.epoch > mandate.epoch() {
        return Some(Status::failed_precondition(format!(
            "this agent has obeyed epoch {} of the cluster, and this server has epoch {}: its database is older than \
             what the agent knows. If it was restored from a backup, restore it with an epoch above {}; else stop \
             this server, another one leads",
            obeyed.epoch,
            mandate.epoch(),
            obeyed.epoch
        )));
    }
    if obeyed.epoch == mandate.epoch() && obeyed.holder != mandate.holder() {
        return Some(Status::failed_precondition(format!(
            "this agent has obeyed another server in epoch {}, which this server holds too: two copies of one \
             database are in use. Stop one of the servers, then start the other anew",
            mandate.epoch()
        )));
    }
    None
}
#[cfg(test)]
mod tests {
    use fogline_core::assignment::Authority;

    use super::*;
    use crate::clock::Clock;
    use crate::leadership::mandate_for_tests;

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
        let mandate = mandate_for_tests(&Clock::system(), None);
        let led = [
            greeting(None, None),
            greeting(Some("ours"), None),
            greeting(Some("ours"), Some((4, "somebody"))),
            greeting(Some("ours"), Some((5, "me"))),
        ];
        for greeting in led {
            assert!(refusal(&mandate, &greeting).is_none(), "{greeting:?}");
        }
        for (greeting, words) in [
            (greeting(Some("theirs"), None), "belongs to cluster theirs"),
            (greeting(Some("theirs"), Some((1, "x"))), "belongs to cluster theirs"),
            (greeting(Some("ours"), Some((6, "me"))), "has obeyed epoch 6"),
            (greeting(Some("ours"), Some((5, "somebody"))), "two copies of one database"),
        ] {
            let status = refusal(&mandate, &greeting).expect("refused");
            assert!(status.message().contains(words), "{status:?}");
        }
    }
}
