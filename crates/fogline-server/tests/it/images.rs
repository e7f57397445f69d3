//! What an image is: settled by the first agent that says so, told to all, and by nobody else.

use fogline_api::protocol::AgentMessage;
use fogline_api::protocol::{FromAgent, NodeAssignment, NodeObservation, ReplicaReport as WireReport, agent_message};
use fogline_core::command::{Command, Outcome};
use fogline_core::id::{DeploymentId, NodeId};
use fogline_core::image_digest::ImageDigest;
use fogline_core::observation::{ReplicaReport, ReportedState};
use fogline_core::record::Runtimes;
use fogline_core::spec::{DeploymentSpec, Runtime};

use crate::rig::{Agent, Rig, greeting, report};

fn digest(digit: &str) -> ImageDigest {
    format!("sha256:{}", digit.repeat(64)).parse().expect("a digest")
}

async fn agent(rig: &Rig, name: &str) -> (Agent, NodeId) {
    let mut greeting = greeting(&[name]);
    greeting.nodes[0].runtimes = Runtimes::of(&[Runtime::Docker]);
    let (agent, reception) = rig.attach(greeting).await.expect("welcome");
    (agent, reception.node_ids[name])
}

async fn deploy(rig: &Rig, image: &str, replicas: u32) -> DeploymentId {
    let spec: DeploymentSpec = serde_json::from_value(serde_json::json!({
        "name": "web", "container_image": image, "replicas": replicas,
        "resources": { "cpu": 0.5, "memory": 512, "storage": 1 },
    }))
    .expect("a spec");
    let committed = rig.submit(Command::Deploy { spec: spec.into() }).await.expect("deployed");
    let Outcome::Deployed { deployment_id, .. } = committed.outcome else { panic!("{committed:?}") };
    deployment_id
}

fn told(list: &NodeAssignment, id: DeploymentId) -> Option<ImageDigest> {
    list.assignment.templates[&(id, 1)].image_digest.clone()
}

fn made_of(list: &NodeAssignment, seq: u64, image: &str) -> ReplicaReport {
    let replica = list.assignment.replicas[0].replica_id;
    ReplicaReport { image_digest: Some(digest(image)), ..report(replica, seq, ReportedState::Running) }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_digest_is_told_to_all_and_outlives_the_server() {
    let rig = Rig::new().await;
    let ((mut one, first), (mut other, second)) = (agent(&rig, "one").await, agent(&rig, "two").await);
    let id = deploy(&rig, "web:v1", 2).await;
    let lists = (
        one.list_where(|list| !list.assignment.replicas.is_empty()).await,
        other.list_where(|list| !list.assignment.replicas.is_empty()).await,
    );
    assert_eq!((told(&lists.0, id), told(&lists.1, id)), (None, None));
    one.observe(first, vec![made_of(&lists.0, 1, "a")]).await;
    // Also to those who have said nothing: they may be about to start one.
    let list = other.list_where(|list| told(list, id).is_some()).await;
    assert_eq!(told(&list, id), Some(digest("a")));
    one.list_where(|list| told(list, id) == Some(digest("a"))).await;
    // Whoever comes second with another is told to stop.
    other.observe(second, vec![made_of(&lists.1, 1, "b")]).await;
    let stopped = other
        .list_where(|list| {
            list.assignment.replicas.iter().any(|line| line.want == fogline_core::assignment::Want::Stop)
        })
        .await;
    assert_eq!(stopped.assignment.replicas[0].replica_id, lists.1.assignment.replicas[0].replica_id);
    let row = rig.shared().store.revision(id, 1).await.expect("a read").expect("the revision");
    assert_eq!(row.image_digest, Some(digest("a")));
    drop((one, other));

    let rig = Rig::with(rig.stop().await, |_| {}).await;
    let (mut one, _) = agent(&rig, "one").await;
    let list = one.list_where(|list| !list.assignment.replicas.is_empty()).await;
    assert_eq!(told(&list, id), Some(digest("a")));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_digest_or_not_theirs_to_say_settles_nothing() {
    let rig = Rig::new().await;
    let ((mut one, first), (mut other, second)) = (agent(&rig, "one").await, agent(&rig, "two").await);
    let id = deploy(&rig, "web:v1", 1).await;
    // Only one of the two has it.
    let (list, mut theirs, node, elsewhere) = {
        let mine = one.list().await;
        if mine.assignment.replicas.is_empty() {
            let list = other.list_where(|list| !list.assignment.replicas.is_empty()).await;
            (list, one, first, (other, second))
        } else {
            (mine, other, second, (one, first))
        }
    };
    // A compromised agent speaks of a replica that is not on its node.
    let number = theirs.observe(node, vec![made_of(&list, 1, "e")]).await;
    theirs.acknowledged(number).await;
    // And one that it has, with what is no digest: nothing of the message counts.
    let (agent, node) = elsewhere;
    let observation = NodeObservation { node_id: node, number: 1, reports: vec![made_of(&list, 1, "e")] };
    let mut message = AgentMessage::from(&FromAgent::Observation(observation));
    let Some(agent_message::Message::Observation(sent)) = &mut message.message else { panic!("an observation") };
    let evil = WireReport { image_digest: "sha256:../../evil@registry".to_owned(), ..sent.reports[0].clone() };
    sent.reports = vec![evil];
    agent.say_raw(message).await;
    let end = agent.end().await;
    assert!(end.message().contains("report.image_digest"), "{end:?}");
    let row = rig.shared().store.revision(id, 1).await.expect("a read").expect("the revision");
    assert_eq!(row.image_digest, None);
    rig.stop().await;
}
