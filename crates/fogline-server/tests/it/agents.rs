//! What an agent may rely on, over real gRPC.

use std::collections::BTreeSet;

use bytes::Bytes;
use fogline_api::protocol::{FromAgent, FromServer, LogChunkData, NodeAssignment, NodeLoad};
use fogline_core::assignment::Want;
use fogline_core::command::Command;
use fogline_core::id::{DeploymentId, NodeId, ReplicaId};
use fogline_core::observation::{NodeUsage, ReplicaUsage, ReportedState};
use fogline_core::state::{DeploymentStatus, ReplicaStatus};
use fogline_server::LogError;
use fogline_store::PageRequest;
use futures_util::StreamExt;
use tonic::Code;

use crate::rig::{Agent, Rig, greeting, report, returning, soon};

fn wanted(list: &NodeAssignment, want: Want) -> BTreeSet<ReplicaId> {
    list.assignment.replicas.iter().filter(|replica| replica.want == want).map(|replica| replica.replica_id).collect()
}

fn reports(list: &NodeAssignment, seq: u64, state: ReportedState) -> Vec<fogline_core::observation::ReplicaReport> {
    list.assignment.replicas.iter().map(|replica| report(replica.replica_id, seq, state)).collect()
}

async fn statuses(rig: &Rig, id: DeploymentId) -> Vec<ReplicaStatus> {
    let page = rig.shared().store.replicas(id, &PageRequest::first(200), true).await.expect("a read");
    page.items.iter().map(|replica| replica.status).collect()
}

/// A deployment of two replicas that run on one node.
async fn running(rig: &Rig) -> (Agent, NodeId, DeploymentId, NodeAssignment) {
    let (mut agent, node, first) = rig.agent("one").await;
    assert!(first.assignment.replicas.is_empty());
    let id = rig.deploy("app", 2).await;
    let list = agent.list_where(|list| wanted(list, Want::Run).len() == 2).await;
    let number = agent.observe(node, reports(&list, 1, ReportedState::Running)).await;
    agent.acknowledged(number).await;
    (agent, node, id, list)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_runs_because_its_agent_says_so() {
    let rig = Rig::new().await;
    let (mut agent, node, first) = rig.agent("one").await;
    assert!(first.assignment.replicas.is_empty());
    let id = rig.deploy("app", 3).await;
    let list = agent.list_where(|list| wanted(list, Want::Run).len() == 3).await;
    let template = &list.assignment.templates[&(id, 1)];
    assert_eq!((template.deployment_name.as_str(), &template.template.command[..]), ("app", &["serve".to_owned()][..]));
    assert!(list.authority.generation > first.authority.generation);
    assert_eq!(rig.status(id).await, DeploymentStatus::Scheduled);

    let number = agent.observe(node, reports(&list, 1, ReportedState::Starting)).await;
    agent.acknowledged(number).await;
    assert_eq!(statuses(&rig, id).await, [ReplicaStatus::Starting; 3]);
    assert_eq!(rig.status(id).await, DeploymentStatus::Scheduled);

    let number = agent.observe(node, reports(&list, 2, ReportedState::Running)).await;
    agent.acknowledged(number).await;
    assert_eq!(statuses(&rig, id).await, [ReplicaStatus::Running; 3]);
    assert_eq!(rig.status(id).await, DeploymentStatus::Running);
    let replica = list.assignment.replicas[0].replica_id;
    assert!(rig.shared().presence().replica(node, replica).expect("seen").ready);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scale_down_stops_what_the_list_says_and_a_report_ends_it() {
    let rig = Rig::new().await;
    let (mut agent, node, id, before) = running(&rig).await;
    rig.submit(Command::ScaleDeployment { deployment_id: id, replicas: 1 }).await.expect("scaled");
    let list = agent.list_where(|list| wanted(list, Want::Stop).len() == 1).await;
    let oldest = before.assignment.replicas.iter().map(|replica| replica.replica_id).min().expect("two");
    assert_eq!(wanted(&list, Want::Stop), BTreeSet::from([oldest]));
    let number = agent.observe(node, vec![report(oldest, 2, ReportedState::Stopped)]).await;
    let list = agent.list_where(|list| list.assignment.replicas.len() == 1).await;
    assert!(!wanted(&list, Want::Run).contains(&oldest));
    assert_eq!(number, 2);
    assert_eq!(statuses(&rig, id).await, [ReplicaStatus::Stopped, ReplicaStatus::Running]);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_come_twice_late_or_in_another_order_change_nothing_more() {
    let rig = Rig::new().await;
    let (mut agent, node, id, list) = running(&rig).await;
    let revision = rig.shared().writer.revision();
    for (seq, state) in [(1, ReportedState::Running), (0, ReportedState::Starting), (1, ReportedState::Running)] {
        let number = agent.observe(node, reports(&list, seq, state)).await;
        agent.acknowledged(number).await;
    }
    assert_eq!(statuses(&rig, id).await, [ReplicaStatus::Running; 2]);
    assert_eq!(rig.shared().writer.revision(), revision, "nothing was written");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_comes_back_is_told_the_same_and_the_newer_session_wins() {
    let rig = Rig::new().await;
    let (older, node, _, list) = running(&rig).await;
    let (mut newer, reception) = rig.attach(returning(&["one"], &list.authority)).await.expect("welcome");
    assert_eq!(reception.node_ids["one"], node);
    assert_eq!(newer.list().await.assignment, list.assignment);
    let end = older.end().await;
    assert_eq!(end.code(), Code::Aborted, "{end:?}");
    assert!(end.message().contains("another session presents node"), "{end:?}");
    assert!(rig.shared().presence().node(node).expect("seen").attached);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_back_leads_with_a_higher_epoch_and_the_same_list() {
    let rig = Rig::new().await;
    let (agent, node, id, list) = running(&rig).await;
    let directory = rig.stop().await;
    let end = agent.end().await;
    assert_eq!(end.code(), Code::Unavailable, "{end:?}");

    let rig = Rig::with(directory, |_| {}).await;
    let (mut agent, reception) = rig.attach(returning(&["one"], &list.authority)).await.expect("welcome");
    assert_eq!(reception.authority.epoch, list.authority.epoch + 1);
    assert_eq!(reception.authority.cluster_id, list.authority.cluster_id);
    assert_eq!(reception.node_ids["one"], node);
    assert_eq!(agent.list().await.assignment, list.assignment);
    let number = agent.observe(node, reports(&list, 1, ReportedState::Running)).await;
    agent.acknowledged(number).await;
    assert_eq!(rig.status(id).await, DeploymentStatus::Running);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_let_in_and_why() {
    let rig = Rig::new().await;
    for token in ["", "wrong"] {
        let refused = Agent::connect(rig.running.agent_addr, token).await.err().expect("refused");
        assert_eq!(refused.code(), Code::Unauthenticated, "{refused:?}");
        assert!(refused.message().contains("agent.token"), "{refused:?}");
    }
    let (_, _, list) = rig.agent("one").await;
    let ours = list.authority;

    let mut elsewhere = ours.clone();
    elsewhere.cluster_id = "another".to_owned();
    let mut ahead = ours.clone();
    ahead.epoch += 1;
    let mut twin = ours.clone();
    twin.holder = "another".to_owned();
    for (obeyed, words) in [
        (elsewhere, "belongs to cluster another"),
        (ahead, "its database is older"),
        (twin, "two copies of one database"),
    ] {
        let refused = rig.attach(returning(&["one"], &obeyed)).await.err().expect("refused");
        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
        assert!(refused.message().contains(words), "{refused:?}");
    }
    let nobody = rig.attach(greeting(&[])).await.err().expect("refused");
    assert_eq!(nobody.code(), Code::InvalidArgument, "{nobody:?}");
    let nameless = rig.attach(greeting(&["not a name!"])).await.err().expect("refused");
    assert_eq!(nameless.code(), Code::InvalidArgument, "{nameless:?}");
    let twice = rig.attach(greeting(&["two", "two"])).await.err().expect("refused");
    assert!(twice.message().contains("twice"), "{twice:?}");
    let nodes = rig.shared().writer.view(|cluster, _| cluster.nodes().iter().count()).await.expect("a look");
    assert_eq!(nodes, 1, "whoever was refused left nothing");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_speaks_for_its_own_nodes_only() {
    let rig = Rig::new().await;
    let (mut one, _, id, list) = running(&rig).await;
    let (mut other, other_node, _) = rig.agent("other").await;
    // About a replica of another node, in the name of its own: heard, and nothing comes of it.
    let forged = reports(&list, 9, ReportedState::Failed);
    let number = other.observe(other_node, forged.clone()).await;
    other.acknowledged(number).await;
    assert_eq!(statuses(&rig, id).await, [ReplicaStatus::Running; 2]);
    // In the name of another node: the session ends.
    other.observe(list.node_id, forged).await;
    let end = other.end().await;
    assert_eq!(end.code(), Code::PermissionDenied, "{end:?}");
    assert_eq!(statuses(&rig, id).await, [ReplicaStatus::Running; 2]);
    let number = one.observe(list.node_id, Vec::new()).await;
    one.acknowledged(number).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_is_seen_by_reads_and_by_placement() {
    let rig = Rig::new().await;
    let (agent, node, _, list) = running(&rig).await;
    let replica_id = list.assignment.replicas[0].replica_id;
    let usage = NodeUsage { cpu_percent: 12.5, memory_percent: 50.0 };
    let replicas = vec![ReplicaUsage { replica_id, cpu_millis: 77, memory_mb: 99 }];
    agent.say(FromAgent::Heartbeat(vec![NodeLoad { node_id: node, usage, replicas }])).await;
    soon("the heartbeat", async {
        loop {
            let seen = rig.shared().writer.view(move |cluster, _| {
                cluster.observed().replicas.get(&replica_id).map(|seen| (seen.cpu_millis, seen.memory_mb))
            });
            if seen.await.expect("a look") == Some((77, 99)) {
                break;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(rig.shared().presence().node(node).expect("seen").usage, Some(usage));
    assert_eq!(rig.shared().presence().replica(node, replica_id).expect("seen").cpu_millis, 77);
    drop(agent);
    soon("the end of the session", async {
        while rig.shared().presence().node(node).expect("seen").attached {
            tokio::task::yield_now().await;
        }
    })
    .await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_node_ends_its_session_and_may_come_anew() {
    let rig = Rig::new().await;
    let (agent, node, _) = rig.agent("one").await;
    rig.submit(Command::DeleteNode { node_id: node, force: false }).await.expect("deleted");
    let end = agent.end().await;
    assert!(end.message().contains("was removed"), "{end:?}");
    let (_, anew, _) = rig.agent("one").await;
    assert_ne!(anew, node);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_without_a_row_is_left_alone_until_somebody_has_it_stopped() {
    let rig = Rig::new().await;
    let (mut agent, node, _) = rig.agent("one").await;
    let lost: ReplicaId = "0192f0c1-2d3e-7a4b-8c5d-6e7f8091a2b3".parse().expect("an id");
    let number = agent.observe(node, vec![report(lost, 1, ReportedState::Running)]).await;
    agent.acknowledged(number).await;
    let id = rig.deploy("app", 1).await;
    let list = agent.list_where(|list| wanted(list, Want::Run).len() == 1).await;
    assert_eq!(wanted(&list, Want::Stop), BTreeSet::new());

    let nobodys: DeploymentId = "00000000-0000-0000-0000-000000000000".parse().expect("an id");
    let stop = Command::StopUnlisted { node_id: node, replica_id: lost, deployment_id: nobodys, revision: 0 };
    rig.submit(stop).await.expect("accepted");
    // By itself it is told with the next repetition; any change tells it, too.
    rig.submit(Command::ScaleDeployment { deployment_id: id, replicas: 2 }).await.expect("scaled");
    let list = agent.list_where(|list| wanted(list, Want::Run).len() == 2).await;
    assert_eq!(wanted(&list, Want::Stop), BTreeSet::from([lost]));

    let number = agent.observe(node, vec![report(lost, 2, ReportedState::Stopped)]).await;
    agent.acknowledged(number).await;
    rig.submit(Command::ScaleDeployment { deployment_id: id, replicas: 3 }).await.expect("scaled");
    let list = agent.list_where(|list| wanted(list, Want::Run).len() == 3).await;
    assert_eq!(wanted(&list, Want::Stop), BTreeSet::new());
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_relayed_and_cancelled() {
    let rig = Rig::new().await;
    let (mut agent, node, _, list) = running(&rig).await;
    let replica = list.assignment.replicas[0].replica_id;
    let logs = rig.shared().logs.clone();
    let mut stream = logs.open(rig.admin, node, replica, 5, true).await.expect("opened");
    let question = loop {
        if let FromServer::LogRequest(question) = agent.hear().await.expect("the session goes on") {
            break question;
        }
    };
    assert_eq!((question.replica_id, question.tail_lines, question.follow), (replica, 5, true));
    let data = Bytes::from_static(b"ready\n");
    let chunk = LogChunkData { request: question.request, data: data.clone(), end: false, error: None };
    agent.say(FromAgent::LogChunk(chunk)).await;
    assert_eq!(soon("the line", stream.next()).await, Some(Ok(data)));
    drop(stream);
    let cancel = FromServer::LogCancel { request: question.request };
    while agent.hear().await.expect("the session goes on") != cancel {}

    let mut stream = logs.open(rig.admin, node, replica, 5, true).await.expect("opened");
    drop(agent);
    assert_eq!(soon("the end", stream.next()).await, Some(Err(LogError::Detached)));
    soon("the end of the session", async {
        while logs.open(rig.admin, node, replica, 5, false).await.err() != Some(LogError::NotAttached(node)) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    rig.stop().await;
}
