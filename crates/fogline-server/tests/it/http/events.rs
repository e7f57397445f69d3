//! Watching changes: what is told, to whom, from where on, until when.

use fogline_api::client::{Client, EventStream};
use fogline_api::http::{ChangeKind, ChangedObject, EventResponse};
use fogline_core::state::{DeploymentStatus, ReplicaStatus};

use super::api::Api;
use crate::rig::soon;

async fn watch(client: &Client, since: Option<u64>) -> EventStream {
    soon("an answer", client.events(since)).await.expect("accepted")
}

async fn next(stream: &mut EventStream) -> EventResponse {
    soon("an event", stream.next()).await.expect("whole").expect("more")
}

/// Events up to the one that is wanted, and all that came with it.
async fn until(stream: &mut EventStream, wanted: impl Fn(&EventResponse) -> bool) -> Vec<EventResponse> {
    let (mut seen, mut last) = (Vec::new(), None);
    while last.is_none() || stream.revision() < last {
        let event = next(stream).await;
        last = last.or(wanted(&event).then_some(event.revision));
        seen.push(event);
    }
    seen
}

fn is_deployment(event: &EventResponse, name: &str, wanted: DeploymentStatus) -> bool {
    matches!(&event.object, ChangedObject::Deployment { name: its, status, .. } if its == name && *status == wanted)
}

fn names(events: &[EventResponse]) -> Vec<&str> {
    let name = |event| match event {
        &EventResponse { object: ChangedObject::Deployment { ref name, .. }, .. } => Some(name.as_str()),
        _ => None,
    };
    let mut names: Vec<&str> = events.iter().filter_map(name).collect();
    names.dedup();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn each_sees_the_life_of_what_they_may_see() {
    let api = Api::with_nodes(2).await;
    let (bob, eve) = (api.user("bob", "user").await, api.user("eve", "user").await);
    let mut watches = Vec::new();
    for token in [&api.admin, &bob, &eve] {
        watches.push(watch(&api.client(token), None).await);
    }
    let [admins, bobs, eves] = &mut watches[..] else { panic!("three") };

    let id = api.deploy(&bob, "bobs", 2).await;
    api.run(&id).await;
    let seen = until(bobs, |event| is_deployment(event, "bobs", DeploymentStatus::Running)).await;
    assert_eq!(seen[0].change, ChangeKind::Added, "{seen:?}");
    let replica = |event: &EventResponse, wanted| {
        matches!(&event.object, ChangedObject::Replica { deployment_id, status, node_id: Some(_), .. }
            if deployment_id.to_string() == id && *status == wanted)
    };
    for status in [ReplicaStatus::Pending, ReplicaStatus::Running] {
        assert_eq!(seen.iter().filter(|event| replica(event, status)).count(), 2, "{status}: {seen:?}");
    }
    assert!(seen.is_sorted_by_key(|event| event.revision), "{seen:?}");
    api.call("DELETE", &format!("/api/v1/deployments/{id}"), Some(&bob), "").await.ok(200);
    api.run(&id).await;
    let gone = |event: &EventResponse| replica(event, ReplicaStatus::Stopped);
    assert!(until(bobs, gone).await.iter().any(|event| is_deployment(event, "bobs", DeploymentStatus::Deleted)));

    api.call("PATCH", "/api/v1/nodes/node-02", Some(&api.admin), r#"{"cordoned":true}"#).await.ok(200);
    api.deploy(&eve, "eves", 1).await;
    let last = |event: &EventResponse| is_deployment(event, "eves", DeploymentStatus::Scheduled);
    let (seen, all) = (until(eves, last).await, until(admins, last).await);
    assert_eq!((names(&seen), names(&all)), (vec!["eves"], vec!["bobs", "eves"]));
    let owned = |event: &&EventResponse| matches!(event.object, ChangedObject::Replica { .. });
    assert_eq!(seen.iter().filter(owned).count(), 1, "{seen:?}");
    let cordoned = |event: &EventResponse| matches!(&event.object, ChangedObject::Node { name, cordoned: true, .. } if name == "node-02");
    assert!([&seen, &all].iter().all(|events| events.iter().any(cordoned)), "{seen:?}");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_misses_nothing_and_hears_what_is_lost() {
    let api = Api::with_nodes(1).await;
    let client = api.client(&api.admin);
    let mut first = watch(&client, None).await;
    api.deploy(&api.admin, "one", 1).await;
    until(&mut first, |event| is_deployment(event, "one", DeploymentStatus::Scheduled)).await;
    let known = first.revision().expect("it says where it is");
    drop(first);
    api.deploy(&api.admin, "two", 1).await;
    let mut second = watch(&client, Some(known)).await;
    let seen = until(&mut second, |event| is_deployment(event, "two", DeploymentStatus::Scheduled)).await;
    assert_eq!(names(&seen), ["two"]);
    assert!(seen.iter().all(|event| event.revision > known), "{seen:?}");

    // A browser repeats the address that it was given first, and says where it is in a header.
    let back = [("last-event-id", "18446744073709551615")];
    let path = format!("/api/v1/events?since={known}");
    api.call_with("GET", &path, Some(&api.admin), &back, "").await.problem(410, "events-gone");
    for (path, header, status, kind) in [
        ("/api/v1/events?since=0", "", 410, "events-gone"),
        ("/api/v1/events?since=99999999", "", 410, "events-gone"),
        ("/api/v1/events?since=-1", "", 400, "invalid-request"),
        ("/api/v1/events?from=1", "", 400, "invalid-request"),
        ("/api/v1/events", "x", 400, "invalid-request"),
    ] {
        let headers = if header.is_empty() { vec![] } else { vec![("last-event-id", header)] };
        let answer = api.call_with("GET", path, Some(&api.admin), &headers, "").await;
        answer.problem_of(path, status, kind);
        assert!(status != 410 || answer.text.contains("without `since`"), "{}", answer.text);
    }
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_does_not_keep_the_server_from_stopping() {
    let api = Api::with_nodes(1).await;
    let mut stream = watch(&api.client(&api.admin), None).await;
    api.deploy(&api.admin, "one", 1).await;
    next(&mut stream).await;
    let stopped = tokio::spawn(api.stop());
    soon("the end of the stream", async { while stream.next().await.expect("whole").is_some() {} }).await;
    soon("the end of the server", stopped).await.expect("no panic");
}
