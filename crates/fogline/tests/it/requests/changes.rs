//! Replicas come, go and are replaced while requests of all kinds come in: none fails.

use std::collections::BTreeSet;

use fogline_testbed::{Load, LoadPlan};
use serde_json::{Value, json};

use super::Site;
use crate::harness::wait_for;

#[test]
fn scaling_and_an_update_under_load_fail_no_request() {
    let site = Site::start();
    changes(&site, 300, 1);
}

/// `make soak` runs this.
#[test]
#[ignore = "takes minutes: make soak"]
fn scaling_and_updates_under_a_thousand_requests_a_second_fail_none() {
    let site = Site::start();
    changes(&site, 1_000, 10);
}

/// Scales from three to one and back, and replaces all three, so many times.
fn changes(site: &Site, rate: u32, rounds: u32) {
    let id = site.deploy("web", &json!({"replicas": 3}));
    let short = Load::start(&LoadPlan { connections: 20, rate: Some(rate), websockets: 5, ..site.plan("web", "/") });
    // These are open while their replica is drained.
    let long = Load::start(&LoadPlan { rate: Some(30), ..site.plan("web", "/wait?ms=300") });
    for round in 0..rounds {
        let all = settled(site, &id, 3);
        scale(site, &id, 1);
        let left = settled(site, &id, 1);
        assert!(left.is_subset(&all), "{left:?} of {all:?}");
        scale(site, &id, 3);
        let before = settled(site, &id, 3);
        let patch = json!({"env": {"ROUND": round.to_string()}});
        let body = site.call("PATCH", &format!("/api/v1/deployments/{id}"), 200, &patch);
        assert_eq!(body["rolling"], true, "{body}");
        let replaced = || {
            let after = settled(site, &id, 3);
            after.is_disjoint(&before).then_some(())
        };
        wait_for("all three to be replaced", replaced);
    }
    for (name, load) in [("short", short), ("long", long)] {
        let report = load.stop();
        assert!(report.is_flawless() && report.good() > 0, "{name}: {report:#?}");
        assert!(name == "long" || report.websockets > 0, "{report:#?}");
    }
}

fn scale(site: &Site, id: &str, replicas: u32) {
    site.call("POST", &format!("/api/v1/deployments/{id}/scale"), 200, &json!({"replicas": replicas}));
}

/// The replicas, once there are so many and no more, and all are ready.
fn settled(site: &Site, id: &str, count: usize) -> BTreeSet<String> {
    wait_for("it to settle", || {
        let body: Value = site.get(id);
        let live: BTreeSet<String> = site.live(id).into_iter().collect();
        (live.len() == count && body["health"]["ready"] == count).then_some(live)
    })
}
