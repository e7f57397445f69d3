//! What a spec may say of routes, traffic and warming up.

use serde_json::{Value, json};

use super::spec;

#[track_caller]
fn faults(fields: &Value) -> Vec<String> {
    let errors = spec("web", fields).validate().err().unwrap_or_default();
    assert!(errors.iter().all(|error| !error.message.is_empty() && !error.accepted.is_empty()));
    errors.into_iter().map(|error| error.field).collect()
}

#[test]
fn hosts() {
    for host in
        ["a", "localhost", "shop.example.com", "xn--bcher-kva.example", "*.example.com", "127.0.0.1", "1.example"]
    {
        assert_eq!(faults(&json!({"routes": [{"host": host}]})), [""; 0], "{host}");
    }
    let long = format!("{}.com", "a.".repeat(126));
    let label = "a".repeat(64);
    for host in [
        "",
        ".",
        "*",
        "*.",
        "*.*.com",
        "a.*.com",
        "Shop.example.com",
        "shop.example.com:80",
        "shop.example.com.",
        "-a.com",
        "a-.com",
        "a..com",
        "a_b.com",
        "bücher.example",
        "[::1]",
        "*.0.0.1",
        "999.1.1.1",
        "a.123",
        "a b",
        "a/b",
        "a\r\nb",
        long.as_str(),
        label.as_str(),
    ] {
        assert_eq!(faults(&json!({"routes": [{"host": host}]})), ["routes[0].host"], "{host:?}");
    }
}

#[test]
fn too_many_routes_are_one_fault_however_many() {
    let many = |count: usize| json!({"routes": vec![json!({"host": "a.example"}); count]});
    assert_eq!(faults(&many(100_000)), ["routes"], "and not compared with each other");
    assert_eq!(faults(&many(2)), ["routes[1]"]);
    let not_counted = json!({"traffic": {"not_counted": vec![json!({}); 100_000]}});
    assert_eq!(faults(&not_counted).len(), 33);
}

#[test]
fn paths() {
    for path in ["/", "/api", "/api/v1.2", "/~ann", "/a:b@c", "/..."] {
        assert_eq!(faults(&json!({"routes": [{"host": "a.example", "path": path}]})), [""; 0], "{path}");
    }
    let long = format!("/{}", "a".repeat(1_024));
    for path in [
        "",
        "api",
        "//",
        "/api/",
        "/a//b",
        "/.",
        "/..",
        "/a/../b",
        "/a/.",
        "/a?b",
        "/a#b",
        "/%2f",
        "/%61pi",
        "/a b",
        "/ä",
        "/a\\b",
        "/a\0",
        "*",
        long.as_str(),
    ] {
        assert_eq!(faults(&json!({"routes": [{"host": "a.example", "path": path}]})), ["routes[0].path"], "{path:?}");
    }
}

#[test]
fn routes_as_a_whole() {
    let many: Vec<Value> = (0..33).map(|at| json!({"host": format!("h{at}.example")})).collect();
    assert_eq!(faults(&json!({"routes": many[..32]})), [""; 0]);
    assert_eq!(faults(&json!({"routes": many})), ["routes"]);
    let twice = json!({"routes": [{"host": "a.example"}, {"host": "a.example", "path": "/", "strip_path": true}]});
    assert_eq!(faults(&twice), ["routes[1]"]);
    assert_eq!(faults(&json!({"routes": [{"tcp_port": 5000}, {"tcp_port": 5000}]})), ["routes[1]"]);
    assert_eq!(faults(&json!({"routes": [{"tcp_port": 1024}]})), [""; 0]);
    assert_eq!(faults(&json!({"routes": [{"tcp_port": 1023}]})), ["routes[0].tcp_port"]);
    for more in [json!({"host": "a.example"}), json!({"path": "/"}), json!({"strip_path": true})] {
        let mut route = json!({"tcp_port": 5000});
        route.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        assert_eq!(faults(&json!({"routes": [route]})), ["routes[0]"]);
    }
    assert_eq!(faults(&json!({"port": null, "routes": [{"host": "a.example"}]})), ["routes"]);
    let image = json!({"port": null, "command": [], "container_image": "web", "routes": [{"host": "a.example"}]});
    assert_eq!(faults(&image), [""; 0], "the image may expose one");
}

#[test]
fn traffic() {
    assert_eq!(faults(&json!({"traffic": {}})), [""; 0]);
    for (traffic, field) in [
        (json!({"timeout_s": 0}), "traffic.timeout_s"),
        (json!({"timeout_s": 3601}), "traffic.timeout_s"),
        (json!({"idle_timeout_s": 0}), "traffic.idle_timeout_s"),
        (json!({"max_body_mb": 0}), "traffic.max_body_mb"),
        (json!({"max_body_mb": 102_401}), "traffic.max_body_mb"),
        (json!({"max_open_per_replica": 0}), "traffic.max_open_per_replica"),
        (json!({"slow_start_s": 3601}), "traffic.slow_start_s"),
        (json!({"hold": {"max_requests": 10_001}}), "traffic.hold.max_requests"),
        (json!({"hold": {"timeout_s": 0}}), "traffic.hold.timeout_s"),
        (json!({"hold": {"placeholder": {"status": 199}}}), "traffic.hold.placeholder.status"),
        (json!({"hold": {"placeholder": {"content_type": "a\r\nb: c"}}}), "traffic.hold.placeholder.content_type"),
        (json!({"hold": {"placeholder": {"body": "x".repeat(65_537)}}}), "traffic.hold.placeholder.body"),
        (json!({"not_counted": [{}]}), "traffic.not_counted[0]"),
        (json!({"not_counted": [{"path": "health"}]}), "traffic.not_counted[0].path"),
        (json!({"not_counted": [{"path": "/a?b"}]}), "traffic.not_counted[0].path"),
        (json!({"not_counted": [{"user_agent": ""}]}), "traffic.not_counted[0].user_agent"),
        (json!({"not_counted": vec![json!({"path": "/"}); 33]}), "traffic.not_counted"),
    ] {
        assert_eq!(faults(&json!({"traffic": traffic})), [field], "{traffic}");
    }
}

#[test]
fn warming_up() {
    assert_eq!(faults(&json!({"warm_up": {"path": "/warm"}})), [""; 0]);
    assert_eq!(faults(&json!({"warm_up": {"command": ["warm", ""]}})), [""; 0]);
    for (warm_up, field) in [
        (json!({}), "warm_up"),
        (json!({"path": "/warm", "command": ["warm"]}), "warm_up"),
        (json!({"path": "warm"}), "warm_up.path"),
        (json!({"command": [""]}), "warm_up.command[0]"),
        (json!({"path": "/warm", "times": 0}), "warm_up.times"),
        (json!({"path": "/warm", "timeout_s": 3601}), "warm_up.timeout_s"),
    ] {
        assert_eq!(faults(&json!({"warm_up": warm_up})), [field], "{warm_up}");
    }
    assert_eq!(faults(&json!({"port": null, "warm_up": {"path": "/warm"}})), ["warm_up.path"]);
}
