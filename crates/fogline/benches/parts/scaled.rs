//! A service behind the front door that a policy scales: 50 requests a second are what one replica is to have.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use fogline_core::id::DeploymentId;
use fogline_testbed::{Load, LoadPlan, port, service_program};

use super::parts::{Parts, soon};

/// The policy that scales it.
const POLICY: &str = include_str!("../../../../examples/scaling/steps.yaml");

/// A server, an agent with a front door, and the service.
pub struct Scaled {
    /// What all of it runs on.
    pub parts: Parts,
    /// The service.
    pub id: DeploymentId,
    door: SocketAddr,
}

impl Scaled {
    /// Starts all of it, until one replica serves.
    pub async fn start() -> Self {
        let door = port::spare();
        let parts = Parts::start(&["--proxy-listen", &door.to_string()]).await;
        let spec = serde_json::json!({
            "name": "measured", "runtime": "process", "command": [service_program()], "replicas": 1, "port": 8080,
            "resources": {"cpu": 0.5, "memory": 512, "storage": 1}, "routes": [{"host": "measured.test"}],
        });
        let spec = serde_json::from_value(spec).expect("a spec");
        let id = parts.client.deploy(&spec).await.expect("fits").deployment_id;
        parts.client.create_policy(&serde_saphyr::from_str(POLICY).expect("a policy")).await.expect("it may");
        let scaled = Self { parts, id, door };
        soon("a replica", async || (!scaled.ready().await.is_empty()).then_some(())).await;
        scaled
    }

    /// The replicas that serve, by where.
    pub async fn ready(&self) -> BTreeSet<String> {
        let replicas = self.parts.client.replicas(self.id, false).await.expect("an answer");
        replicas.into_iter().filter(|replica| replica.ready).filter_map(|replica| replica.endpoint).collect()
    }

    /// So many requests a second, from now on.
    pub fn load(&self, rate: u32) -> Load {
        Load::start(&LoadPlan {
            to: self.door,
            host: "measured.test".to_owned(),
            path: "/".to_owned(),
            connections: 20,
            rate: Some(rate),
            websockets: 0,
        })
    }
}
