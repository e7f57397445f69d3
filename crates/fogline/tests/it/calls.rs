//! Many calls at once, each repeated with its idempotency key until it is answered for good, and what then must be true.
//!
//! In the end each call is either in the history exactly once or was refused: anything else is a lost or a doubled write.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::harness::wait_for;

/// How long one call is repeated.
const REPEATED_FOR: Duration = Duration::from_secs(180);

/// A crowd of callers, and how much they were answered.
pub struct Calls {
    http: reqwest::Client,
    urls: Vec<String>,
    token: String,
    pub answered: AtomicUsize,
    /// When each call was answered.
    pub times: std::sync::Mutex<Vec<Instant>>,
    gate: Semaphore,
}

/// What one deployment's calls came to.
pub struct Lane {
    pub id: String,
    /// Each change that was acknowledged, as its message says it, without who came before.
    pub changes: Vec<String>,
}

impl Calls {
    /// To the servers at `urls`, in turn; `at_once` at the same time.
    pub fn new(urls: Vec<String>, token: String, at_once: usize) -> Arc<Self> {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(20)).build().expect("a client");
        let (answered, gate) = (AtomicUsize::new(0), Semaphore::new(at_once));
        Arc::new(Self { http, urls, token, answered, times: std::sync::Mutex::default(), gate })
    }

    /// Starts one deployment's calls: the first deploys it, the others scale it, several at a time.
    pub fn start(
        self: &Arc<Self>,
        runtime: &Runtime,
        number: usize,
        seed: u64,
        replicas: Vec<u64>,
    ) -> JoinHandle<Lane> {
        runtime.spawn(lane(Arc::clone(self), number, seed, replicas))
    }

    /// Repeats a call with the same key until it is answered for good.
    async fn call(&self, path: &str, key: &str, body: &Value) -> (u16, Value) {
        let _permit = self.gate.acquire().await.expect("the gate stays open");
        let give_up = Instant::now() + REPEATED_FOR;
        let mut last = String::new();
        for try_number in 0.. {
            let url = &self.urls[(try_number + key.len()) % self.urls.len()];
            let sent = self.http.post(format!("{url}{path}")).bearer_auth(&self.token).header("Idempotency-Key", key);
            match sent.json(body).send().await {
                Ok(response) => {
                    let status = response.status().as_u16();
                    let retry = response.headers().contains_key("retry-after");
                    if let Ok(body) = response.json::<Value>().await {
                        if !retry {
                            self.answered.fetch_add(1, Ordering::Relaxed);
                            self.times.lock().expect("whole").push(Instant::now());
                            return (status, body);
                        }
                        assert_eq!(status, 503, "only what passes by itself may be tried again: {body}");
                        last = body.to_string();
                    }
                }
                Err(error) => last = error.to_string(),
            }
            assert!(Instant::now() < give_up, "{path} was never answered for good; the last word was {last}");
            // The server is away or busy; there is no event to wait for on this side of the wire.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        unreachable!("the loop has no end")
    }

    /// One read: status and body, from the first server that answers with something other than 503.
    pub async fn get(&self, path: &str) -> (u16, Value) {
        let mut last = (0, Value::Null);
        for url in &self.urls {
            let sent = self.http.request(Method::GET, format!("{url}{path}")).bearer_auth(&self.token);
            if let Ok(response) = sent.send().await {
                let status = response.status().as_u16();
                last = (status, response.json::<Value>().await.unwrap_or(Value::Null));
                if status != 503 {
                    break;
                }
            }
        }
        last
    }

    /// Deletes a deployment.
    pub async fn delete(&self, id: &str) {
        for url in &self.urls {
            let sent = self.http.delete(format!("{url}/api/v1/deployments/{id}")).bearer_auth(&self.token);
            if let Ok(response) = sent.send().await
                && [200, 202, 204, 404].contains(&response.status().as_u16())
            {
                return;
            }
        }
        panic!("{id} could not be deleted");
    }
}

async fn lane(calls: Arc<Calls>, number: usize, seed: u64, replicas: Vec<u64>) -> Lane {
    let deploy = serde_json::json!({
        "name": format!("light-{number}"), "type": "compute", "replicas": replicas[0],
        "resources": {"cpu": 0.5, "memory": 512, "storage": 1},
        "runtime": "process", "command": ["sleep", "1000000"],
    });
    let (status, body) = calls.call("/api/deployment/deploy", &format!("{seed}-{number}-0"), &deploy).await;
    assert_eq!(status, 202, "{body}");
    let id = body["deployment_id"].as_str().expect("an id").to_owned();
    let mut under_way = tokio::task::JoinSet::new();
    for (call, count) in replicas.iter().enumerate().skip(1) {
        let (calls, path, count) = (calls.clone(), format!("/api/deployment/scale/{id}"), *count);
        let key = format!("{seed}-{number}-{call}");
        under_way.spawn(async move {
            let (status, body) = calls.call(&path, &key, &serde_json::json!({"replicas": count})).await;
            match status {
                200 => body["message"].as_str().expect("a message").to_owned(),
                // No room, which changes nothing; or the deploy itself found none.
                503 | 400 => String::new(),
                other => panic!("{path} is answered with {other} {body}"),
            }
        });
    }
    let mut lane = Lane { id, changes: Vec::new() };
    while let Some(message) = under_way.join_next().await {
        let message = message.expect("a call does not panic");
        if message.starts_with("Scaled") {
            lane.changes.push(message);
        }
    }
    lane
}

/// Waits for every lane.
pub fn ends(runtime: &Runtime, lanes: Vec<JoinHandle<Lane>>) -> Vec<Lane> {
    runtime.block_on(async {
        let mut ends = Vec::new();
        for lane in lanes {
            ends.push(lane.await.expect("a lane does not panic"));
        }
        ends
    })
}

/// The history, as `GET …/history` answers it, has exactly the changes that were acknowledged, and each one starts where
/// the one before ended.
pub fn check_history(history: &Value, lane: &Lane, seed: u64) {
    let mut lines: Vec<&Value> = history["items"].as_array().expect("a list").iter().collect();
    lines.sort_by_key(|line| line["seq"].as_u64());
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    let mut at: Option<u64> = None;
    for reason in lines.iter().filter_map(|line| line["reason"].as_str()).filter(|reason| reason.starts_with("Scaled "))
    {
        // «Scaled up from 3 to 5 replicas (2 added)» is answered as «Scaled up to 5 replicas (2 added)».
        let (head, tail) = reason.split_once(" from ").expect("a change");
        let (from, to) = tail.split_once(" to ").expect("a change");
        let from: u64 = from.parse().expect("a count");
        assert!(at.is_none_or(|at| at == from), "seed {seed}: {reason} does not follow {at:?}");
        at = Some(to.split(' ').next().and_then(|count| count.parse().ok()).expect("a count"));
        *found.entry(format!("{head} to {to}")).or_default() += 1;
    }
    let mut acknowledged: BTreeMap<String, usize> = BTreeMap::new();
    for change in &lane.changes {
        *acknowledged.entry(change.clone()).or_default() += 1;
    }
    assert_eq!(found, acknowledged, "seed {seed}: history and acknowledgements of {} differ", lane.id);
}

/// Waits until every deployment has what it asked for, and gives the process of each replica. `status` answers
/// `GET /api/deployment/status/{id}`, `processes` all processes with the replica that each belongs to.
pub fn converged(
    lanes: &[Lane],
    status: impl Fn(&str) -> Value,
    processes: impl Fn() -> Vec<(String, i32)>,
) -> BTreeMap<String, i32> {
    let expected = wait_for("every deployment to have what it asked for", || {
        let mut replicas = BTreeSet::new();
        for lane in lanes {
            let body = status(&lane.id);
            let live: Vec<&Value> = body["replicas"].as_array()?.iter().filter(|r| r["status"] != "stopped").collect();
            let wanted = if body["status"] == "failed" { 0 } else { body["target_replicas"].as_u64()? };
            let all_run = live.iter().all(|replica| replica["status"] == "running");
            if live.len() as u64 != wanted || !all_run {
                return None;
            }
            for replica in live {
                assert_eq!(replica["restarts"], 0, "{replica}");
                replicas.insert(replica["id"].as_str()?.to_owned());
            }
        }
        Some(replicas)
    });
    wait_for("one process for each replica and none besides", || {
        let processes = processes();
        let ids: BTreeSet<String> = processes.iter().map(|(replica, _)| replica.clone()).collect();
        (ids == expected && processes.len() == expected.len()).then(|| processes.into_iter().collect())
    })
}
