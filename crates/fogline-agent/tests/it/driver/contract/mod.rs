//! What every driver does: each test here is played with processes, with Docker's containers, and with Podman's.

mod rig;

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use fogline_agent::driver::{Adopted, AdoptedState, DriverError, ExitCause, LogsError, Signal, StartError, StartOrder};
use tokio_stream::StreamExt;

use super::harness::{until, within};
pub(super) use rig::{IMAGE, Kind, Rig, get, play};

macro_rules! all {
    ($($name:ident),* $(,)?) => {
        mod process {
            use super::{Kind, play};
            $(#[test] fn $name() { play(Kind::Process, super::$name); })*
        }
        mod docker {
            use super::{Kind, play};
            $(#[test] fn $name() { play(Kind::Docker, super::$name); })*
        }
        mod podman {
            use super::{Kind, play};
            $(#[test] fn $name() { play(Kind::Podman, super::$name); })*
        }
    };
}

all![
    what_is_started_answers_at_its_port_and_knows_who_it_is,
    an_end_is_told_once_with_its_code,
    please_stop_is_heard_and_kill_needs_no_hearing,
    a_run_is_started_once,
    what_runs_is_adopted_and_runs_on,
    what_ended_without_an_agent_is_told_until_it_is_forgotten,
    what_runs_is_not_forgotten,
    one_that_takes_too_much_memory_is_told_so,
    one_that_starts_without_end_is_held,
    usage_is_measured,
    output_is_kept_over_runs_and_tailed,
    a_line_that_comes_in_pieces_stays_whole_and_in_its_place,
    a_follower_goes_on_over_a_restart_and_ends_with_the_replica,
    a_program_that_is_not_there_is_told,
    many_starts_leave_nothing_behind,
];

async fn what_is_started_answers_at_its_port_and_knows_who_it_is(mut rig: Rig) {
    let order = rig.order(&[]);
    let started = rig.start(&order).await.expect("started");
    assert!(!started.port_unused && !started.container_id.is_empty());
    let said = rig.ask(&order, "/").await;
    assert!(said.contains(&format!("replica={}\n", order.replica_id)), "{said}");
    let said = rig.ask(&order, "/env").await;
    let env: BTreeMap<&str, &str> = said.lines().filter_map(|line| line.split_once('=')).collect();
    for (name, value) in [
        ("COLOR", "blue"),
        ("FOGLINE_DEPLOYMENT", "web"),
        ("FOGLINE_NODE", "edge-1"),
        ("FOGLINE_REVISION", "3"),
        ("FOGLINE_RUN", "1"),
    ] {
        assert_eq!(env.get(name), Some(&value), "{name} in {said}");
    }
    let port = if rig.kind == Kind::Process { order.port.expect("a port") } else { 8080 };
    assert_eq!(env.get("PORT").copied(), Some(port.to_string().as_str()), "{said}");
    assert!(!said.contains("CARGO"), "nothing of the agent's own environment: {said}");
    rig.kill(&order).await;
    rig.forget(&[&order]).await;
}

async fn an_end_is_told_once_with_its_code(mut rig: Rig) {
    for (code, message) in [(0, "exited with code 0"), (7, "exited with code 7")] {
        let order = rig.order(&[]);
        rig.run(&order).await;
        assert_eq!(rig.asked_once(&order, &format!("/exit?code={code}")), None, "it ends without an answer");
        let exit = rig.exit(&order).await;
        assert_eq!((exit.code, exit.cause, exit.message.as_str()), (Some(code), ExitCause::Exited, message));
        let refused = rig.driver().signal(order.replica_id, Signal::Terminate).await;
        assert!(matches!(refused, Err(DriverError::NotRunning(_))), "{refused:?}");
        rig.forget(&[&order]).await;
    }
    // One that ends before anybody could look at it.
    let order = rig.order(&["--exit", "3"]);
    rig.start(&order).await.expect("it has run");
    assert_eq!(rig.exit(&order).await.code, Some(3));
    rig.forget(&[&order]).await;
}

async fn please_stop_is_heard_and_kill_needs_no_hearing(mut rig: Rig) {
    let heeds = rig.order(&[]);
    rig.run(&heeds).await;
    rig.signal(&heeds, Signal::Terminate).await;
    let exit = rig.exit(&heeds).await;
    assert_eq!((exit.code, exit.cause), (Some(0), ExitCause::Exited));
    assert!(rig.tail(&heeds, 2).await.ends_with("stopping\nstopped\n"));

    // A program that says nothing about SIGTERM ends by it, in a container as on the machine.
    let sleeps = rig.order(&["--sleep-ms", "600000"]);
    rig.start(&sleeps).await.expect("started");
    // The first process of a container hears nothing before it has said that it wants to.
    let exit = loop {
        rig.signal(&sleeps, Signal::Terminate).await;
        if let Ok(exit) = tokio::time::timeout(Duration::from_millis(500), rig.exit(&sleeps)).await {
            break exit;
        }
    };
    assert_eq!((exit.code, exit.cause), (Some(143), ExitCause::Signalled), "{}", exit.message);

    let ignores = rig.order(&["--ignore-term"]);
    rig.run(&ignores).await;
    rig.signal(&ignores, Signal::Terminate).await;
    rig.ask(&ignores, "/").await;
    let exit = rig.kill(&ignores).await;
    assert_eq!((exit.code, exit.cause), (Some(137), ExitCause::Signalled));
    assert_eq!(exit.message, "ended by signal 9 (SIGKILL)");
    rig.forget(&[&heeds, &sleeps, &ignores]).await;
}

async fn a_run_is_started_once(mut rig: Rig) {
    let mut order = rig.order(&[]);
    rig.run(&order).await;
    for run in [1, 2] {
        order.run = run;
        assert_eq!(rig.start(&order).await, Err(StartError::StillRunning { run: 1 }));
    }
    order.run = 1;
    rig.kill(&order).await;
    assert_eq!(rig.start(&order).await, Err(StartError::AlreadyStarted { run: 1, recorded: 1 }));
    order.run = 2;
    rig.run(&order).await;
    assert!(rig.ask(&order, "/env").await.contains("FOGLINE_RUN=2\n"));
    rig.kill(&order).await;
    rig.forget(&[&order]).await;
}

async fn what_runs_is_adopted_and_runs_on(mut rig: Rig) {
    let order = rig.order(&[]);
    let container_id = rig.run(&order).await;
    let before = rig.ask(&order, "/").await;
    let adopted = rig.new_agent().await;
    let [Adopted { order: found, container_id: Some(same), state: AdoptedState::Alive }] = &adopted[..] else {
        panic!("{adopted:?}")
    };
    // An engine may know of an image's digest although no registry was asked.
    let known = StartOrder { image_digest: None, ..found.clone() };
    assert_eq!((&known, same), (&order, &container_id));
    let mut again = order.clone();
    again.run = 2;
    assert_eq!(rig.start(&again).await, Err(StartError::StillRunning { run: 1 }));
    assert_eq!(rig.ask(&order, "/").await, before, "it is the same one");
    // It is watched and can be signalled as if this agent had started it.
    rig.signal(&order, Signal::Terminate).await;
    assert_eq!(rig.exit(&order).await.code, Some(0));
    rig.run(&again).await;
    rig.kill(&again).await;
    rig.forget(&[&order]).await;
}

async fn what_ended_without_an_agent_is_told_until_it_is_forgotten(mut rig: Rig) {
    let order = rig.order(&[]);
    rig.run(&order).await;
    rig.end_agent();
    assert_eq!(rig.asked_once(&order, "/exit?code=5"), None);
    until("it has ended", || rig.asked_once(&order, "/").is_none()).await;
    for _ in 0..2 {
        let mut told = rig.new_agent().await;
        // The port closes a moment before the end is known.
        if matches!(told[..], [Adopted { state: AdoptedState::Alive, .. }]) {
            rig.exit(&order).await;
            told = rig.new_agent().await;
        }
        let [Adopted { state: AdoptedState::Exited(exit), .. }] = &told[..] else { panic!("{told:?}") };
        assert_eq!((exit.code, &exit.cause), (Some(5), &ExitCause::Exited));
        rig.no_event();
    }
    rig.forget(&[&order]).await;
    assert_eq!(rig.new_agent().await, vec![]);
}

async fn what_runs_is_not_forgotten(mut rig: Rig) {
    let order = rig.order(&[]);
    rig.run(&order).await;
    rig.driver().forget(order.replica_id);
    // Nor by an agent that does not know of it yet.
    rig.new_agent_without_adopting();
    rig.driver().forget(order.replica_id);
    rig.ask(&order, "/").await;
    assert_eq!(within(rig.driver().adopt()).await.len(), 1);
    rig.kill(&order).await;
    rig.forget(&[&order]).await;
}

async fn one_that_takes_too_much_memory_is_told_so(mut rig: Rig) {
    let order = rig.order(&[]);
    rig.run(&order).await;
    assert_eq!(rig.asked_once(&order, "/eat?mb=200"), None, "it does not survive: {}", rig.driver().limits());
    let exit = rig.exit(&order).await;
    assert_eq!(exit.code, Some(137));
    if rig.kind == Kind::Podman && exit.cause == ExitCause::Signalled {
        // Before 5.0 it looks for the note of that in one place while its monitor leaves it in another.
        assert_eq!(exit.message, "ended by signal 9 (SIGKILL)");
        let said = rig.driver().limits();
        assert!(["Podman 3.", "Podman 4."].iter().any(|old| said.contains(old)), "this one is to tell: {said}");
    } else {
        assert_eq!(exit.cause, ExitCause::OutOfMemory);
        assert!(exit.message.contains("64 MB"), "{}", exit.message);
    }
    rig.forget(&[&order]).await;
}

async fn one_that_starts_without_end_is_held(mut rig: Rig) {
    rig.processes.pids = 32;
    rig.new_agent().await;
    let mut order = rig.order(&[]);
    if let Some(container) = &mut Arc::make_mut(&mut order.template).container {
        container.pids = 32;
    }
    rig.run(&order).await;
    let said = rig.ask(&order, "/spawn?n=100").await;
    let spawned: u32 = said.trim().strip_prefix("spawned ").expect("a number").parse().expect("a number");
    assert!((10..32).contains(&spawned), "{said}: {}", rig.driver().limits());
    rig.kill(&order).await;
    rig.forget(&[&order]).await;
}

async fn usage_is_measured(mut rig: Rig) {
    let (busy, idle) = (rig.order(&[]), rig.order(&[]));
    for order in [&busy, &idle] {
        rig.run(order).await;
    }
    rig.ask(&busy, "/eat?mb=20").await;
    let port = busy.port.expect("a port");
    let burns = tokio::task::spawn_blocking(move || get(port, "/burn?ms=3000"));
    let of = |rig: &Rig, id| rig.driver().usage().into_iter().find(|usage| usage.replica_id == id).expect("it runs");
    until("it is seen to be busy", || {
        let usage = of(&rig, busy.replica_id);
        usage.cpu_millis > 10 && usage.memory_mb >= 20
    })
    .await;
    until("the other is seen to be idle", || of(&rig, idle.replica_id).memory_mb < 20).await;
    burns.await.expect("it answers");
    for order in [&busy, &idle] {
        rig.signal(order, Signal::Kill).await;
        rig.exit(order).await;
    }
    assert_eq!(rig.driver().usage(), vec![]);
    rig.forget(&[&busy, &idle]).await;
}

async fn output_is_kept_over_runs_and_tailed(mut rig: Rig) {
    let mut order = rig.order(&[]);
    for run in [1, 2] {
        order.run = run;
        rig.run(&order).await;
        rig.ask(&order, &format!("/print?text=run-{run}")).await;
        rig.ask(&order, &format!("/print?text=bad-{run}&to=err")).await;
        rig.kill(&order).await;
    }
    let all = rig.tail(&order, 10_000).await;
    for part in ["run-1\n", "bad-1\n", "run-2\n", "bad-2\n"] {
        assert_eq!(all.matches(part).count(), 1, "{part} in {all}");
    }
    assert!(all.find("run-1\n") < all.find("run-2\n"), "{all}");
    let lines: Vec<&str> = all.lines().collect();
    assert_eq!(rig.tail(&order, 1).await.lines().collect::<Vec<_>>(), lines[lines.len() - 1..]);
    // More than the last run has said.
    let some = lines.len() - 2;
    assert_eq!(rig.tail(&order, u32::try_from(some).expect("few")).await.lines().count(), some);
    assert_eq!(rig.tail(&order, 0).await, "");
    // What is forgotten can still be read, until many others were.
    rig.forget(&[&order]).await;
    assert_eq!(rig.tail(&order, 10_000).await, all);
    let unknown = rig.order(&[]).replica_id;
    assert!(matches!(rig.driver().logs(unknown, 10, false).await, Err(LogsError::NoSuchReplica(_))));
}

async fn a_line_that_comes_in_pieces_stays_whole_and_in_its_place(mut rig: Rig) {
    // Podman's monitor reads and keeps at most 8 kB at once.
    let mut order = rig.order(&["--say", "before", "--fill", "10000", "--say", "after", "--exit", "0"]);
    let long = format!("{}\n", "x".repeat(10_000));
    let text = format!("before\n{long}after\n");
    for run in [1, 2] {
        order.run = run;
        rig.start(&order).await.expect("it has run");
        rig.exit(&order).await;
        // Podman may tell of the end a moment before it has the last words.
        within(async {
            while rig.tail(&order, 10_000).await.matches("after\n").count() < run as usize {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }
    let cases = [(0, String::new()), (1, "after\n".to_owned()), (2, format!("{long}after\n")), (3, text.clone())];
    let more = [(4, format!("after\n{text}")), (6, text.repeat(2)), (10_000, text.repeat(2))];
    for (lines, expected) in cases.into_iter().chain(more) {
        assert!(rig.tail(&order, lines).await == expected, "the last {lines} lines");
    }
    let mut stream = within(rig.driver().logs(order.replica_id, 2, true)).await.expect("output");
    let mut said = String::new();
    while said.len() <= long.len() {
        let chunk = within(stream.next()).await.expect("more output").expect("read");
        said.push_str(&String::from_utf8_lossy(&chunk));
    }
    assert!(said.starts_with(&long), "a follower begins where it was told to");
    drop(stream);
    rig.forget(&[&order]).await;
    assert!(rig.tail(&order, 10_000).await == text.repeat(2), "what is kept is what was said");
}

async fn a_follower_goes_on_over_a_restart_and_ends_with_the_replica(mut rig: Rig) {
    let mut order = rig.order(&[]);
    rig.run(&order).await;
    let mut stream = within(rig.driver().logs(order.replica_id, 10_000, true)).await.expect("output");
    let mut said = String::new();
    for run in [1, 2] {
        if run == 2 {
            order.run = 2;
            rig.run(&order).await;
        }
        rig.ask(&order, &format!("/print?text=run-{run}&n=500")).await;
        while said.matches(&format!("run-{run}\n")).count() < 500 {
            let chunk = within(stream.next()).await.expect("more output").expect("read");
            said.push_str(&String::from_utf8_lossy(&chunk));
        }
        rig.kill(&order).await;
    }
    rig.driver().forget(order.replica_id);
    while let Some(chunk) = within(stream.next()).await {
        said.push_str(&String::from_utf8_lossy(&chunk.expect("read")));
    }
    assert_eq!((said.matches("run-1\n").count(), said.matches("run-2\n").count()), (500, 500));
    rig.forget(&[&order]).await;
}

async fn a_program_that_is_not_there_is_told(mut rig: Rig) {
    let mut order = rig.order(&[]);
    Arc::make_mut(&mut order.template).command = vec!["/no/such/program".to_owned()];
    if rig.kind != Kind::Process {
        // The engine's init is there, and starts; the program is not.
        rig.start(&order).await.expect("started");
        let exit = rig.exit(&order).await;
        assert!(exit.code == Some(127) && exit.message.contains("no such program in the image"), "{exit:?}");
        // Podman may tell of the end a moment before it has the last words.
        within(async {
            while !rig.tail(&order, 10).await.contains("/no/such/program") {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        rig.forget(&[&order]).await;
        return;
    }
    let error = rig.start(&order).await.expect_err("it is not there");
    assert!(matches!(error, StartError::NoProgram { .. }), "{error:?}");
    assert!(error.to_string().contains("/no/such/program"), "{error}");
    // That this run was none is what the next agent is told.
    let adopted = rig.new_agent().await;
    let [Adopted { state: AdoptedState::Exited(exit), container_id: None, .. }] = &adopted[..] else {
        panic!("{adopted:?}")
    };
    assert_eq!(exit.cause, ExitCause::NotStarted(error));
    rig.forget(&[&order]).await;
}

/// How often: containers take the engine some tenths of a second each. `make soak` does a thousand.
fn rounds(kind: Kind) -> usize {
    match kind {
        Kind::Process => 25,
        Kind::Docker => 4,
        Kind::Podman => 1,
    }
}

const AT_ONCE: usize = 8;

async fn many_starts_leave_nothing_behind(rig: Rig) {
    let (kind, count) = (rig.kind, rounds(rig.kind));
    drop(rig);
    starts_and_stops(kind, count);
}

#[test]
#[ignore = "a thousand containers take minutes: make soak"]
fn a_thousand_containers_leave_nothing_behind() {
    starts_and_stops(Kind::Docker, 125);
}

#[test]
#[ignore = "with those of containers: make soak"]
fn a_thousand_processes_leave_nothing_behind() {
    starts_and_stops(Kind::Process, 125);
}

/// In a process of its own, because it counts descriptors.
fn starts_and_stops(kind: Kind, rounds: usize) {
    let run = Command::new(std::env::current_exe().expect("this"))
        .args(["--exact", "driver::contract::starts_and_stops_entry", "--nocapture"])
        .args(["in-a-process-of-its-own", &format!("{kind:?}"), &rounds.to_string()])
        .stdin(Stdio::null())
        .output()
        .expect("ran");
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&run.stderr));
}

/// Not a test of its own: see above.
#[test]
fn starts_and_stops_entry() {
    let arguments: Vec<String> = std::env::args().collect();
    let [.., marker, kind, rounds] = &arguments[..] else { return };
    if marker != "in-a-process-of-its-own" {
        return;
    }
    let kinds = [Kind::Process, Kind::Docker, Kind::Podman];
    let kind = kinds.into_iter().find(|known| format!("{known:?}") == *kind).expect("a kind");
    let rounds: usize = rounds.parse().expect("a number");
    play(kind, |rig| wear(rig, rounds));
}

async fn wear(mut rig: Rig, rounds: usize) {
    rig.processes.keep_ended = 3;
    rig.containers.keep_ended = 3;
    rig.new_agent().await;
    let descriptors = || fs::read_dir("/proc/self/fd").expect("listed").count();
    let mut before = 0;
    for round in 0..=rounds {
        // The first round opens what stays open, such as the runtime's own descriptors.
        if round == 1 {
            before = descriptors();
        }
        let mut orders = Vec::new();
        for _ in 0..AT_ONCE {
            orders.push(rig.order(&[]));
        }
        let started = orders.iter().map(|order| rig.start(order));
        for started in futures_util::future::join_all(started).await {
            started.expect("started");
        }
        for order in &orders {
            rig.ask(order, "/").await;
        }
        for order in &orders {
            let signal = if round % 2 == 0 { Signal::Terminate } else { Signal::Kill };
            rig.signal(order, signal).await;
        }
        for _ in &orders {
            rig.event().await;
        }
        rig.forget(&orders.iter().collect::<Vec<_>>()).await;
        rig.used.clear();
    }
    until("no call to the engine is under way", || descriptors() <= before).await;
    assert_eq!(fs::read_dir(rig.ended_dir()).expect("listed").count(), 3, "the output of the last few");
    let zombies = Command::new("ps").args(["--ppid", &std::process::id().to_string(), "-o", "stat="]).output();
    let zombies = String::from_utf8(zombies.expect("ran").stdout).expect("text");
    assert!(!zombies.contains('Z'), "shims that nobody reaped: {zombies}");
    if let Some(engine) = &rig.engine {
        let mut groups = Vec::new();
        for hierarchy in fs::read_dir("/sys/fs/cgroup").expect("listed").flatten() {
            let dir = hierarchy.path().join(engine.cgroups());
            let entries = fs::read_dir(dir).into_iter().flatten().flatten();
            // Podman's monitors share one, which stays.
            let entries = entries.filter(|entry| rig.kind == Kind::Docker || entry.file_name() != "conmon");
            groups.extend(entries.filter(|entry| entry.path().is_dir()).map(|entry| entry.path()));
        }
        assert!(groups.is_empty(), "cgroups of containers: {groups:?}");
    }
}
