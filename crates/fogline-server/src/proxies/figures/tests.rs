//! Reports in, figures out; the clock is turned by hand.

use std::time::Duration;

use fogline_core::id::{IdSource, ReplicaId};
use fogline_core::scaling::sample::{Reading, Sample, builtin};
use fogline_core::spec::RouteSpec;
use fogline_core::time::Timestamp;
use fogline_core::traffic::{LATENCY_BOUNDS_MS, ReplicaTraffic, Service, ServiceTraffic, Upstream, UpstreamState};
use futures_util::FutureExt;

use super::*;
use crate::clock::Clock;

const START: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

struct World {
    clock: Clock,
    alarm: Arc<Alarm>,
    figures: Figures,
    ids: IdSource,
}

impl World {
    fn new() -> Self {
        let (clock, alarm) = (Clock::by_hand(START), Arc::new(Alarm::default()));
        let figures = Figures::new(clock.clone(), Arc::clone(&alarm));
        Self { clock, alarm, figures, ids: IdSource::new(1) }
    }

    fn service(&mut self, replicas: usize) -> Service {
        let upstream = |ids: &mut IdSource| Upstream {
            replica_id: ids.next(START),
            endpoint: "127.0.0.1:20000".into(),
            state: UpstreamState::Ready,
        };
        let service = Service {
            deployment_id: self.ids.next(START),
            name: "web".into(),
            owner: self.ids.next(START),
            routes: [RouteSpec::default()].into(),
            traffic: Arc::default(),
            readiness: None,
            asleep: false,
            serving: true,
            trouble: None,
            upstreams: (0..replicas).map(|_| upstream(&mut self.ids)).collect(),
        };
        self.figures.routed(service.deployment_id, Some(&service));
        service
    }

    fn attach(&self, session: u64) {
        self.figures.attached(session);
        self.figures.heard(session, Vec::new());
    }

    fn pass(&self, by: Duration) {
        self.clock.advance(by);
    }

    fn reading(&self, id: DeploymentId, name: &str, seconds: u64) -> Reading {
        let now = self.clock.now();
        let since = Timestamp::from_micros(now.as_micros() - seconds as i64 * 1_000_000);
        self.figures.reading(id, Measure::named(name).expect("a name"), since, now)
    }

    fn values(&self, id: DeploymentId, name: &str, seconds: u64) -> Vec<f64> {
        self.reading(id, name, seconds).points(self.clock.now()).map(|point| point.value).collect()
    }

    fn rings(&self) -> bool {
        self.alarm.rung().now_or_never().is_some()
    }
}

fn traffic(id: DeploymentId, begun: u64, open: u32) -> ServiceTraffic {
    let mut latency = [0; LATENCY_BOUNDS_MS.len() + 1];
    // All of them took 5 to 10 ms.
    latency[3] = begun - u64::from(open);
    ServiceTraffic {
        deployment_id: id,
        begun,
        ended: begun - u64::from(open),
        failed: 0,
        refused: 0,
        open,
        held: 0,
        quiet: Duration::ZERO,
        latency,
        latency_sum: Duration::from_millis(8) * u32::try_from(begun - u64::from(open)).expect("few"),
        cold_starts: [0; LATENCY_BOUNDS_MS.len() + 1],
        cold_start_sum: Duration::ZERO,
        replicas: Vec::new(),
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn every_second_since_the_last_look_is_a_point() {
    let mut world = World::new();
    let id = world.service(1).deployment_id;
    world.attach(1);
    for begun in [10, 30, 60] {
        world.pass(SECOND);
        world.figures.heard(1, vec![traffic(id, begun, 0)]);
    }
    world.pass(SECOND);
    world.figures.heard(1, Vec::new());
    assert_eq!(world.values(id, builtin::REQUEST_RATE, 60), [10.0, 20.0, 30.0, 0.0]);
    assert_eq!(world.values(id, builtin::REQUEST_RATE, 2), [30.0, 0.0]);
    assert_eq!(world.values(id, builtin::AVERAGE_LATENCY_MS, 60), [8.0, 8.0, 8.0], "nothing ended in the last one");
    assert_eq!(world.values(id, builtin::ERROR_RATE, 1), [0.0]);
    let p95 = world.values(id, builtin::LATENCY_P95_MS, 60);
    assert!(p95.iter().all(|ms| (5.0..=10.0).contains(ms)), "{p95:?}");
}

#[test]
fn the_oldest_second_that_is_told_is_what_it_was() {
    let mut world = World::new();
    let id = world.service(1).deployment_id;
    // Proxies tell in the middle of a second, which is not whole then.
    world.pass(SECOND / 2);
    world.attach(1);
    for begun in 1..=200 {
        world.pass(SECOND);
        world.figures.heard(1, vec![traffic(id, begun * 10, 0)]);
    }
    let told = world.values(id, builtin::REQUEST_RATE, 300);
    assert_eq!(told.len(), series::KEPT_SECONDS);
    assert!(told.iter().all(|rate| (rate - 10.0).abs() < 1e-6), "{told:?}");
}

#[test]
fn a_report_that_spans_two_seconds_is_shared_and_nothing_is_lost() {
    let mut world = World::new();
    let id = world.service(1).deployment_id;
    world.pass(Duration::from_millis(400));
    world.attach(1);
    for round in 1..=4 {
        world.pass(SECOND);
        world.figures.heard(1, vec![traffic(id, round * 100, 0)]);
    }
    assert_eq!(world.values(id, builtin::REQUEST_RATE, 60), [100.0; 3], "the first second is not whole");
}

#[test]
fn a_second_counts_once_every_proxy_has_told_of_it_and_a_silent_one_is_not_waited_for() {
    let mut world = World::new();
    let id = world.service(1).deployment_id;
    world.attach(1);
    world.attach(2);
    world.pass(SECOND);
    world.figures.heard(1, vec![traffic(id, 10, 0)]);
    assert_eq!(world.values(id, builtin::REQUEST_RATE, 60), [0.0; 0], "the other one has not told");
    world.figures.heard(2, vec![traffic(id, 7, 0)]);
    assert_eq!(world.values(id, builtin::REQUEST_RATE, 60), [17.0]);
    for begun in 1..=5 {
        world.pass(SECOND);
        world.figures.heard(1, vec![traffic(id, 10 + begun, 0)]);
    }
    assert_eq!(world.values(id, builtin::REQUEST_RATE, 3), [1.0; 3]);
}

#[test]
fn a_proxy_that_comes_back_makes_no_spike() {
    let mut world = World::new();
    let id = world.service(1).deployment_id;
    world.attach(1);
    world.pass(SECOND);
    world.figures.heard(1, vec![traffic(id, 1_000, 4)]);
    world.figures.detached(1);
    world.figures.attached(2);
    world.figures.heard(2, vec![traffic(id, 5_000, 4)]);
    world.pass(SECOND);
    world.figures.heard(2, vec![traffic(id, 5_010, 4)]);
    assert_eq!(world.values(id, builtin::REQUEST_RATE, 60), [1_000.0, 10.0]);
    assert_eq!(world.values(id, builtin::CONCURRENCY, 1), [4.0]);
    // A deployment that a session tells of later begins there at nothing.
    let later = world.service(1).deployment_id;
    world.pass(SECOND);
    world.figures.heard(2, vec![traffic(later, 3, 0)]);
    assert_eq!(world.values(later, builtin::REQUEST_RATE, 60), [3.0]);
}

#[test]
fn what_is_open_goes_on_being_open_though_nothing_is_told_of_it() {
    let mut world = World::new();
    let id = world.service(1).deployment_id;
    world.attach(1);
    world.pass(SECOND);
    world.figures.heard(1, vec![traffic(id, 6, 6)]);
    for _ in 0..3 {
        world.pass(SECOND);
        world.figures.heard(1, Vec::new());
    }
    assert_eq!(world.values(id, builtin::CONCURRENCY, 60), [3.0, 6.0, 6.0, 6.0]);
}

#[test]
fn what_no_proxy_has_told_is_missing_and_what_has_no_route_does_not_apply() {
    let mut world = World::new();
    let nowhere: DeploymentId = world.ids.next(START);
    assert!(world.reading(nowhere, builtin::REQUEST_RATE, 5).not_applicable);
    let id = world.service(1).deployment_id;
    assert_eq!(world.reading(id, builtin::REQUEST_RATE, 5).sample, Sample::Missing);
    world.attach(1);
    world.pass(SECOND);
    world.figures.heard(1, Vec::new());
    assert_eq!(world.values(id, builtin::REQUEST_RATE, 5), [0.0], "it was heard, and there were none");
    assert!(world.reading(id, builtin::AVERAGE_LATENCY_MS, 5).not_applicable, "no request has a latency");
    world.pass(Duration::from_secs(30));
    let stale = world.reading(id, builtin::REQUEST_RATE, 60);
    assert!(matches!(stale.judged(world.clock.now()), Sample::Stale { .. }), "{stale:?}");
    assert!(!world.reading(id, builtin::AVERAGE_LATENCY_MS, 60).not_applicable);
    // The time of silence is no time without requests.
    world.figures.heard(1, vec![traffic(id, 5, 0)]);
    world.pass(SECOND);
    world.figures.heard(1, vec![traffic(id, 7, 0)]);
    assert_eq!(world.values(id, builtin::REQUEST_RATE, 60), [2.0]);
}

#[test]
fn a_load_that_moves_is_evaluated_at_once_and_not_more_than_once_a_second() {
    let mut world = World::new();
    let id = world.service(1).deployment_id;
    world.attach(1);
    let second = |begun: u64| {
        world.pass(SECOND);
        world.figures.heard(1, vec![traffic(id, begun, 0)]);
        world.rings()
    };
    assert!(!second(10), "nobody evaluates it");
    world.figures.evaluated(id);
    assert!(!second(10 + 14), "less than half");
    assert!(second(24 + 500));
    world.figures.heard(1, vec![traffic(id, 524, 0)]);
    assert!(!world.rings(), "not twice a second");
    assert!(second(524 + 500), "it goes on being another");
    world.figures.evaluated(id);
    assert!(!second(1_024 + 500), "as it was when it was evaluated");
}

#[test]
fn what_is_not_in_the_table_takes_no_memory() {
    let mut world = World::new();
    let service = world.service(1);
    let id = service.deployment_id;
    world.attach(1);
    world.pass(SECOND);
    let mut told = traffic(id, 4, 0);
    let of = |replica_id| ReplicaTraffic {
        replica_id,
        ended: 4,
        failed: 0,
        open: 2,
        latency_sum: Duration::from_millis(32),
        ejected: false,
    };
    told.replicas = (0..10_000).map(|_| of(world.ids.next::<ReplicaId>(START))).collect();
    told.replicas.push(of(service.upstreams[0].replica_id));
    let mut all: Vec<_> = (0..10_000).map(|_| traffic(world.ids.next(START), 1, 0)).collect();
    all.extend([told.clone(), told]);
    let signals = world.figures.heard(1, all);
    assert_eq!(signals.iter().map(|signal| (signal.deployment_id, signal.begun)).collect::<Vec<_>>(), [(id, 4)]);
    let load = world.figures.load(id).expect("it has a route");
    let [replica] = &load.replicas[..] else { panic!("{load:?}") };
    assert_eq!((replica.open, replica.ended, replica.average_latency_ms), (2, 4, Some(8.0)));
    assert_eq!(world.figures.lock().services.len(), 1);
}

#[test]
fn monitoring_sees_a_bounded_number_of_series_and_totals_that_only_grow() {
    let mut world = World::new();
    let services: Vec<Service> = (0..MOST_SHOWN + 2).map(|_| world.service(1)).collect();
    world.attach(1);
    world.pass(SECOND);
    let told = services.iter().map(|service| traffic(service.deployment_id, 3, 1)).collect();
    world.figures.heard(1, told);
    let text = world.figures.render(Detail::ByDeployment);
    let lines = |text: &str, name: &str| text.lines().filter(|line| line.starts_with(&format!("{name}{{"))).count();
    assert_eq!(lines(&text, "fogline_traffic_requests_total"), MOST_SHOWN + 1);
    assert!(text.contains("fogline_traffic_requests_total{deployment=\"other\"} 6\n"), "{text}");
    let first = services[0].deployment_id;
    for line in [
        format!("fogline_traffic_requests_total{{deployment=\"{first}\"}} 3"),
        format!("fogline_traffic_open{{deployment=\"{first}\"}} 1"),
        format!("fogline_traffic_seconds_bucket{{deployment=\"{first}\",le=\"0.005\"}} 0"),
        format!("fogline_traffic_seconds_bucket{{deployment=\"{first}\",le=\"0.01\"}} 2"),
        format!("fogline_traffic_seconds_count{{deployment=\"{first}\"}} 2"),
        "fogline_proxies_attached 1".to_owned(),
    ] {
        assert!(text.lines().any(|known| known == line), "{line}");
    }
    let last = &services[MOST_SHOWN + 1];
    world.figures.routed(last.deployment_id, None);
    let text = world.figures.render(Detail::ByDeployment);
    assert!(text.contains("fogline_traffic_requests_total{deployment=\"other\"} 6\n"));

    let all = 3 * (MOST_SHOWN + 2);
    for gone in [None, Some(first)] {
        if let Some(first) = gone {
            world.figures.routed(first, None);
        }
        let text = world.figures.render(Detail::Sums);
        assert!(text.contains(&format!("\nfogline_traffic_requests_total {all}\n")), "{text}");
        assert!(text.contains("\nfogline_traffic_seconds_bucket{le=\"0.01\"} "), "{text}");
        assert!(!text.contains("deployment=") && !text.contains("replica="), "nobody's: {text}");
    }
}

#[test]
fn no_report_adds_more_than_can_be() {
    let mut world = World::new();
    let service = world.service(1);
    let id = service.deployment_id;
    world.attach(1);
    let most = ServiceTraffic { begun: u64::MAX, failed: u64::MAX, latency: [u64::MAX; 15], ..traffic(id, 0, 0) };
    for report in 1..=3 {
        world.pass(SECOND);
        let signals = world.figures.heard(1, vec![most.clone()]);
        assert_eq!(signals[0].begun, report * MOST_GAINED);
    }
    let text = world.figures.render(Detail::Sums);
    assert!(text.contains(&format!("\nfogline_traffic_requests_total {}\n", 3 * MOST_GAINED)), "{text}");

    // Where a proxy begins is its own affair.
    world.figures.attached(2);
    world.figures.heard(2, vec![most.clone()]);
    world.pass(SECOND);
    world.figures.heard(2, vec![most]);
    let text = world.figures.render(Detail::Sums);
    assert!(text.contains(&format!("\nfogline_traffic_requests_total {}\n", 3 * MOST_GAINED)), "{text}");
}

#[test]
fn what_comes_back_begins_where_its_proxy_is() {
    let mut world = World::new();
    let service = world.service(1);
    let id = service.deployment_id;
    world.attach(1);
    world.pass(SECOND);
    world.figures.heard(1, vec![traffic(id, 500, 0)]);
    world.figures.routed(id, None);
    world.figures.routed(id, Some(&service));
    world.pass(SECOND);
    world.figures.heard(1, vec![traffic(id, 510, 0)]);
    world.pass(SECOND);
    world.figures.heard(1, vec![traffic(id, 520, 0)]);
    assert_eq!(world.values(id, builtin::REQUEST_RATE, 1), [10.0]);
    let text = world.figures.render(Detail::Sums);
    assert!(text.contains("\nfogline_traffic_requests_total 510\n"), "500 before, and 10 of which it is known: {text}");
}
