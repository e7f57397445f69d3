//! A thousand calls at once, and a `kill -9` in the middle of them: of the server, then of the agent.
//!
//! Every call carries an idempotency key and is repeated until it is answered, so in the end each one is either in the
//! history exactly once or was refused: anything else is a lost or a doubled write.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use fogline_sim::Rng;
use rustix::process::Signal;

use crate::api::{call, sqlite};
use crate::calls::{self, Calls, Lane, check_history};
use crate::harness::{Dev, signal, wait_for};

const DEPLOYMENTS: usize = 40;
const CALLS: usize = 1_000;
/// 8 nodes of 8 cores hold 128 replicas of half a core: some scale-ups find no room, and that is part of it.
const NODES: [&str; 8] = ["--nodes", "8", "--node-cpu", "8", "--node-memory-mb", "65536", "--node-storage-gb", "1000"];

#[test]
fn nothing_acknowledged_is_lost_seed_1() {
    chaos(1);
}

#[test]
fn nothing_acknowledged_is_lost_seed_2() {
    chaos(2);
}

#[test]
fn nothing_acknowledged_is_lost_seed_3() {
    chaos(3);
}

/// `make soak` runs this: seeds 4 to 20 beside the three above.
#[test]
#[ignore = "takes minutes: make soak"]
fn nothing_acknowledged_is_lost_many_seeds() {
    for seed in 4..=20 {
        eprintln!("seed {seed}");
        chaos(seed);
    }
}

fn chaos(seed: u64) {
    let mut rng = Rng::new(seed);
    let mut dev = Dev::start_with(&NODES);
    let token = dev.token();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let calls = Calls::new(vec![dev.url.clone()], token.clone(), 200);
    let lanes = (0..DEPLOYMENTS)
        .map(|number| {
            let replicas: Vec<u64> = (0..CALLS / DEPLOYMENTS).map(|_| rng.between(1, 4)).collect();
            calls.start(&runtime, number, seed, replicas)
        })
        .collect();

    let kill_after = usize::try_from(rng.between(100, 800)).expect("small");
    wait_for("enough calls to be answered", || (calls.answered.load(Ordering::Relaxed) >= kill_after).then_some(()));
    dev.kill_server();
    assert_nodes_hold_what_they_can(&dev);
    dev.launch();

    let answers = calls::ends(&runtime, lanes);
    for lane in &answers {
        let (status, history) =
            call(&dev, "GET", &format!("/api/v1/deployments/{}/history?limit=200", lane.id), &token, None);
        assert_eq!(status, 200, "{history}");
        check_history(&history, lane, seed);
    }
    let before = converged(&dev, &token, &answers);
    assert_nodes_hold_what_they_can(&dev);

    // The agent dies. Everything it ran goes on, and the next one takes it over as it is.
    let first = dev.agent_pid().expect("an agent runs");
    signal(first, Signal::KILL);
    wait_for("another agent", || dev.agent_pid().filter(|pid| *pid != first));
    let after = converged(&dev, &token, &answers);
    assert_eq!(before, after, "seed {seed}: an agent's death restarts nothing");

    for lane in &answers {
        let (status, body) = call(&dev, "DELETE", &format!("/api/deployment/{}", lane.id), &token, None);
        assert_eq!(status, 200, "{body}");
    }
    wait_for("every process to be gone", || dev.all_replica_processes().is_empty().then_some(()));
}

/// Waits until every deployment has what it asked for, and gives the process of each replica.
fn converged(dev: &Dev, token: &str, lanes: &[Lane]) -> BTreeMap<String, i32> {
    let status = |id: &str| call(dev, "GET", &format!("/api/deployment/status/{id}"), token, None).1;
    calls::converged(lanes, status, || dev.all_replica_processes())
}

/// What the rows reserve on a node never exceeds the node.
fn assert_nodes_hold_what_they_can(dev: &Dev) {
    let sql = "SELECT n.node_id, COUNT(*) FROM deployment_replicas r JOIN nodes n ON r.node_id = n.id
               WHERE r.status NOT IN ('stopped', 'failed') GROUP BY n.node_id HAVING COUNT(*) > 16";
    assert_eq!(sqlite(dev, sql), "", "16 replicas of half a core fill 8 cores");
}
