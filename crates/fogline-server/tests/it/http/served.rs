//! What is served beside the endpoints, and what is around all of them.

use super::api::{Api, operations};

#[tokio::test(flavor = "multi_thread")]
async fn probes_and_the_description_need_no_login() {
    let api = Api::new().await;
    assert_eq!(api.call("GET", "/healthz", None, "").await.ok(200)["status"], "ok");
    assert_eq!(api.call("GET", "/readyz", None, "").await.ok(200)["status"], "ready");
    let served = api.call("GET", "/api/v1/openapi.json", None, "").await.ok(200);
    let made: serde_json::Value = serde_json::from_str(&fogline_server::http::openapi_json()).expect("JSON");
    assert_eq!(served, made);
    let page = api.call("GET", "/docs/", None, "").await;
    assert!(page.status == 200 && page.text.contains("swagger-ui"), "{}", page.text);
    assert!(!page.text.contains("https://"), "nothing is loaded from elsewhere: {}", page.text);
    assert!(page.header("content-security-policy").contains("default-src 'self'"));
    let metrics = api.call("GET", "/metrics", None, "").await;
    let counted = "fogline_http_requests_total{method=\"GET\",route=\"/healthz\",status=\"200\"} 1";
    assert!(metrics.text.contains(counted), "{}", metrics.text);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_carries_its_id_and_the_headers_that_keep_browsers_honest() {
    let api = Api::new().await;
    for path in ["/healthz", "/nowhere", "/api/v1/auth/me", "/metrics", "/docs/"] {
        let answer = api.call_with("GET", path, None, &[("x-request-id", "mine-1")], "").await;
        assert_eq!(answer.header("x-request-id"), "mine-1", "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
    }
    let answer = api.call("GET", "/nowhere", None, "").await;
    answer.problem(404, "not-found");
    assert_eq!(answer.header("x-request-id").len(), 16);
    let length: usize = answer.header("content-length").parse().unwrap_or(answer.text.len());
    assert_eq!(length, answer.text.len());
    let evil = api.call_with("GET", "/healthz", None, &[("x-request-id", "a b\"<script>")], "").await;
    assert_eq!(evil.header("x-request-id").len(), 16);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_a_path_does_not_know_is_a_problem_like_any_other() {
    let api = Api::new().await;
    let known: Vec<(String, String)> = operations().into_iter().map(|(method, path, ..)| (method, path)).collect();
    for (_, path) in &known {
        let place = path.replace("{id}", "x").replace("{replica}", "x");
        for method in ["GET", "PUT", "POST", "PATCH", "DELETE", "TRACE"] {
            // `/api/deployment/{id}` catches the seeds' other paths.
            let caught = place.starts_with("/api/deployment/") && method == "DELETE";
            if caught || known.contains(&(method.to_owned(), path.clone())) {
                continue;
            }
            let answer = api.call(method, &place, Some(&api.admin), "").await;
            answer.problem_of(&format!("{method} {place}"), 405, "method-not-allowed");
        }
    }
    api.stop().await;
}
