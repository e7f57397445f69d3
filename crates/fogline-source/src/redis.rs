//! The length of a list or a stream in Redis.
//!
//! Which of the two a key is, is asked first. A key that is not there is an empty list, as `LLEN` itself has it: Redis
//! removes a list with its last element, and a queue that was drained is what people scale down for. The connection is
//! made here, to an address that was checked, and reads no more than [`MOST_BYTES`], whatever the other side says it will
//! send; it lasts for one question. Tests: `tests/it/redis.rs`.

use std::borrow::Cow;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use fogline_core::time::Timestamp;
use futures_util::future::{Either, select};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisConnectionInfo, RedisError};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use url::{Host, Url};

use crate::Answer;
use crate::credentials::{Credentials, Secret};
use crate::guard::{Guard, host_of};
use crate::tls::{self, Tls};

/// The most that is read of one connection. A type and a length are some thirty bytes.
const MOST_BYTES: usize = 64 * 1_024;
const USUAL_PORT: u16 = 6_379;
const ACCEPTED: &str = "accepted: redis://HOST:PORT or rediss://HOST:PORT (with TLS), with /NUMBER of the database";

/// One server.
#[derive(Clone)]
pub(crate) struct RedisServer {
    host: Host,
    port: u16,
    database: i64,
    tls: Tls,
    guard: Guard,
    credentials: Credentials,
}

impl RedisServer {
    pub(crate) fn new(
        url: &str,
        guard: &Guard,
        credentials: Credentials,
        ca_file: Option<&Path>,
    ) -> Result<Self, String> {
        let url =
            guard.check_url(url, &["redis", "rediss"]).map_err(|reason| format!("the url {reason}; {ACCEPTED}"))?;
        let host = host_of(&url).ok_or_else(|| format!("the url names no host; {ACCEPTED}"))?;
        let tls = match (url.scheme(), ca_file) {
            ("rediss", Some(path)) => Tls::Of(tls::of_file(path)?),
            ("rediss", None) => Tls::Machine,
            (_, Some(_)) => return Err("ca_file needs a url with rediss://".to_owned()),
            (_, None) => Tls::Off,
        };
        let database = database(&url).map_err(|reason| format!("the url {reason}"))?;
        Ok(Self { host, port: url.port().unwrap_or(USUAL_PORT), database, tls, guard: guard.clone(), credentials })
    }

    pub(crate) async fn ask(&self, key: &str, now: Timestamp) -> Result<Answer, String> {
        let secret = self.credentials.read().await?;
        self.ask_as(&secret, key, now).await.map_err(|reason| secret.redact(&reason))
    }

    async fn ask_as(&self, secret: &Secret, key: &str, now: Timestamp) -> Result<Answer, String> {
        let addresses = self.guard.addresses(&self.host, self.port).await.map_err(|refused| refused.to_string())?;
        let stream = TcpStream::connect(&*addresses).await.map_err(|error| format!("cannot connect: {error}"))?;
        let trusted = match &self.tls {
            Tls::Off => None,
            Tls::Machine => Some(tls::machine()?),
            Tls::Of(config) => Some(Arc::clone(config)),
        };
        let length = match trusted {
            None => length(Bounded::new(stream), self.login(secret), key).await?,
            Some(config) => {
                let stream = tls::connect(config, &self.host, stream).await?;
                length(Bounded::new(stream), self.login(secret), key).await?
            }
        };
        #[expect(clippy::cast_precision_loss, reason = "a double is what the engine reckons with")]
        Answer::number(length as f64, now)
    }

    fn login(&self, secret: &Secret) -> RedisConnectionInfo {
        let mut info = RedisConnectionInfo::default().set_db(self.database).set_skip_set_lib_name();
        if let Some(username) = secret.username() {
            info = info.set_username(username);
        }
        if let Some(password) = secret.password() {
            info = info.set_password(password);
        }
        info
    }
}

impl std::fmt::Debug for RedisServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisServer").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

/// Which database a URL names, by its path or by `?db=`; the first where it names none.
pub(crate) fn database(url: &Url) -> Result<i64, String> {
    let in_query = url.query_pairs().find(|(key, _)| key == "db").map(|(_, number)| number.into_owned());
    match (url.path().trim_matches('/'), in_query.as_deref()) {
        ("", None) => Ok(0),
        (number, None) | ("", Some(number)) => match number.parse() {
            Ok(number @ 0..=1_000_000) => Ok(number),
            _ => Err(format!("names a database that is no number; {ACCEPTED}")),
        },
        _ => Err(format!("names two databases; {ACCEPTED}")),
    }
}

/// Logs in and asks.
async fn length<S>(stream: S, login: RedisConnectionInfo, key: &str) -> Result<u64, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let config = AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None);
    let (connection, driver) =
        MultiplexedConnection::new_with_config(&login, stream, config).await.map_err(|error| words(&error))?;
    // Beside each other in this task, so that both end with the question.
    match select(std::pin::pin!(ask(connection, key)), std::pin::pin!(driver)).await {
        Either::Left((answer, _)) => answer,
        Either::Right(((), asking)) => asking.await,
    }
}

async fn ask(mut connection: MultiplexedConnection, key: &str) -> Result<u64, String> {
    let kind: String = redis::cmd("TYPE").arg(key).query_async(&mut connection).await.map_err(|error| words(&error))?;
    let command = match &*kind {
        "none" => return Ok(0),
        "list" => "LLEN",
        "stream" => "XLEN",
        other => {
            return Err(format!("the key holds a {other}; accepted: a list or a stream"));
        }
    };
    let length: i64 = redis::cmd(command).arg(key).query_async(&mut connection).await.map_err(|error| words(&error))?;
    u64::try_from(length).map_err(|_| format!("the answer to {command} is {length}, which is no length"))
}

/// The server's words, whole, at most [`MOST_BYTES`]: they are shortened once the credentials are out of them.
fn words(error: &RedisError) -> String {
    let code = error.code().map(Cow::Borrowed);
    match (code, error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        _ => error.to_string(),
    }
}

/// A connection that fails once it has given more than [`MOST_BYTES`].
struct Bounded<S> {
    stream: S,
    left: usize,
}

impl<S> Bounded<S> {
    const fn new(stream: S) -> Self {
        Self { stream, left: MOST_BYTES }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buffer);
        match self.left.checked_sub(buffer.filled().len() - before) {
            Some(left) => {
                self.left = left;
                result
            }
            None => Poll::Ready(Err(io::Error::other("the answer is larger than any length is"))),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
