//! A replica is told to stop when its requests have ended, and no later than its time for that.

use fogline_core::image_digest::ImageDigest;
use fogline_core::settings::Settings;
use fogline_core::state::ReplicaStatus;
use fogline_core::traffic::UpstreamState;
use serde_json::{Value, json};

use super::*;

fn routed() -> Value {
    json!({"replicas": 2, "drain_timeout_s": 30, "routes": [{"host": "web.test"}]})
}

/// Scales to one; the replica that goes.
fn scaled_down(world: &mut World, id: DeploymentId) -> ReplicaId {
    scaled_to(world, id, 1)
}

/// The last one of those that go.
fn scaled_to(world: &mut World, id: DeploymentId, count: i64) -> ReplicaId {
    let actor = admin(world);
    let before = replicas(world, id);
    let stops = |world: &World, replica: ReplicaId| {
        world.cluster.replica(replica).expect("there").status == ReplicaStatus::Stopping
    };
    let alive: Vec<ReplicaId> = before.into_iter().filter(|replica| !stops(world, *replica)).collect();
    world.ask(&actor, Command::ScaleDeployment { deployment_id: id, replicas: count }).expect("fewer always fit");
    *alive.iter().find(|replica| stops(world, **replica)).expect("one goes")
}

fn leaves(world: &World, id: DeploymentId, replica: ReplicaId) -> bool {
    let service = world.cluster.service(id).expect("it has a route");
    let upstream = service.upstreams.iter().find(|upstream| upstream.replica_id == replica);
    upstream.is_some_and(|upstream| upstream.state == UpstreamState::Leaving)
}

#[test]
fn it_runs_on_until_every_proxy_has_let_go_of_it() {
    let mut world = old_site();
    let id = serving(&mut world, "web", &routed());
    attach(&mut world, "p1");
    attach(&mut world, "p2");
    let going = scaled_down(&mut world, id);
    assert_eq!(wanted(&world, going), Some(Want::Run));
    assert!(leaves(&world, id, going));

    assert!(note(&mut world, "p1", &[going], &[]).released.is_empty());
    // A level: p1 does not say so any more, and then both do.
    note(&mut world, "p1", &[], &[]);
    assert!(note(&mut world, "p2", &[going], &[]).released.is_empty());
    assert_eq!(wanted(&world, going), Some(Want::Run));
    let changes = note(&mut world, "p1", &[going], &[]);
    assert_eq!(changes.released.iter().collect::<Vec<_>>(), [&world.node("n1")]);
    assert!(changes.is_empty(), "nothing is written of it");
    assert_eq!(wanted(&world, going), Some(Want::Stop));
    assert!(leaves(&world, id, going), "until it is gone");
    note(&mut world, "p1", &[], &[]);
    assert_eq!(wanted(&world, going), Some(Want::Stop), "what was told is not taken back");

    obey(&mut world);
    assert!(world.cluster.replica(going).is_none());
    assert!(!leaves(&world, id, going));
}

#[test]
fn its_time_is_over_whatever_proxies_and_agents_say() {
    let mut world = old_site();
    let id = serving(&mut world, "web", &routed());
    attach(&mut world, "p1");
    let going = scaled_down(&mut world, id);
    let node = world.node("n1");
    for _ in 0..29 {
        // An agent that goes on telling things of it does not give it more time, nor does another server.
        world.report(node, going, ReportedState::Running, true, "still here");
        note(&mut world, "p1", &[], &[]);
        assert!(pass(&mut world, 1).released.is_empty());
    }
    assert_eq!(world.cluster.next_wake().map(|at| at <= world.now.plus(Duration::from_secs(1))), Some(true));
    assert!(pass(&mut world, 1).released.contains(&node));
    assert_eq!(wanted(&world, going), Some(Want::Stop));
}

#[test]
fn a_new_server_waits_for_proxies_and_goes_on_from_when_it_began() {
    let mut world = old_site();
    let id = serving(&mut world, "web", &routed());
    attach(&mut world, "p1");
    let going = scaled_down(&mut world, id);
    pass(&mut world, 10);
    world.reload();
    pass(&mut world, 4);
    assert_eq!(wanted(&world, going), Some(Want::Run), "proxies may be on their way");
    attach(&mut world, "p1");
    pass(&mut world, 15);
    assert_eq!(wanted(&world, going), Some(Want::Run), "one of them came");
    pass(&mut world, 1);
    assert_eq!(wanted(&world, going), Some(Want::Stop), "30 s after it began");

    world.reload();
    pass(&mut world, 5);
    assert_eq!(wanted(&world, going), Some(Want::Stop), "its time was over");
}

#[test]
fn how_long_a_new_leader_waits_is_a_setting() {
    let mut world = old_site();
    let id = serving(&mut world, "web", &routed());
    world.reload_with(Settings { proxy_arrival: Duration::from_secs(20), ..Settings::default() });
    attach(&mut world, "p1");
    let going = scaled_down(&mut world, id);
    note(&mut world, "p1", &[going], &[]);
    pass(&mut world, 19);
    assert_eq!(wanted(&world, going), Some(Want::Run), "another one may be on its way");
    pass(&mut world, 1);
    assert_eq!(wanted(&world, going), Some(Want::Stop));
}

#[test]
fn where_no_proxy_comes_nothing_is_waited_for() {
    let mut world = old_site();
    let id = serving(&mut world, "web", &routed());
    let going = scaled_down(&mut world, id);
    assert_eq!(wanted(&world, going), Some(Want::Stop));

    let mut world = site();
    let id = serving(&mut world, "web", &routed());
    let going = scaled_down(&mut world, id);
    assert_eq!(wanted(&world, going), Some(Want::Run), "a new leader cannot know that there is none");
    pass(&mut world, 5);
    assert_eq!(wanted(&world, going), Some(Want::Stop));
}

#[test]
fn a_proxy_that_went_away_has_not_let_go() {
    let mut world = old_site();
    let id = serving(
        &mut world,
        "web",
        &json!({
            "replicas": 3, "drain_timeout_s": 300, "routes": [{"host": "web.test"}],
        }),
    );
    attach(&mut world, "p1");
    attach(&mut world, "p2");
    let going = scaled_to(&mut world, id, 2);
    note(&mut world, "p1", &[going], &[]);
    detach(&mut world, "p2");
    assert_eq!(wanted(&world, going), Some(Want::Run));
    pass(&mut world, 299);
    // It is forgotten after a minute, and may still serve from its last table.
    note(&mut world, "p1", &[going], &[]);
    assert_eq!(wanted(&world, going), Some(Want::Run));
    let next = scaled_down(&mut world, id);
    assert_eq!(wanted(&world, next), Some(Want::Run), "p1 has not let go of it");
    note(&mut world, "p1", &[going, next], &[]);
    assert_eq!(wanted(&world, next), Some(Want::Stop), "p2 is not waited for where it never was while it was drained");
    assert!(pass(&mut world, 1).released.contains(&world.node("n1")), "its time is over");
    assert_eq!(wanted(&world, going), Some(Want::Stop));
}

#[test]
fn a_proxy_that_went_away_with_a_word_is_not_waited_for() {
    let mut world = old_site();
    let id = serving(&mut world, "web", &routed());
    attach(&mut world, "p1");
    attach(&mut world, "p2");
    let going = scaled_down(&mut world, id);
    note(&mut world, "p2", &[going], &[]);
    detach(&mut world, "p2");
    assert_eq!(wanted(&world, going), Some(Want::Run));
    note(&mut world, "p1", &[going], &[]);
    assert_eq!(wanted(&world, going), Some(Want::Stop));
}

#[test]
fn deployments_without_a_route_and_replicas_without_an_endpoint_are_stopped_at_once() {
    let mut world = old_site();
    attach(&mut world, "p1");
    let plain = serving(&mut world, "plain", &json!({"replicas": 2}));
    let going = scaled_down(&mut world, plain);
    assert_eq!(wanted(&world, going), Some(Want::Stop));
    assert!(world.cluster.service(plain).is_none());

    let now = serving(
        &mut world,
        "now",
        &json!({
            "replicas": 2, "drain_timeout_s": 0, "routes": [{"host": "now.test"}],
        }),
    );
    let going = scaled_down(&mut world, now);
    assert_eq!(wanted(&world, going), Some(Want::Stop), "it was given no time");

    let actor = admin(&world);
    let early = deploy(&mut world, &actor, "early", &routed()).expect("it fits");
    let going = scaled_down(&mut world, early);
    assert_eq!(wanted(&world, going), Some(Want::Stop), "no request can have reached it");
}

#[test]
fn what_is_stopped_or_deleted_is_drained_too() {
    for delete in [false, true] {
        let mut world = old_site();
        let actor = admin(&world);
        let id = serving(&mut world, "web", &routed());
        attach(&mut world, "p1");
        let command = match delete {
            true => Command::DeleteDeployment { deployment_id: id },
            false => Command::StopDeployment { deployment_id: id },
        };
        world.ask(&actor, command).expect("theirs");
        let all = replicas(&world, id);
        assert!(all.iter().all(|replica| wanted(&world, *replica) == Some(Want::Run)));
        let service = world.cluster.service(id).expect("proxies must hear of what leaves");
        assert!(!service.serving && service.upstreams.iter().all(|one| one.state == UpstreamState::Leaving));
        assert_eq!(service.routes.is_empty(), delete, "a deleted one has no claim any more");
        assert_eq!(world.cluster.services(), [service]);
        if delete {
            deploy(&mut world, &actor, "web", &routed()).expect("its route is free");
        }

        note(&mut world, "p1", &all, &[]);
        assert!(all.iter().all(|replica| wanted(&world, *replica) == Some(Want::Stop)));
        obey(&mut world);
        assert_eq!(world.cluster.service(id).is_some(), !delete);
    }
}

#[test]
fn routes_that_are_taken_away_leave_open_requests_their_time() {
    let mut world = old_site();
    let id = serving(&mut world, "web", &routed());
    attach(&mut world, "p1");
    let going = scaled_down(&mut world, id);
    let actor = admin(&world);
    update(&mut world, &actor, id, "web", &json!({"replicas": 1, "drain_timeout_s": 30})).expect("fewer routes");
    let service = world.cluster.service(id).expect("one is leaving");
    assert!(service.routes.is_empty());
    assert_eq!(wanted(&world, going), Some(Want::Run));
    note(&mut world, "p1", &[going], &[]);
    obey(&mut world);

    // What serves on may have requests from before.
    let service = world.cluster.service(id).expect("one has had requests");
    assert!(service.routes.is_empty() && service.upstreams.len() == 1);
    assert_eq!(world.cluster.services(), [service]);
    let last = replicas(&world, id)[0];
    let (mut other, mut changes) = (world.cluster.clone(), Changes::default());
    other.apply(&world.end_of(last), world.now, &mut changes).expect("its node is known");
    assert!(other.service(id).is_none());
    other.revert(&changes);
    assert!(other.service(id).is_some(), "its end was not written");
    world.ask(&actor, Command::StopDeployment { deployment_id: id }).expect("theirs");
    assert_eq!(wanted(&world, last), Some(Want::Run));
    assert!(leaves(&world, id, last));
    note(&mut world, "p1", &[last], &[]);
    assert_eq!(wanted(&world, last), Some(Want::Stop));
    obey(&mut world);
    assert!(world.cluster.service(id).is_none());

    // What came later has none.
    world.ask(&actor, Command::StartDeployment { deployment_id: id }).expect("theirs");
    bring_up(&mut world);
    assert!(world.cluster.service(id).is_none());
    let later = replicas(&world, id)[0];
    world.ask(&actor, Command::StopDeployment { deployment_id: id }).expect("theirs");
    assert_eq!(wanted(&world, later), Some(Want::Stop));
}

#[test]
fn what_has_ended_or_was_not_approved_is_not_drained() {
    let mut world = old_site();
    let id = serving(&mut world, "web", &routed());
    attach(&mut world, "p1");
    let going = scaled_down(&mut world, id);
    let node = world.node("n1");
    let changes = world.restarted(node, going, 1);
    assert!(changes.released.contains(&node), "its requests ended with its process");
    assert_eq!(wanted(&world, going), Some(Want::Stop));

    // It ends while it is drained, and is not started again yet.
    let mut world = old_site();
    let id = serving(&mut world, "web", &routed());
    attach(&mut world, "p1");
    let going = scaled_down(&mut world, id);
    let node = world.node("n1");
    assert!(world.ended_for_now(node, going).released.contains(&node), "nobody can let go of what it is not told of");
    assert_eq!(wanted(&world, going), Some(Want::Stop));

    let room = Resources { storage_gb: 1_000, ..world::resources(10.0, 16_384) };
    let mut world = old_site();
    world.add_node("d1", "r", "z", room, &[Runtime::Docker]);
    let actor = admin(&world);
    let fields = json!({
        "replicas": 2, "command": [], "container_image": "web:v1", "drain_timeout_s": 30, "routes": [{"host": "web.test"}],
    });
    let id = deploy(&mut world, &actor, "web", &fields).expect("it fits");
    attach(&mut world, "p1");
    let node = world.node("d1");
    let both = replicas(&world, id);
    let digest = |part: &str| format!("sha256:{}", part.repeat(32)).parse::<ImageDigest>().expect("a digest");
    for replica in &both {
        world.seen(node, *replica, ReportedState::Running, true);
    }
    world.report_image(node, both[0], ReportedState::Running, true, "", Some(digest("0a")));
    world.report_image(node, both[1], ReportedState::Running, true, "", Some(digest("0b")));
    let listed = world.cluster.assignment(node).replicas.into_iter().find(|one| one.replica_id == both[1]);
    assert_eq!(listed.map(|one| one.want), Some(Want::Stop), "nobody approved of what it is");
}

#[test]
fn a_commit_that_failed_tells_the_node_with_the_next_one() {
    let mut world = old_site();
    let id = serving(&mut world, "web", &routed());
    attach(&mut world, "p1");
    let going = scaled_down(&mut world, id);
    let mut changes = Changes::default();
    let command = Command::NoteTraffic { proxy: "p1".to_owned(), let_go: vec![going], signals: Vec::new() };
    world.cluster.apply(&Request::agent(command), world.now, &mut changes).expect("attached");
    assert!(world.cluster.settle(world.now, &mut changes, &mut || true));
    assert!(!changes.released.is_empty());
    world.cluster.revert(&changes);
    assert!(pass(&mut world, 1).released.contains(&world.node("n1")));

    // One whose stop was taken back is not drained.
    let mut changes = Changes::default();
    let scale = Command::ScaleDeployment { deployment_id: id, replicas: 2 };
    let actor = admin(&world);
    world.ask(&actor, scale).expect("it fits");
    obey(&mut world);
    bring_up(&mut world);
    let stop = Command::StopDeployment { deployment_id: id };
    let request = Request { actor, command: stop, idempotency: None, remote: None };
    world.cluster.apply(&request, world.now, &mut changes).expect("theirs");
    assert!(world.cluster.settle(world.now, &mut changes, &mut || true));
    world.cluster.revert(&changes);
    let service = world.cluster.service(id).expect("it has a route");
    assert!(service.upstreams.iter().all(|upstream| upstream.state == UpstreamState::Ready));
    assert!(replicas(&world, id).iter().all(|replica| wanted(&world, *replica) == Some(Want::Run)));
}
