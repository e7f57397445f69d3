//! What all workers share: the table of routes, and the services behind it.
//!
//! Must never wait, and must never hold a lock while a request is passed on. Invariant: a table is applied whole; a
//! service stays the same over tables as long as it is in them or something is open with it. Tests: `tests/it/front`.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use fogline_api::protocol::proxy::RoutesUpdate;
use fogline_core::id::{DeploymentId, UserId};
use fogline_core::traffic::{ServiceTraffic, TrafficReport};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::hold;
use crate::limits::FrontLimits;
use crate::router::Router;
use crate::service::budget::{Budget, Total};
use crate::service::{Service, Shared};

/// What the server is to be told at once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// Requests wait for a deployment that sleeps.
    Wake {
        /// Which.
        deployment_id: DeploymentId,
        /// How many wait; 0 where its visitor was shown a placeholder.
        held: u32,
    },
    /// The last open request of a leaving replica has ended: the next report says which.
    LetGo,
}

/// The table and the services.
#[derive(Debug)]
pub struct Front {
    shared: Arc<Shared>,
    total: Arc<Total>,
    table: ArcSwap<Table>,
    /// Services that are in no table now and still have something open. Held while a table is built.
    changing: Mutex<HashMap<DeploymentId, Arc<Service>>>,
    /// What was told last.
    told: Mutex<HashMap<DeploymentId, ServiceTraffic>>,
    tcp_ports: watch::Sender<BTreeSet<u16>>,
}

/// The table, as requests look it up.
#[derive(Debug)]
pub(crate) struct Table {
    /// Whether anybody has told a table yet.
    pub told: bool,
    pub router: Router<Service>,
    services: HashMap<DeploymentId, Arc<Service>>,
    tcp: HashMap<u16, Arc<Service>>,
}

impl Front {
    /// An empty one, and what it wants the server to know. Events are bounded: a wake-up a service every two seconds, and
    /// one for each replica that is let go of.
    #[must_use]
    pub fn new(limits: FrontLimits, clock: Clock) -> (Arc<Self>, mpsc::UnboundedReceiver<Event>) {
        let (events, heard) = mpsc::unbounded_channel();
        let shared = Shared { clock, events, unattended: Mutex::default(), attention: Notify::new() };
        let table = Table {
            told: false,
            router: Router::new(std::iter::empty()),
            services: HashMap::new(),
            tcp: HashMap::new(),
        };
        let front = Self {
            shared: Arc::new(shared),
            total: Total::new(limits),
            table: ArcSwap::from_pointee(table),
            changing: Mutex::default(),
            told: Mutex::default(),
            tcp_ports: watch::Sender::default(),
        };
        (Arc::new(front), heard)
    }

    /// Takes a table, or a change of it.
    pub fn apply(&self, update: RoutesUpdate) {
        let mut closed = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        closed.retain(|_, service| service.holds_on());
        let before = self.table.load_full();
        let mut services = if update.whole { HashMap::new() } else { before.services.clone() };
        let mut budgets: HashMap<UserId, Arc<Budget>> = HashMap::new();
        for service in before.services.values().chain(closed.values()) {
            budgets.entry(service.view().told.owner).or_insert_with(|| Arc::clone(&service.budget));
        }
        for told in update.services {
            let id = told.deployment_id;
            if let Some(service) = before.services.get(&id).cloned().or_else(|| closed.remove(&id)) {
                service.apply(told);
                services.insert(id, service);
            } else {
                let budget = budgets.entry(told.owner).or_insert_with(|| Budget::new(&self.total));
                services.insert(id, Service::new(told, Arc::clone(&self.shared), Arc::clone(budget)));
            }
        }
        for id in update.removed {
            services.remove(&id);
        }
        self.table.store(Arc::new(Table::of(services.clone())));
        for (id, service) in &before.services {
            if !services.contains_key(id) {
                service.close();
                closed.insert(*id, Arc::clone(service));
            }
        }
        let ports: BTreeSet<u16> = self.table.load().tcp.keys().copied().collect();
        self.tcp_ports.send_if_modified(|present| {
            let differ = *present != ports;
            *present = ports;
            differ
        });
    }

    /// Whether anybody has told a table yet: it may say that there is nothing.
    pub(crate) fn has_table(&self) -> bool {
        self.table.load().told
    }

    /// The server does not wake this deployment: those who wait are told why.
    pub fn wake_refused(&self, deployment_id: DeploymentId, reason: &str, retry_after: Duration) {
        if let Some(service) = self.table.load().services.get(&deployment_id) {
            service.wake_refused(reason, retry_after);
        }
    }

    /// What has changed since the last report, or everything where `all` is asked for.
    pub fn report(&self, all: bool) -> TrafficReport {
        let table = self.table.load_full();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|id, _| table.services.contains_key(id));
        let mut report = TrafficReport::default();
        for (id, service) in &table.services {
            report.let_go.extend(service.let_go());
            let traffic = service.traffic();
            // How long it has been quiet changes always, and says nothing that the one who was told could not add up.
            let same = told.get_mut(id).is_some_and(|last| {
                last.quiet = traffic.quiet;
                *last == traffic
            });
            if all || !same {
                told.insert(*id, traffic.clone());
                report.services.push(traffic);
            }
        }
        report
    }

    /// Does what those who wait need, until it is dropped. One task for the whole proxy must run it.
    pub async fn tend(self: Arc<Self>) {
        let mut attending = JoinSet::new();
        loop {
            self.shared.attention.notified().await;
            let unattended = {
                let mut unattended = self.shared.unattended.lock().unwrap_or_else(PoisonError::into_inner);
                std::mem::take(&mut *unattended)
            };
            for service in unattended {
                attending.spawn(hold::attend(service));
            }
            while attending.try_join_next().is_some() {}
        }
    }

    /// The ports that connections are passed on from as they are.
    #[must_use]
    pub fn tcp_ports(&self) -> watch::Receiver<BTreeSet<u16>> {
        self.tcp_ports.subscribe()
    }

    /// Whose connections come in at this port.
    #[must_use]
    pub fn tcp_service(&self, port: u16) -> Option<Arc<Service>> {
        self.table.load().tcp.get(&port).cloned()
    }

    /// The clock that everything here goes by.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.shared.clock
    }

    pub(crate) fn table(&self) -> arc_swap::Guard<Arc<Table>> {
        self.table.load()
    }
}

impl Table {
    fn of(services: HashMap<DeploymentId, Arc<Service>>) -> Self {
        // By id, so that a claim that two make goes to the same one in every proxy.
        let mut sorted: Vec<_> =
            services.values().map(|service| (service, service.view().told.routes.clone())).collect();
        sorted.sort_by_key(|(service, _)| service.id());
        let mut tcp = HashMap::new();
        for (service, routes) in &sorted {
            for port in routes.iter().filter_map(|route| route.tcp_port) {
                tcp.entry(port).or_insert_with(|| Arc::clone(service));
            }
        }
        let claims = sorted.iter().flat_map(|(service, routes)| {
            let http = routes.iter().filter(|route| route.tcp_port.is_none());
            http.map(move |route| (route.host.as_deref(), route.path(), route.strip_path, *service))
        });
        let router = Router::new(claims);
        Self { told: true, router, services, tcp }
    }
}
