//! Too much of everything before a body.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::rig::raw;

use super::Field;

#[tokio::test(flavor = "multi_thread")]
async fn too_many_headers_too_long_ones_and_too_long_paths_are_refused() {
    let field = Field::new().await;
    let head = "GET /attack HTTP/1.1\r\nHost: shop.example\r\n";
    let many: String = (0..10_000).map(|number| format!("X-{number}: attack\r\n")).collect();
    let long = format!("X-Long: {}\r\n", "a".repeat(2 << 20));
    let long_path = format!("GET /attack{} HTTP/1.1\r\nHost: shop.example\r\n\r\n", "a".repeat(2 << 20));
    for (what, bytes) in [
        ("many headers", format!("{head}{many}\r\n")),
        ("a long header", format!("{head}{long}\r\n")),
        ("a long path", long_path),
    ] {
        let back = raw::write_and_read_to_end(field.http(), bytes.as_bytes()).await;
        let statuses = back.statuses();
        // A client that goes on writing may be cut before it has read why.
        assert!(statuses.is_empty() || matches!(statuses[..], [400 | 414 | 431]), "{what}: {}", back.text());
        field.others_are_served().await;
    }
    field.ends_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_without_end_are_cut() {
    let field = Field::new().await;
    let mut stream = TcpStream::connect(field.http()).await.expect("connected");
    stream.write_all(b"GET /attack HTTP/1.1\r\nHost: shop.example\r\n").await.expect("written");
    let line = format!("X-Attack: {}\r\n", "a".repeat(1_000));
    // Ends with an error as soon as the proxy has had enough: nothing else ends this.
    let cut = async { while stream.write_all(line.as_bytes()).await.is_ok() {} };
    tokio::time::timeout(crate::rig::DEADLINE, cut).await.expect("cut");
    field.ends_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_refusals_on_many_connections_hold_nobody_up() {
    let field = Field::new().await;
    let address = field.http();
    let attacks: Vec<_> = (0..200)
        .map(|_| tokio::spawn(async move { raw::write_and_read_to_end(address, b"attack\r\n\r\n").await.statuses() }))
        .collect();
    for attack in attacks {
        assert_eq!(attack.await.expect("no panic"), [400]);
    }
    field.ends_unharmed().await;
}
