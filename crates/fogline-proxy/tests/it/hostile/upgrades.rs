//! Ways to make the proxy stop looking at requests.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::rig::{DEADLINE, Rig, raw, service};

use super::Field;

/// An upgrade to HTTP/2 is not passed on, so nothing goes past the proxy on the connection afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_to_http2_is_answered_as_a_plain_request() {
    let field = Field::new().await;
    for (upgrade, connection) in [
        ("h2c", "Upgrade, HTTP2-Settings"),
        ("H2C", "upgrade,http2-settings"),
        ("h2c", "close, Upgrade"),
        ("websocket, h2c", "Upgrade, HTTP2-Settings"),
    ] {
        let request = format!(
            "GET /plain HTTP/1.1\r\nHost: shop.example\r\nUpgrade: {upgrade}\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\
             Connection: {connection}\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\nattack"
        );
        let back = raw::write_and_read_to_end(field.http(), request.as_bytes()).await;
        assert!(!back.statuses().contains(&101), "{}", back.text());
    }
    for arrived in field.shop.arrived() {
        assert_eq!(arrived.header("http2-settings"), [""; 0]);
        let upgrade = arrived.header("upgrade").concat().to_ascii_lowercase();
        assert!(!upgrade.contains("h2"), "{arrived:?}");
    }
    field.ends_unharmed().await;
}

/// A replica that does not agree leaves the proxy reading requests, not a tunnel.
#[tokio::test(flavor = "multi_thread")]
async fn what_follows_an_upgrade_that_was_not_agreed_to_is_routed_like_any_request() {
    let field = Field::new().await;
    let request = "GET /plain HTTP/1.1\r\nHost: shop.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Version: 777\r\n\r\nGET /attack HTTP/1.1\r\nHost: nobody.example\r\nConnection: close\r\n\r\n";
    let back = raw::write_and_read_to_end(field.http(), request.as_bytes()).await;
    assert!(matches!(back.statuses()[..], [200] | [200, 404]), "{}", back.text());
    field.ends_unharmed().await;
}

/// Whoever goes over to another protocol would otherwise have as many connections as it likes.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_went_over_to_another_protocol_keeps_its_place_among_all() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let replica = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let agreed = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
            let _ = stream.read(&mut [0; 4_096]).await;
            let _ = stream.write_all(agreed).await;
            let _ = stream.read(&mut [0; 1]).await;
        }
    });
    let rig = Rig::started(vec![service(1, "shop.example", &[replica])], |config| config.max_connections = 1).await;
    let mut over = TcpStream::connect(rig.http).await.expect("connected");
    let ask = b"GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    over.write_all(ask).await.expect("written");
    let mut head = [0; 12];
    over.read_exact(&mut head).await.expect("an answer");
    assert_eq!(&head, b"HTTP/1.1 101");
    let refused = async {
        for _ in 0..20 {
            let mut stream = TcpStream::connect(rig.http).await.expect("connected");
            let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: nobody.example\r\n\r\n").await;
            // Closed at once, in order or not.
            assert!(matches!(stream.read(&mut [0; 1]).await, Ok(0) | Err(_)), "there is room for one");
        }
    };
    tokio::time::timeout(DEADLINE, refused).await.expect("in time");
    drop(over);
    let served = async { while raw::get(rig.http, "nobody.example", "/x").await != 404 {} };
    tokio::time::timeout(DEADLINE, served).await.expect("there is room again");
}
