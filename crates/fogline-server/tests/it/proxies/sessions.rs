//! Who may attach, and how sessions follow each other.

use fogline_api::protocol::proxy::Greeting;
use serde_json::json;
use tonic::Code;

use super::play::{Proxy, deploy, hello};
use crate::rig::Rig;
use crate::scaling::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_heard_without_the_agents_token() {
    let rig = Rig::new().await;
    for token in ["", "wrong"] {
        let refused = Proxy::call(&rig, token).await.err().expect("refused");
        assert_eq!(refused.code(), Code::Unauthenticated, "{refused:?}");
        assert!(refused.message().contains("give a proxy the token file"), "{refused:?}");
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_of_another_cluster_or_without_a_name_is_refused() {
    let rig = Rig::new().await;
    let elsewhere = Greeting { cluster_id: Some("another".to_owned()), ..hello("edge") };
    let refused = Proxy::connect(&rig, elsewhere).await.err().expect("refused");
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
    assert!(refused.message().contains("this proxy belongs to cluster another"), "{refused:?}");
    for name in ["a\nb", &"x".repeat(201)] {
        let refused = Proxy::connect(&rig, hello(name)).await.err().expect("refused");
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_its_sessions_until_that_is_silent_and_the_next_gets_the_whole_table() {
    let rig = Rig::new().await;
    rig.nodes(1).await;
    let id = deploy(&rig, "shop", 1, json!({})).await;
    let older = Proxy::attach(&rig, "edge").await;
    let mut newer = Box::pin(Proxy::connect(&rig, hello("edge")));
    let refused = loop {
        tokio::select! {
            refused = &mut newer => break refused.err().expect("the name is in use"),
            () = tokio::time::sleep(std::time::Duration::from_millis(200)) => older.report(&[]).await,
        }
    };
    drop(newer);
    assert_eq!(refused.code(), Code::AlreadyExists, "{refused:?}");
    assert!(refused.message().contains("a proxy called edge is attached and alive"), "{refused:?}");

    let newer = Proxy::attach(&rig, "edge").await;
    let end = older.end().await;
    assert_eq!(end.code(), Code::Aborted, "{end:?}");
    assert!(end.message().contains("another session is proxy edge"), "{end:?}");
    assert_eq!(newer.table.keys().copied().collect::<Vec<_>>(), [id]);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_see_who_is_attached_and_it_ends_with_the_server() {
    let world = World::new().await;
    let proxy = Proxy::attach(&world.rig, "edge").await;
    let listed = world.get("/api/v1/proxies").await;
    let [line] = &listed["items"].as_array().expect("a list")[..] else { panic!("{listed}") };
    assert_eq!((&line["name"], &line["version"]), (&json!("edge"), &json!("0.1.0")));
    assert_eq!((&line["http"], &line["open"]), (&json!(["127.0.0.1:8080"]), &json!(0)));
    assert!(line["attached_at"].as_str() <= line["last_heard_at"].as_str(), "{line}");
    world.stop().await;
    let end = proxy.end().await;
    assert_eq!(end.code(), Code::Unavailable, "{end:?}");
}
