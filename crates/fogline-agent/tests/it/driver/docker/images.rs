//! Images from real registries: what is pulled, what is not, for whom, and what goes again.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fogline_agent::driver::docker::ImageFailure;
use fogline_agent::driver::{Signal, StartError, StartOrder};
use fogline_core::image_digest::ImageDigest;
use fogline_testbed::{Registry, Relay, USER};

use super::super::contract::Rig;
use super::super::harness::{until, within};
use super::play;

/// An order for an image, settled or not.
fn order(rig: &mut Rig, image: &str, digest: Option<&str>) -> StartOrder {
    let mut order = rig.order(&[]);
    Arc::make_mut(&mut order.template).container_image = Some(image.to_owned());
    order.image_digest = digest.map(|digest| digest.parse().expect("a digest"));
    order
}

fn registry(rig: &Rig, with_password: bool) -> Registry {
    let engine = rig.engine.as_ref().expect("a rig for containers");
    if with_password { Registry::start_with_password(engine) } else { Registry::start(engine) }
}

/// Versions that no other test has, so that an image is one that the engine has never seen.
fn unique(what: &str) -> String {
    format!("{what}-{:016x}", getrandom::u64().expect("entropy"))
}

async fn failure(rig: &Rig, order: &StartOrder) -> ImageFailure {
    let error = rig.start(order).await.expect_err("the image cannot be had");
    let StartError::Image { failure, image } = error else { panic!("{error:?}") };
    assert_eq!(Some(image), order.template.container_image);
    failure
}

async fn end(rig: &mut Rig, orders: &[&StartOrder]) {
    for order in orders {
        rig.kill(order).await;
    }
    rig.forget(orders).await;
}

#[test]
fn the_first_pull_settles_the_digest_and_a_moved_tag_moves_nothing() {
    play(|mut rig: Rig| async move {
        let registry = registry(&rig, false);
        let (old, new) = (unique("old"), unique("new"));
        let first_digest = registry.push("v1", &old);
        let first = order(&mut rig, &registry.image("v1"), None);
        let started = rig.start(&first).await.expect("started");
        assert_eq!(started.image_digest.as_ref().map(ImageDigest::as_str), Some(first_digest.as_str()));
        assert!(rig.ask(&first, "/").await.contains(&old));
        let progress = rig.progress();
        assert!(
            progress.iter().any(|words| words.contains(&format!("pulling {}", registry.image("v1")))),
            "{progress:?}"
        );

        let second_digest = registry.push("v1", &new);
        assert_ne!(first_digest, second_digest);
        // Settled: what the tag says now is of no interest.
        let pinned = order(&mut rig, &registry.image("v1"), Some(&first_digest));
        let started = rig.start(&pinned).await.expect("started");
        assert_eq!(started.image_digest.as_ref().map(ImageDigest::as_str), Some(first_digest.as_str()));
        assert!(rig.ask(&pinned, "/").await.contains(&old));
        // Not settled: it is what the tag says now.
        let moved = order(&mut rig, &registry.image("v1"), None);
        let started = rig.start(&moved).await.expect("started");
        assert_eq!(started.image_digest.as_ref().map(ImageDigest::as_str), Some(second_digest.as_str()));
        assert!(rig.ask(&moved, "/").await.contains(&new));
        // A digest in the name itself says all.
        let named = order(&mut rig, &format!("{}@{first_digest}", registry.image("v1")), None);
        rig.start(&named).await.expect("started");
        assert!(rig.ask(&named, "/").await.contains(&old));

        let container = rig.engine().ok(&["inspect", "--format", "{{.Config.Image}}", &first_name(&pinned)]);
        assert!(container.ends_with(&format!("@{first_digest}")), "{container}");
        end(&mut rig, &[&first, &pinned, &moved, &named]).await;
    });
}

fn first_name(order: &StartOrder) -> String {
    format!("fogline-{}-{}", order.replica_id, order.run)
}

#[test]
fn what_is_settled_and_on_the_node_needs_no_registry() {
    play(|mut rig: Rig| async move {
        let registry = registry(&rig, false);
        let digest = registry.push("v1", &unique("v"));
        let first = order(&mut rig, &registry.image("v1"), None);
        rig.run(&first).await;
        registry.stop();
        let second = order(&mut rig, &registry.image("v1"), Some(&digest));
        rig.run(&second).await;
        // The tag cannot be asked for, and what it was when it could is on the node.
        let third = order(&mut rig, &registry.image("v1"), None);
        let started = rig.start(&third).await.expect("started");
        assert_eq!(started.image_digest.as_ref().map(ImageDigest::as_str), Some(digest.as_str()));
        // Another digest is not there, and nothing stands in for it.
        let other = format!("sha256:{}", "0".repeat(64));
        let fourth = order(&mut rig, &registry.image("v1"), Some(&other));
        let failure = failure(&rig, &fourth).await;
        assert!(matches!(failure, ImageFailure::Unreachable { .. }), "{failure:?}");
        for one in [&first, &second, &third] {
            rig.kill(one).await;
        }
        rig.forget(&[&first, &second, &third, &fourth]).await;
    });
}

#[test]
fn several_replicas_wait_for_one_pull() {
    play(|mut rig: Rig| async move {
        let registry = registry(&rig, false);
        registry.push("v1", &unique("v"));
        let before = registry.log().matches("/manifests/v1").count();
        let orders: Vec<StartOrder> = (0..5).map(|_| order(&mut rig, &registry.image("v1"), None)).collect();
        let starts: Vec<_> = orders
            .iter()
            .map(|order| {
                let (driver, order) = (rig.driver().clone(), order.clone());
                tokio::spawn(async move { driver.start(order).await })
            })
            .collect();
        for start in starts {
            within(start).await.expect("no panic").expect("started");
        }
        let asked = registry.log().matches("/manifests/v1").count() - before;
        assert!(asked <= 2, "the registry was asked {asked} times what the tag is: HEAD and GET of one pull are two");
        let orders: Vec<&StartOrder> = orders.iter().collect();
        rig.progress();
        end(&mut rig, &orders).await;
    });
}

#[test]
fn each_failure_says_what_it_is() {
    play(|mut rig: Rig| async move {
        let (open, closed) = (registry(&rig, false), registry(&rig, true));
        closed.push("v1", &unique("v"));
        let nothing = order(&mut rig, &open.image("never-pushed"), None);
        let found = failure(&rig, &nothing).await;
        assert!(
            matches!(&found, ImageFailure::NoSuchImage { registry, .. } if *registry == open.address()),
            "{found:?}"
        );
        let digest = format!("sha256:{}", "1".repeat(64));
        let lost = order(&mut rig, &open.image("v1"), Some(&digest));
        let found = failure(&rig, &lost).await;
        assert!(matches!(found, ImageFailure::NoSuchImage { .. }), "{found:?}");
        let denied = order(&mut rig, &closed.image("v1"), None);
        let found = failure(&rig, &denied).await;
        assert!(matches!(&found, ImageFailure::Denied { known: false, .. }), "{found:?}");
        let text = rig
            .start(&{
                let mut again = denied.clone();
                again.run = 2;
                again
            })
            .await
            .expect_err("denied")
            .to_string();
        assert!(text.contains(&closed.address()) && text.contains("registry_auth"), "{text}");
        let nonsense = order(&mut rig, "Not An Image", None);
        let found = failure(&rig, &nonsense).await;
        assert!(matches!(found, ImageFailure::BadReference { .. }), "{found:?}");
        open.stop();
        let away = order(&mut rig, &open.image("v1"), None);
        let found = failure(&rig, &away).await;
        assert!(
            matches!(&found, ImageFailure::Unreachable { registry, .. } if *registry == open.address()),
            "{found:?}"
        );
        assert!(rig.progress().iter().any(|words| words.contains("again in")), "it was tried again");
        rig.forget(&[&nothing, &lost, &denied, &nonsense, &away]).await;
    });
}

/// A file of credentials, readable by its owner only.
fn auth_file(dir: &Path, address: &str, password: &str) -> PathBuf {
    let path = dir.join("registries.json");
    let text = format!(r#"{{"auths": {{"{address}": {{"username": "{}", "password": "{password}"}}}}}}"#, USER.0);
    fs::write(&path, text).expect("written");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("its owner may do that");
    path
}

#[test]
fn credentials_open_their_registry_and_are_found_nowhere_else() {
    play(|mut rig: Rig| async move {
        let (closed, open) = (registry(&rig, true), registry(&rig, false));
        closed.push("v1", &unique("v"));
        open.push("v1", &unique("v"));
        let elsewhere = tempfile::tempdir().expect("a directory");
        let path = auth_file(elsewhere.path(), &closed.address(), USER.1);
        rig.containers.registry_auth = Some(path.clone());
        rig.new_agent().await;
        let (private, public) = (order(&mut rig, &closed.image("v1"), None), order(&mut rig, &open.image("v1"), None));
        rig.run(&private).await;
        rig.run(&public).await;
        let inspected = rig.engine().ok(&["inspect", &first_name(&private)]);
        let kept = everything_in(rig.dir.path());
        assert!(kept.contains(&private.replica_id.to_string()), "the search finds what is there");
        for secret in [USER.1.to_owned(), base64_of(&format!("{}:{}", USER.0, USER.1))] {
            assert!(
                !inspected.contains(&secret) && !kept.contains(&secret),
                "the password is in a file or a container"
            );
            assert!(!open.log().contains(&secret), "another registry was shown the password");
        }
        // A changed file counts at the next pull, and a mistake is told without what is in it.
        auth_file(elsewhere.path(), &closed.address(), "canary-9c1e");
        let wrong = order(&mut rig, &closed.image("never-pushed"), None);
        let error = rig.start(&wrong).await.expect_err("a wrong password").to_string();
        assert!(error.contains("check the entry") && !error.contains("canary-9c1e"), "{error}");
        fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("its owner may do that");
        let exposed = order(&mut rig, &closed.image("never-pushed"), None);
        let error = rig.start(&exposed).await.expect_err("others can read the file").to_string();
        assert!(error.contains("chmod 600") && !error.contains("canary-9c1e"), "{error}");
        let told = rig.progress().join("\n");
        assert!(!told.contains("canary-9c1e") && !told.contains(USER.1), "{told}");
        rig.kill(&private).await;
        rig.kill(&public).await;
        rig.forget(&[&private, &public, &wrong, &exposed]).await;
    });
}

fn base64_of(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

fn everything_in(dir: &Path) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(dir).expect("listed").flatten() {
        let path = entry.path();
        if path.is_dir() {
            all.push_str(&everything_in(&path));
        } else {
            all.push_str(&path.display().to_string());
            all.push_str(&String::from_utf8_lossy(&fs::read(&path).unwrap_or_default()));
        }
    }
    all
}

#[test]
fn one_that_is_told_to_stop_does_not_wait_for_its_image() {
    play(|mut rig: Rig| async move {
        let registry = registry(&rig, false);
        registry.push("v1", &unique("v"));
        let relay = Relay::to(registry.address().parse().expect("an address"));
        relay.hang();
        let waits = order(&mut rig, &format!("{}/service:v1", relay.addr()), None);
        let start = {
            let (driver, order) = (rig.driver().clone(), waits.clone());
            tokio::spawn(async move { driver.start(order).await })
        };
        let mut told = Vec::new();
        until("it pulls", || {
            told.extend(rig.progress());
            told.iter().any(|words| words.contains("pulling"))
        })
        .await;
        rig.signal(&waits, Signal::Terminate).await;
        let error = within(start).await.expect("no panic").expect_err("it was told to stop");
        assert!(error.to_string().contains("told to stop"), "{error}");
        // What was begun for it goes on, and the next one finds it.
        relay.pass();
        let mut again = waits.clone();
        again.run = 2;
        rig.run(&again).await;
        rig.progress();
        end(&mut rig, &[&again]).await;
    });
}

#[test]
fn images_that_nothing_needs_go_and_no_others() {
    play(|mut rig: Rig| async move {
        let registry = registry(&rig, false);
        for tag in ["old", "used", "named", "fresh", "theirs"] {
            registry.push(tag, &unique(tag));
        }
        let image = |tag: &str| registry.image(tag);
        let id = |rig: &Rig, tag: &str| rig.engine().ok(&["image", "inspect", "--format", "{{.Id}}", &image(tag)]);
        // Theirs was on the node before: whoever pulled it wants it there.
        rig.engine().ok(&["pull", &image("theirs")]);
        let mut all = Vec::new();
        for tag in ["old", "used", "named", "fresh", "theirs"] {
            let one = order(&mut rig, &image(tag), None);
            rig.run(&one).await;
            all.push(one);
        }
        let ids: Vec<String> = ["old", "used", "named", "fresh", "theirs"].map(|tag| id(&rig, tag)).into();
        let all: Vec<&StartOrder> = all.iter().collect();
        end(&mut rig, &all).await;
        // Somebody else's container, which does not even run, and somebody else's name.
        let container = rig.engine().ok(&["create", &image("used")]);
        let other_name = format!("localhost:1/{}:kept", unique("mine"));
        rig.engine().ok(&["tag", &image("named"), &other_name]);

        rig.end_agent();
        let ledger = rig.dir.path().join("containers").join("images.json");
        let text = fs::read_to_string(&ledger).expect("written");
        assert!(ids[..4].iter().all(|id| text.contains(id)) && !text.contains(&ids[4]), "{text}");
        let mut kept: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        for id in &ids[..3] {
            kept["images"][id]["unused_s"] = (25 * 3_600).into();
        }
        fs::write(&ledger, kept.to_string()).expect("written");
        rig.containers.images_every = Duration::from_millis(100);
        rig.new_agent().await;
        let there = |rig: &Rig, id: &str| rig.engine().docker(&["image", "inspect", id]).status.success();
        until("the old one is gone", || !there(&rig, &ids[0])).await;
        let text = || fs::read_to_string(&ledger).unwrap_or_default();
        until("that is on disk", || !text().contains(&ids[0])).await;
        for (id, why) in
            ids[1..].iter().zip(["a container is made of it", "it is named", "it is fresh", "it is theirs"])
        {
            assert!(there(&rig, id), "{why}");
        }
        // When the container goes the image has to wait anew: it was in use until now.
        rig.engine().ok(&["rm", &container]);
        rig.engine().ok(&["rmi", &other_name]);
        until("the one that is not named any more is gone", || !there(&rig, &ids[2])).await;
        assert!(there(&rig, &ids[1]), "it was in use a moment ago");
        rig.engine().ok(&["rmi", &image("used"), &image("fresh"), &image("theirs")]);
    });
}
