//! Logging in and out: tokens, their end, and guessing.

use std::time::Duration;

use serde_json::{Value, json};

use super::api::{ADMIN_PASSWORD, Answer, Api, PASSWORD};

async fn refresh(api: &Api, token: &Value) -> Answer {
    api.call("POST", "/api/v1/auth/refresh", None, &json!({"refresh_token": token}).to_string()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_login_says_nothing_of_what_was_wrong() {
    let api = Api::new().await;
    api.user("dora", "user").await;
    api.call("PATCH", "/api/v1/users/dora", Some(&api.admin), r#"{"disabled":true}"#).await.ok(200);
    let mut answers = Vec::new();
    let long = "x".repeat(5_000);
    for (name, password) in [("admin", "wrong"), ("nobody", "wrong"), ("dora", PASSWORD), ("", ""), ("admin", &long)] {
        let answer = api.try_login(name, password).await;
        answer.problem_of(name, 401, "login-refused");
        let mut json = answer.json;
        json.as_object_mut().expect("an object").remove("request_id");
        answers.push(json);
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    let log = api.get("/api/v1/audit", &api.admin).await.ok(200);
    let refused: Vec<&str> = log["items"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|line| line["outcome"] == "unauthenticated")
        .map(|line| line["actor_name"].as_str().expect("a name"))
        .collect();
    assert_eq!(refused, ["admin", "", "dora", "nobody", "admin"]);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_at_a_user_is_slowed_down_by_name() {
    let api = Api::new().await;
    for _ in 0..5 {
        api.try_login("admin", "wrong").await.problem(401, "login-refused");
    }
    let paused = api.try_login("admin", ADMIN_PASSWORD).await;
    paused.problem(429, "too-many-requests");
    assert_eq!(paused.header("retry-after"), "1");
    assert_eq!(paused.json["retry_after_s"], 1);
    // Somebody else is not kept out, and neither is the administrator who is in.
    api.user("bob", "user").await;
    // The pause of a second passes by the server's clock.
    let before = api.shared().clock.now();
    loop {
        let answer = api.try_login("admin", ADMIN_PASSWORD).await;
        if answer.status == 200 {
            break;
        }
        answer.problem(429, "too-many-requests");
        assert!(api.shared().clock.now().since(before) < Duration::from_secs(30), "the pause does not end");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_at_many_users_is_slowed_down_by_address() {
    let api = Api::new().await;
    let from = |address: &'static str, n: u32| {
        let body = json!({"username": format!("user{n}"), "password": "wrong"}).to_string();
        let api = &api;
        async move { api.call_from(address, "/api/auth/login", &body).await }
    };
    let mut paused = None;
    for n in 0..40 {
        let answer = from("192.0.2.1:1000", n).await;
        if answer.status == 429 {
            paused = Some(n);
            break;
        }
        answer.problem(401, "login-refused");
    }
    assert_eq!(paused, Some(30));
    from("192.0.2.1:2000", 41).await.problem(429, "too-many-requests");
    from("192.0.2.2:1000", 42).await.problem(401, "login-refused");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_is_good_once_and_its_theft_ends_the_session() {
    let api = Api::new().await;
    let first = api.try_login("admin", ADMIN_PASSWORD).await.ok(200);
    let second = refresh(&api, &first["refresh_token"]).await.ok(200);
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    let access = second["access_token"].as_str().expect("a token").to_owned();
    api.get("/api/v1/auth/me", &access).await.ok(200);
    // Whoever shows the old one, the thief or its owner: both are out.
    refresh(&api, &first["refresh_token"]).await.problem(401, "session-ended");
    refresh(&api, &second["refresh_token"]).await.problem(401, "session-ended");
    api.get("/api/v1/auth/me", &access).await.problem(401, "not-authenticated");
    // Other sessions of the user go on.
    api.get("/api/v1/auth/me", &api.admin).await.ok(200);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_refresh_token_is_refused() {
    let api = Api::new().await;
    let good = api.try_login("admin", ADMIN_PASSWORD).await.ok(200);
    let token = good["refresh_token"].as_str().expect("a token");
    let other = format!("{}{}", &token[..token.len() - 1], if token.ends_with('0') { '1' } else { '0' });
    let unknown = format!("fgr_{}{}", "0".repeat(32), &token[36..]);
    for text in ["", "x", unknown.as_str(), good["access_token"].as_str().expect("a token")] {
        refresh(&api, &json!(text)).await.problem_of(text, 401, "session-ended");
    }
    let next = refresh(&api, &good["refresh_token"]).await.ok(200);
    // One that names a session and is not its own is a copy that somebody tampers with: nobody goes on with that session.
    refresh(&api, &json!(other)).await.problem(401, "session-ended");
    refresh(&api, &next["refresh_token"]).await.problem(401, "session-ended");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logging_out_ends_both_tokens_at_once() {
    let api = Api::new().await;
    let tokens = api.try_login("admin", ADMIN_PASSWORD).await.ok(200);
    let access = tokens["access_token"].as_str().expect("a token");
    api.call("POST", "/api/v1/auth/logout", Some(access), "{}").await.ok(204);
    api.get("/api/v1/auth/me", access).await.problem(401, "not-authenticated");
    refresh(&api, &tokens["refresh_token"]).await.problem(401, "session-ended");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_ends_every_session() {
    let api = Api::new().await;
    let (one, other) = (api.user("bob", "viewer").await, api.login("bob", PASSWORD).await);
    let change = |current: &str, new: &str| json!({"current_password": current, "new_password": new}).to_string();
    let path = "/api/v1/auth/password";
    let answer = api.call("PUT", path, Some(&one), &change("wrong", "another password")).await;
    answer.problem(401, "login-refused");
    let answer = api.call("PUT", path, Some(&one), &change(PASSWORD, "short")).await;
    assert_eq!(answer.problem(400, "invalid-request"), ["new_password"]);
    assert!(!answer.text.contains("short\""), "{}", answer.text);
    api.get("/api/v1/auth/me", &other).await.ok(200);
    api.call("PUT", path, Some(&one), &change(PASSWORD, "another password")).await.ok(204);
    for token in [&one, &other] {
        api.get("/api/v1/auth/me", token).await.problem(401, "not-authenticated");
    }
    api.try_login("bob", PASSWORD).await.problem(401, "login-refused");
    api.login("bob", "another password").await;
    api.stop().await;
}
