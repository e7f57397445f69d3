//! What a caller of the writer may rely on, with the real store beneath.

use std::collections::BTreeSet;
use std::time::Duration;

use fogline_core::assignment::Authority;
use fogline_core::cluster::Changes;
use fogline_core::command::{Command, Outcome, Rejection};
use fogline_core::id::IdSource;
use fogline_core::record::{PasswordHash, Role, Tier};
use fogline_core::state::DeploymentStatus;
use fogline_server::{ServeError, WriteError, Writer, start};
use fogline_store::{Candidate, DeploymentFilter, Lease, PageRequest};
use futures_util::FutureExt;
use futures_util::future::join_all;
use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;

use crate::rig::{Rig, config, deploy, soon};

fn create_user(username: &str) -> Command {
    Command::CreateUser {
        username: username.to_owned(),
        password_hash: PasswordHash::new("$argon2id$none".to_owned()),
        role: Role::User,
        tier: Tier::Free,
    }
}

/// Names of the deployments in the database.
async fn names(rig: &Rig) -> BTreeSet<String> {
    let page = rig.shared().store.deployments(&DeploymentFilter::default(), &PageRequest::first(200)).await;
    page.expect("a read").items.into_iter().map(|record| record.spec.name.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_at_once_share_commits_and_survive() {
    let rig = Rig::new().await;
    rig.nodes(10).await;
    let before = rig.shared().writer.revision();
    let submits = (0..150).map(|i| rig.submit(deploy(&format!("app-{i}"), 2)));
    for answer in join_all(submits).await {
        answer.expect("deployed");
    }
    let commits = rig.shared().writer.revision() - before;
    assert!(commits < 75, "{commits} commits for 150 commands");

    let rig = Rig::with(rig.stop().await, |_| {}).await;
    let expected: BTreeSet<_> = (0..150).map(|i| format!("app-{i}")).collect();
    assert_eq!(names(&rig).await, expected);
    let replicas = rig.shared().writer.view(|cluster, _| cluster.replicas().count()).await.expect("a look");
    assert_eq!(replicas, 300);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_is_answered_and_not_done_again() {
    let rig = Rig::new().await;
    let first = rig.shared().writer.submit(rig.keyed(create_user("ann"), "k", 1)).await.expect("created");
    assert!(!first.replayed);
    let again = rig.shared().writer.submit(rig.keyed(create_user("ann"), "k", 1)).await.expect("answered");
    assert_eq!((&again.outcome, again.replayed), (&first.outcome, true));

    let rig = Rig::with(rig.stop().await, |_| {}).await;
    let later = rig.shared().writer.submit(rig.keyed(create_user("ann"), "k", 1)).await.expect("answered");
    assert_eq!((&later.outcome, later.replayed), (&first.outcome, true));
    let other = rig.shared().writer.submit(rig.keyed(create_user("bob"), "k", 2)).await;
    assert_eq!(other, Err(Rejection::KeyReused { key: "k".to_owned() }.into()));

    let writer = rig.shared().writer.clone();
    let twins = (0..20).map(|_| writer.submit(rig.keyed(create_user("cid"), "twin", 3)));
    let answers: Vec<_> = join_all(twins).await.into_iter().map(|answer| answer.expect("answered")).collect();
    assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1);
    assert!(answers.iter().all(|answer| answer.outcome == answers[0].outcome));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_command_changes_nothing() {
    let rig = Rig::new().await;
    rig.nodes(1).await;
    let id = rig.deploy("app", 1).await;
    let revision = rig.shared().writer.revision();
    let too_many = rig.submit(Command::ScaleDeployment { deployment_id: id, replicas: 101 }).await;
    assert!(matches!(too_many, Err(WriteError::Rejected(Rejection::Invalid(_)))), "{too_many:?}");
    let same_name = rig.submit(deploy("app", 1)).await;
    assert!(matches!(same_name, Err(WriteError::Rejected(Rejection::NameTaken { .. }))), "{same_name:?}");
    assert_eq!(rig.shared().writer.revision(), revision, "nothing was written");
    let record = rig.shared().store.deployment(id).await.expect("a read").expect("it is there");
    assert_eq!(record.target_replicas, 1);
    assert!(rig.shared().telemetry.render().contains("fogline_rejections_total{kind=\"name-taken\"} 1"));
    rig.stop().await;
}

/// Puts a user of this name into the database behind the writer's back, so that the database will refuse another one.
async fn curse(rig: &Rig, username: &str) {
    let store = &rig.shared().store;
    let (_agent, _, list) = rig.agent("cursing").await;
    let Authority { cluster_id, epoch, holder, generation } = list.authority;
    let mut user = store.user(rig.admin).await.expect("a read").expect("the administrator");
    user.id = IdSource::new(1).next(rig.shared().clock.now());
    user.username = username.to_owned();
    let mut changes = Changes::default();
    changes.users.record(user.id, None, Some(user));
    let lease = Lease { cluster_id, epoch, holder, revision: generation, lasts: None };
    store.commit(&lease, &changes).await.expect("it is written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_the_database_refuses_takes_no_other_command_with_it() {
    let rig = Rig::new().await;
    rig.nodes(5).await;
    curse(&rig, "cursed").await;
    let requests = (0..20).map(|number| match number {
        7 => rig.request(create_user("cursed")),
        _ => rig.request(deploy(&format!("app-{number}"), 1)),
    });
    let held = rig.hold_writer().await;
    let writer = &rig.shared().writer;
    let mut answers = requests.map(|request| Box::pin(writer.submit(request))).collect::<Vec<_>>();
    for answer in &mut answers {
        // Polled once, each is in the queue, so all of them are in one batch.
        assert!(futures_util::poll!(answer).is_pending());
    }
    drop(held);
    for (number, answer) in join_all(answers).await.into_iter().enumerate() {
        assert_eq!(answer.is_err(), number == 7, "{number}: {answer:?}");
        if let Err(error) = answer {
            assert!(matches!(&error, WriteError::Contradiction(text) if text.contains("UNIQUE")), "{error}");
        }
    }
    assert_eq!(names(&rig).await.len(), 19);
    let view =
        rig.shared().writer.view(|cluster, _| (cluster.user_named("cursed").is_none(), cluster.replicas().count()));
    assert_eq!(view.await.expect("a look"), (true, 19), "memory has taken it back");
    rig.submit(create_user("ann")).await.expect("the writer goes on");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_comes_twice_in_a_refused_batch_is_done_once() {
    let rig = Rig::new().await;
    curse(&rig, "cursed").await;
    let requests = [
        rig.request(create_user("cursed")),
        rig.keyed(create_user("ann"), "twin", 2),
        rig.keyed(create_user("ann"), "twin", 2),
    ];
    let held = rig.hold_writer().await;
    let writer = &rig.shared().writer;
    let mut answers: Vec<_> = requests.into_iter().map(|request| Box::pin(writer.submit(request))).collect();
    for answer in &mut answers {
        assert!(futures_util::poll!(answer).is_pending());
    }
    drop(held);
    let answers = join_all(answers).await;
    assert!(matches!(answers[0], Err(WriteError::Contradiction(_))), "{answers:?}");
    let [first, second] = [&answers[1], &answers[2]].map(|answer| answer.as_ref().expect("answered"));
    assert_eq!((&first.outcome, first.replayed, second.replayed), (&second.outcome, false, true));
    rig.stop().await;
}

/// A look that asks for the next one before it is over, until it is told to stop.
fn look_again(writer: &Writer, stop: &CancellationToken) {
    if stop.is_cancelled() {
        return;
    }
    std::thread::sleep(std::time::Duration::from_millis(1));
    let (again, until) = (writer.clone(), stop.clone());
    // Asked for with the first poll; nobody waits for the answer.
    let _ = writer.view(move |_, _| look_again(&again, &until)).now_or_never();
}

#[tokio::test(flavor = "multi_thread")]
async fn looks_without_end_keep_no_command_waiting() {
    let rig = Rig::new().await;
    let stop = CancellationToken::new();
    look_again(&rig.shared().writer, &stop);
    for name in ["ann", "bob", "cid"] {
        rig.submit(create_user(name)).await.expect("created");
    }
    stop.cancel();
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_overtaken_acknowledges_nothing_and_stops() {
    let rig = Rig::new().await;
    rig.shared().store.take_over(&Candidate::new("another server", Duration::ZERO)).await.expect("taken over");
    assert_eq!(rig.submit(create_user("ann")).await, Err(WriteError::NotLeader { leader: None }));
    let end = rig.ends().await;
    assert!(matches!(end, ServeError::NotLeader(_)), "{end}");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_fits_into_the_queue_is_told_to_come_back() {
    let rig = Rig::with(tempfile::tempdir().expect("a directory"), |config| config.writer_queue = 1).await;
    let held = rig.hold_writer().await;
    let writer = &rig.shared().writer;
    let mut first = Box::pin(writer.submit(rig.request(create_user("ann"))));
    assert!(futures_util::poll!(&mut first).is_pending());
    let second = writer.submit(rig.request(create_user("bob"))).await;
    assert_eq!(second, Err(WriteError::Busy));
    drop(held);
    soon("ann", first).await.expect("created");
    rig.submit(create_user("bob")).await.expect("there is room again");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_follow_what_was_committed() {
    let rig = Rig::new().await;
    rig.nodes(3).await;
    let kept = rig.deploy("kept", 3).await;
    let gone = rig.deploy("gone", 2).await;
    rig.submit(Command::StopDeployment { deployment_id: kept }).await.expect("stopped");
    rig.submit(Command::DeleteDeployment { deployment_id: gone }).await.expect("deleted");
    let expected = [
        "fogline_nodes{liveness=\"online\"} 3",
        "fogline_deployments{status=\"stopped\"} 1",
        "fogline_deployments{status=\"scheduled\"} 0",
        "fogline_agents_attached 0",
    ];
    // Callers are answered first, and figures follow a moment later.
    let followed = async {
        loop {
            let figures = rig.shared().telemetry.render();
            if expected.iter().all(|line| figures.contains(line)) {
                return figures;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let followed = tokio::time::timeout(Duration::from_secs(10), followed).await;
    let figures =
        followed.unwrap_or_else(|_| panic!("{expected:?} are not all in\n{}", rig.shared().telemetry.render()));
    let running = Rig::with(rig.stop().await, |_| {}).await;
    let anew = running.shared().telemetry.render();
    let of = |text: &str| -> BTreeSet<String> {
        let kept = ["fogline_nodes{", "fogline_deployments{", "fogline_replicas{"];
        text.lines().filter(|line| kept.iter().any(|start| line.starts_with(start))).map(str::to_owned).collect()
    };
    assert_eq!(of(&figures), of(&anew), "counted along the way, and counted anew");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_administrator_is_made_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut passwords = Vec::new();
    for _ in 0..2 {
        let rig = Rig::with(tempfile::tempdir().expect("a directory"), |config| config.admin_password = None).await;
        let made = rig.running.generated_password.clone().expect("one was made");
        passwords.push(made.expose_secret().to_owned());
        let rig = Rig::with(rig.stop().await, |config| config.admin_password = None).await;
        assert!(rig.running.generated_password.is_none(), "it is shown once");
        rig.stop().await;
    }
    assert!(passwords[0].len() >= 20 && passwords[0] != passwords[1]);

    let mut config = config(directory.path());
    config.admin_password = Some("short".to_owned().into());
    let refused = start(config, CancellationToken::new()).await.err().expect("refused").to_string();
    assert!(refused.contains("has 5 bytes"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_served_is_refused_with_what_would_do() {
    let directory = tempfile::tempdir().expect("a directory");
    let stop = CancellationToken::new;
    let open = start(
        fogline_server::ServerConfig { agent_listen: ([0, 0, 0, 0], 0).into(), ..config(directory.path()) },
        stop(),
    );
    let error = open.await.err().expect("refused").to_string();
    assert!(error.contains("only a loopback address such as 127.0.0.1:8001 is accepted"), "{error}");

    let mut slow = config(directory.path());
    slow.heartbeat_interval = slow.settings.node_timeout;
    let error = start(slow, stop()).await.err().expect("refused").to_string();
    assert!(error.contains("three must fit"), "{error}");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let listen = taken.local_addr().expect("its address");
    let error = start(fogline_server::ServerConfig { listen, ..config(directory.path()) }, stop()).await;
    let error = error.err().expect("refused").to_string();
    assert!(error.contains(&format!("cannot listen on {listen}")), "{error}");

    let rig = Rig::new().await;
    let error = start(config(&rig.path()), stop()).await.err().expect("refused").to_string();
    assert!(error.contains("in use"), "{error}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_that_does_not_fit_fails_and_says_so() {
    let rig = Rig::new().await;
    let id = rig.deploy("app", 3).await;
    assert_eq!(rig.status(id).await, DeploymentStatus::Failed);
    let history = rig.shared().store.history(id, &PageRequest::first(10)).await.expect("a read").items;
    assert_eq!(
        history.last().map(|line| line.reason.to_string()).as_deref(),
        Some("Insufficient nodes: need 3, found 0")
    );
    let committed = rig.submit(Command::DeleteDeployment { deployment_id: id }).await.expect("deleted");
    assert_eq!(committed.outcome, Outcome::DeploymentDeleted { deployment_id: id });
    rig.stop().await;
}
