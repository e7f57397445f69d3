//! Ports whose connections are passed on as they are.

use std::net::SocketAddr;

use fogline_core::spec::{HoldSpec, RouteSpec, TrafficSpec};
use fogline_core::traffic::{Service, Upstream, UpstreamState};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::rig::{DEADLINE, Rig, service};

/// Answers each connection, once its other half has ended, with what it was told, in capitals. Ends with the runtime.
async fn shouting() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut told = Vec::new();
                stream.read_to_end(&mut told).await.expect("read");
                told.make_ascii_uppercase();
                stream.write_all(&told).await.expect("written");
            });
        }
    });
    address
}

/// A port that was free a moment ago.
async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("bound").port()
}

async fn at_port(replicas: &[SocketAddr]) -> (Service, SocketAddr) {
    let port = free_port().await;
    let mut service = service(1, "db.example", replicas);
    service.routes = [RouteSpec { tcp_port: Some(port), ..RouteSpec::default() }].into();
    (service, SocketAddr::from(([127, 0, 0, 1], port)))
}

/// A connection, as soon as the port is open.
async fn connect(address: SocketAddr) -> TcpStream {
    let connected = async {
        loop {
            match TcpStream::connect(address).await {
                Ok(stream) => return stream,
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
            }
        }
    };
    tokio::time::timeout(DEADLINE, connected).await.expect("the port is opened")
}

/// Says this, ends its half, and gives what comes back.
async fn ask(stream: &mut TcpStream, what: &[u8]) -> Vec<u8> {
    stream.write_all(what).await.expect("written");
    stream.shutdown().await.expect("half closed");
    rest(stream).await
}

async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut back = Vec::new();
    // A reset is an end, too.
    let _ = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut back)).await.expect("ended");
    back
}

fn in_background(address: SocketAddr, what: &'static [u8]) -> JoinHandle<Vec<u8>> {
    tokio::spawn(async move { ask(&mut connect(address).await, what).await })
}

fn asleep(service: &mut Service, timeout_s: u32) {
    let hold = HoldSpec { timeout_s, ..HoldSpec::default() };
    service.traffic = TrafficSpec { hold, slow_start_s: 0, ..TrafficSpec::default() }.into();
    service.asleep = true;
    service.upstreams.clear();
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_go_both_ways_and_a_half_that_has_ended_leaves_the_other_open() {
    let (service, address) = at_port(&[shouting().await]).await;
    let rig = Rig::serving(vec![service.clone()]).await;
    assert_eq!(ask(&mut connect(address).await, b"hello").await, b"HELLO");
    let much = vec![b'x'; 3 << 20];
    let mut stream = connect(address).await;
    let (mut read, mut write) = stream.split();
    let mut back = Vec::new();
    let (_, ()) = tokio::join!(read.read_to_end(&mut back), async {
        write.write_all(&much).await.expect("written");
        write.shutdown().await.expect("half closed");
    });
    assert_eq!(back.len(), much.len());
    let id = service.deployment_id;
    let counted =
        |seen: &crate::rig::fake_server::Seen| seen.traffic.get(&id).is_some_and(|traffic| traffic.ended == 2);
    rig.server.wait("both to be counted", counted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_to_a_sleeping_deployment_are_held_and_it_is_woken() {
    let (mut service, address) = at_port(&[shouting().await]).await;
    let awake = service.clone();
    asleep(&mut service, 60);
    let id = service.deployment_id;
    let rig = Rig::serving(vec![service]).await;
    let waiting = [in_background(address, b"one"), in_background(address, b"two")];
    let held = |seen: &crate::rig::fake_server::Seen| seen.traffic.get(&id).is_some_and(|traffic| traffic.held == 2);
    rig.server.wait("both to be held", held).await;
    rig.server.wait("a wake-up", |seen| seen.wakes.iter().any(|wake| wake.0 == id)).await;
    rig.server.serve(vec![awake]);
    let [one, two] = waiting;
    assert_eq!((one.await.expect("answered"), two.await.expect("answered")), (b"ONE".to_vec(), b"TWO".to_vec()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_has_waited_too_long_is_closed() {
    let (mut service, address) = at_port(&[]).await;
    asleep(&mut service, 1);
    let id = service.deployment_id;
    let rig = Rig::serving(vec![service]).await;
    assert_eq!(ask(&mut connect(address).await, b"hello").await, b"");
    let refused =
        |seen: &crate::rig::fake_server::Seen| seen.traffic.get(&id).is_some_and(|traffic| traffic.refused == 1);
    rig.server.wait("it to be counted", refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaving_replica_keeps_its_connections_and_is_let_go_of_after_them() {
    let (mut service, address) = at_port(&[shouting().await]).await;
    let rig = Rig::serving(vec![service.clone()]).await;
    let mut stream = connect(address).await;
    stream.write_all(b"begun ").await.expect("written");
    let id = service.deployment_id;
    let open = |seen: &crate::rig::fake_server::Seen| seen.traffic.get(&id).is_some_and(|traffic| traffic.open == 1);
    rig.server.wait("the connection to be open", open).await;
    let old = service.upstreams[0].replica_id;
    service.upstreams[0].state = UpstreamState::Leaving;
    let other = crate::rig::service(9, "x", &[shouting().await]).upstreams[0].clone();
    service.upstreams.push(Upstream { state: UpstreamState::Ready, ..other });
    rig.server.serve(vec![service]);
    let reports = rig.server.seen().reports;
    let seen = rig.server.wait("two more reports", |seen| seen.reports > reports + 2).await;
    assert!(!seen.let_go.contains(&old), "a connection is open with it");
    assert_eq!(ask(&mut stream, b"and done").await, b"BEGUN AND DONE");
    rig.server.wait("it to be let go of", |seen| seen.let_go.contains(&old)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_open_and_close_with_the_table_and_what_is_open_stays() {
    let (service, address) = at_port(&[shouting().await]).await;
    let rig = Rig::serving(Vec::new()).await;
    assert!(TcpStream::connect(address).await.is_err());
    rig.server.serve(vec![service.clone()]);
    let mut open = connect(address).await;
    open.write_all(b"still ").await.expect("written");
    let id = service.deployment_id;
    let is_open = |seen: &crate::rig::fake_server::Seen| seen.traffic.get(&id).is_some_and(|traffic| traffic.open == 1);
    rig.server.wait("the connection to be open", is_open).await;
    rig.server.serve(vec![Service { routes: [].into(), ..service }]);
    let closed = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, closed).await.expect("the port is closed");
    assert_eq!(ask(&mut open, b"here").await, b"STILL HERE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_not_for_routes_is_never_opened_and_keeps_no_other_closed() {
    let replica = shouting().await;
    let ((open, address), (taken, not_opened)) = (at_port(&[replica]).await, at_port(&[replica]).await);
    let taken = Service { deployment_id: service(2, "x", &[]).deployment_id, ..taken };
    let change = |config: &mut fogline_proxy::ProxyConfig| {
        config.tcp_ports_taken = vec![not_opened.port()..=not_opened.port()];
    };
    let _rig = Rig::started(vec![taken, open], change).await;
    assert_eq!(ask(&mut connect(address).await, b"hello").await, b"HELLO");
    // It would have been opened by then: all of a table's ports are gone through in one go.
    let free = TcpListener::bind(not_opened).await;
    assert!(free.is_ok(), "{free:?}");
}
