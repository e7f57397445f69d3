//! The part of the demo in which nobody says how many replicas there should be: a policy does, by the requests that come in
//! at the front door, down to none, and back on the next one. No request may fail.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;

use super::checks::{expect, http_client, live_replicas, wait_until};
use super::stage::Stage;
use crate::exit::{Failure, Outcome};
use crate::output::show;

/// How long a scale-up or a scale-down may take, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(90);

/// A service that answers as soon as it runs.
const SERVICE: &str = r#"import http.server, os

class Shop(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = ("served by a replica on " + os.environ["FOGLINE_NODE"] + "\n").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Shop).serve_forever()
"#;

/// As a person would write it, with times that fit a demo.
const POLICY: &str = "\
name: shop
target_type: deployment
target_id: shop
min_replicas: 1
max_replicas: 4
targets:
  - {metric: request_rate, target: 20, stable_window: 6s}
scale_down: {stabilization: 5s}
max_terminations: 100
scale_to_zero: true
idle: {idle_period: 10s}
";

const HOST: &str = "shop.localhost";

/// Requests a second: three replicas' worth.
const RATE: u64 = 60;

/// Plays it.
pub async fn play(stage: &mut Stage, python: &Path) -> Outcome {
    stage.step("Let a policy scale: 20 requests a second to a replica, and none while there are no requests");
    let (service, policy) = (stage.write("shop.py", SERVICE)?, stage.write("shop.yaml", POLICY)?);
    let program = format!("exec {} {}", python.display(), service.display());
    let deploy = ["deploy", "shop", "--replicas", "1", "--cpu", "0.5", "--port", "8080", "--route", HOST];
    let deploy = [&deploy[..], &["--wait", "--timeout", "20s", "--", "sh", "-c", &program]].concat();
    stage.fogline(&deploy).await?;
    stage.fogline(&["route", "list"]).await?;
    visit(stage).await?;
    show!("$ cat {}\n{}", policy.display(), POLICY.trim_end());
    stage.fogline(&["policy", "apply", "-f", &policy.to_string_lossy()]).await?;

    stage.step(&format!("Send {RATE} requests a second through the front door"));
    let mut told = told(stage).await?.len();
    let (load, began) = (Load::start(stage)?, Instant::now());
    wait_until("the policy to scale up", PATIENCE, async || {
        tell(stage, &mut told).await?;
        let replicas = live_replicas(stage, "shop").await?;
        Ok((replicas.len() > 1 && replicas.iter().all(|replica| replica.ready)).then_some(()))
    })
    .await?;
    show!("more replicas serve {:.1} s after the requests began", began.elapsed().as_secs_f32());
    stage.fogline(&["why", "shop"]).await?;

    stage.step("Stop the requests; it scales down, and then to none");
    let answered = load.stop()?;
    show!("{answered} requests were answered, and none failed");
    let stopped = Instant::now();
    wait_until("the deployment to sleep", PATIENCE, async || {
        tell(stage, &mut told).await?;
        Ok(live_replicas(stage, "shop").await?.is_empty().then_some(()))
    })
    .await?;
    tell(stage, &mut told).await?;
    show!("no replica is left {:.1} s after the last request", stopped.elapsed().as_secs_f32());

    stage.step("Send one request: it waits at the front door until a replica is there");
    let asked = Instant::now();
    visit(stage).await?;
    show!("answered after {} ms, from none", asked.elapsed().as_millis());
    tell(stage, &mut told).await?;
    stage.fogline(&["why", "shop"]).await?;
    stage.fogline(&["top", "--once"]).await
}

/// One request, as curl sends it.
async fn visit(stage: &Stage) -> Outcome {
    let door = stage.front_door()?;
    show!("$ curl -H 'Host: {HOST}' {door}/");
    let failed = |error: reqwest::Error| Failure::general(format!("{HOST} does not answer")).because(error);
    let answer = http_client()?.get(door).header("host", HOST).send().await;
    let answer = answer.and_then(reqwest::Response::error_for_status).map_err(failed)?;
    let body = answer.text().await.map_err(failed)?;
    show!("{}", crate::output::clean(body.trim()));
    expect(body.starts_with("served by a replica on "), "the service itself should have answered")
}

/// Requests at a steady rate.
struct Load {
    _sending: AbortOnDropHandle<()>,
    outcomes: Arc<Outcomes>,
}

#[derive(Default)]
struct Outcomes {
    answered: AtomicU32,
    failed: AtomicU32,
}

impl Load {
    /// Sends until it is dropped.
    fn start(stage: &Stage) -> Outcome<Self> {
        let (http, door) = (http_client()?, stage.front_door()?.to_owned());
        let outcomes = Arc::new(Outcomes::default());
        let mut tick = interval(Duration::from_millis(1_000 / RATE));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let counted = Arc::clone(&outcomes);
        let sending = async move {
            loop {
                tick.tick().await;
                let (asked, counted) = (http.get(&door).header("host", HOST).send(), Arc::clone(&counted));
                tokio::spawn(async move {
                    let answered = asked.await.is_ok_and(|answer| answer.status() == 200);
                    let count = if answered { &counted.answered } else { &counted.failed };
                    count.fetch_add(1, Ordering::Relaxed);
                });
            }
        };
        Ok(Self { _sending: AbortOnDropHandle::new(tokio::spawn(sending)), outcomes })
    }

    /// Ends it; says how many were answered.
    fn stop(self) -> Outcome<u32> {
        let failed = self.outcomes.failed.load(Ordering::Relaxed);
        expect(failed == 0, &format!("no request should have failed, and {failed} did"))?;
        Ok(self.outcomes.answered.load(Ordering::Relaxed))
    }
}

/// The changes of the count so far, in words.
async fn told(stage: &Stage) -> Outcome<Vec<String>> {
    let session = stage.session()?;
    let id = session.find("shop").await?;
    let history = session.client().await?.all_history(id).await?;
    Ok(history.into_iter().map(|line| line.reason).filter(|reason| reason.starts_with("Scaled ")).collect())
}

/// Shows those that were not shown yet.
async fn tell(stage: &Stage, shown: &mut usize) -> Outcome {
    let all = told(stage).await?;
    for reason in &all[(*shown).min(all.len())..] {
        show!("shop: {}", crate::output::clean(reason));
    }
    *shown = all.len();
    Ok(())
}
