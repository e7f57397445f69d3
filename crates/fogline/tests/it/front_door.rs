//! The way in of `fogline dev`: routes through its proxy to real processes, and what the command line says of them.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use reqwest::{Client, ClientBuilder, StatusCode};
use serde_json::Value;

use super::harness::{Dev, PASSWORD, run_in, wait_for};

const SERVICE: [&str; 4] = ["--", "sh", "-c", "exec python3 -m http.server --bind 127.0.0.1 $PORT"];

/// Where requests come in, as `dev` says it: `http`, or `https`.
pub fn door(dev: &Dev, scheme: &str) -> String {
    let said = dev.said();
    let line = said.lines().find(|line| line.contains("requests come in at ")).expect("it says where");
    let found = line.split_whitespace().find(|word| word.starts_with(&format!("{scheme}://")));
    found.unwrap_or_else(|| panic!("no {scheme} in {line}")).to_owned()
}

fn client() -> ClientBuilder {
    Client::builder().no_proxy().timeout(Duration::from_secs(60))
}

fn deploy(dev: &Dev, name: &str, routes: &[&str]) {
    let mut args = vec!["deploy", name, "--port", "8080", "--wait"];
    for route in routes {
        args.extend(["--route", *route]);
    }
    args.extend(SERVICE);
    dev.cli(&args).ok();
}

async fn status(client: &Client, url: &str, host: &str) -> StatusCode {
    let answer = client.get(url).header("Host", host).send().await.expect("an answer");
    answer.status()
}

fn routes(dev: &Dev) -> Value {
    serde_json::from_str(&dev.cli(&["route", "list", "-o", "json"]).ok()).expect("JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_come_in_by_host_and_none_fails_while_replicas_come_and_go() {
    let dev = Dev::start_with(&["--nodes", "3"]);
    dev.log_in();
    deploy(&dev, "web", &["web.localhost"]);
    let (url, http) = (door(&dev, "http"), client().build().expect("a client"));
    wait_for("the route to be known", || routes(&dev)[0]["upstreams_ready"].eq(&1).then_some(()));
    assert_eq!(status(&http, &url, "web.localhost").await, StatusCode::OK);
    assert_eq!(status(&http, &url, "nobody.localhost").await, StatusCode::NOT_FOUND);

    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let asking = tokio::spawn({
        let (http, url) = (http.clone(), url.clone());
        async move {
            let mut stopped = stopped;
            let mut answers = 0_u32;
            while stopped.try_recv().is_err() {
                assert_eq!(status(&http, &url, "web.localhost").await, StatusCode::OK);
                answers += 1;
            }
            answers
        }
    });
    dev.cli(&["scale", "web", "3", "--wait"]).ok();
    wait_for("three to take requests", || routes(&dev)[0]["upstreams_ready"].eq(&3).then_some(()));
    dev.cli(&["scale", "web", "1", "--wait"]).ok();
    wait_for("one to be left", || routes(&dev)[0]["upstreams"].eq(&1).then_some(()));
    stop.send(()).expect("it asks still");
    let answers = asking.await.expect("every request was answered");
    assert!(answers > 0);

    let port = url.rsplit_once(':').expect("a port").1;
    let place = format!("http://web.localhost:{port}/");
    let listed = dev.cli(&["route", "list"]).ok();
    assert!(listed.contains("web.localhost") && listed.contains("1/1") && listed.contains(&place), "{listed}");
    let shown = dev.cli(&["status", "web"]).ok();
    assert!(shown.contains(&place), "{shown}");
    let top: Value = serde_json::from_str(&dev.cli(&["top", "--once", "-o", "json"]).ok()).expect("JSON");
    assert_eq!((&top[0]["name"], &top[0]["ready"], &top[0]["target"]), (&"web".into(), &1.into(), &1.into()));
    let table = dev.cli(&["top"]).ok();
    assert!(table.contains("REQ/S") && table.contains("web") && table.contains("1/1"), "{table}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_and_tcp_lead_to_the_same_service() {
    // Routes may open these, and neither replicas nor the system gives them to anybody.
    let mut ports = 10_000 + u16::try_from(std::process::id() % 9_000).expect("small")..=19_999;
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let free = SocketAddr::from(([127, 0, 0, 1], ports.find(is_free).expect("a free port")));
    let dev = Dev::start_with(&["--nodes", "1", "--proxy-tls-listen", "127.0.0.1:0"]);
    dev.log_in();
    deploy(&dev, "web", &["web.localhost", &format!("tcp:{}", free.port())]);
    let tls = door(&dev, "https");
    let port = tls.rsplit_once(':').expect("a port").1.parse().expect("a port");
    // The certificate is of the proxy's own making.
    let https = client()
        .danger_accept_invalid_certs(true)
        .resolve("web.localhost", ([127, 0, 0, 1], port).into())
        .build()
        .expect("a client");
    let answer = https.get(format!("https://web.localhost:{port}/")).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    let plain = client().build().expect("a client");
    let answer = plain.get(format!("http://{free}/")).send().await.expect("an answer by the TCP port");
    assert_eq!(answer.status(), StatusCode::OK);
}

#[test]
fn two_on_one_machine_have_a_port_each_and_keep_it() {
    let mut first = Dev::start_with(&["--nodes", "1"]);
    let second = Dev::start_with(&["--nodes", "1"]);
    let before = door(&first, "http");
    assert_ne!(before, door(&second, "http"));
    assert!(first.stop().success());
    first.launch();
    assert_eq!(door(&first, "http"), before, "the same as at the last start");
}

#[test]
fn an_address_that_is_taken_is_told_and_nothing_is_started() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let home = tempfile::tempdir().expect("a directory");
    let variables = [("FOGLINE_ADMIN_PASSWORD", PASSWORD)];
    let args = ["dev", "--data", "data", "--listen", "127.0.0.1:0", "--proxy-listen", &address];
    run_in(home.path(), &variables, &args).fails(7, &[&format!("cannot listen on {address}"), "--proxy-listen"]);
    run_in(home.path(), &variables, &["dev", "--data", "data", "--proxy-listen", "web.localhost:80"])
        .fails(4, &["proxy.listen", "accepted"]);
}

#[test]
fn without_a_door_there_is_none() {
    let dev = Dev::start_with(&["--nodes", "1", "--proxy-listen", "off"]);
    assert!(!dev.said().contains("requests come in"), "{}", dev.said());
    dev.log_in();
    assert!(dev.cli(&["route", "list"]).ok().contains("no routes"));
}
