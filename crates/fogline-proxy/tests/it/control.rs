//! The conversation with servers, from the outside: what is believed, what is said, and what goes on without them.

use std::net::SocketAddr;
use std::time::Duration;

use fogline_api::protocol::proxy::FromServer;
use fogline_core::traffic::UpstreamState;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::rig::fake_server::FakeServer;
use crate::rig::replica::Replica;
use crate::rig::{DEADLINE, Rig, raw, service};

/// Asks until the status is this one.
async fn until_status(address: SocketAddr, host: &str, status: u16) {
    let asking = async {
        while raw::get(address, host, "/x").await != status {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(DEADLINE, asking).await.unwrap_or_else(|_| panic!("{host} never answers with {status}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_proxy_goes_on_by_the_last_table_and_takes_the_next_one_whole() {
    let replica = Replica::start();
    let mut rig = Rig::serving(vec![service(1, "shop.example", &[replica.address])]).await;
    let address = rig.server.take_away();
    assert_eq!(raw::get(rig.http, "shop.example", "/x").await, 200, "with no server");
    rig.stop().await;
    rig.start_again(|_| {}).await;
    assert_eq!(raw::get(rig.http, "shop.example", "/x").await, 200, "from what was kept");
    rig.server = FakeServer::start(2, Some(address));
    rig.server.serve(vec![service(2, "blog.example", &[replica.address])]);
    until_status(rig.http, "blog.example", 200).await;
    assert_eq!(raw::get(rig.http, "shop.example", "/x").await, 404);
    let hello = rig.server.seen().hellos[0].clone();
    assert_eq!(hello.cluster_id.as_deref(), Some("cluster"));
    assert_eq!((hello.http, hello.https), (vec![rig.http.to_string()], vec![rig.https.to_string()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_named_leader_is_followed() {
    let (replica, leader) = (Replica::start(), FakeServer::start(1, None));
    leader.serve(vec![service(1, "shop.example", &[replica.address])]);
    let follower = FakeServer::answering(FromServer::NotLeader { leader: Some(leader.address()) }, None);
    let mut rig = Rig::serving(Vec::new()).await;
    rig.stop().await;
    let servers = vec![follower.address()];
    rig.start_again(|config| config.servers = servers).await;
    until_status(rig.http, "shop.example", 200).await;
    assert!(!follower.seen().hellos.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_of_another_cluster_or_of_a_leader_of_before_is_not_believed() {
    let replica = Replica::start();
    let mut rig =
        Rig::started_by(FakeServer::start(5, None), vec![service(1, "shop.example", &[replica.address])]).await;
    let mut address = rig.server.take_away();
    let another = FromServer::Welcome { cluster_id: "another".to_owned(), epoch: 9 };
    let before = FromServer::Welcome { cluster_id: "cluster".to_owned(), epoch: 4 };
    for welcome in [another, before] {
        let server = FakeServer::answering(welcome, Some(address));
        server.serve(vec![service(2, "evil.example", &[replica.address])]);
        server.wait("two calls", |seen| seen.hellos.len() >= 2).await;
        assert_eq!(server.seen().reports, 0, "it is told nothing");
        assert_eq!(raw::get(rig.http, "evil.example", "/x").await, 404);
        assert_eq!(raw::get(rig.http, "shop.example", "/x").await, 200);
        address = server.stop();
    }
    rig.server = FakeServer::start(6, Some(address));
    rig.server.serve(Vec::new());
    until_status(rig.http, "shop.example", 404).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_seen_is_reported_and_a_replica_that_is_free_is_let_go_of() {
    let replica = Replica::start();
    let mut shop = service(1, "shop.example", &[replica.address]);
    let rig = Rig::serving(vec![shop.clone()]).await;
    for _ in 0..3 {
        assert_eq!(raw::get(rig.http, "shop.example", "/x").await, 200);
    }
    let id = shop.deployment_id;
    let seen = rig.server.wait("the requests", |seen| seen.traffic.get(&id).is_some_and(|of| of.ended == 3)).await;
    let traffic = &seen.traffic[&id];
    assert_eq!((traffic.begun, traffic.failed, traffic.open), (3, 0, 0));
    // Nothing happens, and it is reported all the same.
    rig.server.wait("three more reports", |now| now.reports >= seen.reports + 3).await;
    shop.upstreams[0].state = UpstreamState::Leaving;
    let replica_id = shop.upstreams[0].replica_id;
    rig.server.serve(vec![shop]);
    rig.server.wait("it to be let go of", |seen| seen.let_go == [replica_id]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_wake_up_reaches_those_who_wait() {
    let mut shop = service(1, "shop.example", &[]);
    shop.asleep = true;
    let id = shop.deployment_id;
    let rig = Rig::serving(vec![shop]).await;
    let mut stream = TcpStream::connect(rig.http).await.expect("connected");
    let asked = b"GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n";
    stream.write_all(asked).await.expect("written");
    rig.server.wait("a wake-up", |seen| seen.wakes.iter().any(|wake| wake.0 == id)).await;
    let (reason, retry_after) = ("there is no room".to_owned(), Duration::from_secs(7));
    rig.server.say(FromServer::WakeRefused { deployment_id: id, reason, retry_after });
    let back = raw::read_to_end(&mut stream).await;
    assert_eq!(back.statuses(), [503]);
    let text = back.text();
    assert!(text.contains("there is no room") && text.contains("retry-after: 7"), "{text}");
}
