//! What a container is made of: the body of the one call that makes it.
//!
//! Decides purely. Must never ask for privileges, devices, the node's namespaces or a restart by the engine: the
//! supervisor restarts. Invariant: what the spec leaves out is closed. Tests: below, and `tests/it/driver`.
//!
//! Each container has the engine's init (tini, catatonit) as its first process: without it a program that does not
//! handle SIGTERM would ignore it, because the kernel gives the first process no default, and would always wait for
//! SIGKILL; and nobody would reap what it leaves behind. An engine that has no init runs the program itself.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use bollard::models::{
    ContainerCreateBody, DeviceRequest, HealthConfig, HostConfig, HostConfigLogConfig, Mount, MountBindOptions,
    MountBindOptionsPropagationEnum, MountType, PortBinding, RestartPolicy, RestartPolicyNameEnum,
};

use super::super::StartOrder;
use super::labels;
use super::mounts::Checked;
use crate::logs::LogLimits;

/// Of what engines give by default, what no service needs: raw sockets, device files, the kernel's audit log, handing
/// out capabilities by files.
const DROPPED: [&str; 4] = ["NET_RAW", "MKNOD", "AUDIT_WRITE", "SETFCAP"];
const MEGABYTE: i64 = 1_048_576;
const NANO_CPUS_PER_MILLI: i64 = 1_000_000;

/// What is known about a container beside its order.
pub(super) struct Plan<'a> {
    pub order: &'a StartOrder,
    pub agent_id: &'a str,
    pub image: &'a str,
    /// The port in the container, published at the order's port.
    pub port: Option<u16>,
    pub publish_at: Option<IpAddr>,
    pub mounts: &'a [Checked],
    pub logs: LogLimits,
    pub cgroup_parent: Option<&'a str>,
    pub is_podman: bool,
    pub with_init: bool,
}

/// The body of the call.
pub(super) fn body(plan: &Plan<'_>) -> ContainerCreateBody {
    let template = &plan.order.template;
    let container = template.container.clone().unwrap_or_default();
    let tcp = plan.port.map(|port| format!("{port}/tcp"));
    ContainerCreateBody {
        image: Some(plan.image.to_owned()),
        entrypoint: (!template.command.is_empty()).then(|| template.command.clone()),
        cmd: (!template.command.is_empty()).then(Vec::new),
        env: Some(environment(plan)),
        user: container.user.clone(),
        working_dir: template.working_dir.clone(),
        labels: Some(labels::of(plan.agent_id, plan.order)),
        exposed_ports: tcp.clone().map(|port| vec![port]),
        // The agent asks the replica itself.
        healthcheck: Some(HealthConfig { test: Some(vec!["NONE".to_owned()]), ..HealthConfig::default() }),
        host_config: Some(HostConfig {
            port_bindings: tcp.map(|port| HashMap::from([(port, Some(vec![binding(plan)]))])),
            tmpfs: Some(
                container.tmpfs.iter().map(|path| (path.clone(), "rw,nosuid,nodev,noexec".to_owned())).collect(),
            ),
            mounts: Some(plan.mounts.iter().map(mount).collect()),
            readonly_rootfs: Some(container.read_only_root),
            pids_limit: Some(container.pids.into()),
            ..limits(plan)
        }),
        ..ContainerCreateBody::default()
    }
}

fn limits(plan: &Plan<'_>) -> HostConfig {
    let resources = &plan.order.template.resources;
    let memory = i64::from(resources.memory_mb) * MEGABYTE;
    let gpus = (resources.gpu_units > 0).then(|| {
        vec![DeviceRequest {
            count: Some(resources.gpu_units.into()),
            capabilities: Some(vec![vec!["gpu".to_owned()]]),
            ..DeviceRequest::default()
        }]
    });
    HostConfig {
        nano_cpus: Some(i64::from(resources.cpu_millis.0) * NANO_CPUS_PER_MILLI),
        memory: Some(memory),
        // Memory and swap together: no swap.
        memory_swap: Some(memory),
        device_requests: gpus,
        cgroup_parent: plan.cgroup_parent.map(str::to_owned),
        init: Some(plan.with_init),
        privileged: Some(false),
        cap_drop: Some(DROPPED.map(str::to_owned).to_vec()),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        ipc_mode: Some("private".to_owned()),
        restart_policy: Some(RestartPolicy { name: Some(RestartPolicyNameEnum::NO), maximum_retry_count: None }),
        log_config: Some(log_config(plan)),
        ..HostConfig::default()
    }
}

/// Podman writes one file and starts it anew; Docker keeps older ones beside it.
fn log_config(plan: &Plan<'_>) -> HostConfigLogConfig {
    let size = ("max-size".to_owned(), plan.logs.file_bytes.to_string());
    if plan.is_podman {
        return HostConfigLogConfig { typ: Some("k8s-file".to_owned()), config: Some(HashMap::from([size])) };
    }
    let files = ("max-file".to_owned(), plan.logs.files.to_string());
    HostConfigLogConfig { typ: Some("json-file".to_owned()), config: Some(HashMap::from([size, files])) }
}

fn binding(plan: &Plan<'_>) -> PortBinding {
    PortBinding {
        host_ip: plan.publish_at.map(|address| address.to_string()),
        host_port: plan.order.port.map(|port| port.to_string()),
    }
}

fn mount(mount: &Checked) -> Mount {
    Mount {
        typ: Some(MountType::BIND),
        source: Some(mount.source.display().to_string()),
        target: Some(mount.target.clone()),
        read_only: Some(mount.read_only),
        bind_options: Some(MountBindOptions {
            propagation: Some(MountBindOptionsPropagationEnum::RPRIVATE),
            ..MountBindOptions::default()
        }),
        ..Mount::default()
    }
}

/// The spec's, and over it what is always true. `PATH` and `HOME` are the image's.
fn environment(plan: &Plan<'_>) -> Vec<String> {
    let order = plan.order;
    let mut env: BTreeMap<String, String> = order.template.env.clone();
    env.extend(order.identity());
    env.extend(plan.port.map(|port| ("PORT".to_owned(), port.to_string())));
    env.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}

/// The port in the container: the spec's, else the only TCP port that the image exposes.
pub(super) fn port(asked: Option<u16>, exposed: &[String]) -> Option<u16> {
    let mut tcp = exposed.iter().filter_map(|one| {
        let (port, protocol) = one.split_once('/').unwrap_or((one, "tcp"));
        (protocol == "tcp").then(|| port.parse().ok()).flatten()
    });
    asked.or_else(|| tcp.next().filter(|_| tcp.next().is_none()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fogline_core::quantity::{CpuMillis, Resources};
    use fogline_core::spec::{ReplicaTemplate, Runtime};

    use super::*;

    fn order() -> StartOrder {
        let id = "0190b1f0-0000-7000-8000-000000000001";
        StartOrder {
            replica_id: id.parse().expect("an id"),
            deployment_id: id.parse().expect("an id"),
            deployment_name: "web".to_owned(),
            node_id: id.parse().expect("an id"),
            node_name: "edge-1".to_owned(),
            revision: 3,
            run: 2,
            template: Arc::new(ReplicaTemplate {
                runtime: Runtime::Docker,
                container_image: Some("web:v1".to_owned()),
                command: Vec::new(),
                env: [("PORT", "1"), ("FOGLINE_NODE", "mine"), ("SECRET", "canary")]
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .into(),
                working_dir: None,
                resources: Resources { cpu_millis: CpuMillis(1_500), memory_mb: 512, gpu_units: 2, storage_gb: 1 },
                port: None,
                host_port: None,
                container: None,
                health: None,
                warm_up: None,
                grace_s: 10,
                drain_timeout_s: 30,
            }),
            image_digest: None,
            port: Some(20_001),
        }
    }

    fn plan(order: &StartOrder, is_podman: bool) -> Plan<'_> {
        Plan {
            order,
            agent_id: "a",
            image: "sha256:1",
            port: Some(80),
            publish_at: Some(IpAddr::from([127, 0, 0, 1])),
            mounts: &[],
            logs: LogLimits::default(),
            cgroup_parent: None,
            is_podman,
            with_init: true,
        }
    }

    #[test]
    fn what_the_spec_leaves_out_is_closed_and_limits_are_hard() {
        let order = order();
        let body = body(&plan(&order, false));
        assert_eq!((body.entrypoint, body.cmd), (None, None), "the image's own program");
        let env = body.env.expect("an environment");
        assert!(env.contains(&"PORT=80".to_owned()) && env.contains(&"FOGLINE_NODE=edge-1".to_owned()), "{env:?}");
        let host = body.host_config.expect("given");
        assert_eq!((host.nano_cpus, host.memory), (Some(1_500_000_000), Some(512 << 20)));
        assert_eq!(host.memory_swap, host.memory, "no swap");
        assert_eq!((host.privileged, host.readonly_rootfs, host.pids_limit), (Some(false), Some(true), Some(1_024)));
        assert_eq!(host.device_requests.and_then(|all| all[0].count), Some(2));
        assert_eq!((host.pid_mode, host.network_mode, host.cap_add, host.devices), (None, None, None, None));
        let bindings = host.port_bindings.expect("published");
        let binding = bindings["80/tcp"].as_ref().expect("one")[0].clone();
        assert_eq!((binding.host_ip.as_deref(), binding.host_port.as_deref()), (Some("127.0.0.1"), Some("20001")));
    }

    #[test]
    fn podman_is_not_asked_for_what_only_docker_knows() {
        let order = order();
        let config = |is_podman| body(&plan(&order, is_podman)).host_config.and_then(|host| host.log_config);
        assert_eq!(config(false).and_then(|config| config.typ).as_deref(), Some("json-file"));
        let podman = config(true).expect("given");
        assert_eq!(podman.typ.as_deref(), Some("k8s-file"));
        assert!(!podman.config.expect("given").contains_key("max-file"));
    }

    #[test]
    fn the_only_exposed_tcp_port_stands_in_for_one_that_is_not_named() {
        let exposed = |ports: &[&str]| ports.iter().map(|&port| port.to_owned()).collect::<Vec<_>>();
        let table = [
            (None, exposed(&["80/tcp"]), Some(80)),
            (None, exposed(&["80"]), Some(80)),
            (None, exposed(&["53/udp", "80/tcp"]), Some(80)),
            (None, exposed(&["80/tcp", "443/tcp"]), None),
            (None, exposed(&["53/udp"]), None),
            (None, exposed(&[]), None),
            (Some(9), exposed(&["80/tcp"]), Some(9)),
        ];
        for (asked, exposed, expected) in table {
            assert_eq!(port(asked, &exposed), expected, "{asked:?} {exposed:?}");
        }
    }

    #[test]
    fn labels_tell_whose_it_is_and_give_the_order_back_but_for_its_secrets() {
        let order = order();
        let labels = body(&plan(&order, false)).labels.expect("labels");
        assert!(!format!("{labels:?}").contains("canary"), "{labels:?}");
        assert_eq!(labels::run_of("a", &labels), Some((order.replica_id, 2)));
        assert_eq!(labels::run_of("b", &labels), None, "another agent's");
        let back = labels::order_of(&labels).expect("whole");
        assert!(back.template.env.is_empty());
        let mut same = back;
        Arc::make_mut(&mut same.template).env = order.template.env.clone();
        assert_eq!(same, order);
    }
}
