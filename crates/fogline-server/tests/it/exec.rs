//! Commands in replicas: who may, what is written down, and an agent that answers, is silent, or goes.

use fogline_api::protocol::{ExecAnswer, ExecEnd, ExecOutput, ExecQuestion, FromAgent, FromServer};
use fogline_core::id::{NodeId, ReplicaId};
use fogline_core::observation::ReportedState;
use fogline_server::http;
use serde_json::{Value, json};

use crate::http::api::{Answer, call};
use crate::rig::{Agent, Rig, report, soon};

struct Scene {
    rig: Rig,
    agent: Agent,
    node: NodeId,
    replica: ReplicaId,
    token: String,
}

impl Scene {
    async fn new() -> Self {
        let rig = Rig::new().await;
        let (mut agent, node, _) = rig.agent("one").await;
        rig.deploy("app", 1).await;
        let list = agent.list_where(|list| !list.assignment.replicas.is_empty()).await;
        let replica = list.assignment.replicas[0].replica_id;
        let number = agent.observe(node, vec![report(replica, 1, ReportedState::Running)]).await;
        agent.acknowledged(number).await;
        let body = json!({"username": "admin", "password": "a password for tests"});
        let login = Self::ask(&rig, "POST", "/api/v1/auth/login", None, &body).await.ok(200);
        let token = login["access_token"].as_str().expect("a token").to_owned();
        Self { rig, agent, node, replica, token }
    }

    async fn ask(rig: &Rig, method: &str, path: &str, token: Option<&str>, body: &Value) -> Answer {
        let router = http::router(std::sync::Arc::clone(rig.shared()));
        soon("an answer", call(router, method, path, token, &[], &body.to_string())).await
    }

    fn path(&self) -> String {
        format!("/api/v1/deployments/app/replicas/{}/exec", self.replica)
    }

    /// Asks for a command, while the agent does what is told.
    async fn exec<F: AsyncFnOnce(&mut Agent, ExecQuestion)>(&mut self, body: Value, deed: F) -> Answer {
        let (path, token) = (self.path(), self.token.clone());
        let router = http::router(std::sync::Arc::clone(self.rig.shared()));
        let asked =
            tokio::spawn(async move { call(router, "POST", &path, Some(&token), &[], &body.to_string()).await });
        let question = loop {
            if let FromServer::ExecRequest(question) = self.agent.hear().await.expect("the session goes on") {
                break question;
            }
        };
        deed(&mut self.agent, question).await;
        soon("an answer", asked).await.expect("no panic")
    }

    async fn audit(&self) -> Vec<Value> {
        let log = Self::ask(&self.rig, "GET", "/api/v1/audit", Some(&self.token), &Value::Null).await.ok(200);
        let items = log["items"].as_array().expect("a list").clone();
        items.into_iter().filter(|line| line["action"] == "replica.exec").collect()
    }
}

async fn answer(agent: &mut Agent, request: u64, end: ExecEnd) {
    agent.say(FromAgent::ExecResult(ExecAnswer { request, end })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_written_down_run_and_its_end_told() {
    let mut scene = Scene::new().await;
    let replica = scene.replica;
    let body = json!({"command": ["sh", "-c", "echo \"x\ny\""], "timeout_s": 7});
    let answered = scene
        .exec(body, async |agent: &mut Agent, question: ExecQuestion| {
            assert_eq!(
                (question.replica_id, question.deadline.as_secs(), question.max_output),
                (replica, 7, 1_048_576)
            );
            assert_eq!(question.command, ["sh", "-c", "echo \"x\ny\""]);
            let output =
                ExecOutput { exit_code: 3, stdout: b"x\n\xff".to_vec(), stderr: b"e".to_vec(), truncated: true };
            answer(agent, question.request, ExecEnd::Exited(output)).await;
        })
        .await;
    let expected = json!({"exit_code": 3, "stdout": "x\n\u{fffd}", "stderr": "e", "truncated": true});
    assert_eq!(answered.ok(200), expected);
    let audit = scene.audit().await;
    assert_eq!(audit.len(), 1, "{audit:?}");
    assert_eq!((&audit[0]["actor_name"], &audit[0]["object"]), (&json!("admin"), &json!(replica.to_string())));
    assert_eq!(audit[0]["detail"], r#""sh" "-c" "echo \"x\ny\"""#, "one line, whatever is in it");
    scene.rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_not_to_have_been_run_has_its_status() {
    let mut scene = Scene::new().await;
    let body = json!({"command": ["true"]});
    for (end, status, kind) in [
        (ExecEnd::NotRunning, 409, "not-running"),
        (ExecEnd::TimedOut("after 10 s".to_owned()), 504, "timed-out"),
        (ExecEnd::Failed("the engine is away".to_owned()), 503, "unavailable"),
    ] {
        let answered = scene
            .exec(body.clone(), async |agent: &mut Agent, question: ExecQuestion| {
                assert_eq!(question.deadline.as_secs(), 10, "when nothing is said");
                answer(agent, question.request, end).await;
            })
            .await;
        answered.problem(status, kind);
    }
    for (body, field) in [
        (json!({"command": []}), "command"),
        (json!({"command": ["a", "b\0c"]}), "command[1]"),
        (json!({"command": ["a"], "timeout_s": 0}), "timeout_s"),
        (json!({"command": ["a"], "timeout_s": 61}), "timeout_s"),
        (json!({"command": "ls"}), "command"),
        (json!({"command": ["a"], "privileged": true}), "privileged"),
    ] {
        let answered = Scene::ask(&scene.rig, "POST", &scene.path(), Some(&scene.token), &body).await;
        assert!(answered.problem(400, "invalid-request").contains(&field.to_owned()), "{body}: {}", answered.text);
    }
    let Scene { rig, agent, node, replica, token } = scene;
    let path = format!("/api/v1/deployments/app/replicas/{replica}/exec");
    drop(agent);
    soon("the end of the session", async {
        while rig.shared().presence().node(node).is_some_and(|seen| seen.attached) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    Scene::ask(&rig, "POST", &path, Some(&token), &body).await.problem(503, "unavailable");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_goes_or_says_nothing_keeps_nobody_waiting() {
    let mut scene = Scene::new().await;
    let silent = scene.exec(json!({"command": ["true"], "timeout_s": 1}), async |_: &mut Agent, _| {}).await;
    silent.problem(504, "timed-out");
    let Scene { rig, mut agent, token, replica, .. } = scene;
    let path = format!("/api/v1/deployments/app/replicas/{replica}/exec");
    let router = http::router(std::sync::Arc::clone(rig.shared()));
    let body = json!({"command": ["true"], "timeout_s": 60}).to_string();
    let asked = tokio::spawn(async move { call(router, "POST", &path, Some(&token), &[], &body).await });
    while !matches!(agent.hear().await.expect("the session goes on"), FromServer::ExecRequest(_)) {}
    drop(agent);
    soon("an answer", asked).await.expect("no panic").problem(503, "unavailable");
    rig.stop().await;
}
