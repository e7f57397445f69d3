//! A cluster's host is lost, and the cluster is not: backed up while it works, wiped, restored elsewhere.
//!
//! Server and agent are processes of their own, each with a directory of its own, as on two hosts. What must hold: agents
//! follow the restored cluster, and no replica is stopped, started or doubled by any of it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use fogline_testbed::Postgres;
use serde_json::Value;
use tokio::time::Instant;

use crate::harness::{Dev, run_in, run_with_input, wait_for};
use crate::site::Site;

/// Those that ran before run on: the same replicas, the same processes.
#[track_caller]
fn undisturbed(site: &Site, before: &BTreeMap<String, i32>) {
    assert_eq!(&site.running(), before, "nothing was killed, started or doubled");
}

fn replicas(site: &Site, name: &str) -> BTreeMap<String, String> {
    let list = site.json(&["replicas", name]);
    let pair = |one: &Value| Some((one["id"].as_str()?.to_owned(), one["status"].as_str()?.to_owned()));
    list.as_array().expect("a list").iter().map(|one| pair(one).expect("a replica")).collect()
}

#[test]
fn a_cluster_moves_to_another_host_and_nothing_is_killed() {
    let mut site = Site::start();
    site.cli(&["deploy", "web", "--replicas", "3", "--wait", "--", "sleep", "1000000"]).ok();
    let before = site.running();
    assert_eq!(before.len(), 3);
    let epoch = site.obeyed();

    let (data, file) = (site.text("first"), site.text("monday.fogline"));
    let said = site.cli(&["backup", "--data", &data, "--to", &file]).ok();
    assert!(said.contains("deployment_replicas") && said.contains("agent.token, jwt.key"), "{said}");
    assert_eq!(fs::metadata(&file).expect("written").permissions().mode() & 0o777, 0o600);

    site.lose_server("first");
    let elsewhere = site.text("second");
    let said = site.cli(&["restore", "--from", &file, "--data", &elsewhere]).ok();
    assert!(said.contains("SAME") && said.contains("agent.token"), "{said}");
    undisturbed(&site, &before);
    site.start_server("second");
    site.wait_for_epoch_above(epoch);
    // Who was logged in still is: sessions and keys came along.
    site.wait_for_nodes();
    wait_for("the API to show them as they run", || {
        let status = site.json(&["status", "web"]);
        (status["status"] == "running" && status["health"]["ready"] == 3).then_some(())
    });
    let listed = replicas(&site, "web");
    assert!(listed.keys().eq(before.keys()) && listed.values().all(|status| status == "running"), "{listed:?}");
    undisturbed(&site, &before);

    // The agent's host restarts its agent, too.
    Site::kill(&mut site.agent);
    site.start_agent();
    site.cli(&["scale", "web", "5", "--wait"]).ok();
    let after = site.running();
    assert_eq!(after.len(), 5);
    assert!(before.iter().all(|(replica, pid)| after.get(replica) == Some(pid)), "{before:?} {after:?}");
    let history = site.cli(&["history", "web"]).ok();
    assert!(
        history.contains("Scheduled 3 replicas") && history.contains("Scaled up from 3 to 5 replicas"),
        "{history}"
    );
}

#[test]
fn what_an_old_backup_does_not_know_is_reported_and_kept() {
    let mut site = Site::start();
    site.cli(&["deploy", "web", "--replicas", "2", "--wait", "--", "sleep", "1000000"]).ok();
    let known = site.running();
    let (data, file) = (site.text("first"), site.text("old.fogline"));
    site.cli(&["backup", "--data", &data, "--to", &file]).ok();

    // The cluster goes on: more replicas, two more take-overs.
    site.cli(&["scale", "web", "4", "--wait"]).ok();
    for _ in 0..2 {
        let epoch = site.obeyed();
        Site::kill(&mut site.server);
        site.start_server("first");
        site.wait_for_epoch_above(epoch);
    }
    let before = site.running();
    assert_eq!(before.len(), 4);
    let epoch = site.obeyed();

    site.lose_server("first");
    site.cli(&["restore", "--from", &file, "--data", &site.text("second")]).ok();
    site.start_server("second");
    site.wait_for_epoch_above(epoch);
    let unknown: Vec<(String, String)> = wait_for("the replicas that the backup does not know to be reported", || {
        let nodes = site.json(&["node", "list"]);
        let unlisted = |node: &Value| -> Option<Vec<(String, String)>> {
            let name = node["name"].as_str()?;
            node["unlisted"].as_array()?.iter().map(|id| Some((name.to_owned(), id.as_str()?.to_owned()))).collect()
        };
        let all: Vec<_> = nodes.as_array()?.iter().map(unlisted).collect::<Option<Vec<_>>>()?.concat();
        (all.len() == 2).then_some(all)
    });
    assert!(unknown.iter().all(|(_, replica)| before.contains_key(replica) && !known.contains_key(replica)));
    let listed = replicas(&site, "web");
    assert!(listed.keys().eq(known.keys()) && listed.values().all(|status| status == "running"), "{listed:?}");
    undisturbed(&site, &before);

    // Only an explicit stop stops one.
    let (node, replica) = &unknown[0];
    site.cli(&["node", "stop-unlisted", node, replica]).ok();
    wait_for("the one that was told to stop", || (!site.running().contains_key(replica)).then_some(()));
    let mut wanted = before.clone();
    wanted.remove(replica);
    undisturbed(&site, &wanted);
    site.cli(&["scale", "web", "3", "--wait"]).ok();
    assert!(wanted.iter().all(|(replica, pid)| site.running().get(replica) == Some(pid)));
}

#[test]
fn a_cluster_moves_to_postgres_and_back_and_nothing_is_killed() {
    let postgres = Postgres::shared();
    let database = postgres.database();
    let mut site = Site::start();
    site.cli(&["deploy", "web", "--replicas", "2", "--wait", "--", "sleep", "1000000"]).ok();
    let before = site.running();
    let epoch = site.obeyed();
    Site::kill(&mut site.server);
    let said = site.cli(&["db", "copy", "--from", &site.text("first"), "--to", &database.url()]).ok();
    assert!(said.contains("SAME") && said.contains("keys are not copied"), "{said}");

    // The keys are in the data directory, as before.
    site.database_url = Some(database.url());
    site.start_server("first");
    site.wait_for_epoch_above(epoch);
    site.wait_for_nodes();
    undisturbed(&site, &before);
    site.cli(&["scale", "web", "3", "--wait"]).ok();
    let (before, epoch) = (site.running(), site.obeyed());
    assert_eq!(before.len(), 3);

    let (url, file) = (database.url(), site.text("postgres.fogline"));
    let place = ["--data", &site.text("first"), "--database-url", &url];
    site.cli(&[&["backup", "--to", &file][..], &place].concat()).ok();
    site.cli(&[&["restore", "--from", &file, "--replace"][..], &place].concat()).fails(7, &["in use by a server"]);
    let strange = ["--data", &site.text("strange"), "--database-url", &url];
    site.cli(&[&["backup", "--to", &file][..], &strange].concat()).fails(3, &["cannot read the key", "--without-keys"]);
    fs::create_dir_all(site.path("strange/keys")).expect("made");
    for key in ["agent.token", "keys/jwt.key"] {
        fs::write(site.path("strange").join(key), "0".repeat(64)).expect("written");
    }
    site.cli(&[&["backup", "--to", &file][..], &strange].concat()).fails(4, &["are not those of the cluster"]);

    site.lose_server("first");
    site.database_url = None;
    site.cli(&["restore", "--from", &file, "--data", &site.text("second")]).ok();
    site.start_server("second");
    site.wait_for_epoch_above(epoch);
    wait_for("the API to show them as they run", || {
        (site.json(&["status", "web"])["health"]["ready"] == 3).then_some(())
    });
    undisturbed(&site, &before);
}

#[test]
fn a_backup_under_load_holds_each_change_whole() {
    const DEPLOYMENTS: usize = 20;
    let dev = Dev::start_with(&["--nodes", "4", "--node-cpu", "64", "--node-memory-mb", "65536"]);
    dev.log_in();
    // Scaling what is stopped changes rows and starts no processes: the load is on the database.
    for number in 0..DEPLOYMENTS {
        dev.cli(&["deploy", &format!("light-{number}"), "--", "sleep", "1000"]).ok();
    }
    for number in 0..DEPLOYMENTS {
        dev.cli(&["stop", &format!("light-{number}"), "--wait"]).ok();
    }
    let listed: Value = serde_json::from_str(&dev.cli(&["list", "-o", "json"]).ok()).expect("JSON");
    let ids = listed.as_array().expect("a list").iter().map(|one| one["id"].as_str().expect("an id").to_owned());
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let stop = Arc::new(AtomicBool::new(false));
    let (answered, since) = (Arc::new(AtomicU32::new(0)), Instant::now());
    let http = reqwest::Client::new();
    let callers: Vec<_> = ids
        .map(|id| {
            let (http, stop, answered) = (http.clone(), Arc::clone(&stop), Arc::clone(&answered));
            let (url, token) = (format!("{}/api/v1/deployments/{id}/scale", dev.url), dev.token());
            runtime.spawn(async move {
                for number in 1_u64.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let body = serde_json::json!({ "replicas": number % 100 + 1 });
                    let sent = http.post(&url).bearer_auth(&token).json(&body).send().await.expect("is answered");
                    assert!(sent.status().is_success(), "{}", sent.text().await.unwrap_or_default());
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let (data, file) = (dev.data.display().to_string(), dev.home().join("backup").display().to_string());
    let (mut held, mut at) = (Vec::new(), Vec::new());
    while held.len() < 6 || since.elapsed_by_tokio() < Duration::from_secs(4) {
        dev.cli(&["backup", "--data", &data, "--to", &file]).ok();
        held.push(whole_changes(Path::new(&file)));
        at.push(answered.load(Ordering::Relaxed));
    }
    stop.store(true, Ordering::Relaxed);
    let rate = f64::from(answered.load(Ordering::Relaxed)) / since.elapsed_by_tokio().as_secs_f64();
    runtime.block_on(async {
        for caller in callers {
            caller.await.expect("every call was answered");
        }
    });
    eprintln!("{} backups at {rate:.0} scale calls/s", held.len());
    assert!(held.windows(2).all(|two| two[0] < two[1]), "changes went on between the backups: {held:?}");
    dev.cli(&["backup", "--data", &data, "--to", &file]).ok();
    let scaled = whole_changes(Path::new(&file)) - held[0];
    let acknowledged = answered.load(Ordering::Relaxed) - at[0];
    assert!(scaled >= u64::from(acknowledged), "{acknowledged} were acknowledged since the first, {scaled} are in it");
}

trait ByTokio {
    fn elapsed_by_tokio(&self) -> Duration;
}

impl ByTokio for Instant {
    fn elapsed_by_tokio(&self) -> Duration {
        Instant::now().saturating_duration_since(*self)
    }
}

/// How many lines of history a backup has, after looking whether each deployment has exactly those that its row counts,
/// and the target that the last one names.
fn whole_changes(file: &Path) -> u64 {
    let mut text = String::new();
    let packed = fs::File::open(file).expect("a backup");
    flate2::read::GzDecoder::new(packed).read_to_string(&mut text).expect("unpacks");
    let (mut table, mut columns) = (String::new(), Vec::new());
    let mut deployments: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let mut lines: BTreeMap<String, BTreeMap<u64, String>> = BTreeMap::new();
    for line in text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")) {
        if let Some(name) = line["table"].as_str() {
            table = name.to_owned();
            columns = line["columns"].as_array().expect("a list").clone();
            continue;
        }
        let at = |name: &str| &line[columns.iter().position(|column| column == name).expect("a column")];
        let text = |name: &str| at(name).as_str().expect("text").to_owned();
        let number = |name: &str| at(name).as_u64().expect("a number");
        match table.as_str() {
            "deployments" => drop(deployments.insert(text("id"), (number("history_seq"), number("target_replicas")))),
            "deployment_status_history" => {
                lines.entry(text("deployment_id")).or_default().insert(number("seq"), text("reason"));
            }
            _ => {}
        }
    }
    let mut total = 0;
    for (id, (seq, target)) in deployments {
        let history = &lines[&id];
        assert!(history.keys().copied().eq(1..=seq), "{id} has lines {:?}, and its row says {seq}", history.keys());
        let last = history[&seq].clone();
        if let Some((_, to)) = last.split_once(" to ") {
            let to: u64 = to.split(' ').next().and_then(|count| count.parse().ok()).expect("a count");
            assert_eq!(to, target, "{id}: {last}");
        }
        total += seq;
    }
    total
}

#[test]
fn each_way_to_fail_changes_nothing_and_says_what_to_do() {
    let dev = Dev::start_with(&["--nodes", "1"]);
    let home = dev.home();
    let data = dev.data.display().to_string();
    let path = |name: &str| home.join(name).display().to_string();
    let run = |args: &[&str]| run_in(home, &[], args);
    run(&["backup", "--data", &path("nowhere"), "--to", &path("b")]).fails(3, &["there is no database at", "--data"]);
    run(&["backup", "--data", &data, "--to", home.to_str().expect("a path")]).fails(2, &["is a directory"]);
    run(&["backup", "--data", &data, "--to", &path("no/such/b")])
        .fails(1, &["cannot write the backup", "No such file"]);
    run(&["backup", "--data", &data, "--to", "/dev/full/b"]).fails(1, &["cannot write the backup"]);
    run(&["backup", "--data", &data, "--to", &path("b")]).ok();
    let whole = fs::read(path("b")).expect("written");

    // Standard output is a file as well, and a full disk is told.
    let full = std::process::Command::new("sh")
        .args(["-c", &format!("exec {} backup --data {data} --to - > /dev/full", crate::harness::FOGLINE)])
        .output()
        .expect("a shell");
    let said = String::from_utf8_lossy(&full.stderr);
    assert!(full.status.code() == Some(1) && said.contains("No space left on device"), "{said}");

    // The server works here.
    run(&["restore", "--from", &path("b"), "--data", &data, "--replace"]).fails(7, &["in use by process"]);
    run(&["db", "copy", "--from", &path("empty"), "--to", &path("c")]).fails(3, &["there is no database"]);
    run(&["db", "copy", "--from", &data, "--to", &data]).fails(2, &["the same database"]);
    run(&["db", "copy", "--from", &data, "--to", "mysql://x"]).fails(2, &["postgres://", "sqlite:"]);
    let copied = run(&["db", "copy", "--from", &data, "--to", &path("c")]);
    assert!(copied.stderr.contains("a server works with the database"), "{}", copied.stderr);
    assert!(copied.ok().contains("keys are not copied"));
    run(&["db", "copy", "--from", &data, "--to", &path("c")]).fails(4, &["not empty", "--replace"]);

    run(&["restore", "--from", &path("gone"), "--data", &path("r")]).fails(3, &["cannot read the backup"]);
    fs::write(path("torn"), &whole[..whole.len() - 20]).expect("written");
    run(&["restore", "--from", &path("torn"), "--data", &path("r")]).fails(4, &["torn", "Use another one"]);
    fs::write(path("other"), "hello").expect("written");
    run(&["restore", "--from", &path("other"), "--data", &path("r")]).fails(4, &["no backup of Fogline"]);
    assert!(!home.join("r").exists(), "nothing was made");
    // Another cluster's key is there.
    fs::create_dir(path("r")).expect("made");
    fs::write(path("r/agent.token"), "another\n").expect("written");
    run(&["restore", "--from", &path("b"), "--data", &path("r")])
        .fails(4, &["agent.token is there already", "--replace"]);
    assert!(!home.join("r/fogline.db").exists(), "nothing was made");
    run(&["restore", "--from", &path("b"), "--data", &path("r"), "--replace"]).ok();
    assert_eq!(fs::read_to_string(path("r/agent.token.before-restore-1")).expect("kept"), "another\n");
    run(&["restore", "--from", &path("b"), "--data", &path("r")]).fails(4, &["not empty", "--replace"]);
}

#[test]
fn keys_may_stay_out_and_streams_are_files() {
    let dev = Dev::start_with(&["--nodes", "1"]);
    let home = dev.home();
    let data = dev.data.display().to_string();
    let path = |name: &str| home.join(name).display().to_string();
    run_in(home, &[], &["backup", "--data", &data, "--to", &path("bare"), "--without-keys"]).ok();
    let said = run_in(home, &[], &["restore", "--from", &path("bare"), "--data", &path("r")]).ok();
    assert!(said.contains("no keys were written") && !home.join("r/agent.token").exists(), "{said}");

    let pipe = format!(
        "{0} backup --data {data} --to - | {0} restore --from - --data {1} -o json",
        crate::harness::FOGLINE,
        path("s")
    );
    let out = std::process::Command::new("sh").args(["-c", &pipe]).current_dir(home).output().expect("a shell");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let restored: Value = serde_json::from_slice(&out.stdout).expect("JSON");
    assert_eq!(restored["keys_written"].as_array().map(Vec::len), Some(2), "{restored}");
    let read = |name: &str| fs::read(name).expect("is there");
    assert_eq!(read(&path("s/agent.token")), read(&format!("{data}/agent.token")));
    assert_eq!(read(&path("s/keys/jwt.key")), read(&format!("{data}/keys/jwt.key")));
    run_with_input(home, &[], &["restore", "--from", "-", "--data", &path("t")], "nonsense").fails(4, &["no backup"]);
}
