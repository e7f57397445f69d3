//! A request goes to another replica where that cannot make it happen twice, and only there.

use fogline_core::spec::TrafficSpec;
use fogline_core::traffic::UpstreamState;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::stage::{Replica, Stage, request};

/// A port that nothing listens on.
async fn nobody(seed: u64) -> Replica {
    let replica = Replica::saying(seed, "never").await;
    let address = replica.address;
    drop(replica);
    super::stage::until("the port to be closed", || std::net::TcpStream::connect(address).is_err().then_some(())).await;
    let mut nobody = Replica::saying(seed, "never").await;
    nobody.address = address;
    nobody
}

#[tokio::test]
async fn any_request_goes_elsewhere_where_no_connection_can_be_made() {
    let (dead, live) = (nobody(1).await, Replica::saying(2, "live").await);
    let stage = Stage::serving(TrafficSpec::default(), &[&dead, &live]);
    for _ in 0..20 {
        let got = stage.send(request("POST", "/", "order")).await;
        assert_eq!((got.status, got.body.as_str()), (200, "live"));
    }
    assert_eq!(live.requests(), 20);
}

#[tokio::test]
async fn where_there_is_no_other_the_answer_names_no_address() {
    let dead = nobody(1).await;
    let stage = Stage::serving(TrafficSpec::default(), &[&dead]);
    let got = stage.get("/").await;
    assert_eq!((got.status, got.headers["content-type"].to_str().unwrap()), (502, "application/problem+json"));
    assert!(!got.body.contains("127.0.0.1") && !got.body.contains(&dead.address.port().to_string()), "{}", got.body);
    assert_eq!(stage.traffic().failed, 1);
}

#[tokio::test]
async fn what_may_have_been_acted_on_is_repeated_only_where_that_is_harmless() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        // Reads a request, and closes.
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 1024]).await;
        }
    });
    let mut broken = Replica::saying(1, "never").await;
    broken.address = address;
    let live = Replica::saying(2, "live").await;
    let stage = Stage::new(TrafficSpec::default());
    let only = |replica: &Replica| vec![replica.as_upstream(UpstreamState::Ready)];
    stage.change(|service| service.upstreams = only(&broken));
    assert_eq!(stage.send(request("POST", "/", "order")).await.status, 502);
    stage.ready(&[&broken, &live]);
    for _ in 0..20 {
        assert_eq!(stage.get("/").await.body, "live");
    }
    let mut refused = 0;
    for _ in 0..20 {
        refused += usize::from(stage.send(request("POST", "/", "order")).await.status == 502);
    }
    assert_eq!(live.requests(), 40 - refused, "each order was sent once");
}

#[tokio::test]
async fn a_connection_that_was_closed_while_it_rested_costs_nobody_a_request() {
    let replica = Replica::saying(1, "one").await;
    let (address, id) = (replica.address, replica.id);
    let stage = Stage::serving(TrafficSpec::default(), &[&replica]);
    let mut client = stage.client().await;
    assert_eq!(client.get("/").await.body, "one");
    drop(replica);
    let listener = super::stage::until("the port to be free", || {
        let socket = tokio::net::TcpSocket::new_v4().ok()?;
        socket.set_reuseaddr(true).ok()?;
        socket.bind(address).ok()?;
        socket.listen(16).ok()
    })
    .await;
    let again = Replica::on(listener, 1, |_| async { super::stage::text("two") });
    assert_eq!(again.id, id);
    let got = client.send(request("POST", "/", "order")).await;
    assert_eq!((got.status, got.body.as_str()), (200, "two"));
}

#[tokio::test]
async fn a_replica_that_closes_after_each_answer_without_a_word_keeps_nobody_waiting() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                if stream.read(&mut [0; 1024]).await.is_ok_and(|count| count > 0) {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none").await;
                }
            });
        }
    });
    let mut curt = Replica::saying(1, "never").await;
    curt.address = address;
    let stage = Stage::serving(TrafficSpec::default(), &[&curt]);
    let mut clients = [stage.client().await, stage.client().await, stage.client().await];
    for _ in 0..100 {
        let [a, b, c] = &mut clients;
        let (a, b, c) = tokio::join!(a.get("/"), b.get("/"), c.get("/"));
        assert_eq!([a.body, b.body, c.body], ["one", "one", "one"]);
    }
}
