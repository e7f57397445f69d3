//! What replicas are started from, on the wire.

use fogline_core::spec::{ContainerSpec, HealthCheck, HealthSpec, MountSpec, ReplicaTemplate, WarmUpSpec};

use super::field::{self, WireError};
use super::generated as wire;

impl From<&ReplicaTemplate> for wire::ReplicaTemplate {
    fn from(template: &ReplicaTemplate) -> Self {
        Self {
            runtime: wire::Runtime::from(template.runtime).into(),
            container_image: template.container_image.clone().unwrap_or_default(),
            command: template.command.clone(),
            env: field::unordered(&template.env),
            working_dir: template.working_dir.clone().unwrap_or_default(),
            resources: Some(template.resources.into()),
            port: template.port.unwrap_or(0).into(),
            host_port: template.host_port.unwrap_or(0).into(),
            container: template.container.as_ref().map(wire::Container::from),
            health: template.health.as_ref().map(wire::Health::from),
            grace_s: template.grace_s,
            drain_timeout_s: template.drain_timeout_s,
            warm_up: template.warm_up.as_ref().map(wire::WarmUp::from),
        }
    }
}

impl TryFrom<wire::ReplicaTemplate> for ReplicaTemplate {
    type Error = WireError;

    fn try_from(template: wire::ReplicaTemplate) -> Result<Self, WireError> {
        Ok(Self {
            runtime: field::runtime("template.runtime", template.runtime)?,
            container_image: field::optional(template.container_image),
            command: template.command,
            env: field::ordered(template.env),
            working_dir: field::optional(template.working_dir),
            resources: field::required("template.resources", template.resources)?.into(),
            port: field::port("template.port", template.port)?,
            host_port: field::port("template.host_port", template.host_port)?,
            container: template.container.map(ContainerSpec::from),
            health: template.health.map(HealthSpec::try_from).transpose()?,
            grace_s: template.grace_s,
            drain_timeout_s: template.drain_timeout_s,
            warm_up: template.warm_up.map(WarmUpSpec::from),
        })
    }
}

impl From<&WarmUpSpec> for wire::WarmUp {
    fn from(warm_up: &WarmUpSpec) -> Self {
        Self {
            path: warm_up.path.clone().unwrap_or_default(),
            command: warm_up.command.clone(),
            times: warm_up.times,
            timeout_s: warm_up.timeout_s,
        }
    }
}

impl From<wire::WarmUp> for WarmUpSpec {
    fn from(warm_up: wire::WarmUp) -> Self {
        Self {
            path: field::optional(warm_up.path),
            command: warm_up.command,
            times: warm_up.times,
            timeout_s: warm_up.timeout_s,
        }
    }
}

impl From<&ContainerSpec> for wire::Container {
    fn from(container: &ContainerSpec) -> Self {
        let mount = |mount: &MountSpec| wire::Mount {
            source: mount.source.clone(),
            target: mount.target.clone(),
            read_only: mount.read_only,
        };
        Self {
            user: container.user.clone().unwrap_or_default(),
            read_only_root: container.read_only_root,
            tmpfs: container.tmpfs.clone(),
            mounts: container.mounts.iter().map(mount).collect(),
            pids: container.pids,
        }
    }
}

impl From<wire::Container> for ContainerSpec {
    fn from(container: wire::Container) -> Self {
        let mount =
            |mount: wire::Mount| MountSpec { source: mount.source, target: mount.target, read_only: mount.read_only };
        Self {
            user: field::optional(container.user),
            read_only_root: container.read_only_root,
            tmpfs: container.tmpfs,
            mounts: container.mounts.into_iter().map(mount).collect(),
            pids: container.pids,
        }
    }
}

impl From<&HealthSpec> for wire::Health {
    fn from(health: &HealthSpec) -> Self {
        let check = match health.check {
            HealthCheck::Tcp => wire::HealthCheck::Tcp,
            HealthCheck::Http => wire::HealthCheck::Http,
            HealthCheck::None => wire::HealthCheck::None,
        };
        Self {
            check: check.into(),
            path: health.path.clone(),
            interval_s: health.interval_s,
            timeout_s: health.timeout_s,
            unhealthy_after: health.unhealthy_after,
            start_timeout_s: health.start_timeout_s,
        }
    }
}

impl TryFrom<wire::Health> for HealthSpec {
    type Error = WireError;

    fn try_from(health: wire::Health) -> Result<Self, WireError> {
        let check = match wire::HealthCheck::try_from(health.check) {
            Ok(wire::HealthCheck::Tcp) => HealthCheck::Tcp,
            Ok(wire::HealthCheck::Http) => HealthCheck::Http,
            Ok(wire::HealthCheck::None) => HealthCheck::None,
            Ok(wire::HealthCheck::Unspecified) | Err(_) => {
                return Err(WireError::UnknownValue { field: "template.health.check", value: health.check });
            }
        };
        Ok(Self {
            check,
            path: health.path,
            interval_s: health.interval_s,
            timeout_s: health.timeout_s,
            unhealthy_after: health.unhealthy_after,
            start_timeout_s: health.start_timeout_s,
        })
    }
}

#[cfg(test)]
mod tests {
    use fogline_core::quantity::{CpuMillis, Resources};
    use fogline_core::spec::Runtime;

    use super::*;

    fn template() -> ReplicaTemplate {
        ReplicaTemplate {
            runtime: Runtime::Process,
            container_image: None,
            command: vec!["sleep".to_owned(), "1".to_owned()],
            env: [("A".to_owned(), "b".to_owned())].into(),
            working_dir: Some("/srv".to_owned()),
            resources: Resources { cpu_millis: CpuMillis(500), memory_mb: 512, gpu_units: 1, storage_gb: 10 },
            port: Some(8080),
            host_port: Some(20_001),
            container: Some(ContainerSpec {
                user: Some("web:www".to_owned()),
                read_only_root: false,
                tmpfs: vec!["/tmp".to_owned()],
                mounts: vec![MountSpec {
                    source: "/srv/data".to_owned(),
                    target: "/data".to_owned(),
                    read_only: false,
                }],
                pids: 64,
            }),
            health: Some(HealthSpec { check: HealthCheck::Http, path: "/ok".to_owned(), ..HealthSpec::default() }),
            warm_up: None,
            grace_s: 3,
            drain_timeout_s: 4,
        }
    }

    #[test]
    fn a_template_comes_back_as_it_was() {
        for health in [None, Some(HealthSpec::default()), template().health] {
            let sent = ReplicaTemplate { health, ..template() };
            assert_eq!(ReplicaTemplate::try_from(wire::ReplicaTemplate::from(&sent)), Ok(sent));
        }
        let bare = ReplicaTemplate { port: None, host_port: None, working_dir: None, container: None, ..template() };
        assert_eq!(ReplicaTemplate::try_from(wire::ReplicaTemplate::from(&bare)), Ok(bare));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let good = wire::ReplicaTemplate::from(&template());
        let broken = [
            (wire::ReplicaTemplate { runtime: 0, ..good.clone() }, "template.runtime"),
            (wire::ReplicaTemplate { runtime: 77, ..good.clone() }, "template.runtime"),
            (wire::ReplicaTemplate { resources: None, ..good.clone() }, "template.resources"),
            (wire::ReplicaTemplate { port: 65_536, ..good.clone() }, "template.port"),
            (wire::ReplicaTemplate { host_port: 70_000, ..good.clone() }, "template.host_port"),
            (wire::ReplicaTemplate { health: Some(wire::Health::default()), ..good }, "template.health.check"),
        ];
        for (template, field) in broken {
            let error = ReplicaTemplate::try_from(template).expect_err(field).to_string();
            assert!(error.contains(field), "{error}");
        }
    }
}
