//! nginx, HAProxy, wrk and the load: each passes on, measures or counts what really was.

use std::time::Duration;

use fogline_testbed::{Haproxy, Load, LoadPlan, Nginx, patience, wrk};

fn plan(to: std::net::SocketAddr) -> LoadPlan {
    LoadPlan { to, host: "here".to_owned(), path: "/".to_owned(), connections: 2, rate: Some(200), websockets: 0 }
}

#[test]
fn proxies_pass_on_and_wrk_counts() {
    let backends = [Nginx::answering(1_024), Nginx::answering(1_024)];
    let to = [backends[0].addr(), backends[1].addr()];
    let (nginx, haproxy) = (Nginx::proxy(&to, 64), Haproxy::proxy(&to));
    for address in [to[0], nginx.addr(), haproxy.addr()] {
        let report = wrk(&format!("http://{address}/"), 4, 1, Duration::ZERO);
        assert!(report.requests > 0 && report.failed == 0, "{report:?}");
    }
    let slow = wrk(&format!("http://{}/", nginx.addr()), 2, 1, Duration::from_millis(100));
    assert!((2..=30).contains(&slow.requests), "two connections, ten times a second each: {slow:?}");
    assert_ne!(nginx.pid(), haproxy.pid());
    drop(backends);
    let report = wrk(&format!("http://{}/", nginx.addr()), 1, 1, Duration::ZERO);
    assert!(report.failed > 0, "nobody is behind it: {report:?}");
}

#[test]
fn a_load_accounts_for_every_request() {
    let backend = Nginx::answering(10);
    let load = Load::start(&plan(backend.addr()));
    patience::wait_for("some answers", || (load.so_far().good() > 50).then_some(()));
    let report = load.stop();
    assert!(report.is_flawless(), "{report:?}");

    let load = Load::start(&plan(backend.addr()));
    patience::wait_for("an answer", || (load.so_far().good() > 0).then_some(()));
    drop(backend);
    patience::wait_for("failures", || (load.so_far().failed > 2).then_some(()));
    assert!(!load.stop().is_flawless());
}
