//! The part of the demo in which nobody says how many replicas there should be: a policy does, by their processor use.

use std::path::Path;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;

use super::checks::{expect, http_client, live_replicas, wait_until};
use super::stage::Stage;
use crate::exit::Outcome;
use crate::output::show;

/// How long a scale-up or a scale-down may take, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(90);

/// A service whose every answer takes a twentieth of a second of processor time.
const SERVICE: &str = r#"import http.server, os, time

class Burner(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/burn":
            end = time.process_time() + 0.05
            while time.process_time() < end:
                pass
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"done\n")

    def log_message(self, *words):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Burner).serve_forever()
"#;

/// As a person would write it, with times that fit a demo.
const POLICY: &str = "\
name: burner
target_type: deployment
target_id: burner
min_replicas: 1
max_replicas: 4
targets:
  - {metric: cpu_percent, target: 60}
scale_down: {stabilization: 5s}
max_terminations: 100
";

/// Requests a second: four fifths of a core, where one replica reserves half of one.
const RATE: u64 = 16;

/// Plays it.
pub async fn play(stage: &mut Stage, python: &Path) -> Outcome {
    stage.step("Let a policy scale: processor use at 60 % of what each replica reserves");
    let (service, policy) = (stage.write("burner.py", SERVICE)?, stage.write("burner.yaml", POLICY)?);
    let program = format!("exec {} {}", python.display(), service.display());
    let deploy = ["deploy", "burner", "--replicas", "1", "--cpu", "0.5", "--port", "8080", "--health", "http"];
    let deploy = [&deploy[..], &["--wait", "--timeout", "20s", "--", "sh", "-c", &program]].concat();
    stage.fogline(&deploy).await?;
    show!("$ cat {}\n{}", policy.display(), POLICY.trim_end());
    stage.fogline(&["policy", "apply", "-f", &policy.to_string_lossy()]).await?;

    stage.step(&format!("Send {RATE} requests a second, each of which burns 50 ms of processor time"));
    let mut told = told(stage).await?.len();
    let load = load(stage).await?;
    wait_until("the policy to scale up", PATIENCE, async || {
        tell(stage, &mut told).await?;
        let replicas = live_replicas(stage, "burner").await?;
        Ok((replicas.len() > 1 && replicas.iter().all(|replica| replica.ready)).then_some(()))
    })
    .await?;
    stage.fogline(&["why", "burner"]).await?;

    stage.step("Stop the requests; it scales down again");
    drop(load);
    wait_until("the policy to scale down", PATIENCE, async || {
        tell(stage, &mut told).await?;
        Ok((live_replicas(stage, "burner").await?.len() == 1).then_some(()))
    })
    .await?;
    tell(stage, &mut told).await?;
    stage.fogline(&["policy", "show", "burner"]).await
}

/// Sends requests to the replicas in turn, at a steady rate, until it is dropped.
async fn load(stage: &Stage) -> Outcome<AbortOnDropHandle<()>> {
    let session = stage.session()?;
    let (client, id, http) = (session.client().await?, session.find("burner").await?, http_client()?);
    let mut endpoints = Vec::new();
    let mut tick = interval(Duration::from_millis(1_000 / RATE));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let sending = async move {
        for number in 0_usize.. {
            tick.tick().await;
            if number.is_multiple_of(RATE as usize) {
                let replicas = client.replicas(id, false).await.unwrap_or_default();
                endpoints = replicas.into_iter().filter(|one| one.ready).filter_map(|one| one.endpoint).collect();
            }
            if let Some(endpoint) = endpoints.get(number % endpoints.len().max(1)) {
                // One that is being stopped does not answer: the next one does.
                tokio::spawn(http.get(format!("http://{endpoint}/burn")).send());
            }
        }
    };
    Ok(AbortOnDropHandle::new(tokio::spawn(sending)))
}

/// The changes of the count so far, in words.
async fn told(stage: &Stage) -> Outcome<Vec<String>> {
    let session = stage.session()?;
    let id = session.find("burner").await?;
    let history = session.client().await?.all_history(id).await?;
    Ok(history.into_iter().map(|line| line.reason).filter(|reason| reason.starts_with("Scaled ")).collect())
}

/// Shows those that were not shown yet.
async fn tell(stage: &Stage, shown: &mut usize) -> Outcome {
    let all = told(stage).await?;
    for reason in &all[(*shown).min(all.len())..] {
        show!("burner: {}", crate::output::clean(reason));
        expect(reason.contains("cpu_percent"), "each change should say why")?;
    }
    *shown = all.len();
    Ok(())
}
