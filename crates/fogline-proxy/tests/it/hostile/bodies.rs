//! Bodies that are larger than they may be.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::rig::{DEADLINE, raw};

use super::Field;

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_says_it_is_too_large_is_refused_before_it_is_sent() {
    let field = Field::with(|traffic| traffic.max_body_mb = 1).await;
    let length = (1 << 20) + 1;
    let head = format!("POST /attack HTTP/1.1\r\nHost: shop.example\r\nContent-Length: {length}\r\n\r\n");
    field.refuses("too large by its length", head.as_bytes(), 413).await;
    let waits = format!("{}Expect: 100-continue\r\n\r\n", head.strip_suffix("\r\n").expect("a head"));
    field.refuses("too large, and asks first", waits.as_bytes(), 413).await;
    field.ends_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_grows_too_large_in_chunks_is_cut() {
    let field = Field::with(|traffic| traffic.max_body_mb = 1).await;
    let mut stream = TcpStream::connect(field.http()).await.expect("connected");
    let head = "POST /grows HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("written");
    let chunk = format!("10000\r\n{}\r\n", "a".repeat(0x10000));
    let (mut read, mut write) = stream.into_split();
    let grows = async { while write.write_all(chunk.as_bytes()).await.is_ok() {} };
    let (back, ()) = tokio::join!(raw::read_to_end(&mut read), async {
        tokio::time::timeout(DEADLINE, grows).await.expect("cut");
    });
    assert!(back.statuses().is_empty() || back.statuses() == [413], "{}", back.text());
    for arrived in field.shop.arrived() {
        assert!(!arrived.whole && arrived.body.len() <= 1 << 20, "{} bytes", arrived.body.len());
    }
    field.ends_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_body_is_not_read_as_requests() {
    let field = Field::with(|traffic| traffic.max_body_mb = 1).await;
    let smuggled = "GET /attack HTTP/1.1\r\nHost: shop.example\r\n\r\n".repeat(100);
    let head = format!("POST /attack HTTP/1.1\r\nHost: shop.example\r\nContent-Length: {}\r\n\r\n", 2 << 20);
    field.refuses("requests in a refused body", format!("{head}{smuggled}").as_bytes(), 413).await;
    let head =
        format!("POST /attack HTTP/1.1\r\nHost: nobody.example\r\nContent-Length: {}\r\n\r\n", smuggled.len() + 1);
    let back = raw::write_and_read_to_end(field.http(), format!("{head}{smuggled}").as_bytes()).await;
    assert_eq!(back.statuses(), [404], "{}", back.text());
    field.ends_unharmed().await;
}
