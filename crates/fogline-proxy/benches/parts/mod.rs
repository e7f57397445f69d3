//! The proxy that is measured: one worker in a process of its own, so that its processor time can be told from others'.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fogline_api::protocol::proxy::RoutesUpdate;
use fogline_core::id::IdSource;
use fogline_core::spec::RouteSpec;
use fogline_core::time::Timestamp;
use fogline_core::traffic::{Service, Upstream, UpstreamState};
use fogline_proxy::{Clock, Door, Entrance, Front, FrontLimits, Listener, Patience, Workers};
use tokio_util::sync::CancellationToken;

/// A running one. Ended when it is dropped.
pub struct Ours {
    child: Child,
    address: SocketAddr,
}

impl Ours {
    /// One that passes requests on to these.
    pub fn start(to: &[SocketAddr]) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.arg("serve").args(to.iter().map(ToString::to_string));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("it says where");
        Self { child, address: line.trim().parse().expect("an address") }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        // It ends with its input.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// What that process does: the data plane, told by hand what a server would tell it.
pub fn serve() {
    let mut ids = IdSource::new(1);
    let mut upstreams = Vec::new();
    for endpoint in std::env::args().skip(2).filter(|argument| argument.parse::<SocketAddr>().is_ok()) {
        let replica_id = ids.next(Timestamp::EPOCH);
        upstreams.push(Upstream { replica_id, endpoint: endpoint.into(), state: UpstreamState::Ready });
    }
    let service = Service {
        deployment_id: ids.next(Timestamp::EPOCH),
        name: "measured".into(),
        owner: ids.next(Timestamp::EPOCH),
        routes: [RouteSpec::default()].into(),
        traffic: Default::default(),
        readiness: None,
        asleep: false,
        serving: true,
        trouble: None,
        upstreams,
    };
    let (front, _events) = Front::new(FrontLimits::default(), Clock::system());
    front.apply(RoutesUpdate { whole: true, services: vec![service], ..RoutesUpdate::default() });
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    println!("{}", socket.local_addr().expect("bound"));
    let door = Door::new(front, Vec::new(), None, 20_000, Patience::default());
    let listeners = [Listener { socket, entrance: Entrance::Plain }];
    let workers = Workers::start(1, &door, &listeners, &CancellationToken::new()).expect("a thread");
    let _ = std::io::stdin().read(&mut [0]);
    drop(workers);
    std::process::exit(0);
}

/// The processor time that a process has used, in user and kernel.
pub fn processor_time(pid: i32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let (_, after) = stat.rsplit_once(')').expect("a name in brackets");
    // Fields 14 and 15 of proc(5), in ticks.
    let ticks: u64 = after.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    let ticks_per_second = rustix::param::clock_ticks_per_second();
    Duration::from_secs_f64(ticks as f64 / ticks_per_second as f64)
}
