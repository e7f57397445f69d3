//! What proxies report on its way to the writer: the latest of each proxy.
//!
//! Invariant: at most one entry a proxy, of each service the latest signal, and of what it has let go of the last word; so
//! memory is bounded by proxies and routes, however long a commit takes. Tests: below.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use fogline_core::command::{Command, Request};
use fogline_core::id::{DeploymentId, ReplicaId};
use fogline_core::traffic::ServiceSignal;

#[derive(Debug, Default)]
pub(super) struct Reports {
    /// By name, so that a batch does not depend on the order of a hash map.
    latest: Mutex<BTreeMap<String, Latest>>,
}

#[derive(Debug, Default)]
struct Latest {
    let_go: Vec<ReplicaId>,
    signals: BTreeMap<DeploymentId, ServiceSignal>,
}

impl Reports {
    pub(super) fn put(&self, proxy: &str, let_go: Vec<ReplicaId>, signals: Vec<ServiceSignal>) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if !latest.contains_key(proxy) {
            latest.insert(proxy.to_owned(), Latest::default());
        }
        let Some(known) = latest.get_mut(proxy) else { return };
        known.let_go = let_go;
        known.signals.extend(signals.into_iter().map(|signal| (signal.deployment_id, signal)));
    }

    /// Takes all of them.
    pub(super) fn take(&self) -> impl Iterator<Item = Request> + use<> {
        let latest = std::mem::take(&mut *self.latest.lock().unwrap_or_else(PoisonError::into_inner));
        latest.into_iter().map(|(proxy, Latest { let_go, signals })| {
            Request::agent(Command::NoteTraffic { proxy, let_go, signals: signals.into_values().collect() })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fogline_core::id::IdSource;
    use fogline_core::time::Timestamp;

    use super::*;

    #[test]
    fn only_the_latest_of_each_service_and_the_last_word_on_replicas_is_kept() {
        let mut ids = IdSource::new(1);
        let (web, api) = (ids.next::<DeploymentId>(Timestamp::EPOCH), ids.next::<DeploymentId>(Timestamp::EPOCH));
        let replica: ReplicaId = ids.next(Timestamp::EPOCH);
        let signal =
            |deployment_id, begun| ServiceSignal { deployment_id, begun, open: 0, held: 0, quiet: Duration::ZERO };
        let reports = Reports::default();
        reports.put("edge", vec![replica], vec![signal(web, 1), signal(api, 1)]);
        reports.put("edge", Vec::new(), vec![signal(web, 2)]);
        reports.put("deep", vec![replica], Vec::new());
        let expected = [
            Command::NoteTraffic { proxy: "deep".to_owned(), let_go: vec![replica], signals: Vec::new() },
            Command::NoteTraffic {
                proxy: "edge".to_owned(),
                let_go: Vec::new(),
                signals: vec![signal(web, 2), signal(api, 1)],
            },
        ];
        assert_eq!(reports.take().collect::<Vec<_>>(), expected.map(Request::agent));
        assert_eq!(reports.take().count(), 0);
    }
}
