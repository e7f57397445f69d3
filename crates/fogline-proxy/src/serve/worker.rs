//! A worker: one thread, one runtime, its own connections.

use std::cell::{Cell, RefCell, RefMut};
use std::io;
use std::net::TcpListener;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::rt::Executor;
use tokio::runtime::{self, LocalOptions};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::GRACE;
use super::connection;
use super::door::{Door, Entrance, Listener};
use super::rounds::{self, Rounds};
use crate::forward::Pool;

const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// Idle connections to replicas that each worker may keep, however few connections there may be.
const LEAST_IDLE: usize = 16;
/// The pause after a connection could not be taken, most often because files run out.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// What one worker's connections share.
pub(crate) struct Worker {
    pub door: Arc<Door>,
    pub shutdown: CancellationToken,
    /// What is waited for at the end: connections, and what they have gone over to.
    pub connections: TaskTracker,
    /// Idle connections to replicas that it may keep.
    pub most_idle: usize,
    pub rounds: Rounds,
    /// Whether it has been ordered to stop: what [`Self::shutdown`] says, without its lock.
    pub stops: Cell<bool>,
    pool: RefCell<Pool>,
}

impl Worker {
    pub fn now_us(&self) -> u64 {
        self.door.front.clock().now_us()
    }

    pub fn coarse_us(&self) -> u64 {
        self.door.front.clock().coarse_us()
    }

    /// Must not be held over anything that waits.
    pub fn pool(&self) -> RefMut<'_, Pool> {
        self.pool.borrow_mut()
    }
}

/// Runs tasks of hyper's on the worker they belong to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Local;

impl<F: Future + 'static> Executor<F> for Local {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(async move {
            let _ = task.await;
        });
    }
}

/// The running workers.
#[derive(Debug)]
pub struct Workers(Vec<JoinHandle<()>>);

impl Workers {
    /// Starts `count` workers, each of which takes connections from all of `listeners`, until `shutdown`.
    ///
    /// # Errors
    /// When a socket cannot be shared or a thread not be started.
    pub fn start(
        count: usize,
        door: &Arc<Door>,
        listeners: &[Listener],
        shutdown: &CancellationToken,
    ) -> io::Result<Self> {
        let mut workers = Vec::with_capacity(count);
        for number in 0..count {
            let mut own = Vec::with_capacity(listeners.len());
            for listener in listeners {
                let socket = listener.socket.try_clone()?;
                socket.set_nonblocking(true)?;
                own.push((socket, listener.entrance.clone()));
            }
            let (door, shutdown) = (Arc::clone(door), shutdown.clone());
            let most_idle = (door.most_connections() / count).max(LEAST_IDLE);
            let worker = move || Worker {
                door,
                shutdown,
                connections: TaskTracker::new(),
                most_idle,
                rounds: Rounds::default(),
                stops: Cell::new(false),
                pool: RefCell::default(),
            };
            // A runtime stays on the thread that makes it, so that is where it may fail.
            let (tell, told) = std::sync::mpsc::channel();
            let thread = std::thread::Builder::new().name(format!("proxy-{number}"));
            workers.push(thread.spawn(move || {
                let runtime = runtime::Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
                let (runtime, made) =
                    runtime.map_or_else(|error| (None, Err(error)), |runtime| (Some(runtime), Ok(())));
                let _ = tell.send(made);
                if let Some(runtime) = runtime {
                    runtime.block_on(work(worker(), own));
                }
            })?);
            told.recv().map_err(io::Error::other)??;
        }
        Ok(Self(workers))
    }

    /// Waits until all have ended: at most [`GRACE`] after the order to stop. Blocks.
    pub fn wait(self) {
        for worker in self.0 {
            if worker.join().is_err() {
                tracing::error!("a worker has panicked");
            }
        }
    }
}

async fn work(worker: Worker, listeners: Vec<(TcpListener, Entrance)>) {
    let worker = Rc::new(worker);
    for (socket, entrance) in listeners {
        tokio::task::spawn_local(take(Rc::clone(&worker), socket, entrance));
    }
    let mut looking = pin!(look_around(&worker));
    tokio::select! {
        () = &mut looking => {}
        () = worker.shutdown.cancelled() => {}
    }
    worker.stops.set(true);
    worker.rounds.look(worker.coarse_us());
    worker.connections.close();
    // What is not finished by then is cut: the caller has been told how long it takes at most.
    tokio::select! {
        () = &mut looking => {}
        () = worker.connections.wait() => {}
        () = tokio::time::sleep(GRACE) => {}
    }
}

/// Never ends.
async fn look_around(worker: &Worker) {
    let every = |period| {
        let mut interval = tokio::time::interval(period);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        interval
    };
    let mut rounds = every(rounds::EVERY.min(worker.door.patience.head / 4).max(rounds::LEAST));
    let mut sweep = every(SWEEP_EVERY);
    loop {
        tokio::select! {
            _ = rounds.tick() => worker.rounds.look(worker.coarse_us()),
            _ = sweep.tick() => worker.pool().sweep(worker.now_us()),
        }
    }
}

async fn take(worker: Rc<Worker>, socket: TcpListener, entrance: Entrance) {
    let socket = match tokio::net::TcpListener::from_std(socket) {
        Ok(socket) => socket,
        Err(error) => return tracing::error!(%error, "a worker cannot take connections"),
    };
    loop {
        let taken = tokio::select! {
            taken = socket.accept() => taken,
            () = worker.shutdown.cancelled() => return,
        };
        match taken {
            Ok((stream, peer)) => {
                // One too many is closed at once: a queue of them would only hide it.
                let Some(entered) = worker.door.enter(peer.ip()) else { continue };
                let served = connection::serve(Rc::clone(&worker), stream, peer, entrance.clone(), entered);
                tokio::task::spawn_local(worker.connections.track_future(served));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
            }
        }
    }
}
