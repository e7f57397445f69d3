//! Who has claimed which way in, and what proxies are told of it.
//!
//! Invariants: no two deployments that are not deleted have the same route; a host, with all hosts below it where it is
//! a wildcard, belongs to one user; nobody but an administrator takes requests from somebody else's route. Checked when a
//! route is claimed, by a look at the claims that could be in its way, not at all deployments. Tests:
//! `tests/it/front/claims.rs`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Cluster;
use crate::command::{Actor, Rejection};
use crate::id::{DeploymentId, UserId};
use crate::spec::{DeploymentSpec, RouteSpec, TrafficSpec};

/// What a proxy is told of a deployment's spec, made once for each spec.
#[derive(Clone, Debug)]
pub(super) struct Front {
    spec: Arc<DeploymentSpec>,
    owner: UserId,
    pub name: Arc<str>,
    pub routes: Arc<[RouteSpec]>,
    pub traffic: Arc<TrafficSpec>,
}

impl Front {
    pub(super) fn new(owner: UserId, spec: Arc<DeploymentSpec>) -> Self {
        Self {
            owner,
            name: spec.name.as_str().into(),
            routes: spec.routes.as_slice().into(),
            traffic: spec.traffic.clone().unwrap_or_default().into(),
            spec,
        }
    }

    /// Of a deployment that no request leads to any more.
    pub(super) fn leaving(owner: UserId, spec: &Arc<DeploymentSpec>) -> Self {
        Self { routes: Arc::default(), ..Self::new(owner, spec.clone()) }
    }
}

/// The claims on one host.
#[derive(Clone, Debug)]
struct HostClaims {
    owner: UserId,
    by_path: BTreeMap<String, DeploymentId>,
}

/// All claims.
#[derive(Clone, Debug, Default)]
pub struct RouteBook {
    /// By the host's labels from the last to the first, each with a dot behind it: whatever lies below a host follows it.
    hosts: BTreeMap<String, HostClaims>,
    /// Paths of any host.
    any_host: BTreeMap<String, DeploymentId>,
    ports: HashMap<u16, DeploymentId>,
    fronts: HashMap<DeploymentId, Front>,
}

/// What is in the way of a claim.
enum Taken {
    /// The very same route.
    By(DeploymentId),
    /// The host is somebody else's.
    Host,
}

impl RouteBook {
    pub(super) fn front(&self, id: DeploymentId) -> Option<&Front> {
        self.fronts.get(&id)
    }

    /// All deployments that have a route, in no order.
    pub(super) fn routed(&self) -> impl Iterator<Item = DeploymentId> {
        self.fronts.keys().copied()
    }

    /// Puts a deployment's claims in place; nothing where it has none any more.
    pub(super) fn set(&mut self, id: DeploymentId, claim: Option<(UserId, &Arc<DeploymentSpec>)>) {
        let claim = claim.filter(|(_, spec)| !spec.routes.is_empty());
        let known = self.fronts.get(&id);
        let same = known
            .zip(claim)
            .is_some_and(|(front, (owner, spec))| Arc::ptr_eq(&front.spec, spec) && front.owner == owner);
        if same {
            return;
        }
        if let Some(old) = self.fronts.remove(&id) {
            for route in old.routes.iter() {
                self.release(id, route);
            }
        }
        let Some((owner, spec)) = claim else { return };
        for route in &spec.routes {
            self.hold(id, owner, route);
        }
        self.fronts.insert(id, Front::new(owner, spec.clone()));
    }

    fn hold(&mut self, id: DeploymentId, owner: UserId, route: &RouteSpec) {
        match (route.tcp_port, &route.host) {
            (Some(port), _) => _ = self.ports.insert(port, id),
            (None, None) => _ = self.any_host.insert(route.path().to_owned(), id),
            (None, Some(host)) => {
                let none = || HostClaims { owner, by_path: BTreeMap::new() };
                let claims = self.hosts.entry(key(host)).or_insert_with(none);
                claims.by_path.insert(route.path().to_owned(), id);
            }
        }
    }

    fn release(&mut self, id: DeploymentId, route: &RouteSpec) {
        let take = |paths: &mut BTreeMap<String, DeploymentId>| {
            if paths.get(route.path()) == Some(&id) {
                paths.remove(route.path());
            }
        };
        match (route.tcp_port, &route.host) {
            (Some(port), _) if self.ports.get(&port) == Some(&id) => _ = self.ports.remove(&port),
            (Some(_), _) => {}
            (None, None) => take(&mut self.any_host),
            (None, Some(host)) => {
                let key = key(host);
                let Some(claims) = self.hosts.get_mut(&key) else { return };
                take(&mut claims.by_path);
                if claims.by_path.is_empty() {
                    self.hosts.remove(&key);
                }
            }
        }
    }

    /// What is in the way of a claim of `owner`'s for `id`; nothing in `id` means a deployment that is not there yet.
    fn in_the_way(&self, owner: UserId, id: Option<DeploymentId>, route: &RouteSpec) -> Option<Taken> {
        let of_another = |by: &&DeploymentId| Some(**by) != id;
        let by = match (route.tcp_port, &route.host) {
            (Some(port), _) => self.ports.get(&port),
            (None, None) => self.any_host.get(route.path()),
            (None, Some(host)) => {
                let key = key(host);
                if self.overlapping(&key).any(|claims| claims.owner != owner) {
                    return Some(Taken::Host);
                }
                self.hosts.get(&key).and_then(|claims| claims.by_path.get(route.path()))
            }
        };
        by.filter(of_another).map(|by| Taken::By(*by))
    }

    /// Whether a route for any host, of another owner, takes the requests of this claim until now: whoever claims a host
    /// comes before it.
    fn takes_from_another(&self, owner: UserId, route: &RouteSpec) -> bool {
        if route.host.is_none() {
            return false;
        }
        let path = route.path();
        let above = path.match_indices('/').map(|(at, _)| if at == 0 { "/" } else { &path[..at] });
        let covering = above.chain([path]).filter_map(|path| self.any_host.get(path));
        covering.filter_map(|id| self.fronts.get(id)).any(|front| front.owner != owner)
    }

    /// The claims on hosts that some request could name as well: the same host, the wildcards above it, and all that lies
    /// below where it is a wildcard itself.
    fn overlapping<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a HostClaims> {
        let ends = key.match_indices('.').map(|(at, _)| at + 1);
        let above = ends.filter(|end| *end < key.len()).map(|end| format!("{}*.", &key[..end]));
        let above = above.filter(move |wildcard| wildcard != key);
        let below = key.strip_suffix("*.").into_iter().flat_map(|parent| {
            let all = self.hosts.range(parent.to_owned()..);
            all.take_while(move |(other, _)| other.starts_with(parent))
                .filter(move |(other, _)| other.as_str() != parent)
        });
        let below = below.map(|(_, claims)| claims);
        self.hosts.get(key).into_iter().chain(above.filter_map(|wildcard| self.hosts.get(&wildcard))).chain(below)
    }
}

/// `shop.example.com` as `com.example.shop.`.
fn key(host: &str) -> String {
    let mut key = String::with_capacity(host.len() + 1);
    for label in host.rsplit('.') {
        key.push_str(label);
        key.push('.');
    }
    key
}

impl Cluster {
    /// Whether a deployment may have the routes of `spec`. Those that it has already are not asked about again.
    pub(crate) fn check_routes(
        &self,
        actor: &Actor,
        owner: UserId,
        id: Option<DeploymentId>,
        spec: &DeploymentSpec,
    ) -> Result<(), Rejection> {
        let has = id.and_then(|id| self.routes.front(id)).map_or(&[][..], |front| &front.routes);
        for route in spec.routes.iter().filter(|route| !has.contains(route)) {
            if route.is_for_administrators() && !actor.is_admin() {
                let action = "claiming requests for any host, a wildcard, an address or a host of one label";
                return Err(Rejection::Forbidden { action, needed: "admin" });
            }
            if !actor.is_admin() && self.routes.takes_from_another(owner, route) {
                let action = "claiming requests that a route for any host gets";
                return Err(Rejection::Forbidden { action, needed: "admin" });
            }
            let Some(taken) = self.routes.in_the_way(owner, id, route) else { continue };
            let by = match taken {
                Taken::By(id) => self.deployment(id).map(|by| &by.record),
                Taken::Host => None,
            };
            // Whose it is, and what else there is, is nobody else's business.
            let by = by.filter(|by| by.user_id == owner || actor.is_admin());
            let said = match (by, route.tcp_port, &route.host) {
                (Some(by), ..) => format!("the route {route} is taken by the deployment {:?}", by.spec.name),
                (None, Some(port), _) => format!("the TCP port {port} is taken: choose another one"),
                (None, None, Some(host)) => format!("the host {host} is taken: choose another one"),
                (None, None, None) => format!("the path {} of any host is taken: choose another one", route.path()),
            };
            return Err(Rejection::RouteTaken(said));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_below_a_host_follows_it() {
        assert_eq!(key("shop.example.com"), "com.example.shop.");
        assert!(key("a.example.com").starts_with(&key("example.com")));
        assert!(!key("a.notexample.com").starts_with(&key("example.com")));
    }
}
