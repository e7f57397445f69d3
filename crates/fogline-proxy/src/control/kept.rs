//! The last table on disk: whose it is, and what it was, in the very messages that a server begins with.
//!
//! Written whole, at most once a second, beside what else happens, and never relied upon: a file that cannot be read or
//! written costs only the time until a server is reached. Must never have requests sent to replicas of long ago, whose
//! ports may be others' by now: the file says of which boot of the machine it is, and when it was last changed or touched,
//! a server had just told it. Tests: below.

use std::fs::File;
use std::future::pending;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use fogline_api::protocol::proxy::{FromServer, RoutesUpdate, ServerMessage};
use fogline_core::time::Timestamp;
use prost::Message;
use tokio::task::{JoinHandle, spawn_blocking};
use tracing::{info, warn};

use super::session::Seen;
use super::table::Table;
use crate::clock::micros;
use crate::disk;

const FILE: &str = "routes";
/// A change is written this long after it came, with all that came meanwhile.
const WRITE_AFTER: Duration = Duration::from_secs(1);
/// While a server is attached, and so the table is true, the file is touched so often.
const TOUCH_EVERY_US: u64 = 15_000_000;
/// A table that was true no longer ago than this may be gone on by.
const TRUE_FOR: Duration = Duration::from_secs(60);
/// Another one after each start of the machine.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// What an earlier proxy has left.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Kept {
    pub seen: Option<Seen>,
    pub routes: Option<RoutesUpdate>,
}

impl Kept {
    /// Leaves the routes and takes the replicas away: requests wait until a server says where those are now.
    fn without_replicas(mut self) -> Self {
        for service in self.routes.iter_mut().flat_map(|routes| &mut routes.services) {
            service.upstreams.clear();
        }
        self
    }
}

/// Which boot of the machine this is; nothing where that cannot be told.
fn boot_id() -> String {
    std::fs::read_to_string(BOOT_ID).unwrap_or_default().trim().to_owned()
}

/// Reads what an earlier proxy has left; nothing where there is none or it is damaged. Blocks.
pub(super) fn load(data_dir: &Path, now: Timestamp) -> Kept {
    let path = data_dir.join(FILE);
    let read = std::fs::read(&path).and_then(|bytes| Ok((bytes, std::fs::metadata(&path)?.modified()?)));
    let (bytes, touched) = match read {
        Ok(read) => read,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Kept::default(),
        Err(error) => {
            warn!(%error, "cannot read the last table from {}", path.display());
            return Kept::default();
        }
    };
    let touched_us = touched.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    let touched = Timestamp::from_micros(i64::try_from(touched_us).unwrap_or(i64::MAX));
    // A time to come is as good as none.
    let is_young = now.since(touched).max(touched.since(now)) <= TRUE_FOR;
    match decode(&bytes) {
        Ok((kept, boot)) if is_young && !boot.is_empty() && boot == boot_id() => kept,
        Ok((kept, _)) => {
            info!("the last table is old: requests wait until a server tells where replicas are now");
            kept.without_replicas()
        }
        Err(why) => {
            warn!(why, "the last table in {} is damaged and not used", path.display());
            Kept::default()
        }
    }
}

/// What was kept, and during which boot.
fn decode(bytes: &[u8]) -> Result<(Kept, String), String> {
    let mut lines = bytes.splitn(2, |byte| *byte == b'\n');
    let boot = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let mut bytes = lines.next().unwrap_or_default();
    let mut next = || {
        let message = ServerMessage::decode_length_delimited(&mut bytes).map_err(|error| error.to_string())?;
        FromServer::try_from(message).map_err(|error| error.to_string())
    };
    match (next()?, next()?) {
        (FromServer::Welcome { cluster_id, epoch }, FromServer::Routes(routes)) => {
            Ok((Kept { seen: Some(Seen { cluster_id, epoch }), routes: Some(routes) }, boot))
        }
        _ => Err("it holds other messages than a table".to_owned()),
    }
}

fn encode(routes: RoutesUpdate, seen: Seen, boot: &str) -> Vec<u8> {
    let welcome = FromServer::Welcome { cluster_id: seen.cluster_id, epoch: seen.epoch };
    let mut bytes = format!("{boot}\n").into_bytes();
    for message in [welcome, FromServer::Routes(routes)] {
        bytes.extend(ServerMessage::from(&message).encode_length_delimited_to_vec());
    }
    bytes
}

/// Writes the table when it is time: the newest, and one at a time.
#[derive(Debug)]
pub(super) struct Keeper {
    path: PathBuf,
    due_us: Option<u64>,
    writing: Option<JoinHandle<io::Result<()>>>,
    /// Whether the file is what was last to be written.
    written: bool,
    touched_us: u64,
}

impl Keeper {
    pub fn new(data_dir: &Path) -> Self {
        Self { path: data_dir.join(FILE), due_us: None, writing: None, written: true, touched_us: 0 }
    }

    /// What is to be kept is another.
    pub fn changed(&mut self, now_us: u64) {
        self.due_us.get_or_insert(now_us.saturating_add(micros(WRITE_AFTER)));
    }

    /// When there is something to write; nothing while something is written, whose end is waited for.
    pub const fn next_wake(&self) -> Option<u64> {
        if self.writing.is_some() { None } else { self.due_us }
    }

    /// Begins to write where a change is old enough.
    pub fn save_if_due(&mut self, table: &Table, seen: Option<&Seen>, now_us: u64) {
        if self.writing.is_none() && self.due_us.is_some_and(|due_us| now_us >= due_us) {
            self.begin(table, seen);
        }
    }

    /// Writes where there is a change, after what is being written.
    pub async fn save_now(&mut self, table: &Table, seen: Option<&Seen>) {
        if self.writing.is_some() {
            self.end().await;
        }
        self.begin(table, seen);
        if self.writing.is_some() {
            self.end().await;
        }
    }

    fn begin(&mut self, table: &Table, seen: Option<&Seen>) {
        let (Some(_), Some(seen)) = (self.due_us.take(), seen) else { return };
        let (path, routes, seen) = (self.path.clone(), table.whole(), seen.clone());
        self.writing = Some(spawn_blocking(move || disk::replace(&path, &encode(routes, seen, &boot_id()))));
    }

    /// Waits for the end of what is being written; for ever where nothing is.
    pub async fn end(&mut self) {
        let Some(writing) = &mut self.writing else { return pending().await };
        let ended = writing.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        self.writing = None;
        if let Err(error) = &ended
            && self.written
        {
            warn!(%error, "cannot keep the table in {}: a restart without a server would have none", self.path.display());
        }
        self.written = ended.is_ok();
    }

    /// A server is attached, so what was written is true: the file's time says when. Nothing is written anew for that.
    pub fn touch_file(&mut self, now_us: u64, wall: Timestamp) {
        let is_newest = self.due_us.is_none() && self.writing.is_none() && self.written;
        if !is_newest || now_us.saturating_sub(self.touched_us) < TOUCH_EVERY_US {
            return;
        }
        self.touched_us = now_us;
        let since_epoch = Duration::from_micros(u64::try_from(wall.as_micros()).unwrap_or_default());
        // One that cannot be touched seems older than it is, and costs no more than that.
        if let Ok(file) = File::options().append(true).open(&self.path) {
            let _ = file.set_modified(UNIX_EPOCH + since_epoch);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use fogline_core::id::IdSource;
    use fogline_core::traffic::{Upstream, UpstreamState};

    use super::super::table::tests::service;
    use super::*;
    use crate::clock::Clock;

    fn seen() -> Seen {
        Seen { cluster_id: "c".to_owned(), epoch: 7 }
    }

    fn table() -> Table {
        let mut table = Table::default();
        let mut services = vec![service(1, "a"), service(2, "b")];
        let replica_id = IdSource::new(1).next(Timestamp::EPOCH);
        services[0].upstreams = vec![Upstream { replica_id, endpoint: "a:1".into(), state: UpstreamState::Ready }];
        table.apply(&RoutesUpdate { whole: true, services, ..RoutesUpdate::default() });
        table
    }

    fn now() -> Timestamp {
        Clock::system().wall()
    }

    #[tokio::test]
    async fn what_was_kept_is_what_was_last_and_is_written_once_for_many_changes() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(load(dir.path(), now()), Kept::default());
        let mut keeper = Keeper::new(dir.path());
        keeper.changed(5);
        keeper.changed(900_000);
        assert_eq!(keeper.next_wake(), Some(1_000_005));
        keeper.save_if_due(&Table::default(), Some(&seen()), 1_000_004);
        assert_eq!(load(dir.path(), now()), Kept::default());
        keeper.save_if_due(&table(), Some(&seen()), 1_000_005);
        assert_eq!(keeper.next_wake(), None);
        keeper.end().await;
        assert_eq!(load(dir.path(), now()), Kept { seen: Some(seen()), routes: Some(table().whole()) });
    }

    #[tokio::test]
    async fn a_table_that_may_not_be_true_any_more_has_routes_and_no_replicas() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut keeper = Keeper::new(dir.path());
        keeper.changed(0);
        keeper.save_now(&table(), Some(&seen())).await;
        let replicas = |now: Timestamp| {
            let kept = load(dir.path(), now);
            let services = kept.routes.expect("a table").services;
            assert_eq!((services.len(), kept.seen), (2, Some(seen())));
            services.iter().map(|service| service.upstreams.len()).sum::<usize>()
        };
        let written = now();
        assert_eq!(replicas(written), 1);
        assert_eq!(replicas(Timestamp::EPOCH), 0, "it is of a time to come");
        let later = written.plus(TRUE_FOR * 2);
        assert_eq!(replicas(later), 0, "it is old");
        keeper.changed(0);
        keeper.touch_file(TOUCH_EVERY_US, later);
        assert_eq!(replicas(later), 0, "a newer one is to be written first");
        keeper.save_now(&table(), Some(&seen())).await;
        keeper.touch_file(TOUCH_EVERY_US, later);
        assert_eq!(replicas(later), 1, "a server was there at that time");
        let path = dir.path().join(FILE);
        std::fs::write(path, encode(table().whole(), seen(), "another boot")).expect("written");
        assert_eq!(replicas(now()), 0, "the machine was started since");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn a_damaged_file_is_nothing_or_a_table_and_never_a_panic(at in 0_usize..2_000, byte: u8, cut in 0_usize..2_000) {
            let mut bytes = encode(table().whole(), seen(), "boot");
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = decode(&bytes);
            let _ = decode(&bytes[..cut.min(bytes.len())]);
        }
    }
}
