//! Fault 30: an engine that hangs, has too much to do, or whose answers are lost. Never a second container.

use std::time::Duration;

use fogline_agent::driver::{AdoptedState, DriverEvent, Signal, StartError};
use fogline_testbed::{Deed, Request, UnixRelay};

use super::super::contract::Rig;
use super::play;

fn makes(request: &Request) -> bool {
    request.method == "POST" && request.target.contains("/containers/create")
}

fn starts(request: &Request) -> bool {
    request.method == "POST" && request.target.contains("/start")
}

fn kills(request: &Request) -> bool {
    request.method == "POST" && request.target.contains("/kill")
}

fn deeds() -> [Deed; 5] {
    [Deed::Lose, Deed::LoseReply, Deed::Hang, Deed::HangReply, Deed::Answer(429, "too much to do".to_owned())]
}

async fn behind_a_relay(rig: &mut Rig) -> UnixRelay {
    let relay = UnixRelay::to(&rig.engine().socket());
    rig.containers.sockets = vec![relay.socket()];
    rig.containers.call_within = Duration::from_secs(2);
    rig.new_agent().await;
    relay
}

#[test]
fn whatever_becomes_of_a_call_there_is_one_container() {
    play(|mut rig: Rig| async move {
        let relay = behind_a_relay(&mut rig).await;
        for chosen in [makes, starts] {
            for deed in deeds() {
                relay.once(chosen, deed.clone());
                let order = rig.order(&[]);
                let container_id = rig.run(&order).await;
                let name = format!("fogline-{}", order.replica_id);
                assert_eq!(rig.engine().containers(&name), [format!("{name}-1")], "{deed:?}");
                let said = rig.ask(&order, "/read?path=/proc/self/status").await;
                assert!(said.contains("Pid:"), "{said}");
                assert_eq!(
                    rig.engine().ok(&["ps", "--quiet", "--no-trunc", "--filter", &format!("name={name}")]),
                    container_id
                );
                rig.kill(&order).await;
                rig.forget(&[&order]).await;
            }
        }
    });
}

#[test]
fn a_kill_whose_answer_is_lost_has_killed_and_is_told_once() {
    play(|mut rig: Rig| async move {
        let relay = behind_a_relay(&mut rig).await;
        for deed in deeds() {
            let order = rig.order(&[]);
            rig.run(&order).await;
            relay.once(kills, deed);
            rig.signal(&order, Signal::Kill).await;
            assert_eq!(rig.exit(&order).await.code, Some(137));
            rig.no_event();
            rig.forget(&[&order]).await;
        }
    });
}

/// The engine carries a start out, and then nobody hears of it any more.
#[test]
fn a_start_that_nobody_can_tell_of_is_held_until_somebody_can() {
    play(|mut rig: Rig| async move {
        rig.containers.start_deadline = Duration::from_secs(4);
        let relay = behind_a_relay(&mut rig).await;
        let mut is_silent = false;
        relay.on_request(move |request| {
            let is_start = starts(request);
            is_silent |= is_start;
            if is_start {
                Deed::HangReply
            } else if is_silent {
                Deed::Hang
            } else {
                Deed::Pass
            }
        });
        let order = rig.order(&[]);
        let error = rig.start(&order).await.expect_err("nobody can tell");
        assert!(matches!(error, StartError::Unclear { run: 1, .. }), "{error:?}");
        let mut again = order.clone();
        again.run = 2;
        assert_eq!(rig.start(&again).await, Err(StartError::StillRunning { run: 1 }), "it may run");
        rig.ask(&order, "/").await;
        rig.no_event();
        relay.on_request(|_| Deed::Pass);
        let event = rig.event().await;
        let DriverEvent::Adopted(adopted) = event else { panic!("{event:?}") };
        assert_eq!((adopted.order.run, adopted.state), (1, AdoptedState::Alive));
        let name = format!("fogline-{}", order.replica_id);
        assert_eq!(rig.engine().containers(&name), [format!("{name}-1")]);
        rig.kill(&order).await;
        rig.forget(&[&order]).await;
    });
}

/// The engine hears of nothing after the container was made.
#[test]
fn a_start_that_never_arrived_is_settled_and_the_next_run_begins() {
    play(|mut rig: Rig| async move {
        rig.containers.start_deadline = Duration::from_secs(4);
        let relay = behind_a_relay(&mut rig).await;
        let mut is_silent = false;
        relay.on_request(move |request| {
            is_silent |= starts(request);
            if is_silent { Deed::Hang } else { Deed::Pass }
        });
        let mut order = rig.order(&[]);
        let error = rig.start(&order).await.expect_err("nobody can tell");
        assert!(matches!(error, StartError::Unclear { .. }), "{error:?}");
        relay.on_request(|_| Deed::Pass);
        let exit = rig.exit(&order).await;
        assert_eq!(exit.code, None, "it never ran: {exit:?}");
        order.run = 2;
        rig.run(&order).await;
        let name = format!("fogline-{}", order.replica_id);
        assert_eq!(rig.engine().containers(&name), [format!("{name}-2")]);
        rig.kill(&order).await;
        rig.forget(&[&order]).await;
    });
}
