//! What an image is, and waiting for it.

use fogline_agent::driver::docker::ImageFailure;
use fogline_agent::driver::{Signal, StartError, Started};
use fogline_agent::supervisor::Input;
use fogline_core::assignment::Want;
use fogline_core::image_digest::ImageDigest;
use fogline_core::observation::ReportedState;
use fogline_core::spec::{ReplicaTemplate, Runtime};

use super::world::{SECOND_US, World, id, template};

fn digest(digit: &str) -> ImageDigest {
    format!("sha256:{}", digit.repeat(64)).parse().expect("a digest")
}

fn containers() -> World {
    World::new(ReplicaTemplate {
        runtime: Runtime::Docker,
        container_image: Some("web:v1".to_owned()),
        command: Vec::new(),
        ..template()
    })
}

fn started(world: &mut World, replica: u32, image: &str) {
    let run = world.runs[&id(replica)].order.run;
    let started = Started { image_digest: Some(digest(image)), ..Started::new("1".to_owned()) };
    world.runs.get_mut(&id(replica)).expect("a run").state = super::world::RunState::Alive;
    world.step(Input::Started { replica_id: id(replica), run, started });
}

fn preparing(world: &mut World, replica: u32, words: &str) {
    let run = world.runs[&id(replica)].order.run;
    world.step(Input::Preparing { replica_id: id(replica), run, progress: words.to_owned() });
}

#[test]
fn what_a_start_found_out_is_told_and_kept_for_the_next_start_in_place() {
    let mut world = containers();
    world.assign(&[(id(1), Want::Run)]);
    assert_eq!(world.runs[&id(1)].order.image_digest, None);
    started(&mut world, 1, "a");
    assert_eq!(world.reports[&id(1)].image_digest, Some(digest("a")));
    // Over a restart of the agent, too.
    world.restart_agent();
    assert_eq!(world.reports[&id(1)].image_digest, Some(digest("a")));
    world.exits(id(1), 3);
    world.pass(SECOND_US);
    assert_eq!(world.runs[&id(1)].order.image_digest, Some(digest("a")), "the tag may say something else by now");
}

#[test]
fn what_the_list_says_goes_before_what_was_found_out() {
    let mut world = containers();
    world.assign(&[(id(1), Want::Run)]);
    started(&mut world, 1, "a");
    world.image_digest = Some(digest("b"));
    world.assign(&[(id(1), Want::Run), (id(2), Want::Run)]);
    assert_eq!(world.runs[&id(2)].order.image_digest, Some(digest("b")));
    assert_eq!(world.reports[&id(1)].image_digest, Some(digest("a")), "it runs what it runs, and says so");
    assert_eq!(world.take_signals(), [], "whether it may is not for the agent to say");
    world.exits(id(1), 3);
    world.pass(SECOND_US);
    assert_eq!(world.runs[&id(1)].order.image_digest, Some(digest("b")));
}

#[test]
fn a_pull_is_told_and_holds_nobody_up() {
    // Without ports, of which the test has ten.
    let mut world = World::new(ReplicaTemplate { port: None, ..template() });
    let pulling: Vec<_> = (1..=16).map(|number| (id(number), Want::Run)).collect();
    world.assign(&pulling);
    for number in 1..=16 {
        preparing(&mut world, number, "pulling web:v1: 1 of 30 MB");
    }
    let report = &world.reports[&id(1)];
    assert_eq!(report.state, ReportedState::Starting);
    assert_eq!(report.message.as_deref(), Some("pulling web:v1: 1 of 30 MB"));
    // Others are not kept from starting by those who wait.
    let more: Vec<_> = (1..=17).map(|number| (id(number), Want::Run)).collect();
    world.assign(&more);
    assert!(world.runs.contains_key(&id(17)));
    started(&mut world, 1, "a");
    assert_eq!(world.reports[&id(1)].message, None, "that is over");
}

#[test]
fn who_is_told_to_stop_does_not_wait_for_the_image() {
    let mut world = containers();
    world.assign(&[(id(1), Want::Run)]);
    preparing(&mut world, 1, "pulling web:v1");
    world.assign(&[(id(1), Want::Stop)]);
    assert_eq!(world.take_signals(), [Signal::Terminate]);
    let failure = ImageFailure::Other { detail: "it was told to stop while it waited".to_owned() };
    let error = StartError::Image { image: "web:v1".to_owned(), failure };
    world.step(Input::StartFailed { replica_id: id(1), run: 1, error });
    assert_eq!(world.reports[&id(1)].state, ReportedState::Stopped);
}

#[test]
fn a_pull_that_fails_is_tried_again_after_a_pause_and_then_given_up() {
    let mut world = containers();
    world.assign(&[(id(1), Want::Run)]);
    let mut runs = 0;
    while world.reports[&id(1)].state != ReportedState::Failed {
        let run = world.runs[&id(1)].order.run;
        assert_eq!(run, runs + 1, "once after each pause");
        runs = run;
        let failure = ImageFailure::NoSuchImage { registry: "r.example".to_owned(), detail: "404".to_owned() };
        let error = StartError::Image { image: "web:v1".to_owned(), failure };
        world.runs.get_mut(&id(1)).expect("a run").state = super::world::RunState::Ended(1);
        world.step(Input::StartFailed { replica_id: id(1), run, error });
        assert_eq!(world.runs[&id(1)].order.run, run, "not at once");
        world.pass(120 * SECOND_US);
    }
    assert!(runs > 1, "{runs}");
    let message = world.reports[&id(1)].message.clone().expect("a reason");
    assert!(message.contains("r.example") && message.contains("web:v1"), "{message}");
}
