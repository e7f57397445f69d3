//! A power cut: what was not synced is gone, or half there. Every acknowledged commit is there all the same, and whole.
//!
//! A child commits under `power_cut.c`, which writes down every change of a file and every acknowledgement in order, and
//! is killed; a second one starts on what the first has left. From the journal the test makes the files as they may be
//! found after a power cut at many moments of that, and opens the store on each.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use fogline_core::cluster::{Changes, RevisionRecord};
use fogline_core::record::{DeploymentRecord, NodeRecord, ReplicaRecord, StatusHistoryRecord, UserRecord};
use fogline_core::time::Timestamp;
use fogline_store::{Store, StoreConfig};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::child;
use super::lost_writes::{Chance, Disk, Entry, Image};
use crate::backend::Backend;
use crate::rows::{Rows, START};
use crate::world::{add, change, lead, remove};

const TEST: &str = "faults::power_cut::every_acknowledged_commit_outlives_a_power_cut";
const FILE: &str = "FOGLINE_STORE_TEST_FILE";
const SEED: u64 = 20_251_125;

const ACKNOWLEDGED: &str = "acknowledged ";
const LEADS: &str = "leads in epoch ";

/// How many commits the rows of one stay.
const KEPT: u64 = 30;
/// Every so many commits the log is moved into the file.
const CHECKPOINT_EVERY: u64 = 12;
/// Rows that make a checkpoint due: see `checkpoint.rs`.
const CHECKPOINT_ROWS: usize = 8_192 * 6;
/// Every so many commits the store is closed and opened again.
const CLOSED_EVERY: u64 = 75;
/// More than the parent ever waits for: a child whose parent is gone ends by itself.
const MOST_COMMITS: u64 = 2_000;

/// Stores that are looked at side by side: they mostly wait for the disk.
const AT_A_TIME: usize = 4;

/// What commit number `number` brings, whoever asks.
struct Batch {
    user: UserRecord,
    deployment: DeploymentRecord,
    revision: RevisionRecord,
    replicas: [ReplicaRecord; 2],
    history: [StatusHistoryRecord; 2],
}

/// The rows that are always there; the user says which commit was the last.
fn base(number: u64) -> (UserRecord, NodeRecord) {
    let mut rows = Rows::new(u64::MAX);
    let mut ada = rows.user("ada");
    ada.updated_at = Timestamp::from_micros(START.as_micros() + i64::try_from(number).expect("small"));
    (ada, rows.node("node-01"))
}

impl Batch {
    fn number(number: u64) -> Self {
        let (_, node) = base(number);
        let mut rows = Rows::new(number);
        let user = rows.user(&format!("user-{number}"));
        let deployment = rows.deployment(&user, &format!("app-{number}"));
        let revision = rows.revision(&deployment);
        let replicas = [(); 2].map(|()| rows.replica(&deployment, &node));
        let history = [(1, "none", "pending"), (2, "pending", "running")]
            .map(|(seq, old, new)| rows.history(&deployment, seq, old, new));
        Self { user, deployment, revision, replicas, history }
    }

    fn changes(number: u64) -> Changes {
        let mut changes = Changes::default();
        let (ada, node) = base(number);
        match number.checked_sub(1) {
            Some(before) => change(&mut changes.users, ada.id, &base(before).0, &ada),
            None => {
                add(&mut changes.users, ada.id, &ada);
                add(&mut changes.nodes, node.id, &node);
            }
        }
        let new = Self::number(number);
        add(&mut changes.users, new.user.id, &new.user);
        add(&mut changes.deployments, new.deployment.id, &new.deployment);
        new.replicas.iter().for_each(|replica| add(&mut changes.replicas, replica.id, replica));
        changes.revisions.push(new.revision);
        changes.history.extend(new.history);
        if let Some(old) = number.checked_sub(KEPT) {
            let old = Self::number(old);
            old.replicas.iter().for_each(|replica| remove(&mut changes.replicas, replica.id, replica));
            remove(&mut changes.deployments, old.deployment.id, &old.deployment);
            remove(&mut changes.users, old.user.id, &old.user);
        }
        if number.is_multiple_of(CHECKPOINT_EVERY) {
            // Rows that came and went within the batch: counted, and never written, so that logs stay small.
            let mut rows = Rows::new(u64::MAX / 2);
            let now = rows.now();
            (0..CHECKPOINT_ROWS).for_each(|_| changes.sessions.record(rows.ids.next(now), None, None));
        }
        changes
    }
}

/// Which commit the store has last, if any.
async fn last_commit(store: &Store) -> Result<Option<u64>, String> {
    let ada = store.user_by_name("ada").await.map_err(|error| error.to_string())?;
    Ok(ada.map(|ada| ada.updated_at.as_micros().abs_diff(START.as_micros())))
}

/// Commits until it is killed, and says of each that it is durable.
async fn commit_until_killed() {
    let config = StoreConfig::sqlite(PathBuf::from(child::value(FILE)));
    loop {
        let store = Store::open(&config).await.expect("opens");
        store.migrate().await.expect("migrates");
        let first = last_commit(&store).await.expect("reads").map_or(0, |last| last + 1);
        let lease = lead(&store, &format!("{} from {first}", std::process::id())).await;
        println!("{LEADS}{}", lease.epoch);
        let mut number = first;
        while number == first || !number.is_multiple_of(CLOSED_EVERY) {
            assert!(number < MOST_COMMITS, "nobody has ended this");
            let changes = Batch::changes(number);
            // Now and then somebody reads the whole time, and a checkpoint has to leave some of the log.
            let read = async {
                if number.is_multiple_of(7) {
                    store.load().await.expect("loads");
                }
            };
            tokio::join!(async { store.commit(&lease, &changes).await.expect("commits") }, read);
            println!("{ACKNOWLEDGED}{number}");
            number += 1;
        }
        store.close().await;
    }
}

fn number_after(text: &str, mark: &str) -> Option<u64> {
    let (_, rest) = text.split_once(mark)?;
    Some(rest.lines().next()?.parse().expect("a number"))
}

/// The journal of two lives on the same files, each of them killed at a moment that the seed has a part in.
fn journal() -> &'static [u8] {
    static JOURNAL: OnceLock<Vec<u8>> = OnceLock::new();
    JOURNAL.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path().canonicalize().expect("a path");
        let (library, journal, data) = (root.join("power_cut.so"), root.join("journal"), root.join("data"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/faults/power_cut.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source);
        assert!(compiler.status().expect("a C compiler is installed, as for SQLite itself").success());

        let mut chance = Chance::new(SEED);
        for lived in [0, 200] {
            let last = lived + 130 + chance.below(60);
            let arguments = child::arguments(TEST);
            let mut command = Command::new(&arguments[0]);
            command
                .args(&arguments[1..])
                .env("LD_PRELOAD", &library)
                .env("FOGLINE_JOURNAL", &journal)
                .env("FOGLINE_JOURNAL_OF", &data)
                .env(FILE, data.join("fogline.db"))
                .stdout(Stdio::piped());
            let mut child = child::prepare(&mut command).spawn().expect("runs");
            let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
            let mut heard = Vec::new();
            let reached = lines.by_ref().any(|line| {
                heard.extend(number_after(&line, ACKNOWLEDGED));
                heard.last().is_some_and(|number| *number >= last as u64)
            });
            // Anywhere within the commits that follow.
            std::thread::sleep(Duration::from_micros(chance.below(20_000) as u64));
            child.kill().expect("kill -9");
            child.wait().expect("is gone");
            assert!(reached, "the child has ended by itself, after {heard:?}");
            heard.extend(lines.filter_map(|line| number_after(&line, ACKNOWLEDGED)));
            let mut bytes = fs::read(&journal).expect("reads");
            let (entries, cut_off) = Entry::all(&bytes);
            tells_everything(&entries, &heard, &data);
            bytes.truncate(bytes.len() - cut_off.len());
            fs::write(&journal, bytes).expect("writes");
        }
        fs::read(&journal).expect("reads")
    })
}

/// The journal holds what the world has heard and what the files have become, so nothing got past it.
fn tells_everything(entries: &[Entry<'_>], heard: &[u64], data: &Path) {
    let mut disk = Disk::default();
    let mut said = BTreeSet::new();
    for entry in entries {
        disk.apply(*entry);
        if let Entry::Say { text } = entry {
            said.extend(number_after(text, ACKNOWLEDGED));
        }
    }
    assert!(heard.iter().all(|number| said.contains(number)), "heard {heard:?}, the journal has {said:?}");
    let files: Vec<_> = fs::read_dir(data).expect("a directory").map(|file| file.expect("a file")).collect();
    let journaled = disk.now();
    // Where the kill came in the middle of the last change, either may be ahead.
    if !matches!(entries.last(), Some(Entry::Announce)) {
        let names = files.iter().map(|file| file.file_name().into_string().expect("text")).collect::<BTreeSet<_>>();
        assert!(names.iter().eq(journaled.keys()), "{:?} became {names:?}", journaled.keys());
    }
    for file in files {
        let name = file.file_name().into_string().expect("text");
        let Some(journaled) = journaled.get(&name).filter(|_| !name.ends_with("-shm")) else { continue };
        let sure = match entries.last() {
            Some(Entry::Write { file: last, offset: end, .. } | Entry::Truncate { file: last, bytes: end })
                if *last == file.ino() =>
            {
                *end
            }
            _ => usize::MAX,
        };
        let found = fs::read(file.path()).expect("reads");
        let same = found[..sure.min(found.len())] == journaled[..sure.min(journaled.len())];
        assert!(same, "{name} has {} bytes that are not those of the journal", found.len());
    }
}

/// What was promised up to some moment.
#[derive(Clone, Copy, Default, Debug)]
struct Promised {
    commit: Option<u64>,
    epoch: u64,
}

impl Promised {
    fn hear(&mut self, entry: Entry<'_>) {
        if let Entry::Say { text } = entry {
            self.commit = number_after(text, ACKNOWLEDGED).or(self.commit);
            self.epoch = number_after(text, LEADS).unwrap_or(self.epoch);
        }
    }
}

/// What is wrong with a store after a power cut.
#[derive(Debug)]
#[expect(dead_code, reason = "the fields are for whoever reads the failure")]
enum Finding {
    /// It does not open, or cannot be used.
    Refused(String),
    /// A promise was broken.
    Lost { promised: Promised, found: Option<u64>, epoch: u64 },
    /// It has what nobody has ever committed.
    Half(String),
}

/// Opens a store on what a power cut has left, and looks.
async fn check(image: &Image, promised: Promised) -> Result<(), Finding> {
    let backend = Backend::sqlite().await;
    let data = backend.file().parent().expect("a parent").to_owned();
    fs::create_dir_all(&data).expect("a directory");
    for (name, bytes) in image {
        fs::write(data.join(name), bytes).expect("writes");
    }
    let store = Store::open(&backend.config()).await.map_err(|error| Finding::Refused(error.to_string()))?;
    let refused = |error: &dyn ToString| Finding::Refused(error.to_string());
    store.migrate().await.map_err(|error| refused(&error))?;
    let lease = lead(&store, "after the power cut").await;
    let found = last_commit(&store).await.map_err(Finding::Refused)?;
    if found < promised.commit || lease.epoch <= promised.epoch {
        return Err(Finding::Lost { promised, found, epoch: lease.epoch });
    }
    whole(&backend, &store, found).await?;
    let next = found.map_or(0, |last| last + 1);
    if next > promised.commit.map_or(0, |last| last + 1) + 1 {
        return Err(Finding::Half(format!("commit {found:?} was never made: {promised:?}")));
    }
    store.commit(&lease, &Batch::changes(next)).await.map_err(|error| refused(&error))?;
    store.close().await;
    Ok(())
}

/// Whether the store has every row of the commits up to this one, and nothing else.
async fn whole(backend: &Backend, store: &Store, last: Option<u64>) -> Result<(), Finding> {
    let mut durable = store.load().await.map_err(|error| Finding::Half(error.to_string()))?;
    let (mut users, mut nodes, mut deployments) = (Vec::new(), Vec::new(), Vec::new());
    let (mut revisions, mut replicas, mut history) = (Vec::new(), Vec::new(), 0);
    if let Some(last) = last {
        let (ada, node) = base(last);
        users.push(ada);
        nodes.push(node);
        for batch in ((last + 1).saturating_sub(KEPT)..=last).map(Batch::number) {
            users.push(batch.user);
            deployments.push(batch.deployment);
            revisions.push(batch.revision);
            replicas.extend(batch.replicas);
            history += batch.history.len();
        }
    }
    users.sort_by_key(|row| row.id);
    deployments.sort_by_key(|row| row.id);
    revisions.sort_by_key(|row| row.deployment_id);
    replicas.sort_by_key(|row| row.id);
    durable.revisions.sort_by_key(|row| row.deployment_id);
    let same = durable.users == users
        && durable.nodes == nodes
        && durable.deployments == deployments
        && durable.revisions == revisions
        && durable.replicas == replicas;
    if !same {
        return Err(Finding::Half(format!("after commit {last:?} there is {durable:?}")));
    }
    // Indexes too, which opening does not compare with their tables.
    let looked = backend
        .sql(
            "SELECT (SELECT group_concat(integrity_check) FROM pragma_integrity_check), \
             (SELECT count(*) FROM pragma_foreign_key_check), (SELECT count(*) FROM deployment_status_history)",
        )
        .await
        .map_err(|error| Finding::Half(error.to_string()))?;
    if looked != [["ok".to_owned(), "0".to_owned(), history.to_string()]] {
        return Err(Finding::Half(format!("after commit {last:?}: {looked:?}")));
    }
    Ok(())
}

/// Cuts the power before each of these entries in turn, and looks at what `left` finds on a disk that forgets to do some
/// of them.
async fn cut<'a>(
    entries: &[Entry<'a>],
    moments: &BTreeSet<usize>,
    forgets: impl Fn(usize, &Entry<'a>) -> bool,
    mut left: impl FnMut(&Disk<'a>) -> Image,
) -> Vec<(usize, Finding)> {
    let (mut disk, mut promised) = (Disk::default(), Promised::default());
    let mut checks = FuturesUnordered::new();
    let mut checked = Vec::new();
    for (at, entry) in entries.iter().enumerate() {
        if moments.contains(&at) {
            if checks.len() == AT_A_TIME {
                checked.extend(checks.next().await);
            }
            let image = left(&disk);
            checks.push(async move { check(&image, promised).await.err().map(|finding| (at, finding)) });
        }
        if !forgets(at, entry) {
            disk.apply(*entry);
        }
        promised.hear(*entry);
    }
    checked.extend(checks.collect::<Vec<_>>().await);
    assert_eq!(checked.len(), moments.len(), "each moment is one of the journal's");
    let mut findings: Vec<_> = checked.into_iter().flatten().collect();
    findings.sort_by_key(|(at, _)| *at);
    findings
}

fn places(entries: &[Entry<'_>], of: impl Fn(&Entry<'_>) -> bool) -> Vec<usize> {
    (0..entries.len()).filter(|at| of(&entries[*at])).collect()
}

const fn is_sync(entry: &Entry<'_>) -> bool {
    matches!(entry, Entry::Sync { .. } | Entry::SyncDirectory)
}

fn is_sync_of(entry: &Entry<'_>, file: &str) -> bool {
    matches!(entry, Entry::Sync { name, .. } if *name == file)
}

/// A log that is begun, or begun again once all of it is in the file.
const fn begins_a_log(entry: &Entry<'_>) -> bool {
    matches!(entry, Entry::Write { offset: 0, data, .. } if data.len() == 32)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_commit_outlives_a_power_cut() {
    if child::is_child() {
        return commit_until_killed().await;
    }
    let (entries, _) = Entry::all(journal());
    let syncs = places(&entries, is_sync);
    let checkpoints = places(&entries, |entry| is_sync_of(entry, "fogline.db"));
    let logs = places(&entries, begins_a_log);
    let names = places(&entries, |entry| matches!(entry, Entry::Create { .. } | Entry::Unlink { .. }));
    let promises = places(&entries, |entry| matches!(entry, Entry::Say { .. }));
    assert!(promises.len() > 300 && checkpoints.len() > 20 && logs.len() > 15, "{promises:?} {checkpoints:?} {logs:?}");

    let mut moments = BTreeSet::new();
    for at in syncs.iter().rev().take(20) {
        moments.extend([*at, at + 1]);
    }
    let mut chance = Chance::new(SEED ^ 1);
    for _ in 0..13 {
        for places in [&promises, &syncs, &checkpoints, &logs, &names] {
            // Just before, just after, or soon.
            moments.insert(places[chance.below(places.len())] + [0, 1, 3][chance.below(3)]);
        }
        moments.insert(chance.below(entries.len()));
    }
    // The kill may have come right after the last one.
    moments.retain(|at| *at < entries.len());
    let findings = cut(&entries, &moments, |_, _| false, |disk| disk.after_power_cut(&mut chance)).await;
    assert!(findings.is_empty(), "seed {SEED}, {} of {} power cuts: {findings:#?}", findings.len(), moments.len());
}

/// The test above can fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_that_does_nothing_is_found_out() {
    let (entries, _) = Entry::all(journal());
    let logs = places(&entries, |entry| is_sync_of(entry, "fogline.db-wal"));
    // Some checkpoints long.
    let honest_until = logs[logs.len() - 60];

    // As with `synchronous=OFF`: the power is cut after each of the last commits.
    let moments: BTreeSet<_> = logs[logs.len() - 9..logs.len() - 1].iter().map(|at| at + 1).collect();
    let findings = cut(&entries, &moments, |at, entry| at > honest_until && is_sync(entry), Disk::synced).await;
    let lost = findings.iter().filter(|(_, finding)| matches!(finding, Finding::Lost { .. })).count();
    assert_eq!(lost, moments.len(), "no sync did anything, and only this was noticed: {findings:#?}");

    // As where the log is used again before the disk has what was in it: the power is cut after the first commit (the
    // second sync, the first being of the log's head) in each of the last two logs. Later ones may cover every page.
    let first_commit = |begun: usize| logs.iter().filter(|at| **at > begun).nth(1).map(|at| at + 1);
    let begun = places(&entries, begins_a_log);
    let first_commits = begun.into_iter().rev().filter_map(first_commit).filter(|at| *at < entries.len());
    let moments: BTreeSet<_> = first_commits.take(2).collect();
    let forgets = |at, entry: &Entry<'_>| at > honest_until && is_sync_of(entry, "fogline.db");
    let findings = cut(&entries, &moments, forgets, Disk::synced).await;
    assert_eq!(
        findings.len(),
        moments.len(),
        "no checkpoint got to the disk, and only this was noticed: {findings:#?}"
    );
}
