//! The socket that people's programs connect to: how many may be connected, and how long one may take.
//!
//! Decides when a connection is closed; never looks into a request. Invariant: a connection on which no request is being
//! answered is closed after a bounded time, whatever its client sends or does not send, so that places come free again;
//! one on which a request is being answered is closed only when its client is gone, or takes nothing of the answer for a
//! while, which the system notices. What may take long is then bounded by the handlers (`http/guard.rs`). Tests: below,
//! over real sockets.

use std::convert::Infallible;
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::ConnectInfo;
use axum::response::Response;
use hyper::Request;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use rustix::net::sockopt;
use rustix::process::{Resource, getrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Connections at once, where the process may open that many files.
const MAX_CONNECTIONS: usize = 4_096;
/// Requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 128;
/// Time between two signs of life of a client, and how long it may take to give one.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Time between two questions to a client's system that gives none.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// Bytes of an HTTP/1 request that are read ahead; its header must fit.
const READ_AHEAD_BYTES: usize = 64 * 1024;
/// How long nobody is let in after the system had no room for one more.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Comes with each request: says when the server stops. For answers that would go on for ever.
#[derive(Clone, Debug)]
pub(crate) struct Closing(pub(crate) CancellationToken);

/// Serves HTTP/1 and HTTP/2 on one socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HttpListener {
    /// How long a client may take for the header of a request, and keep an open connection without one.
    pub patience: Duration,
    /// How long a client may leave bytes unconfirmed, or take none of those that wait for it. 1 ms to 24 days.
    pub unread: Duration,
    /// Connections at once; further ones wait in the system's queue.
    pub max_connections: usize,
}

impl HttpListener {
    /// As a server needs it. Clients get half of the files that this process may open: the database and the agents must
    /// find some, too.
    pub(crate) fn of_this_process() -> Self {
        let files = getrlimit(Resource::Nofile).current.and_then(|files| usize::try_from(files).ok());
        let max_connections = files.map_or(MAX_CONNECTIONS, |files| (files / 2).clamp(1, MAX_CONNECTIONS));
        Self { patience: Duration::from_secs(10), unread: Duration::from_secs(60), max_connections }
    }

    /// Serves until `stop`; then lets nobody in any more, and ends when every open request is answered. When it is
    /// dropped before, what is open is cut off.
    pub(crate) async fn serve(self, listener: TcpListener, app: Router, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(self.max_connections));
        let mut connections = JoinSet::new();
        loop {
            let next = async {
                let place = Arc::clone(&places).acquire_owned().await.expect("the semaphore is never closed");
                (place, accept(&listener).await)
            };
            let (place, (stream, remote)) = tokio::select! {
                () = stop.cancelled() => break,
                // Those that have ended need not be kept.
                Some(_) = connections.join_next() => continue,
                next = next => next,
            };
            let (app, stop) = (app.clone(), stop.clone());
            connections.spawn(async move {
                self.converse(stream, remote, app, stop).await;
                drop(place);
            });
        }
        drop(listener);
        while connections.join_next().await.is_some() {}
    }

    fn builder(self) -> Builder<TokioExecutor> {
        let mut builder = Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(self.patience).max_buf_size(READ_AHEAD_BYTES);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .max_concurrent_streams(MAX_STREAMS);
        builder
    }

    /// Tells the system how to treat a connection, and when to end it.
    fn prepare(self, stream: &TcpStream) -> rustix::io::Result<()> {
        // Answers are small: waiting to fill a packet only makes them late.
        sockopt::set_tcp_nodelay(stream, true)?;
        // A client that confirms what it gets and never reads it counts as silent, too.
        let unread_ms = u32::try_from(self.unread.as_millis()).unwrap_or(u32::MAX);
        sockopt::set_tcp_user_timeout(stream, unread_ms)?;
        // Nothing may be on its way for long, as when a log is followed: then nobody would notice that its reader is gone.
        sockopt::set_socket_keepalive(stream, true)?;
        sockopt::set_tcp_keepidle(stream, KEEP_ALIVE)?;
        sockopt::set_tcp_keepintvl(stream, ASK_AGAIN)
    }

    /// One connection, from its first byte to its last.
    async fn converse(self, stream: TcpStream, remote: SocketAddr, app: Router, stop: CancellationToken) {
        if let Err(error) = self.prepare(&stream) {
            tracing::debug!(%remote, %error, "a connection has ended before it began");
            return;
        }
        let traffic = Arc::new(Traffic::default());
        let (counted, closing) = (Arc::clone(&traffic), Closing(stop.clone()));
        let service = service_fn(move |mut request: Request<Incoming>| {
            let open = OpenRequest::begin(&counted);
            request.extensions_mut().insert(ConnectInfo(remote));
            request.extensions_mut().insert(closing.clone());
            let answer = app.clone().oneshot(request);
            async move {
                let response: Response = answer.await?;
                Ok::<_, Infallible>(response.map(|body| AnswerBody { body, _open: open }))
            }
        });
        let builder = self.builder();
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        // hyper's own time limit begins with the first bytes of HTTP/1, and knows nothing of HTTP/2.
        let mut look = interval_at(Instant::now() + self.patience, self.patience);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut seen, mut ending) = (0, false);
        loop {
            tokio::select! {
                ended = &mut connection => {
                    if let Err(error) = ended {
                        tracing::debug!(%remote, %error, "a connection has failed");
                    }
                    return;
                }
                () = stop.cancelled(), if !ending => {
                    ending = true;
                    connection.as_mut().graceful_shutdown();
                }
                _ = look.tick() => {
                    let (open, begun) = traffic.look();
                    match (open == 0 && begun == seen, ending) {
                        (false, _) => seen = begun,
                        // The client is told where it can be; another time to hear that must do.
                        (true, false) => {
                            tracing::debug!(%remote, begun, "closing a connection without a request");
                            ending = true;
                            connection.as_mut().graceful_shutdown();
                        }
                        (true, true) => return,
                    }
                }
            }
        }
    }
}

/// The next connection. Goes on whatever a single one has done.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if was_the_clients(&error) => {}
            Err(error) => {
                tracing::error!(%error, "cannot let a connection in; trying again in a second");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn was_the_clients(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset)
}

/// What has happened on a connection.
#[derive(Debug, Default)]
struct Traffic {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Traffic {
    /// Requests that are being answered, and all that have begun.
    fn look(&self) -> (u64, u64) {
        // Read first, so that one that ends in between counts as open, never the other way round.
        let ended = self.ended.load(Ordering::SeqCst);
        let begun = self.begun.load(Ordering::SeqCst);
        (begun - ended, begun)
    }
}

/// Counts a request until its answer is sent or given up.
#[derive(Debug)]
struct OpenRequest(Arc<Traffic>);

impl OpenRequest {
    fn begin(traffic: &Arc<Traffic>) -> Self {
        traffic.begun.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(traffic))
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::SeqCst);
    }
}

/// A body that keeps its request open.
struct AnswerBody {
    body: Body,
    _open: OpenRequest,
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use futures_util::stream::unfold;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::Notify;
    use tokio::task::JoinHandle;

    const PREFACE: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
        tokio::time::timeout(Duration::from_secs(30), future).await.unwrap_or_else(|_| panic!("{what} did not come"))
    }

    /// A listener with a handler that answers when it is let go on, one that answers with its caller's address, and one
    /// whose answer never ends.
    struct Served {
        address: SocketAddr,
        entered: Arc<Notify>,
        go_on: Arc<Notify>,
        given_up: Arc<Notify>,
        stop: CancellationToken,
        task: JoinHandle<()>,
    }

    impl Served {
        async fn new(max_connections: usize, patience: Duration) -> Self {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
            let address = listener.local_addr().expect("an address");
            let (entered, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
            let signals = (Arc::clone(&entered), Arc::clone(&go_on));
            let wait = move || async move {
                signals.0.notify_one();
                signals.1.notified().await;
                "waited"
            };
            let whence = |ConnectInfo(remote): ConnectInfo<SocketAddr>| async move { remote.to_string() };
            let given_up = Arc::new(Notify::new());
            let ending = Arc::clone(&given_up);
            let endless = move || async move {
                let told = TellsItsEnd(ending);
                Body::from_stream(unfold(told, |told| async { Some((Ok::<_, Infallible>(vec![0; 65_536]), told)) }))
            };
            let app =
                Router::new().route("/wait", get(wait)).route("/whence", get(whence)).route("/endless", get(endless));
            let stop = CancellationToken::new();
            let listening = HttpListener { patience, unread: Duration::from_secs(2), max_connections };
            let task = tokio::spawn(listening.serve(listener, app, stop.clone()));
            Self { address, entered, go_on, given_up, stop, task }
        }

        async fn say(&self, text: &str) -> TcpStream {
            let mut stream = TcpStream::connect(self.address).await.expect("a connection");
            stream.write_all(text.as_bytes()).await.expect("sent");
            stream
        }

        async fn ask(&self, path: &str) -> TcpStream {
            self.say(&format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await
        }

        async fn wait_inside(&self) -> TcpStream {
            let stream = self.ask("/wait").await;
            soon("the request", self.entered.notified()).await;
            stream
        }

        async fn end(self) {
            self.stop.cancel();
            soon("the end", self.task).await.expect("no panic");
        }
    }

    struct TellsItsEnd(Arc<Notify>);

    impl Drop for TellsItsEnd {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }

    async fn answer(mut stream: TcpStream) -> String {
        let mut text = String::new();
        soon("an answer", stream.read_to_string(&mut text)).await.expect("text");
        text
    }

    /// Sends another byte whenever the server may have lost patience, until it is cut off.
    async fn drip_until_cut_off(mut stream: TcpStream) {
        let mut bytes = [0; 1_024];
        let mut due = tokio::time::interval(Duration::from_millis(20));
        loop {
            tokio::select! {
                read = stream.read(&mut bytes) => match read {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                },
                // One that is cut off can be seen by either.
                _ = due.tick() => drop(stream.write_all(b"a").await),
            }
        }
    }

    async fn stay_until_cut_off(mut stream: TcpStream) {
        let mut bytes = [0; 1_024];
        while matches!(stream.read(&mut bytes).await, Ok(1..)) {}
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_never_asks_is_cut_off_and_nobody_else() {
        let served = Served::new(100, Duration::from_millis(400)).await;
        let patient = served.wait_inside().await;
        for beginning in ["", "P", PREFACE, "GET / HTTP/1.1\r\nhost: x\r\nx-sl"] {
            let slow = served.say(beginning).await;
            let other = served.ask("/whence").await;
            let address = other.local_addr().expect("an address").to_string();
            let text = answer(other).await;
            assert!(text.starts_with("HTTP/1.1 200 ") && text.ends_with(&address), "{text}");
            assert!(text.contains(&format!("content-length: {}\r\n", address.len())), "{text}");
            soon(&format!("the end of {beginning:?}"), stay_until_cut_off(slow)).await;
        }
        let slow = served.say("GET / HTTP/1.1\r\nhost: x\r\nx-slow: ").await;
        soon("the end of one that drips", drip_until_cut_off(slow)).await;
        let done = served.say("GET /whence HTTP/1.1\r\nhost: x\r\n\r\n").await;
        soon("the end of one that has nothing more to ask", stay_until_cut_off(done)).await;

        // Its request took longer than all of those.
        served.go_on.notify_one();
        let text = answer(patient).await;
        assert!(text.starts_with("HTTP/1.1 200 ") && text.ends_with("waited"), "{text}");
        served.end().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_takes_nothing_of_an_answer_is_cut_off_and_nobody_else() {
        let served = Served::new(2, Duration::from_secs(60)).await;
        let mut reader = served.ask("/endless").await;
        let stalled = served.ask("/endless").await;
        let mut bytes = vec![0; 1 << 20];
        soon("the end of one that does not read", async {
            loop {
                tokio::select! {
                    () = served.given_up.notified() => return,
                    read = reader.read(&mut bytes) => assert_ne!(read.expect("more"), 0),
                }
            }
        })
        .await;
        // More than both systems can have kept for it.
        let mut more = (&mut reader).take(64 << 20);
        soon("more for who reads", tokio::io::copy(&mut more, &mut tokio::io::sink()))
            .await
            .expect("it is not cut off");
        assert_eq!(more.limit(), 0);
        // The place is free, too, though that client has closed nothing.
        assert!(answer(served.ask("/whence").await).await.starts_with("HTTP/1.1 200 "));
        drop((reader, stalled));
        served.end().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn one_too_many_waits_for_a_place() {
        let served = Served::new(1, Duration::from_secs(60)).await;
        let first = served.wait_inside().await;
        let mut second = served.ask("/whence").await;
        let early = tokio::time::timeout(Duration::from_millis(100), second.read_u8()).await;
        assert!(early.is_err(), "{early:?}");
        served.go_on.notify_one();
        assert!(answer(first).await.ends_with("waited"));
        assert!(answer(second).await.starts_with("HTTP/1.1 200 "));
        served.end().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_stop_finishes_what_is_open_and_lets_nobody_in() {
        let served = Served::new(100, Duration::from_secs(60)).await;
        let open = served.wait_inside().await;
        let idle = served.say("").await;
        served.stop.cancel();
        soon("the end of an idle one", stay_until_cut_off(idle)).await;
        soon("a refusal", async { while TcpStream::connect(served.address).await.is_ok() {} }).await;
        assert!(!served.task.is_finished());
        served.go_on.notify_one();
        let text = answer(open).await;
        assert!(text.starts_with("HTTP/1.1 200 ") && text.ends_with("waited"), "{text}");
        served.end().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn when_the_grace_is_over_what_is_open_is_cut_off() {
        let served = Served::new(100, Duration::from_secs(60)).await;
        let open = served.wait_inside().await;
        served.task.abort();
        soon("the end", stay_until_cut_off(open)).await;
    }
}
