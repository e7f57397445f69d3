//! One client's connection: which HTTP it speaks, how long it may take, how it ends.
//!
//! Bounds of heads and streams are here, and nowhere else. Tests: `tests/it/front`.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::door::{Entered, Entrance};
use super::io::{Verdict, Watch, Watched};
use super::link::Link;
use super::rounds::Waits;
use super::worker::{Local, Worker};
use crate::forward::{self, Client};

/// Of a head, all of it.
const HEAD_BYTES: usize = 64 << 10;
const MOST_STREAMS: u32 = 128;
/// Streams that a client resets before they are answered, at a time: what a rapid reset makes.
const MOST_RESETS: usize = 64;
/// Of one stream, what may be on its way in either direction before somebody takes it.
pub(crate) const WINDOW_BYTES: u32 = 64 << 10;
/// Of all streams of a connection, what may have come in before it is passed on.
const CONNECTION_WINDOW_BYTES: u32 = 256 << 10;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Serves a connection until it ends.
pub(super) async fn serve(
    worker: Rc<Worker>,
    mut stream: TcpStream,
    peer: SocketAddr,
    entrance: Entrance,
    entered: Entered,
) {
    // A small answer must not wait for the one before it to be acknowledged.
    let _ = stream.set_nodelay(true);
    let begins_within = worker.door.patience.head;
    match entrance {
        Entrance::Plain => {
            let first = timeout(begins_within, first_bytes(&mut stream)).await;
            if let Ok(Ok((begun, multiplexed))) = first {
                let client = Client::new(peer.ip(), &worker.door.trusted_proxies, false);
                speak(worker, stream, begun, client, entered, multiplexed).await;
            }
        }
        Entrance::Tls(config) => match timeout(begins_within, TlsAcceptor::from(config).accept(stream)).await {
            Ok(Ok(stream)) => {
                let multiplexed = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let client = Client::new(peer.ip(), &worker.door.trusted_proxies, true);
                speak(worker, stream, Bytes::new(), client, entered, multiplexed).await;
            }
            Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS connection came about"),
            Err(_) => tracing::debug!(%peer, "the TLS handshake took too long"),
        },
    }
}

/// Reads until it is clear whether HTTP/2 is spoken.
async fn first_bytes(stream: &mut TcpStream) -> io::Result<(Bytes, bool)> {
    let mut begun = BytesMut::with_capacity(4096);
    loop {
        if stream.read_buf(&mut begun).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let length = begun.len().min(PREFACE.len());
        if begun[..length] != PREFACE[..length] {
            return Ok((begun.freeze(), false));
        }
        if length == PREFACE.len() {
            return Ok((begun.freeze(), true));
        }
    }
}

async fn speak<S>(worker: Rc<Worker>, stream: S, begun: Bytes, client: Client, entered: Entered, multiplexed: bool)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let watch = Watch::new(worker.door.front.clock(), worker.door.patience);
    let io = TokioIo::new(Watched::new(stream, begun, Arc::clone(&watch)));
    let link = Link::new(worker, client, watch, multiplexed, entered);
    let service = service_fn(|request| {
        let link = Rc::clone(&link);
        async move { Ok::<_, Infallible>(forward::handle(link, request).await) }
    });
    if multiplexed {
        let mut connection = pin!(http2_settings().serve_connection(io, service));
        let ended = until_it_ends(&link, |cx, end| {
            if end {
                connection.as_mut().graceful_shutdown();
            }
            connection.as_mut().poll(cx).map(drop)
        });
        ended.await;
    } else {
        let mut connection = pin!(http1_settings().serve_connection(io, service).with_upgrades());
        let ended = until_it_ends(&link, |cx, end| {
            if end {
                connection.as_mut().graceful_shutdown();
            }
            connection.as_mut().poll(cx).map(drop)
        });
        ended.await;
    }
}

/// Drives a connection until it ends, by itself, by the order to stop, or because its client takes too long.
async fn until_it_ends(link: &Link, mut drive: impl FnMut(&mut Context<'_>, bool) -> Poll<()>) {
    let mut ending = false;
    poll_fn(|cx| {
        let verdict = if link.bell().was_rung(cx) { link.verdict(link.worker.coarse_us()) } else { Verdict::Fine };
        if verdict == Verdict::Lost {
            return Poll::Ready(());
        }
        let end = verdict == Verdict::Rested && !ending;
        ending |= end;
        drive(cx, end)
    })
    .await;
}

fn http1_settings() -> http1::Builder {
    let mut settings = http1::Builder::new();
    // Of headers it takes 100 and no more, unasked; told so, it would clear the room for them for every request. Its own
    // timer for heads would be set anew for every request too; `io.rs` keeps watch instead.
    settings.max_buf_size(HEAD_BYTES).header_read_timeout(None).half_close(false);
    settings
}

fn http2_settings() -> http2::Builder<Local> {
    let mut settings = http2::Builder::new(Local);
    settings.timer(TokioTimer::new()).max_concurrent_streams(MOST_STREAMS).max_header_list_size(HEAD_BYTES as u32);
    settings.max_pending_accept_reset_streams(MOST_RESETS).max_local_error_reset_streams(MOST_RESETS);
    settings.keep_alive_interval(Duration::from_secs(20)).keep_alive_timeout(Duration::from_secs(20));
    // Fixed: windows that grow with what a client takes would let each of many make the proxy keep megabytes.
    settings.initial_stream_window_size(WINDOW_BYTES).initial_connection_window_size(CONNECTION_WINDOW_BYTES);
    settings.max_send_buf_size(WINDOW_BYTES as usize);
    settings
}
