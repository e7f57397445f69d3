//! Two deployments cannot have one way in, and a host is one user's.

use fogline_core::cluster::Changes;
use fogline_core::command::{Command, Rejection, Request};
use fogline_core::record::Tier;
use serde_json::{Value, json};

use super::*;

fn host(host: &str) -> Value {
    json!({"routes": [{"host": host}]})
}

fn at(host: &str, path: &str) -> Value {
    json!({"routes": [{"host": host, "path": path}]})
}

#[track_caller]
fn taken<T: std::fmt::Debug>(result: Result<T, Rejection>) -> String {
    match result {
        Err(rejection @ Rejection::RouteTaken(_)) => rejection.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_host_belongs_to_one_user_who_may_share_its_paths_out() {
    let mut world = site();
    let ann = world.add_user("ann", Tier::Pro);
    let ben = world.add_user("ben", Tier::Pro);
    let web = deploy(&mut world, &ann, "web", &host("shop.example.com")).expect("free");
    deploy(&mut world, &ann, "api", &at("shop.example.com", "/api")).expect("another path of her own host");

    let same = taken(deploy(&mut world, &ann, "web2", &at("shop.example.com", "/")));
    assert_eq!(same, "the route shop.example.com/ is taken by the deployment \"web\"");
    let others = taken(deploy(&mut world, &ben, "mine", &at("shop.example.com", "/mine")));
    assert_eq!(others, "the host shop.example.com is taken: choose another one", "nothing of whose it is");
    assert!(world.cluster.deployment_named(ben.user_id().expect("a user"), "mine").is_none());

    world.ask(&ann, Command::DeleteDeployment { deployment_id: web }).expect("hers");
    taken(deploy(&mut world, &ben, "mine", &host("shop.example.com")));
    let api = world.cluster.deployment_named(ann.user_id().expect("a user"), "api").expect("there").record.id;
    world.ask(&ann, Command::DeleteDeployment { deployment_id: api }).expect("hers");
    deploy(&mut world, &ben, "mine", &host("shop.example.com")).expect("free again");
}

#[test]
fn wildcards_and_what_lies_below_them_are_in_each_others_way() {
    let mut world = site();
    let admin = admin(&world);
    let ben = world.add_user("ben", Tier::Pro);
    deploy(&mut world, &admin, "all", &host("*.example.com")).expect("free");
    for other in ["a.example.com", "b.a.example.com"] {
        taken(deploy(&mut world, &ben, "mine", &host(other)));
    }
    deploy(&mut world, &ben, "apex", &host("example.com")).expect("not below itself");
    deploy(&mut world, &ben, "near", &host("a.notexample.com")).expect("only ends alike");
    deploy(&mut world, &admin, "one", &host("a.example.com")).expect("the same owner's");

    deploy(&mut world, &ben, "deep", &host("x.y.example.org")).expect("free");
    for other in ["*.example.org", "*.y.example.org"] {
        taken(deploy(&mut world, &admin, "mine", &host(other)));
    }
    deploy(&mut world, &admin, "beside", &host("*.z.example.org")).expect("beside it");
}

#[test]
fn ports_are_first_come_first_served_and_any_host_is_for_administrators() {
    let mut world = site();
    let ann = world.add_user("ann", Tier::Pro);
    let ben = world.add_user("ben", Tier::Pro);
    let admin = admin(&world);
    let port = json!({"routes": [{"tcp_port": 5432}]});
    deploy(&mut world, &ann, "db", &port).expect("free");
    let said = taken(deploy(&mut world, &ben, "db", &port));
    assert_eq!(said, "the TCP port 5432 is taken: choose another one");
    let said = taken(deploy(&mut world, &admin, "db", &port));
    assert_eq!(said, "the route tcp:5432 is taken by the deployment \"db\"", "administrators see everything");

    let any = json!({"routes": [{"path": "/status"}]});
    let nobodys = ["*.com", "*.shop.example.com", "127.0.0.1", "localhost", "intranet"].map(host);
    for fields in [&any].into_iter().chain(&nobodys) {
        let refused = deploy(&mut world, &ann, "any", fields).expect_err("not hers to claim");
        assert!(matches!(refused, Rejection::Forbidden { needed: "admin", .. }), "{refused}");
    }
    deploy(&mut world, &ann, "local", &host("ann.localhost")).expect("two labels");
    let id = deploy(&mut world, &admin, "any", &any).expect("an administrator may");
    taken(deploy(&mut world, &admin, "again", &any));
    let both = json!({"routes": [{"path": "/status"}, {"path": "/more"}]});
    update(&mut world, &admin, id, "any", &both).expect("one more");
    for path in ["/status", "/status/a/b"] {
        let refused = deploy(&mut world, &ann, "mine", &at("mine.example", path)).expect_err("would be taken away");
        assert!(matches!(refused, Rejection::Forbidden { needed: "admin", .. }), "{refused}");
    }
    deploy(&mut world, &ann, "mine", &at("mine.example", "/statuses")).expect("another path");
    deploy(&mut world, &ann, "home", &host("mine.example")).expect("more than what any host has");
    deploy(&mut world, &admin, "over", &at("over.example", "/status/a")).expect("an administrator may");
}

#[test]
fn a_refused_update_changes_nothing_and_what_is_let_go_of_is_free() {
    let mut world = site();
    let ann = world.add_user("ann", Tier::Pro);
    let ben = world.add_user("ben", Tier::Pro);
    let web = deploy(&mut world, &ann, "web", &host("a.test.example")).expect("free");
    deploy(&mut world, &ben, "web", &host("b.test.example")).expect("free");
    let before = world.cluster.deployment(web).expect("there").record.clone();
    taken(update(&mut world, &ann, web, "web", &host("b.test.example")));
    assert_eq!(world.cluster.deployment(web).expect("there").record, before);

    update(&mut world, &ann, web, "web", &host("c.test.example")).expect("free");
    deploy(&mut world, &ben, "two", &host("a.test.example")).expect("let go of");
    taken(deploy(&mut world, &ben, "three", &host("c.test.example")));
    world.reload();
    taken(deploy(&mut world, &ben, "three", &host("c.test.example")));
}

#[test]
fn a_commit_that_failed_has_claimed_nothing() {
    let mut world = site();
    let ann = world.add_user("ann", Tier::Pro);
    let ben = world.add_user("ben", Tier::Pro);
    let mut changes = Changes::default();
    let command = Command::Deploy { spec: Arc::new(spec("web", &host("a.test.example"))) };
    let request = Request { actor: ann, command, idempotency: None, remote: None };
    world.cluster.apply(&request, world.now, &mut changes).expect("free");
    world.cluster.revert(&changes);
    deploy(&mut world, &ben, "web", &host("a.test.example")).expect("free again");
}
