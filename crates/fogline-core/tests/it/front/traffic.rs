//! What all proxies see together, and what may not sleep because of it.

use fogline_core::command::Decided;
use fogline_core::record::ScalingTarget;
use fogline_core::scaling::inputs::ProxySignal;
use fogline_core::scaling::sample::{Reading, Sample, Source};
use fogline_core::scaling::{Decision, Inputs, State, decision::Event, evaluate};
use fogline_core::time::Timestamp;
use serde_json::json;

use super::*;
use crate::scaling::stage;

const SLEEPY: &str = "target_id: web\nscale_to_zero: true\nidle: {idle_period: 1m}\n";

fn web(world: &mut World) -> DeploymentId {
    serving(world, "web", &json!({"routes": [{"host": "web.test"}]}))
}

fn sleepy(world: &mut World, yaml: &str) {
    let actor = admin(world);
    world.ask(&actor, Command::CreatePolicy { spec: stage::spec(yaml).into() }).expect("a policy");
}

fn seen(world: &World, id: DeploymentId) -> ProxySignal {
    world.cluster.proxy_signal(id, world.now).expect("a proxy was heard")
}

fn quiet(world: &World, id: DeploymentId) -> Duration {
    world.now.since(seen(world, id).quiet_since)
}

/// What the engine comes to now.
fn evaluated(world: &World, id: DeploymentId, readings: &[(&str, f64)]) -> (Decided, Decision) {
    let target = ScalingTarget::Deployment(id);
    let view = world.cluster.scaling_target(&target).expect("a policy is on it");
    let mut inputs = Inputs { replicas: view.counts, ..Inputs::default() };
    inputs.proxy = world.cluster.proxy_signal(id, world.now);
    for (metric, value) in readings {
        let sample = Sample::Value { value: *value, at: world.now };
        inputs.readings.insert((*metric).to_owned(), Reading::of(sample, Source::Prometheus, stage::INTERVAL));
    }
    let state = State::resumed((*view.memory).clone(), view.counts.current, world.now);
    let (decision, after) = evaluate(&view.policies, &inputs, &state, world.now);
    let (memory, without) = (Some(after.memory), Some((*view.memory).clone()));
    let decided = Decided {
        target,
        based_on: view.version,
        decision: decision.clone(),
        memory,
        memory_without: without,
        keep: true,
    };
    (decided, decision)
}

fn submit(world: &mut World, decided: Decided) -> Result<Outcome, Rejection> {
    world.ask(&Actor::System, Command::Decide(Box::new(decided)))
}

#[test]
fn proxies_are_added_up() {
    let mut world = site();
    let id = web(&mut world);
    assert_eq!(seen(&world, id).at, Timestamp::EPOCH, "nobody has told anything");
    attach(&mut world, "p1");
    assert_eq!(seen(&world, id).at, Timestamp::EPOCH, "others may be on their way to a new leader");
    pass(&mut world, 60);
    attach(&mut world, "p2");
    note(&mut world, "p1", &[], &[ServiceSignal { held: 2, ..signal(id, 10, 3, 0) }]);
    note(&mut world, "p2", &[], &[signal(id, 5, 1, 0)]);
    let ProxySignal { at, open, held, sequence, quiet_since } = seen(&world, id);
    assert_eq!((at, open, held, sequence, quiet_since), (world.now, 4, 2, 15, world.now));

    note(&mut world, "p1", &[], &[signal(id, 12, 0, 40)]);
    note(&mut world, "p2", &[], &[signal(id, 5, 0, 0)]);
    pass(&mut world, 20);
    assert_eq!(
        (seen(&world, id).sequence, quiet(&world, id)),
        (17, Duration::from_secs(20)),
        "the quietest does not count"
    );
    assert_eq!(world.now.since(seen(&world, id).at), Duration::from_secs(20));
    note(&mut world, "p1", &[], &[]);
    assert_eq!(world.now.since(seen(&world, id).at), Duration::from_secs(20), "the other one is silent");
    // A counter that starts over has counted something.
    note(&mut world, "p2", &[], &[signal(id, 1, 0, 0)]);
    assert!(seen(&world, id).sequence > 17);
}

#[test]
fn a_deployment_that_had_no_request_is_quiet_since_it_could_have_had_one() {
    let mut world = old_site();
    attach(&mut world, "p1");
    pass(&mut world, 100);
    let id = web(&mut world);
    pass(&mut world, 7);
    note(&mut world, "p1", &[], &[]);
    assert_eq!((quiet(&world, id), seen(&world, id).sequence), (Duration::from_secs(7), 0));
    let plain = serving(&mut world, "plain", &json!({}));
    assert_eq!(world.cluster.proxy_signal(plain, world.now), None, "it has no route");
    let actor = admin(&world);
    update(&mut world, &actor, plain, "plain", &json!({"routes": [{"host": "plain.test"}]})).expect("free");
    assert_eq!(quiet(&world, plain), Duration::ZERO);
    note(&mut world, "p1", &[], &[signal(plain, 9, 0, 0)]);
    update(&mut world, &actor, plain, "plain", &json!({})).expect("fine");
    assert_eq!(world.cluster.proxy_signal(plain, world.now), None);
}

#[test]
fn what_a_proxy_that_went_away_sees_is_not_known_for_a_minute() {
    let mut world = old_site();
    let id = web(&mut world);
    attach(&mut world, "p1");
    attach(&mut world, "p2");
    note(&mut world, "p1", &[], &[signal(id, 10, 1, 0)]);
    let before = seen(&world, id).sequence;
    detach(&mut world, "p1");
    pass(&mut world, 59);
    note(&mut world, "p2", &[], &[]);
    assert_eq!((seen(&world, id).open, quiet(&world, id)), (1, Duration::ZERO));
    assert!(seen(&world, id).sequence > before, "nothing that was decided before is true");
    pass(&mut world, 1);
    note(&mut world, "p2", &[], &[]);
    assert_eq!((seen(&world, id).open, quiet(&world, id)), (0, Duration::from_secs(60)));
    detach(&mut world, "p2");
    pass(&mut world, 61);
    assert!(world.now.since(seen(&world, id).at) > Duration::from_secs(60), "nobody tells: too old to say anything");

    tell(&mut world, Command::AttachProxy { proxy: "p1".to_owned() }).expect("it may");
    assert_eq!(quiet(&world, id), Duration::ZERO, "it has not said what it sees yet");
}

#[test]
fn a_zero_is_refused_when_a_request_came_in_between() {
    let mut world = old_site();
    let id = web(&mut world);
    sleepy(&mut world, SLEEPY);
    attach(&mut world, "p1");
    note(&mut world, "p1", &[], &[signal(id, 10, 0, 0)]);
    pass(&mut world, 61);
    note(&mut world, "p1", &[], &[]);

    let (stale, decision) = evaluated(&world, id, &[]);
    assert_eq!((decision.replicas, decision.unless_woken_after), (0, Some(10)));
    // Begun and ended between two looks, or still there.
    for signal in [signal(id, 11, 0, 0), signal(id, 12, 1, 0)] {
        note(&mut world, "p1", &[], &[signal]);
        let refused = submit(&mut world, stale.clone()).expect_err("somebody needs it");
        assert!(matches!(refused, Rejection::ChangedMeanwhile { .. }), "{refused}");
    }
    note(&mut world, "p1", &[], &[signal(id, 12, 0, 0)]);
    assert_ne!(evaluated(&world, id, &[]).1.replicas, 0, "there were requests lately");
    pass(&mut world, 61);
    note(&mut world, "p1", &[], &[]);
    let (decided, _) = evaluated(&world, id, &[]);
    // A proxy that goes away takes with it what is known.
    let mut other = world.cluster.clone();
    let gone = Request::agent(Command::DetachProxy { proxy: "p1".to_owned() });
    other.apply(&gone, world.now, &mut Changes::default()).expect("it may");
    let again = Request::system(Command::Decide(Box::new(decided.clone())));
    let refused = other.apply(&again, world.now, &mut Changes::default()).expect_err("nobody knows");
    assert!(matches!(refused, Rejection::ChangedMeanwhile { .. }), "{refused}");

    submit(&mut world, decided).expect("nobody needs it");
    let service = world.cluster.service(id).expect("it has a route");
    assert!(service.asleep && service.serving);
    assert_eq!(wanted(&world, replicas(&world, id)[0]), Some(Want::Run), "a request on its way is still answered");
}

#[test]
fn without_a_proxy_an_activation_metric_may_put_it_to_sleep() {
    let mut world = old_site();
    let id = web(&mut world);
    sleepy(&mut world, "target_id: web\nscale_to_zero: true\nidle: {idle_period: 10s, activation: [{metric: lag}]}\n");
    let mut memory = None;
    for _ in 0..3 {
        pass(&mut world, 10);
        let (decided, decision) = evaluated(&world, id, &[("lag", 0.0)]);
        if decision.replicas == 0 {
            attach(&mut world, "p1");
            let refused = submit(&mut world, decided.clone()).expect_err("a proxy came that was not asked");
            assert!(matches!(refused, Rejection::ChangedMeanwhile { .. }), "{refused}");
            memory = Some(decision);
            break;
        }
        submit(&mut world, decided).expect("it remembers");
    }
    assert_eq!(memory.expect("idle after the period").unless_woken_after, None);
}

#[test]
fn nothing_sleeps_by_a_metric_while_proxies_may_come_that_were_not_heard() {
    let mut world = old_site();
    let id = web(&mut world);
    sleepy(&mut world, "target_id: web\nscale_to_zero: true\nidle: {idle_period: 10s, activation: [{metric: lag}]}\n");
    let (decided, _) = evaluated(&world, id, &[("lag", 0.0)]);
    submit(&mut world, decided).expect("it remembers");
    pass(&mut world, 10);
    let (asleep, decision) = evaluated(&world, id, &[("lag", 0.0)]);
    assert_eq!((decision.replicas, decision.unless_woken_after), (0, None), "there is no proxy");

    // A new leader does not know that there is none, whoever has told it so.
    world.reload();
    let (_, decision) = evaluated(&world, id, &[("lag", 0.0)]);
    assert_eq!(decision.replicas, 1, "{}", decision.reason);
    let refused = submit(&mut world, asleep.clone()).expect_err("nobody can know yet");
    assert!(matches!(refused, Rejection::ChangedMeanwhile { .. }), "{refused}");
    pass(&mut world, 5);
    assert_eq!(evaluated(&world, id, &[("lag", 0.0)]).1.replicas, 0);

    // One that is there and has told nothing yet.
    tell(&mut world, Command::AttachProxy { proxy: "p1".to_owned() }).expect("it may");
    assert_eq!(evaluated(&world, id, &[("lag", 0.0)]).1.replicas, 1);
    let refused = submit(&mut world, asleep).expect_err("it may have requests");
    assert!(matches!(refused, Rejection::ChangedMeanwhile { .. }), "{refused}");
}

#[test]
fn a_new_leader_does_not_know_what_was_quiet_before_it() {
    let mut world = old_site();
    let id = web(&mut world);
    attach(&mut world, "p1");
    pass(&mut world, 600);
    world.reload();
    pass(&mut world, 6);
    attach(&mut world, "p2");
    assert_eq!(quiet(&world, id), Duration::from_secs(6), "another one may have had a request, and be gone");
}

#[test]
fn the_proxys_requests_outrank_a_metric_that_says_zero() {
    let mut world = old_site();
    let id = serving(&mut world, "web", &json!({"replicas": 4, "routes": [{"host": "web.test"}]}));
    sleepy(
        &mut world,
        "target_id: web\nmin_replicas: 1\nmax_replicas: 8\ntargets: [{metric: jobs, target: 10}]\n\
                        scale_down: {stabilization: 0s}\nmax_terminations: 100\ncooldown_seconds: 0\n",
    );
    attach(&mut world, "p1");
    note(&mut world, "p1", &[], &[signal(id, 10, 3, 0)]);
    pass(&mut world, 1);
    let (_, decision) = evaluated(&world, id, &[("jobs", 0.0)]);
    assert_eq!(decision.replicas, 4, "{}", decision.reason);
    assert_eq!(decision.events, [Event::TrafficConflict { metric: "jobs".to_owned() }]);
    note(&mut world, "p1", &[], &[signal(id, 10, 0, 0)]);
    let (_, decision) = evaluated(&world, id, &[("jobs", 0.0)]);
    assert!(decision.replicas < 4 && decision.events.is_empty(), "{}", decision.reason);
}

#[test]
fn another_cluster_of_the_same_process_knows_what_was_heard() {
    let mut world = old_site();
    let id = web(&mut world);
    attach(&mut world, "p1");
    note(&mut world, "p1", &[], &[signal(id, 10, 2, 0)]);
    let before = seen(&world, id);
    let earlier = world.cluster.clone();
    world.reload();
    assert_eq!(seen(&world, id).at, Timestamp::EPOCH);
    world.cluster.keep_observed(&earlier);
    assert_eq!(seen(&world, id), before);
}
