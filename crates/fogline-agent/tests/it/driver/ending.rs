//! How runs end, and that nothing of them is left.

use fogline_agent::driver::{DriverError, ExitCause, Signal};
use rustix::process::{Pid, Signal as Number, kill_process};

use super::harness::{Bench, is_alive, kill_9, until};

/// Children, grandchildren, and one that left the session; each says who it is.
const FAMILY: &str = "(sleep 1000 & echo child $!; wait) & \
     setsid sh -c 'echo daemon $$; exec sleep 1000' & \
     (setsid sh -c 'trap \"\" TERM HUP; echo orphan $$; exec sleep 1000' &) ; ";

async fn family(bench: &Bench, order: &fogline_agent::driver::StartOrder) -> Vec<i32> {
    bench.until_said(order, "ready").await;
    let mut members = Vec::new();
    until("the family has spoken", || {
        let said = std::fs::read_to_string(bench.dir(order).join("logs/current")).expect("read");
        members = said
            .lines()
            .filter_map(|line| ["child ", "daemon ", "orphan "].iter().find_map(|who| line.strip_prefix(who)))
            .map(|pid| pid.parse().expect("a pid"))
            .collect();
        members.len() == 3
    })
    .await;
    assert!(members.iter().all(|pid| is_alive(*pid)));
    members
}

#[tokio::test]
async fn codes_and_signals_are_told() {
    let mut bench = Bench::new();
    let cases = [
        ("exit 0", 0, ExitCause::Exited, "exited with code 0"),
        ("exit 7", 7, ExitCause::Exited, "exited with code 7"),
        ("kill -SEGV $$", 139, ExitCause::Signalled, "ended by signal 11 (SIGSEGV)"),
        ("kill -KILL $$", 137, ExitCause::Signalled, "ended by signal 9 (SIGKILL)"),
    ];
    for (script, code, cause, message) in cases {
        let order = bench.script(script);
        bench.run(&order).await;
        let exit = bench.exit(&order).await;
        assert_eq!((exit.code, exit.cause, exit.message.as_str()), (Some(code), cause, message), "{script}");
    }
    let order = bench.script("exec sleep 1000");
    bench.run(&order).await;
    bench.signal(&order, Signal::Terminate).await;
    let exit = bench.exit(&order).await;
    assert_eq!((exit.code, exit.message.as_str()), (Some(143), "ended by signal 15 (SIGTERM)"));
    let refused = bench.driver().signal(order.replica_id, Signal::Terminate).await;
    assert!(matches!(refused, Err(DriverError::NotRunning(_))));
    bench.no_event();
    bench.nothing_left();
}

#[tokio::test]
async fn sigterm_reaches_the_group_and_sigkill_everything() {
    let mut bench = Bench::new();
    let script = format!(
        "{FAMILY} (trap 'echo the child heard it' TERM; while :; do sleep 0.05; done) & \
         trap 'echo the program heard it' TERM; echo ready; while :; do sleep 0.05; done"
    );
    let order = bench.script(&script);
    let pid = bench.run(&order).await;
    let members = family(&bench, &order).await;
    bench.signal(&order, Signal::Terminate).await;
    bench.until_said(&order, "the program heard it").await;
    bench.until_said(&order, "the child heard it").await;
    assert!(is_alive(pid), "it ignores SIGTERM");
    let exit = bench.kill(&order).await;
    assert_eq!((exit.code, exit.cause), (Some(137), ExitCause::Signalled));
    assert!(members.iter().all(|pid| !is_alive(*pid)), "nobody survives, whatever session they are in");
    bench.no_event();
    bench.nothing_left();
}

#[tokio::test]
async fn when_the_program_ends_what_it_started_ends() {
    let mut bench = Bench::new();
    let order = bench.script(&format!("{FAMILY} echo ready; read line < /dev/zero; exec sleep 1000"));
    let pid = bench.run(&order).await;
    let members = family(&bench, &order).await;
    kill_9(pid);
    let exit = bench.exit(&order).await;
    assert_eq!((exit.code, exit.cause), (Some(137), ExitCause::Signalled));
    assert!(members.iter().all(|pid| !is_alive(*pid)));
    bench.nothing_left();
}

#[tokio::test]
async fn when_the_shim_is_killed_all_of_the_replica_ends() {
    for with_cgroups in [true, false] {
        let dir = tempfile::tempdir().expect("a directory");
        let mut bench =
            if with_cgroups { Bench::at(dir.path()) } else { Bench::with(super::harness::without_cgroups(dir.path())) };
        let order = bench.script(&format!("{FAMILY} echo ready; exec sleep 1000"));
        let pid = bench.run(&order).await;
        let members = family(&bench, &order).await;
        kill_9(bench.shim_pid(&order));
        let exit = bench.exit(&order).await;
        assert_eq!((exit.code, exit.cause), (None, ExitCause::ShimKilled));
        assert!(!is_alive(pid) && members.iter().all(|pid| !is_alive(*pid)));
        bench.no_event();
        bench.nothing_left();
    }
}

#[tokio::test]
async fn a_stopped_shim_cannot_hold_a_kill_up() {
    let mut bench = Bench::new();
    let order = bench.script("exec sleep 1000");
    bench.run(&order).await;
    let shim = Pid::from_raw(bench.shim_pid(&order)).expect("a pid");
    kill_process(shim, Number::STOP).expect("stopped");
    assert_eq!(bench.kill(&order).await.code, Some(137));
    bench.nothing_left();
}

#[tokio::test]
async fn a_terminals_signals_do_not_end_a_shim() {
    let mut bench = Bench::new();
    let order = bench.script("exec sleep 1000");
    let pid = bench.run(&order).await;
    let shim = Pid::from_raw(bench.shim_pid(&order)).expect("a pid");
    for signal in [Number::HUP, Number::INT, Number::QUIT] {
        kill_process(shim, signal).expect("sent");
    }
    // A signal that it does pass on comes after those that it does not.
    assert!(is_alive(pid));
    bench.signal(&order, Signal::Terminate).await;
    assert_eq!(bench.exit(&order).await.code, Some(143));
    bench.nothing_left();
}
