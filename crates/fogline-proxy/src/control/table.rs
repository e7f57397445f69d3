//! The whole table, put together from what servers said, to be kept. Tests: below.

use std::collections::BTreeMap;

use fogline_api::protocol::proxy::RoutesUpdate;
use fogline_core::id::DeploymentId;
use fogline_core::traffic::Service;

/// What the updates so far come to.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Table(BTreeMap<DeploymentId, Service>);

impl Table {
    /// Takes a table, or a change of it. Says whether that makes it another.
    pub fn apply(&mut self, update: &RoutesUpdate) -> bool {
        let mut before = if update.whole { std::mem::take(&mut self.0) } else { BTreeMap::new() };
        let mut changed = false;
        for id in &update.removed {
            changed |= self.0.remove(id).is_some();
        }
        for service in &update.services {
            let known = self.0.insert(service.deployment_id, service.clone());
            let known = known.or_else(|| before.remove(&service.deployment_id));
            changed |= known.as_ref() != Some(service);
        }
        // What is left of the one before is not in this one.
        changed || !before.is_empty()
    }

    /// All of it, as a server would say it first.
    pub fn whole(&self) -> RoutesUpdate {
        RoutesUpdate { whole: true, services: self.0.values().cloned().collect(), ..RoutesUpdate::default() }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use fogline_core::id::IdSource;
    use fogline_core::spec::RouteSpec;
    use fogline_core::time::Timestamp;

    use super::*;

    /// A service of this name.
    pub fn service(seed: u64, name: &str) -> Service {
        let mut ids = IdSource::new(seed);
        Service {
            deployment_id: ids.next(Timestamp::EPOCH),
            name: name.into(),
            owner: ids.next(Timestamp::EPOCH),
            routes: [RouteSpec { host: Some(format!("{name}.example")), ..RouteSpec::default() }].into(),
            traffic: Arc::default(),
            readiness: None,
            asleep: false,
            serving: true,
            trouble: None,
            upstreams: Vec::new(),
        }
    }

    #[test]
    fn changes_add_up_to_a_whole() {
        let (a, b, b2, c) = (service(1, "a"), service(2, "b"), service(2, "b2"), service(3, "c"));
        let mut table = Table::default();
        let whole = |services| RoutesUpdate { whole: true, services, ..RoutesUpdate::default() };
        assert!(table.apply(&whole(vec![a.clone(), b.clone()])));
        assert!(!table.apply(&whole(vec![b, a.clone()])), "it is the same once more");
        let services = vec![b2, c.clone()];
        let change = RoutesUpdate { services, removed: vec![a.deployment_id], ..RoutesUpdate::default() };
        assert!(table.apply(&change) && !table.apply(&change));
        let mut names: Vec<_> = table.whole().services.into_iter().map(|service| service.name).collect();
        names.sort_unstable();
        assert_eq!(names, ["b2".into(), "c".into()]);
        assert!(table.apply(&whole(vec![c])), "less is another");
        assert!(table.apply(&whole(vec![a.clone()])));
        assert_eq!(table.whole(), whole(vec![a]));
    }
}
