//! The environment of a replica.
//!
//! Must never hold anything of the agent's own beyond what the configuration names. Invariant: `PORT` and `FOGLINE_*`
//! are always true, whatever the spec says; `PATH` and `HOME` are the spec's, where it has them. Tests are below.

use std::collections::BTreeMap;
use std::path::Path;

use fogline_core::id::ReplicaId;

use super::super::{REPLICA_ID, StartOrder};

/// Where programs are looked for when nobody says where.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(super) fn of(order: &StartOrder, base: &BTreeMap<String, String>, working_dir: &Path) -> BTreeMap<String, String> {
    let mut env = BTreeMap::from([("PATH".to_owned(), PATH.to_owned())]);
    env.extend(base.clone());
    env.insert("HOME".to_owned(), working_dir.display().to_string());
    env.extend(order.template.env.clone());
    env.extend(order.identity());
    if let Some(port) = order.port {
        env.insert("PORT".to_owned(), port.to_string());
    }
    env
}

/// The variable as a process of this replica has it.
pub(super) fn marker(replica_id: ReplicaId) -> String {
    format!("{REPLICA_ID}={replica_id}")
}

/// Whether a process has it.
pub(super) fn has_marker(pid: i32, marker: &str) -> bool {
    let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environ.split(|byte| *byte == 0).any(|variable| variable == marker.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fogline_core::quantity::Resources;
    use fogline_core::spec::{ReplicaTemplate, Runtime};

    use super::*;

    #[test]
    fn identity_cannot_be_overwritten_and_home_can() {
        let id = "0190b1f0-0000-7000-8000-000000000001";
        let mut order = StartOrder {
            replica_id: id.parse().expect("an id"),
            deployment_id: id.parse().expect("an id"),
            deployment_name: "web".to_owned(),
            node_id: id.parse().expect("an id"),
            node_name: "edge-1".to_owned(),
            revision: 3,
            run: 2,
            template: Arc::new(ReplicaTemplate {
                runtime: Runtime::Process,
                container_image: None,
                command: vec!["server".to_owned()],
                env: BTreeMap::from(
                    [("PORT", "1"), ("FOGLINE_NODE", "mine"), ("COLOR", "blue"), ("HOME", "/srv")]
                        .map(|(name, value)| (name.to_owned(), value.to_owned())),
                ),
                working_dir: None,
                resources: Resources::ZERO,
                port: Some(80),
                host_port: None,
                container: None,
                health: None,
                warm_up: None,
                grace_s: 10,
                drain_timeout_s: 30,
            }),
            image_digest: None,
            port: Some(20_001),
        };
        let base = BTreeMap::from([("LANG".to_owned(), "C.UTF-8".to_owned())]);
        let env = of(&order, &base, Path::new("/data"));
        let lines: Vec<String> = env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            lines.join("\n"),
            format!(
                "COLOR=blue\nFOGLINE_DEPLOYMENT=web\nFOGLINE_DEPLOYMENT_ID={id}\nFOGLINE_NODE=edge-1\n\
                 FOGLINE_REPLICA_ID={id}\nFOGLINE_REVISION=3\nFOGLINE_RUN=2\nHOME=/srv\nLANG=C.UTF-8\n\
                 PATH={PATH}\nPORT=20001"
            )
        );
        order.port = None;
        let template = Arc::make_mut(&mut order.template);
        template.env.clear();
        let env = of(&order, &BTreeMap::new(), Path::new("/data"));
        assert_eq!(env.get("HOME").map(String::as_str), Some("/data"));
        assert_eq!(env.get("PORT"), None);
    }
}
