//! The container engine, and the registry beside it.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use fogline_testbed::patience::{PATIENCE, wait_for};
use fogline_testbed::{Engine, Postgres, Registry, USER};

/// Runs a container of an image and gives what it answers at `path`, by its published port.
fn ask(engine: &Engine, name: &str, image: &str, path: &str) -> String {
    engine.ok(&["run", "--detach", "--name", name, "--publish", "127.0.0.1::8080", image]);
    let published = engine.ok(&["port", name, "8080"]);
    let address = published.parse().expect("an address");
    let body = wait_for("the container to answer", || engine.http(address, path).filter(|body| !body.is_empty()));
    engine.ok(&["rm", "--force", "--volumes", name]);
    body
}

#[test]
fn images_are_pulled_from_a_registry_and_answer_in_the_engines_network() {
    let engine = Engine::shared();
    let registry = Registry::start(&engine);
    let digests = [registry.push("v1", "v1"), registry.push("v2", "v2")];
    assert_ne!(digests[0], digests[1]);
    for version in ["v1", "v2"] {
        let image = registry.image(version);
        assert!(!engine.docker(&["inspect", &image]).status.success(), "{image} must come from the registry");
        engine.ok(&["pull", &image]);
        let said = ask(&engine, &format!("pulled-{version}"), &image, "/");
        assert!(said.contains(&format!("version={version}\n")), "{said}");
    }
    // A tag that moves is another image.
    let moved = registry.push("v1", "v3");
    assert_ne!(moved, digests[0]);
    let by_digest = format!("{}/service@{}", registry.address(), digests[0]);
    engine.ok(&["pull", &by_digest]);
    assert!(ask(&engine, "pulled-by-digest", &by_digest, "/").contains("version=v1\n"));
}

#[test]
fn a_registry_with_a_password_gives_nothing_without_it() {
    let engine = Engine::shared();
    let registry = Registry::start_with_password(&engine);
    registry.push("v1", "v1");
    let image = registry.image("v1");
    let refused = engine.docker(&["pull", &image]);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no basic auth credentials"), "{refused:?}");
    registry.ok(&["pull", &image]);

    registry.stop();
    engine.ok(&["rmi", &image]);
    assert!(!registry.docker(&["pull", &image]).status.success(), "nobody serves it");
    registry.restart();
    registry.ok(&["pull", &image]);
    assert!(registry.log().contains(USER.0), "its log says who pulled:\n{}", registry.log());
}

#[test]
fn containers_outlive_a_killed_engine_until_it_is_back() {
    let engine = Engine::start();
    engine.make_image("local", "v1");
    engine.ok(&["run", "--detach", "--name", "one", "--restart", "always", "local"]);
    let address = engine.ok(&["inspect", "--format", "{{.NetworkSettings.IPAddress}}:8080", "one"]);
    let answer = || engine.http(address.parse().expect("an address"), "/").filter(|body| body.contains("version=v1"));
    wait_for("the container to answer", answer);
    engine.kill();
    assert!(answer().is_some(), "the container runs on");
    assert!(!engine.docker(&["version"]).status.success());
    engine.restart();
    assert_eq!(engine.containers("o"), ["one"]);
    // Stopping one that is frozen works too, and stops what it runs.
    engine.freeze();
    engine.stop();
    assert!(!engine.docker(&["version"]).status.success());
    engine.restart();
}

#[test]
fn a_frozen_engine_accepts_and_answers_when_thawed() {
    let engine = Engine::start();
    engine.freeze();
    let mut asked = UnixStream::connect(engine.socket()).expect("the kernel accepts");
    asked.write_all(b"GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("open");
    asked.set_read_timeout(Some(Duration::from_millis(300))).expect("not zero");
    assert_eq!(asked.read(&mut [0]).expect_err("no answer").kind(), ErrorKind::WouldBlock);
    engine.thaw();
    asked.set_read_timeout(Some(PATIENCE)).expect("not zero");
    let mut answer = String::new();
    asked.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn servers_that_are_started_in_the_engines_network_are_reached_only_there() {
    let engine = Engine::shared();
    let (postgres, url) = engine.inside(|| {
        let postgres = Postgres::shared();
        let database = postgres.database();
        let said = postgres.connect(&database.url(), "SELECT 1");
        assert_eq!(said.as_deref(), Ok("1"));
        (Arc::clone(&postgres), database.url())
    });
    assert!(postgres.connect(&url, "SELECT 1").is_err(), "loopback is another out here");
    assert_eq!(postgres.sql("SELECT 1"), "1");
}
