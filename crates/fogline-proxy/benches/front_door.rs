//! What a request costs at the front door, with nginx and HAProxy beside it: the same two backends, the same connections, in
//! turns, so that what else the machine does meets all of them.
//!
//! Requests per second and core are requests by the processor time that the proxy's own process used: wrk and the backends
//! share the machine. Latency is what the proxy adds to asking a backend directly, at half of what it can do.
//! `cargo bench --profile dist -p fogline-proxy --bench front_door`.

mod parts;

use std::net::SocketAddr;
use std::time::Duration;

use fogline_testbed::{Haproxy, Nginx, WrkReport, wrk};
use parts::Ours;

/// Many and short, and compared round by round: what else the machine does comes and goes within seconds.
const ROUNDS: usize = 15;
const SECONDS: u32 = 2;
const CONNECTIONS: u32 = 64;
/// Bytes of an answer.
const ANSWER: usize = 1_024;

/// One proxy, and what was measured of it.
struct Peer {
    name: &'static str,
    address: SocketAddr,
    pid: i32,
    per_core: Vec<f64>,
    rate: Vec<f64>,
    half: Vec<(Duration, Duration)>,
}

impl Peer {
    fn new(name: &'static str, address: SocketAddr, pid: i32) -> Self {
        Self { name, address, pid, per_core: Vec::new(), rate: Vec::new(), half: Vec::new() }
    }

    fn ask(&self, pause: Duration) -> WrkReport {
        let report = wrk(&format!("http://{}/", self.address), CONNECTIONS, SECONDS, pause);
        assert_eq!(report.failed, 0, "{}: {report:?}", self.name);
        report
    }

    /// As fast as it goes.
    fn push(&mut self) {
        let before = parts::processor_time(self.pid);
        let report = self.ask(Duration::ZERO);
        let used = parts::processor_time(self.pid).saturating_sub(before).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "for people to read")]
        self.per_core.push(report.requests as f64 / used.max(0.001));
        self.rate.push(report.rate());
    }

    /// At half of that.
    fn stroll(&mut self, rate: f64) {
        let pause = Duration::from_secs_f64(f64::from(CONNECTIONS) / (rate / 2.0));
        let report = self.ask(pause);
        self.half.push((report.p50, report.p99));
    }
}

fn main() {
    if std::env::args().nth(1).as_deref() == Some("serve") {
        return parts::serve();
    }
    let backends = [Nginx::answering(ANSWER), Nginx::answering(ANSWER)];
    let to = [backends[0].addr(), backends[1].addr()];
    let (nginx, haproxy, ours) = (Nginx::proxy(&to, 256), Haproxy::proxy(&to), Ours::start(&to));
    let mut peers = [
        Peer::new("fogline", ours.address(), ours.pid()),
        Peer::new("nginx", nginx.addr(), nginx.pid().as_raw_nonzero().get()),
        Peer::new("haproxy", haproxy.addr(), haproxy.pid().as_raw_nonzero().get()),
    ];
    let mut direct = Peer::new("a backend itself", to[0], backends[0].pid().as_raw_nonzero().get());
    for _ in 0..ROUNDS {
        for peer in &mut peers {
            peer.push();
        }
    }
    let slowest = peers.iter().map(|peer| median(&peer.rate)).fold(f64::INFINITY, f64::min);
    for _ in 0..ROUNDS {
        direct.stroll(slowest);
        for peer in &mut peers {
            peer.stroll(slowest);
        }
    }
    tell(&peers, &direct);
}

fn tell(peers: &[Peer], direct: &Peer) {
    println!(
        "{ROUNDS} rounds of {SECONDS} s in turns, {CONNECTIONS} connections that stay, {ANSWER} bytes, two backends"
    );
    let at = |peer: &Peer, part: fn(&(Duration, Duration)) -> Duration| {
        median(&peer.half.iter().map(|pair| part(pair).as_secs_f64() * 1e3).collect::<Vec<_>>())
    };
    let (p50, p99) = (at(direct, |pair| pair.0), at(direct, |pair| pair.1));
    println!("{:>18}  requests/s/core  requests/s  at half load: added p50, added p99", "");
    for peer in peers {
        println!(
            "{:>18}  {:>15.0}  {:>10.0}  {:>22.2} ms, {:.2} ms",
            peer.name,
            median(&peer.per_core),
            median(&peer.rate),
            at(peer, |pair| pair.0) - p50,
            at(peer, |pair| pair.1) - p99
        );
    }
    for peer in &peers[1..] {
        let ratios: Vec<f64> =
            peers[0].per_core.iter().zip(&peer.per_core).map(|(ours, theirs)| ours / theirs).collect();
        println!("per core, fogline / {}: {:.2}", peer.name, median(&ratios));
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
