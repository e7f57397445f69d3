//! Requests that come in while what is behind the front door changes, breaks, sleeps or does not come up: the real program,
//! real processes behind it, and every request accounted for.

mod changes;
mod crashes;
mod flood;
mod zero;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use fogline_testbed::{LoadPlan, service_program};
use serde_json::{Value, json};

use crate::api::call;
use crate::front_door::door;
use crate::harness::{Dev, PATIENCE, wait_for};

/// A `fogline dev` with its front door.
struct Site {
    dev: Dev,
    token: String,
    door: SocketAddr,
}

impl Site {
    /// With three nodes, and with a look at what is idle each second.
    fn start() -> Self {
        let args = ["--nodes", "3", "--proxy-listen", "127.0.0.1:0"];
        let dev = Dev::start_as(&args, Some(crate::harness::PASSWORD), &[("FOGLINE_EVALUATION_INTERVAL_S", "1")]);
        let (token, url) = (dev.token(), door(&dev, "http"));
        let door = url.strip_prefix("http://").and_then(|address| address.parse().ok()).expect("an address");
        Self { dev, token, door }
    }

    /// The test service behind `NAME.test`, once it runs; these fields beside what it needs.
    fn deploy(&self, name: &str, fields: &Value) -> String {
        let mut spec = json!({
            "name": name, "runtime": "process", "port": 8080, "command": [service_program()],
            "resources": {"cpu": 0.5, "memory": 512, "storage": 1}, "routes": [{"host": format!("{name}.test")}],
        });
        spec.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        let body = self.call("POST", "/api/v1/deployments", 202, &spec);
        let id = body["deployment_id"].as_str().unwrap_or_else(|| panic!("no id in {body}")).to_owned();
        wait_for("the deployment to run", || (self.get(&id)["status"] == "running").then_some(()));
        self.until_answered(name);
        id
    }

    /// Has a deployment sleep after ten seconds without a request.
    fn let_sleep(&self, name: &str) {
        let policy = json!({
            "name": name, "target_type": "deployment", "target_id": name, "min_replicas": 1, "max_replicas": 1,
            "scale_to_zero": true, "idle": {"idle_period": "10s"}, "cooldown_seconds": 0,
            "scale_down": {"stabilization": "0s"},
        });
        self.call("POST", "/api/v1/scaling/policies", 201, &policy);
    }

    fn until_asleep(&self, id: &str) {
        wait_for("it to fall asleep", || (self.get(id)["target_replicas"] == 0).then_some(()));
        wait_for("its replica to be gone", || self.live(id).is_empty().then_some(()));
    }

    /// Waits until the way to it leads to a replica.
    fn until_answered(&self, name: &str) {
        wait_for("the route to be known", || (self.ask(name, "/health").0 == 200).then_some(()));
    }

    fn call(&self, method: &str, path: &str, expected: u16, body: &Value) -> Value {
        let (status, answer) = call(&self.dev, method, path, &self.token, (!body.is_null()).then_some(body));
        assert_eq!(status, expected, "{method} {path}: {answer}");
        answer
    }

    fn get(&self, id: &str) -> Value {
        self.call("GET", &format!("/api/v1/deployments/{id}"), 200, &Value::Null)
    }

    /// The ids of the replicas that are not gone.
    fn live(&self, id: &str) -> Vec<String> {
        let body = self.call("GET", &format!("/api/v1/deployments/{id}/replicas?limit=200"), 200, &Value::Null);
        let all = body["items"].as_array().expect("a list").iter();
        let live = all.filter(|replica| replica["status"] != "stopped" && replica["status"] != "failed");
        live.map(|replica| replica["id"].as_str().expect("an id").to_owned()).collect()
    }

    /// One GET on a connection of its own: status and body.
    fn ask(&self, name: &str, path: &str) -> (u16, String) {
        let mut stream = begin(self.door, &format!("GET {path}"), name);
        end(&mut stream)
    }

    fn plan(&self, name: &str, path: &str) -> LoadPlan {
        LoadPlan {
            to: self.door,
            host: format!("{name}.test"),
            path: path.to_owned(),
            connections: 10,
            rate: Some(100),
            websockets: 0,
        }
    }
}

/// Sends a request without a body on a connection of its own.
fn begin(door: SocketAddr, asked: &str, name: &str) -> TcpStream {
    let mut stream = TcpStream::connect(door).expect("the door is open");
    stream.set_read_timeout(Some(PATIENCE + Duration::from_secs(30))).expect("a deadline");
    let head = format!("{asked} HTTP/1.1\r\nHost: {name}.test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("it is read");
    stream
}

/// Reads the answer: status and body.
fn end(stream: &mut TcpStream) -> (u16, String) {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap_or_else(|error| panic!("no answer: {error}; so far {text:?}"));
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.unwrap_or_else(|| panic!("{text:?} is no answer"));
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    (status, body.unwrap_or_default())
}

/// Every line that replicas below `dir` have printed.
fn printed(dir: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            lines.extend(printed(&path));
        } else if path.parent().is_some_and(|parent| parent.ends_with("logs")) {
            let text = std::fs::read(&path).unwrap_or_default();
            lines.extend(String::from_utf8_lossy(&text).lines().map(str::to_owned));
        }
    }
    lines
}
