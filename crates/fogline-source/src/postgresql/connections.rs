//! A few connections to one server, each lent to one question at a time.
//!
//! Not the library's own pool: that tries again and again while a server refuses, and then cannot say so. Invariant: a
//! connection comes back only from a question that went to its end, so on none is anything under way; one that nobody has
//! wanted for [`KEEP_IDLE`] is closed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

/// Connections to one server at most, whatever many policies ask.
const MOST: usize = 4;
/// How long a connection is kept for the next question.
const KEEP_IDLE: Duration = Duration::from_secs(60);
/// How long a server may take to hear that it is closed.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);

/// All to one server.
pub(super) struct Connections {
    room: Arc<Semaphore>,
    shelf: Arc<Mutex<Shelf>>,
}

#[derive(Default)]
struct Shelf {
    /// Counts what was put there.
    number: u64,
    idle: Vec<Idle>,
}

struct Idle {
    number: u64,
    login: Login,
    connection: PgConnection,
}

/// With which password a connection has logged in: with another one it is of no use.
pub(super) type Login = Option<Arc<str>>;

/// One that is thrown away unless it is given back.
pub(super) struct Lent {
    pub(super) connection: PgConnection,
    login: Login,
    shelf: Arc<Mutex<Shelf>>,
    _place: OwnedSemaphorePermit,
}

impl Connections {
    pub(super) fn new() -> Self {
        Self { room: Arc::new(Semaphore::new(MOST)), shelf: Arc::default() }
    }

    /// One that is idle and alive, or a new one.
    pub(super) async fn lend(&self, options: &PgConnectOptions, login: Login) -> Result<Lent, sqlx::Error> {
        let place = Arc::clone(&self.room).acquire_owned().await.map_err(|_| sqlx::Error::PoolClosed)?;
        let mut kept = None;
        while let Some(mut idle) = take(&self.shelf) {
            // The server may have gone, or come back, since.
            if idle.login == login && idle.connection.ping().await.is_ok() {
                kept = Some(idle.connection);
                break;
            }
        }
        let connection = match kept {
            Some(connection) => connection,
            None => options.connect().await?,
        };
        Ok(Lent { connection, login, shelf: Arc::clone(&self.shelf), _place: place })
    }
}

impl Lent {
    /// Keeps it for the next question, for a while.
    pub(super) fn give_back(self) {
        let Self { connection, login, shelf, _place } = self;
        let number = {
            let mut shelf = shelf.lock().unwrap_or_else(PoisonError::into_inner);
            shelf.number += 1;
            let number = shelf.number;
            shelf.idle.push(Idle { number, login, connection });
            number
        };
        let shelf = Arc::downgrade(&shelf);
        tokio::spawn(async move {
            sleep(KEEP_IDLE).await;
            let Some(shelf) = shelf.upgrade() else { return };
            let unwanted = {
                let mut shelf = shelf.lock().unwrap_or_else(PoisonError::into_inner);
                let found = shelf.idle.iter().position(|idle| idle.number == number);
                found.map(|index| shelf.idle.swap_remove(index))
            };
            if let Some(idle) = unwanted {
                let _ = timeout(CLOSE_DEADLINE, idle.connection.close()).await;
            }
        });
    }
}

fn take(shelf: &Mutex<Shelf>) -> Option<Idle> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner).idle.pop()
}
