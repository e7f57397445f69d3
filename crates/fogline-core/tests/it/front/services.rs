//! What proxies are told of deployments.

use fogline_core::record::Tier;
use fogline_core::spec::HealthCheck;
use fogline_core::traffic::{Service, UpstreamState};
use serde_json::json;

use super::*;

fn told(world: &World, id: DeploymentId) -> Service {
    world.cluster.service(id).expect("it has a route")
}

fn states(world: &World, id: DeploymentId) -> Vec<UpstreamState> {
    told(world, id).upstreams.into_iter().map(|upstream| upstream.state).collect()
}

#[test]
fn a_replica_is_told_from_its_endpoint_to_its_end() {
    let mut world = old_site();
    let actor = admin(&world);
    let fields = json!({
        "replicas": 1, "routes": [{"host": "web.test", "path": "/api"}], "traffic": {"timeout_s": 7},
        "health": {"type": "http", "path": "/ok"},
    });
    let id = deploy(&mut world, &actor, "web", &fields).expect("it fits");
    let service = told(&world, id);
    assert_eq!((&*service.name, service.owner, service.traffic.timeout_s), ("web", world.admin, 7));
    assert_eq!((service.routes[0].host.as_deref(), service.routes[0].path()), (Some("web.test"), "/api"));
    assert_eq!(
        service.readiness.map(|health| (health.check, health.path)),
        Some((HealthCheck::Http, "/ok".to_owned()))
    );
    assert!(service.serving && !service.asleep && service.upstreams.is_empty(), "it has no endpoint yet");

    let (node, replica) = (world.node("n1"), replicas(&world, id)[0]);
    let changes = world.seen(node, replica, ReportedState::Starting, false);
    assert_eq!(changes.replicas.len(), 1, "a row says it");
    assert_eq!(states(&world, id), [UpstreamState::Starting]);
    let changes = world.seen(node, replica, ReportedState::Running, true);
    assert!(changes.readiness.contains(&id));
    assert_eq!(states(&world, id), [UpstreamState::Ready]);

    let changes = world.seen(node, replica, ReportedState::Running, false);
    assert!(changes.is_empty() && changes.readiness.contains(&id), "only proxies hear of it");
    assert!(states(&world, id).is_empty(), "something is the matter with it");
    world.seen(node, replica, ReportedState::Running, true);
    assert_eq!(states(&world, id), [UpstreamState::Ready]);
    assert_eq!(world.cluster.services(), [told(&world, id)]);
}

/// Its port may be another's by the time it is started again.
#[test]
fn what_does_not_run_has_no_endpoint() {
    let mut world = old_site();
    let id = serving(&mut world, "web", &json!({"routes": [{"host": "web.test"}]}));
    let (node, replica) = (world.node("n1"), replicas(&world, id)[0]);
    let endpoint = |world: &World| world.cluster.replica(replica).expect("there").endpoint.clone();
    assert!(endpoint(&world).is_some());
    world.ended_for_now(node, replica);
    assert_eq!(endpoint(&world), None);
    world.seen(node, replica, ReportedState::Running, true);
    assert_eq!(states(&world, id), [UpstreamState::Ready]);
}

#[test]
fn a_lost_node_takes_its_replicas_along() {
    let mut world = old_site();
    let id = serving(&mut world, "web", &json!({"routes": [{"host": "web.test"}]}));
    let changes = world.advance(Duration::from_secs(13), &[]);
    assert!(changes.readiness.contains(&id));
    assert!(states(&world, id).is_empty());
    let changes = pass_with_n1(&mut world);
    assert!(changes.readiness.contains(&id));
    assert_eq!(states(&world, id), [UpstreamState::Ready]);
}

fn pass_with_n1(world: &mut World) -> Changes {
    let node = world.node("n1");
    world.advance(Duration::from_secs(1), &[node])
}

#[test]
fn proxies_do_not_probe_where_only_the_agent_can_tell() {
    let mut world = old_site();
    let actor = admin(&world);
    let routes = json!([{"host": "web.test"}]);
    let id = deploy(&mut world, &actor, "web", &json!({"routes": routes})).expect("it fits");
    assert_eq!(told(&world, id).readiness.map(|health| health.check), Some(HealthCheck::Tcp));
    update(&mut world, &actor, id, "web", &json!({"routes": routes, "health": {"type": "none"}})).expect("fine");
    assert_eq!(told(&world, id).readiness.map(|health| health.check), Some(HealthCheck::Tcp), "a request needs one");
    update(&mut world, &actor, id, "web", &json!({"routes": routes, "warm_up": {"path": "/warm"}})).expect("fine");
    assert_eq!(told(&world, id).readiness, None);
    assert_eq!(world.cluster.deployment(id).expect("there").record.revision, 3, "what warms up is another replica");
    let traffic = json!({"routes": routes, "warm_up": {"path": "/warm"}, "traffic": {"timeout_s": 5}});
    update(&mut world, &actor, id, "web", &traffic).expect("fine");
    assert_eq!(told(&world, id).traffic.timeout_s, 5);
    assert_eq!(world.cluster.deployment(id).expect("there").record.revision, 3, "how requests are treated is not");
}

#[test]
fn why_replicas_do_not_come_up_is_told_until_one_does() {
    let mut world = old_site();
    let id = serving(&mut world, "web", &json!({"replicas": 2, "routes": [{"host": "web.test"}]}));
    let node = world.node("n1");
    let all = replicas(&world, id);
    world.report(node, all[0], ReportedState::Failed, false, "exited with code 3");
    assert_eq!(told(&world, id).trouble, None, "the other one serves");
    world.report(node, all[1], ReportedState::Failed, false, "exited with code 4");
    assert_eq!(told(&world, id).trouble.as_deref(), Some("it ends right after its start"), "and not what it said");
    pass(&mut world, 3);
    bring_up(&mut world);
    assert_eq!(told(&world, id).trouble, None);

    let actor = admin(&world);
    let large = json!({"replicas": 30, "placement": {"when_full": "wait"}, "routes": [{"host": "large.test"}]});
    let large = deploy(&mut world, &actor, "large", &large).expect("it may wait");
    let service = told(&world, large);
    assert!(service.serving);
    assert!(service.trouble.is_some_and(|why| &*why == "it cannot be placed: no room"));
    let failed = json!({"replicas": 30, "routes": [{"host": "failed.test"}]});
    let failed = deploy(&mut world, &actor, "failed", &failed).expect("it is tried");
    let service = told(&world, failed);
    assert!(!service.serving && service.trouble.is_some_and(|why| &*why == "it cannot be placed: no room"));
}

#[test]
fn an_agents_word_is_needed_to_speak_for_proxies() {
    let mut world = old_site();
    let ann = world.add_user("ann", Tier::Pro);
    let name = || "p1".to_owned();
    for command in [
        Command::AttachProxy { proxy: name() },
        Command::DetachProxy { proxy: name() },
        Command::NoteTraffic { proxy: name(), let_go: Vec::new(), signals: Vec::new() },
    ] {
        let refused = world.ask(&ann, command).expect_err("she is no proxy");
        assert!(matches!(refused, Rejection::Forbidden { needed: "agent", .. }), "{refused}");
    }
    let early = tell(&mut world, Command::NoteTraffic { proxy: name(), let_go: Vec::new(), signals: Vec::new() });
    assert!(matches!(early, Err(Rejection::NotFound { kind: "proxy", .. })), "{early:?}");
    for proxy in [String::new(), "x".repeat(201), "a\nb".to_owned()] {
        assert!(matches!(tell(&mut world, Command::AttachProxy { proxy }), Err(Rejection::Invalid(_))));
    }
}
