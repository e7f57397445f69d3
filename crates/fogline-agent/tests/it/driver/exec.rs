//! Commands in replicas: as processes, in containers of Docker, and in those of Podman.

use std::fs;
use std::time::Duration;

use fogline_agent::driver::{ExecError, ExecOrder, ExecOutcome, StartOrder};

use super::contract::{Kind, Rig, play};
use super::harness::{until, within};

fn asked(order: &StartOrder, flags: &[&str]) -> ExecOrder {
    let program = order.template.command[0].clone();
    ExecOrder {
        command: std::iter::once(program).chain(flags.iter().map(|&flag| flag.to_owned())).collect(),
        deadline: Duration::from_secs(30),
        max_output: 1_000,
    }
}

async fn exec(rig: &Rig, order: &StartOrder, flags: &[&str]) -> ExecOutcome {
    within(rig.driver().exec(order.replica_id, &asked(order, flags))).await.expect("it was run")
}

async fn a_command_has_the_replicas_surroundings_and_its_end_is_told(mut rig: Rig) {
    let order = rig.order(&[]);
    rig.run(&order).await;
    let flags = ["--say", "a b", "--complain", "hm", "--show", "COLOR", "--show", "FOGLINE_REPLICA_ID", "--exit", "7"];
    let outcome = exec(&rig, &order, &flags).await;
    let said = format!("a b\nblue\n{}\n", order.replica_id);
    assert_eq!((outcome.exit_code, String::from_utf8_lossy(&outcome.stdout).as_ref()), (7, said.as_str()));
    assert_eq!((outcome.stderr.as_slice(), outcome.truncated), (&b"hm\n"[..], false));
    if rig.kind == Kind::Process {
        let outcome = exec(&rig, &order, &["--where", "--exit", "0"]).await;
        let cwd = rig.dir.path().join("replicas").join(order.replica_id.to_string()).join("cwd");
        assert_eq!(String::from_utf8_lossy(&outcome.stdout).trim(), cwd.display().to_string());
    }
    // What the program itself says is not mixed up with it, nor the other way round.
    assert!(!rig.tail(&order, 100).await.contains("a b"));
    rig.kill(&order).await;
    rig.forget(&[&order]).await;
}

async fn what_cannot_be_run_ends_as_in_a_shell(mut rig: Rig) {
    let order = rig.order(&[]);
    rig.run(&order).await;
    let nothing = ExecOrder { command: vec!["/no/such/program".to_owned()], ..asked(&order, &[]) };
    let outcome = within(rig.driver().exec(order.replica_id, &nothing)).await.expect("told as an exit code");
    assert!(matches!(outcome.exit_code, 126 | 127), "{outcome:?}");
    let said = [outcome.stdout, outcome.stderr].concat();
    assert!(String::from_utf8_lossy(&said).contains("/no/such/program"), "{}", String::from_utf8_lossy(&said));
    rig.kill(&order).await;
    rig.forget(&[&order]).await;
}

async fn output_is_bounded_and_read_to_its_end(mut rig: Rig) {
    let order = rig.order(&[]);
    rig.run(&order).await;
    // Far more than a pipe holds: a command whose output nobody reads would never end.
    let outcome = exec(&rig, &order, &["--fill", "3000000", "--exit", "3"]).await;
    assert_eq!((outcome.exit_code, outcome.stdout.len(), outcome.truncated), (3, 1_000, true));
    rig.kill(&order).await;
    rig.forget(&[&order]).await;
}

async fn a_deadline_kills_it_with_what_it_has_started(mut rig: Rig) {
    let order = rig.order(&[]);
    rig.run(&order).await;
    let asked = ExecOrder {
        deadline: Duration::from_secs(1),
        ..asked(&order, &["--show", "FOGLINE_EXEC_TEST", "--spawn", "--sleep-ms", "60000"])
    };
    // `within` is shorter than the minute that it would take.
    let error = within(rig.driver().exec(order.replica_id, &asked)).await.expect_err("it takes a minute");
    assert_eq!(error, ExecError::TimedOut { deadline_s: 1 });
    until("nothing of it is left", || sleepers(&order).is_empty()).await;
    assert!(rig.ask(&order, "/").await.contains("replica="), "the replica is as it was");
    rig.kill(&order).await;
    rig.forget(&[&order]).await;
}

async fn without_a_running_replica_nothing_is_run(mut rig: Rig) {
    let order = rig.order(&[]);
    let refused = within(rig.driver().exec(order.replica_id, &asked(&order, &["--exit", "0"]))).await;
    assert_eq!(refused, Err(ExecError::NotRunning(order.replica_id)));
    rig.run(&order).await;
    let going = {
        let asked = asked(&order, &["--sleep-ms", "60000"]);
        let (driver, id) = (rig.driver().clone(), order.replica_id);
        tokio::spawn(async move { driver.exec(id, &asked).await })
    };
    until("it runs", || !sleepers(&order).is_empty()).await;
    rig.kill(&order).await;
    // The replica takes its commands with it.
    let ended = within(going).await.expect("no panic");
    assert!(ended.is_err() || ended.as_ref().is_ok_and(|outcome| outcome.exit_code != 0), "{ended:?}");
    let refused = within(rig.driver().exec(order.replica_id, &asked(&order, &["--exit", "0"]))).await;
    assert_eq!(refused, Err(ExecError::NotRunning(order.replica_id)));
    rig.forget(&[&order]).await;
}

/// Processes of the replica that only sleep.
fn sleepers(order: &StartOrder) -> Vec<String> {
    let marker = format!("FOGLINE_REPLICA_ID={}", order.replica_id);
    let processes = fs::read_dir("/proc").expect("listed").flatten().filter(|entry| {
        let read = |name: &str| fs::read(entry.path().join(name)).unwrap_or_default();
        let has = |text: Vec<u8>, part: &str| text.split(|byte| *byte == 0).any(|one| one == part.as_bytes());
        has(read("environ"), &marker) && has(read("cmdline"), "--sleep-ms")
    });
    processes.map(|entry| entry.file_name().display().to_string()).collect()
}

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
    a_command_has_the_replicas_surroundings_and_its_end_is_told,
    what_cannot_be_run_ends_as_in_a_shell,
    output_is_bounded_and_read_to_its_end,
    a_deadline_kills_it_with_what_it_has_started,
    without_a_running_replica_nothing_is_run,
];
