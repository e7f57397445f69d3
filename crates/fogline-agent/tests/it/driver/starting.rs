//! What a program is started with, and what a user reads when it is not.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use fogline_agent::driver::{ProcessConfig, Signal, StartError, StartOrder};
use fogline_agent::shim::proc_stat::ProcStat;

use super::harness::{Bench, config};

fn template(order: &mut StartOrder) -> &mut fogline_core::spec::ReplicaTemplate {
    Arc::make_mut(&mut order.template)
}

#[tokio::test]
async fn the_environment_is_the_replicas_own_and_nothing_else() {
    let mut bench = Bench::new();
    let mut order = bench.order(&["env"]);
    template(&mut order).env =
        BTreeMap::from([("COLOR".to_owned(), "blue\ngreen".to_owned()), ("PORT".to_owned(), "1".to_owned())]);
    bench.run(&order).await;
    assert_eq!(bench.exit(&order).await.code, Some(0));
    let mut lines: Vec<String> = bench.output(&order).await.lines().map(ToOwned::to_owned).collect();
    lines.sort();
    let mut expected: Vec<String> = [
        "COLOR=blue",
        "green",
        "FOGLINE_DEPLOYMENT=web",
        &format!("FOGLINE_DEPLOYMENT_ID={}", order.deployment_id),
        "FOGLINE_NODE=edge-1",
        &format!("FOGLINE_REPLICA_ID={}", order.replica_id),
        "FOGLINE_REVISION=3",
        "FOGLINE_RUN=1",
        &format!("HOME={}", bench.dir(&order).join("cwd").display()),
        "LANG=C",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "PORT=20001",
    ]
    .map(ToOwned::to_owned)
    .to_vec();
    expected.sort();
    assert_eq!(lines, expected);
    bench.nothing_left();
}

#[tokio::test]
async fn the_working_directory_is_the_specs_or_the_replicas_own() {
    let mut bench = Bench::new();
    let elsewhere = tempfile::tempdir().expect("a directory");
    let own = bench.order(&["pwd"]);
    bench.run(&own).await;
    bench.exit(&own).await;
    assert_eq!(bench.output(&own).await.trim(), bench.dir(&own).join("cwd").display().to_string());
    let mut given = bench.script("pwd; echo $HOME");
    template(&mut given).working_dir = Some(elsewhere.path().display().to_string());
    bench.run(&given).await;
    bench.exit(&given).await;
    let path = elsewhere.path().display();
    assert_eq!(bench.output(&given).await, format!("{path}\n{path}\n"));
    bench.nothing_left();
}

#[tokio::test]
async fn a_program_starts_with_a_clean_slate() {
    let mut bench = Bench::new();
    let list = bench.order(&["ls", "/proc/self/fd"]);
    bench.run(&list).await;
    bench.exit(&list).await;
    assert_eq!(bench.output(&list).await, "0\n1\n2\n3\n", "descriptors; 3 is the listed directory itself");
    let signals = bench.order(&["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"]);
    bench.run(&signals).await;
    bench.exit(&signals).await;
    // Signals 32 and 33 are the C library's own: it may leave them ignored in what it spawns, and lets nobody reset them.
    let libc_own: u64 = 0b11 << 31;
    let said = bench.output(&signals).await;
    let masks: Vec<u64> = said
        .lines()
        .map(|line| u64::from_str_radix(line.split_whitespace().nth(1).expect("a mask"), 16).expect("hexadecimal"))
        .map(|mask| mask & !libc_own)
        .collect();
    assert_eq!(masks, [0, 0], "no signal is blocked or ignored: {said}");
    let order = bench.script("exec sleep 1000");
    let pid = bench.run(&order).await;
    assert_eq!(fs::read_link(format!("/proc/{pid}/fd/0")).expect("read").display().to_string(), "/dev/null");
    let stat = ProcStat::read(pid).expect("alive");
    let shim = bench.shim_pid(&order);
    assert_eq!((stat.pgrp, stat.session, stat.ppid), (pid, shim, shim), "a group in the shim's session");
    assert_eq!(ProcStat::read(shim).expect("alive").session, shim, "a session of its own");
    let environ = fs::read(format!("/proc/{shim}/environ")).expect("read");
    assert_eq!(environ, b"", "the shim has nothing of the agent's environment");
    bench.kill(&order).await;
    bench.nothing_left();
}

#[tokio::test]
async fn what_cannot_be_started_says_why() {
    let mut bench = Bench::new();
    let dir = tempfile::tempdir().expect("a directory");
    let file = |name: &str, text: &str, mode: u32| {
        let path = dir.path().join(name);
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
        path.display().to_string()
    };
    let plain = file("plain", "#!/bin/sh\n", 0o644);
    let no_interpreter = file("script", "#!/no/such/interpreter\n", 0o755);
    let directory = dir.path().display().to_string();
    let missing = dir.path().join("missing").display().to_string();
    type Case<'a> = (&'a str, Option<&'a str>, fn(&StartError) -> bool, &'a str);
    let cases: [Case<'_>; 7] = [
        ("no-such-program", None, |e| matches!(e, StartError::NoProgram { .. }), "no such program on this node"),
        ("/no/such/program", None, |e| matches!(e, StartError::NoProgram { .. }), "no such program on this node"),
        (&plain, None, |e| matches!(e, StartError::NotPermitted { .. }), "may execute"),
        (&directory, None, |e| matches!(e, StartError::NotPermitted { .. }), "may execute"),
        (&no_interpreter, None, |e| matches!(e, StartError::NotPermitted { .. }), "interpreter"),
        ("true", Some(&missing), |e| matches!(e, StartError::BadWorkingDir { .. }), "create the directory"),
        ("true", Some(&plain), |e| matches!(e, StartError::BadWorkingDir { .. }), &plain),
    ];
    for (program, working_dir, is_expected, part) in cases {
        let mut order = bench.order(&[program]);
        template(&mut order).working_dir = working_dir.map(ToOwned::to_owned);
        let error = bench.start(&order).await.expect_err("cannot be started");
        assert!(is_expected(&error), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(&format!("{program:?}")) && text.contains(part), "{text}");
        // It is over: the next run may be tried, and it can be forgotten.
        order.run = 2;
        bench.start(&order).await.expect_err("still cannot be started");
        bench.driver().forget(order.replica_id);
        assert!(!bench.dir(&order).exists());
    }
    let empty = bench.order(&[]);
    assert_eq!(bench.start(&empty).await, Err(StartError::NoCommand));
    bench.no_event();
    bench.nothing_left();
}

#[tokio::test]
async fn a_run_is_started_once() {
    let mut bench = Bench::new();
    let mut order = bench.script("echo begun; exec sleep 1000");
    bench.run(&order).await;
    for run in [1, 2] {
        order.run = run;
        assert_eq!(bench.start(&order).await, Err(StartError::StillRunning { run: 1 }));
    }
    order.run = 1;
    bench.kill(&order).await;
    assert_eq!(bench.start(&order).await, Err(StartError::AlreadyStarted { run: 1, recorded: 1 }));
    order.run = 2;
    bench.run(&order).await;
    bench.signal(&order, Signal::Kill).await;
    bench.exit(&order).await;
    assert!(bench.output(&order).await.lines().filter(|line| *line == "begun").count() <= 2);
    bench.no_event();
    bench.nothing_left();
}

#[tokio::test]
async fn a_shim_that_hangs_or_fails_is_given_up() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = |program: &str, script: &str| ProcessConfig {
        shim_program: program.into(),
        shim_args: vec!["-c".into(), script.into()],
        start_deadline: Duration::from_millis(300),
        ..config(dir.path())
    };
    for (program, script, part) in [
        ("/bin/sh", "exec sleep 1000", "took longer than 1 s"),
        ("/bin/sh", "echo out of luck >&2; exit 3", "it exited with code 3. out of luck"),
        ("/no/such/shim", "", "/no/such/shim: No such file"),
    ] {
        let mut bench = Bench::with(config(program, script));
        let order = bench.order(&["true"]);
        let text = bench.start(&order).await.expect_err("no shim").to_string();
        assert!(text.contains("\"true\"") && text.contains(part), "{text}");
        bench.no_event();
        bench.nothing_left();
    }
}
