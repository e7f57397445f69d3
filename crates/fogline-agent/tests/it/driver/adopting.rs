//! What an agent finds of the one before it.

use std::fs;
use std::process::{Command, Stdio};

use fogline_agent::driver::{Adopted, AdoptedState, ExitCause, Signal, StartError};
use fogline_core::id::ReplicaId;

use super::harness::{Bench, is_alive, kill_9, until, within};

async fn adopt(bench: &Bench) -> Vec<Adopted> {
    within(bench.driver().adopt()).await
}

#[tokio::test]
async fn what_runs_is_adopted_and_runs_on() {
    let mut bench = Bench::new();
    let order = bench.script("echo ready; exec sleep 1000");
    let pid = bench.run(&order).await;
    bench.until_said(&order, "ready").await;
    bench.new_agent();
    let adopted = adopt(&bench).await;
    let expected = Adopted { order: order.clone(), container_id: Some(pid.to_string()), state: AdoptedState::Alive };
    assert_eq!(adopted, vec![expected]);
    assert!(is_alive(pid));
    let mut again = order.clone();
    again.run = 2;
    assert_eq!(bench.start(&again).await, Err(StartError::StillRunning { run: 1 }));
    assert_eq!(bench.output(&order).await, "ready\n", "it was not started again");
    // It is watched and can be signalled as if this agent had started it.
    bench.signal(&order, Signal::Terminate).await;
    assert_eq!(bench.exit(&order).await.code, Some(143));
    bench.run(&again).await;
    bench.kill(&again).await;
    bench.no_event();
    bench.nothing_left();
}

#[tokio::test]
async fn what_ended_meanwhile_is_told_once() {
    let mut bench = Bench::new();
    let exits = bench.script("read line < fifo; exit 5");
    let shim_dies = bench.script("echo ready; exec sleep 1000");
    let fails = bench.order(&["no-such-program"]);
    let program = {
        fs::create_dir_all(bench.dir(&exits).join("cwd")).expect("made");
        let fifo = bench.dir(&exits).join("cwd/fifo");
        assert!(Command::new("mkfifo").arg(&fifo).status().expect("ran").success());
        bench.run(&exits).await
    };
    let orphan = bench.run(&shim_dies).await;
    bench.start(&fails).await.expect_err("no such program");
    bench.end_agent();

    let shim = bench.shim_pid(&exits);
    fs::write(bench.dir(&exits).join("cwd/fifo"), "go\n").expect("written");
    until("it has ended", || !is_alive(program) && !is_alive(shim)).await;
    kill_9(bench.shim_pid(&shim_dies));
    until("it dies with its shim", || !is_alive(orphan)).await;

    bench.new_agent();
    let mut adopted = adopt(&bench).await;
    adopted.sort_by_key(|one| one.order.replica_id);
    let ends: Vec<_> = adopted
        .into_iter()
        .map(|one| match one.state {
            AdoptedState::Exited(exit) => (one.order.replica_id, exit.code, exit.cause),
            other => panic!("{} has ended: {other:?}", one.order.replica_id),
        })
        .collect();
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned();
    let no_program = StartError::NoProgram { program: "no-such-program".to_owned(), searched: path };
    let mut expected = vec![
        (exits.replica_id, Some(5), ExitCause::Exited),
        (shim_dies.replica_id, None, ExitCause::ShimKilled),
        (fails.replica_id, None, ExitCause::NotStarted(no_program)),
    ];
    expected.sort_by_key(|(id, ..)| *id);
    assert_eq!(ends, expected);
    bench.no_event();
    // What an agent was told, the next one is told, too, until it is forgotten.
    bench.new_agent();
    assert_eq!(adopt(&bench).await.len(), 3);
    for order in [&exits, &shim_dies, &fails] {
        bench.driver().forget(order.replica_id);
    }
    bench.new_agent();
    assert_eq!(adopt(&bench).await, vec![]);
    bench.nothing_left();
}

/// The shim was killed while nobody watched, and its id belongs to another process now.
#[tokio::test]
async fn another_process_with_the_same_id_is_left_alone() {
    let mut bench = Bench::new();
    let order = bench.script("exec sleep 1000");
    let pid = bench.run(&order).await;
    bench.end_agent();
    kill_9(bench.shim_pid(&order));
    until("it dies with its shim", || !is_alive(pid)).await;
    let mut stranger =
        Command::new("sleep").arg("1000").stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("started");
    let path = bench.dir(&order).join("state.json");
    let mut state: serde_json::Value = serde_json::from_slice(&fs::read(&path).expect("read")).expect("whole");
    for who in ["shim", "child"] {
        state[who]["pid"] = stranger.id().into();
    }
    fs::write(&path, state.to_string()).expect("written");
    bench.new_agent();
    let adopted = adopt(&bench).await;
    let survives = stranger.try_wait().expect("waited").is_none();
    stranger.kill().expect("killed");
    stranger.wait().expect("waited");
    assert!(survives, "a stranger was killed");
    assert!(
        matches!(&adopted[..], [Adopted { state: AdoptedState::Exited(exit), .. }] if exit.cause == ExitCause::ShimKilled),
        "{adopted:?}"
    );
    bench.nothing_left();
}

#[tokio::test]
async fn a_start_that_was_cut_short_never_happens_later() {
    let mut bench = Bench::new();
    // As far as making the directory.
    let bare = bench.script("echo never");
    fs::create_dir_all(bench.dir(&bare).join("logs")).expect("made");
    // As far as the order.
    let mut ordered = bench.script("echo never");
    bench.run(&ordered).await;
    bench.exit(&ordered).await;
    ordered.run = 2;
    let path = bench.dir(&ordered).join("order.json");
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&path).expect("read")).expect("whole");
    json["start"]["run"] = 2.into();
    fs::write(&path, json.to_string()).expect("written");
    bench.new_agent();
    let adopted = adopt(&bench).await;
    assert!(!bench.dir(&bare).exists(), "nothing was recorded, nothing is kept");
    let [Adopted { order, state: AdoptedState::Exited(exit), container_id: None }] = &adopted[..] else {
        panic!("{adopted:?}")
    };
    assert_eq!((order.run, &exit.cause), (2, &ExitCause::NotStarted(StartError::Interrupted)));
    // A shim of that run that comes late finds the run ended.
    let shim = Command::new(&bench.config.shim_program)
        .args(&bench.config.shim_args)
        .arg(bench.dir(&ordered))
        .output()
        .expect("ran");
    assert_eq!(shim.status.code(), Some(fogline_agent::shim::FAILED));
    assert!(String::from_utf8_lossy(&shim.stderr).contains("run 2 was begun before"));
    assert_eq!(bench.start(&ordered).await, Err(StartError::AlreadyStarted { run: 2, recorded: 2 }));
    assert_eq!(bench.output(&ordered).await, "never\n", "only the first run spoke");
    bench.nothing_left();
}

/// Not a test but an agent that starts a replica in the directory it is given and dies: see below.
#[tokio::test]
async fn agent_that_dies_entry() {
    let arguments: Vec<String> = std::env::args().collect();
    let [.., marker, dir] = &arguments[..] else { return };
    if marker != "agent-that-dies" {
        return;
    }
    let mut bench = Bench::at(dir.as_ref());
    let order = bench.script("echo ready; exec sleep 1000");
    bench.run(&order).await;
    bench.until_said(&order, "ready").await;
    std::process::abort();
}

#[tokio::test]
async fn an_agents_death_is_not_noticed_by_what_it_started() {
    let mut bench = Bench::new();
    let died = Command::new(std::env::current_exe().expect("this"))
        .args(["--exact", "driver::adopting::agent_that_dies_entry", "--nocapture", "agent-that-dies"])
        .arg(&bench.config.state_dir)
        .stdin(Stdio::null())
        .output()
        .expect("ran");
    assert_eq!(died.status.code(), None, "by SIGABRT: {died:?}");
    let adopted = adopt(&bench).await;
    let [Adopted { order, container_id: Some(pid), state: AdoptedState::Alive }] = &adopted[..] else {
        panic!("{adopted:?}")
    };
    let replica_id: ReplicaId = order.replica_id;
    bench.look_after(replica_id);
    assert!(is_alive(pid.parse().expect("a pid")));
    assert_eq!(bench.output(order).await, "ready\n");
    let order = order.clone();
    bench.kill(&order).await;
    bench.no_event();
    bench.nothing_left();
}

/// As after a downgrade: a newer agent has written what this one does not know.
#[tokio::test]
async fn what_a_newer_agent_has_written_is_adopted_all_the_same() {
    let mut bench = Bench::new();
    let order = bench.script("exec sleep 1000");
    let pid = bench.run(&order).await;
    bench.end_agent();
    let path = bench.dir(&order).join("order.json");
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&path).expect("read")).expect("whole");
    json["start"]["template"]["resources"]["of_a_later_version"] = 1.into();
    json["start"]["of_a_later_version"] = 1.into();
    fs::write(&path, json.to_string()).expect("written");
    bench.new_agent();
    let adopted = adopt(&bench).await;
    let expected = Adopted { order: order.clone(), container_id: Some(pid.to_string()), state: AdoptedState::Alive };
    assert_eq!(adopted, vec![expected]);
    bench.kill(&order).await;
    bench.nothing_left();
}

#[tokio::test]
async fn what_runs_is_not_forgotten_even_by_an_agent_that_does_not_know_it() {
    let mut bench = Bench::new();
    let order = bench.script("exec sleep 1000");
    let pid = bench.run(&order).await;
    bench.new_agent();
    bench.driver().forget(order.replica_id);
    assert!(bench.dir(&order).join("order.json").exists(), "the next agent finds it");
    assert_eq!(adopt(&bench).await.len(), 1);
    assert!(is_alive(pid));
    bench.kill(&order).await;
    bench.driver().forget(order.replica_id);
    assert!(!bench.dir(&order).exists());
    bench.nothing_left();
}

/// An order that nobody can read, and no shim any more, but something of the run is left.
#[tokio::test]
async fn what_is_left_of_a_run_with_a_damaged_order_is_ended() {
    let mut bench = Bench::new();
    let order = bench.script("setsid sleep 1000 & echo ready; exec sleep 1000");
    bench.run(&order).await;
    bench.until_said(&order, "ready").await;
    bench.end_agent();
    fs::write(bench.dir(&order).join("order.json"), "{\"start\":").expect("written");
    kill_9(bench.shim_pid(&order));
    bench.new_agent();
    assert_eq!(adopt(&bench).await, vec![]);
    bench.nothing_left();
    // The replica can be started again: what is known of it is how often it was started.
    let mut again = order.clone();
    again.run = 2;
    bench.run(&again).await;
    bench.kill(&again).await;
    bench.nothing_left();
}
