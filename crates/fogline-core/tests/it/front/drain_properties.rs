//! Whatever happens: every drain ends in time, and none ends before requests do.

use std::collections::{BTreeMap, BTreeSet};

use fogline_core::state::ReplicaStatus;
use fogline_core::time::Timestamp;
use proptest::prelude::*;
use serde_json::json;

use super::*;

const PROXIES: [&str; 3] = ["p0", "p1", "p2"];
const DRAIN_S: u64 = 20;

#[derive(Clone, Copy, Debug)]
enum Event {
    Attach(usize),
    Detach(usize),
    /// A proxy tells that it has let go of the leaving replicas with these bits.
    LetGo(usize, u8),
    Scale(i64),
    Revise,
    Route(bool),
    BringUp,
    Obey,
    Chatter,
    Pass(u64),
    Reload,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        1 => (0..3usize).prop_map(Event::Attach),
        1 => (0..3usize).prop_map(Event::Detach),
        4 => (0..3usize, any::<u8>()).prop_map(|(proxy, bits)| Event::LetGo(proxy, bits)),
        3 => (1..5i64).prop_map(Event::Scale),
        1 => Just(Event::Revise),
        1 => any::<bool>().prop_map(Event::Route),
        3 => Just(Event::BringUp),
        1 => Just(Event::Obey),
        1 => Just(Event::Chatter),
        3 => (1..30u64).prop_map(Event::Pass),
        1 => Just(Event::Reload),
    ]
}

/// The replicas that are on their way out.
fn stopping(world: &World, id: DeploymentId) -> Vec<ReplicaId> {
    let of = |replica: &ReplicaId| world.cluster.replica(*replica).map(|replica| replica.status);
    replicas(world, id).into_iter().filter(|replica| of(replica) == Some(ReplicaStatus::Stopping)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn drains_end_in_time_and_not_early(events in prop::collection::vec(event(), 1..60)) {
        let mut world = old_site();
        let fields = |revision: u32, routed: bool| {
            let routes = if routed { json!([{"host": "web.test"}]) } else { json!([]) };
            json!({"replicas": 2, "drain_timeout_s": DRAIN_S, "command": ["v", revision.to_string()], "routes": routes})
        };
        let (mut revision, mut routed) = (1, true);
        let id = serving(&mut world, "web", &fields(revision, routed));
        let actor = admin(&world);
        let mut attached = BTreeSet::new();
        let mut let_go: BTreeMap<&str, BTreeSet<ReplicaId>> = BTreeMap::new();
        // When each became stopping, and whether it had a route then.
        let mut since: BTreeMap<ReplicaId, (Timestamp, bool)> = BTreeMap::new();
        let mut released: BTreeSet<ReplicaId> = BTreeSet::new();
        for event in events {
            match event {
                Event::Attach(at) => {
                    attach(&mut world, PROXIES[at]);
                    attached.insert(PROXIES[at]);
                    let_go.remove(PROXIES[at]);
                }
                Event::Detach(at) => {
                    detach(&mut world, PROXIES[at]);
                    attached.remove(PROXIES[at]);
                }
                Event::LetGo(at, bits) if attached.contains(PROXIES[at]) => {
                    let leaving = stopping(&world, id);
                    let chosen = leaving.into_iter().enumerate().filter(|(bit, _)| bits >> (bit % 8) & 1 == 1);
                    let chosen: Vec<ReplicaId> = chosen.map(|(_, replica)| replica).collect();
                    note(&mut world, PROXIES[at], &chosen, &[]);
                    let_go.insert(PROXIES[at], chosen.into_iter().collect());
                }
                Event::LetGo(..) => {}
                Event::Scale(replicas) => {
                    let _ = world.ask(&actor, Command::ScaleDeployment { deployment_id: id, replicas });
                }
                Event::Revise => {
                    revision += 1;
                    let _ = update(&mut world, &actor, id, "web", &fields(revision, routed));
                }
                Event::Route(on) => {
                    routed = on;
                    let _ = update(&mut world, &actor, id, "web", &fields(revision, routed));
                }
                Event::BringUp => bring_up(&mut world),
                Event::Obey => obey(&mut world),
                Event::Chatter => {
                    let node = world.node("n1");
                    for replica in stopping(&world, id) {
                        world.report(node, replica, ReportedState::Running, true, "still here");
                    }
                }
                Event::Pass(seconds) => {
                    pass(&mut world, seconds);
                }
                Event::Reload => {
                    world.reload();
                    attached.clear();
                    released.clear();
                }
            }
            let now = world.now;
            let leaving = stopping(&world, id);
            since.retain(|replica, _| leaving.contains(replica));
            for replica in leaving {
                let at = world.cluster.replica(replica).expect("there").updated_at;
                let (since, was_routed) = *since.entry(replica).or_insert((at, routed));
                prop_assert_eq!(at, since, "chatter does not move the beginning");
                let held = wanted(&world, replica) == Some(Want::Run);
                let in_time = now.since(since) < Duration::from_secs(DRAIN_S);
                prop_assert!(in_time || !held, "{replica} is held {:?} after it became stopping", now.since(since));
                let waited_for = attached.iter().any(|proxy| !let_go.get(proxy).is_some_and(|all| all.contains(&replica)));
                let has_endpoint = world.cluster.replica(replica).expect("there").endpoint.is_some();
                if in_time && was_routed && has_endpoint && waited_for && !released.contains(&replica) {
                    prop_assert!(held, "{replica} was stopped while {attached:?} may have requests with it");
                }
                prop_assert!(!held || !released.contains(&replica), "what was told is not taken back");
                if !held {
                    released.insert(replica);
                }
            }
        }
        // Left alone, everything ends.
        pass(&mut world, DRAIN_S);
        obey(&mut world);
        prop_assert!(stopping(&world, id).iter().all(|replica| wanted(&world, *replica) == Some(Want::Stop)));
    }
}
