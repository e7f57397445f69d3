//! An engine that is not there, dies, or comes back: what runs is held, and every end is told once.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use fogline_agent::driver::{Adopted, AdoptedState, DriverError, DriverEvent, ExitCause, Signal, StartError};
use fogline_testbed::{Engine, UnixRelay};

use super::super::contract::{IMAGE, Kind, Rig};
use super::super::harness::within;
use super::play;

/// The rig's driver reaches its engine by this from now on.
async fn by(rig: &mut Rig, relay: &UnixRelay) {
    rig.containers.sockets = vec![relay.socket()];
    rig.containers.call_within = Duration::from_secs(2);
    rig.new_agent().await;
}

#[test]
fn without_an_engine_nothing_is_recorded_and_what_to_do_is_said() {
    play(|mut rig: Rig| async move {
        rig.containers.sockets = vec!["/no/such/socket".into()];
        assert_eq!(rig.new_agent().await, vec![]);
        let order = rig.order(&[]);
        let error = rig.start(&order).await.expect_err("there is no engine");
        assert!(matches!(error, StartError::NoEngine { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("/no/such/socket") && text.contains("start Docker or Podman"), "{text}");
        assert_eq!(rig.left(), Vec::<String>::new());
    });
}

#[test]
fn what_runs_is_held_while_the_engine_is_away_and_adopted_when_it_is_back() {
    play(|mut rig: Rig| async move {
        let relay = UnixRelay::to(&rig.engine().socket());
        by(&mut rig, &relay).await;
        let (runs, ends) = (rig.order(&[]), rig.order(&[]));
        let container_id = rig.run(&runs).await;
        rig.run(&ends).await;
        for away in [UnixRelay::cut, UnixRelay::hang] {
            away(&relay);
            let adopted = rig.new_agent().await;
            assert_eq!(adopted.len(), 2);
            for one in &adopted {
                assert!(matches!(one.state, AdoptedState::Held { .. }), "{one:?}");
            }
            let mut again = runs.clone();
            again.run = 2;
            assert_eq!(rig.start(&again).await, Err(StartError::StillRunning { run: 1 }));
            let refused = rig.driver().signal(runs.replica_id, Signal::Terminate).await;
            assert!(matches!(refused, Err(DriverError::Engine { .. })), "{refused:?}");
            rig.no_event();
            relay.pass();
            let mut back: Vec<Adopted> = Vec::new();
            for _ in 0..2 {
                let event = rig.event().await;
                let DriverEvent::Adopted(one) = event else { panic!("{event:?}") };
                back.push(*one);
            }
            let one = back.iter().find(|one| one.order.replica_id == runs.replica_id).expect("it is adopted");
            assert_eq!((&one.state, one.container_id.as_deref()), (&AdoptedState::Alive, Some(container_id.as_str())));
        }
        // One that ends while nobody can be asked.
        relay.cut();
        rig.new_agent().await;
        assert_eq!(rig.asked_once(&ends, "/exit?code=9"), None);
        relay.pass();
        let mut events = [rig.event().await, rig.event().await];
        events.sort_by_key(|event| matches!(event, DriverEvent::Exited { .. }));
        let [DriverEvent::Adopted(_), DriverEvent::Exited { replica_id, exit, .. }] = &events else {
            panic!("{events:?}")
        };
        assert_eq!((*replica_id, exit.code), (ends.replica_id, Some(9)));
        rig.kill(&runs).await;
        rig.forget(&[&runs, &ends]).await;
    });
}

#[test]
fn another_engine_is_never_asked_about_what_runs() {
    play(|mut rig: Rig| async move {
        // Two ways to the one engine there is, as if they led to two.
        let (first, second) = (UnixRelay::to(&rig.engine().socket()), UnixRelay::to(&rig.engine().socket()));
        rig.containers.sockets = vec![first.socket(), second.socket()];
        rig.containers.call_within = Duration::from_secs(2);
        rig.new_agent().await;
        let runs = rig.order(&[]);
        rig.run(&runs).await;
        first.cut();
        let adopted = rig.new_agent().await;
        assert!(matches!(&adopted[..], [Adopted { state: AdoptedState::Held { .. }, .. }]), "{adopted:?}");
        let other = rig.order(&[]);
        let error = rig.start(&other).await.expect_err("its engine is away");
        assert!(matches!(error, StartError::NoEngine { .. }), "{error:?}");
        first.pass();
        let event = rig.event().await;
        assert!(matches!(event, DriverEvent::Adopted(_)), "{event:?}");
        rig.kill(&runs).await;
        rig.forget(&[&runs]).await;
        // Nothing is left that the first one would have to be asked about.
        first.cut();
        rig.new_agent().await;
        rig.run(&other).await;
        rig.kill(&other).await;
        rig.forget(&[&other]).await;
    });
}

#[test]
fn an_engine_that_is_silent_ends_nothing() {
    play(|mut rig: Rig| async move {
        let relay = UnixRelay::to(&rig.engine().socket());
        by(&mut rig, &relay).await;
        let order = rig.order(&[]);
        rig.run(&order).await;
        relay.cut();
        // Longer than it takes to look several times.
        tokio::time::sleep(rig.containers.look_every * 3).await;
        rig.no_event();
        relay.pass();
        assert_eq!(rig.kill(&order).await.code, Some(137));
        rig.forget(&[&order]).await;
    });
}

#[test]
fn an_engine_that_dies_and_comes_back_has_its_containers_looked_at() {
    let engine = Arc::new(Engine::start());
    engine.make_image(IMAGE, "v1");
    engine.enter();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut rig = Rig::new(Kind::Docker, Some(Arc::clone(&engine))).await;
        let mut order = rig.order(&[]);
        rig.run(&order).await;
        engine.kill();
        // Its silence says nothing of its containers.
        tokio::time::sleep(rig.containers.look_every * 2).await;
        rig.no_event();
        engine.restart();
        // Without `live-restore`, Docker ends what it finds. That is told once, and the next run can begin.
        let exit = rig.exit(&order).await;
        assert!(matches!(exit.cause, ExitCause::Signalled | ExitCause::Exited), "{exit:?}");
        order.run = 2;
        rig.run(&order).await;
        assert_eq!(engine.containers("fogline-"), [format!("fogline-{}-2", order.replica_id)]);
        rig.kill(&order).await;
        rig.forget(&[&order]).await;
    });
}

#[test]
fn a_container_that_somebody_removes_has_ended() {
    play(|mut rig: Rig| async move {
        let order = rig.order(&[]);
        rig.run(&order).await;
        rig.engine().ok(&["rm", "--force", &format!("fogline-{}-1", order.replica_id)]);
        let exit = rig.exit(&order).await;
        // Whether it is still there for a moment is the engine's affair.
        assert!(matches!(exit.cause, ExitCause::Removed | ExitCause::Signalled), "{exit:?}");
        rig.forget(&[&order]).await;
    });
}

#[test]
fn a_container_without_a_record_is_held_and_can_be_ended() {
    play(|mut rig: Rig| async move {
        let order = rig.order(&[]);
        rig.run(&order).await;
        rig.end_agent();
        let record = rig.dir.path().join("containers").join(order.replica_id.to_string());
        fs::write(record.join("record.json"), "{\"start\":").expect("written");
        let adopted = rig.new_agent().await;
        let [Adopted { order: found, state: AdoptedState::Held { why }, .. }] = &adopted[..] else {
            panic!("{adopted:?}")
        };
        assert!(found.replica_id == order.replica_id && found.template.env.is_empty(), "{found:?}");
        assert!(why.contains("is lost"), "{why}");
        let mut again = order.clone();
        again.run = 2;
        assert_eq!(rig.start(&again).await, Err(StartError::StillRunning { run: 1 }));
        rig.signal(&order, Signal::Kill).await;
        let event = within(rig.event()).await;
        assert!(matches!(event, DriverEvent::Exited { replica_id, .. } if replica_id == order.replica_id), "{event:?}");
        rig.run(&again).await;
        rig.kill(&again).await;
        rig.forget(&[&order]).await;
    });
}
