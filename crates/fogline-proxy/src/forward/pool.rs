//! A worker's idle connections to replicas. No other worker sees them, so there is no lock.
//!
//! Must never keep a connection to a replica that leaves: it would wait for it. Invariant: of those that are not in use
//! there are never more than the worker's share of the proxy's connections.

use std::cell::RefMut;
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use tokio::net::TcpStream;

use super::http1::{Http1, Lease};
use super::http2::{Http2, Stream};
use crate::serve::Worker;
use crate::service::Upstream;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Idle connections to one replica.
const MOST_IDLE: usize = 512;
/// After this long an idle connection is closed.
const IDLE_US: u64 = 60_000_000;
/// One that has been idle for less need not be looked at twice.
const FRESH_US: u64 = 1_000;

struct Connections {
    upstream: Arc<Upstream>,
    #[expect(clippy::vec_box, reason = "they are large, and move in and out with every request")]
    idle: Vec<Box<Http1>>,
    http2: Vec<Http2>,
}

/// The idle connections of one worker.
#[derive(Default)]
pub(crate) struct Pool {
    of: HashMap<u64, Connections>,
    /// Idle ones, over all replicas.
    idle: usize,
}

impl Pool {
    fn of(&mut self, upstream: &Arc<Upstream>) -> &mut Connections {
        let new = || Connections { upstream: Arc::clone(upstream), idle: Vec::new(), http2: Vec::new() };
        self.of.entry(upstream.key).or_insert_with(new)
    }

    /// Keeps a connection, where there are not `most` already.
    pub fn put(&mut self, upstream: &Arc<Upstream>, mut connection: Box<Http1>, now_us: u64, most: usize) {
        if upstream.is_leaving() || self.idle >= most {
            return;
        }
        connection.idle_us = now_us;
        let idle = &mut self.of(upstream).idle;
        if idle.len() < MOST_IDLE {
            idle.push(connection);
            self.idle += 1;
        }
    }

    fn take(&mut self, upstream: &Upstream) -> Option<Box<Http1>> {
        let taken = self.of.get_mut(&upstream.key)?.idle.pop()?;
        self.idle -= 1;
        Some(taken)
    }

    /// Closes what is not needed any more, or has been closed at the other end.
    pub fn sweep(&mut self, now_us: u64) {
        let mut idle = 0;
        self.of.retain(|_, connections| {
            if connections.upstream.is_leaving() {
                return false;
            }
            let young = |connection: &Http1| now_us.saturating_sub(connection.idle_us) < IDLE_US;
            connections.idle.retain_mut(|connection| young(connection) && connection.is_usable());
            let mut kept = false;
            // One that nothing is open on is kept: what comes next needs it.
            connections
                .http2
                .retain(|http2| !http2.is_closed() && (!http2.is_idle() || !std::mem::replace(&mut kept, true)));
            idle += connections.idle.len();
            !connections.idle.is_empty() || !connections.http2.is_empty()
        });
        self.idle = idle;
    }
}

impl Worker {
    pub(super) fn idle_of(&self, upstream: &Arc<Upstream>) -> Option<Box<Http1>> {
        let mut pool: RefMut<'_, Pool> = self.pool();
        pool.take(upstream)
    }

    /// A connection to this replica, used before if there is one and `fresh` is not asked for.
    pub(super) async fn http1(self: &Rc<Self>, upstream: &Arc<Upstream>, fresh: bool) -> io::Result<Lease> {
        while !fresh && let Some(mut connection) = self.idle_of(upstream) {
            if self.now_us().saturating_sub(connection.idle_us) > FRESH_US {
                // Lets the runtime hear what has happened to it: it is not worth a request to find out that it is closed.
                tokio::task::yield_now().await;
                if !connection.is_usable() {
                    continue;
                }
            }
            return Ok(Lease::new(connection, Arc::clone(upstream), Rc::clone(self), true));
        }
        let stream = connect(upstream).await?;
        let connection = Http1::over(stream, self).await.map_err(io::Error::other)?;
        Ok(Lease::new(Box::new(connection), Arc::clone(upstream), Rc::clone(self), false))
    }

    /// A part of a connection to this replica that its requests share, of a new one where all are full or `fresh` is asked
    /// for.
    pub(super) async fn http2(&self, upstream: &Arc<Upstream>, fresh: bool) -> io::Result<Stream> {
        let shared = (!fresh).then(|| self.pool().of(upstream).http2.iter().find_map(|http2| http2.stream(true)));
        if let Some(stream) = shared.flatten() {
            return Ok(stream);
        }
        let http2 = Http2::over(connect(upstream).await?).await.map_err(io::Error::other)?;
        let stream = http2.stream(false).ok_or(io::ErrorKind::ConnectionReset)?;
        // Before the others, which may have been closed without that being known yet.
        self.pool().of(upstream).http2.insert(0, http2);
        Ok(stream)
    }
}

/// Whether a connection failed for want of something of this machine's own, which says nothing of the replica.
pub(crate) fn is_own_want(error: &io::Error) -> bool {
    let own = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::ADDRNOTAVAIL];
    Errno::from_io_error(error).is_some_and(|errno| own.contains(&errno))
}

/// A connection to this replica.
pub(crate) async fn connect(upstream: &Upstream) -> io::Result<TcpStream> {
    let stream = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(&*upstream.endpoint)).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}
