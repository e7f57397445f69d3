//! The settings as server and agent take them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use fogline_agent::config::ImageGc;
use fogline_agent::ports::PortRange;
use fogline_core::settings::Quota;
use fogline_proxy::{AccessLogTarget, ProxyConfig};
use fogline_server::ServerConfig;
use fogline_source::SourcesConfig;
use secrecy::SecretString;

use super::Settings;
use super::value::{self, Doors, EngineChoice, UNLIMITED, ports};
use crate::agent_process::host_name;
use crate::attach::Attach;
use crate::env::Environment;
use crate::exit::{Failure, Outcome};

/// Where Docker and Podman listen.
const USUAL_SOCKETS: [&str; 2] = ["/var/run/docker.sock", "/run/podman/podman.sock"];

impl Settings {
    /// What a server is told.
    ///
    /// # Errors
    /// Never for settings that were checked, which all are.
    pub fn server_config(&self) -> Outcome<ServerConfig> {
        let mut config = ServerConfig::new(PathBuf::from(&self.get("data").value));
        config.database_url = self.text("database_url").map(SecretString::from);
        config.advertise = self.text("advertise").map(ToOwned::to_owned);
        config.agent_advertise = self.text("agent_advertise").map(ToOwned::to_owned);
        config.lease = self.seconds("lease_s")?;
        config.listen = self.address("listen")?;
        config.agent_listen = self.address("agent_listen")?;
        config.admin_password = self.text("admin_password").map(SecretString::from);
        config.evaluation_interval = self.seconds("evaluation_interval_s")?;
        config.heartbeat_interval = self.seconds("heartbeat_interval_s")?;
        config.access_token_ttl = self.seconds("access_token_ttl_s")?;
        config.refresh_token_ttl = self.seconds("refresh_token_ttl_s")?;
        config.max_body_bytes = self.number("max_body_bytes")?;
        config.writer_queue = self.number("writer_queue")?;
        config.shutdown_grace = self.seconds("shutdown_grace_s")?;
        let core = &mut config.settings;
        core.node_timeout = self.seconds("node_timeout_s")?;
        core.load_max_age = self.seconds("load_max_age_s")?;
        core.failure_memory = self.seconds("failure_memory_s")?;
        core.replace_backoff = self.seconds("replace_backoff_s")?;
        core.replace_backoff_max = self.seconds("replace_backoff_max_s")?;
        core.free = self.quota("free")?;
        core.pro = self.quota("pro")?;
        core.enterprise = self.quota("enterprise")?;
        config.sources = self.sources();
        Ok(config)
    }

    /// Where metrics come from. `auto` is for `fogline dev` to say. That a server listens on loopback says nothing of who
    /// writes policies: a proxy with TLS in front of it is usual.
    fn sources(&self) -> SourcesConfig {
        let allow_private = self.get("metric_allow_private").value == "on";
        let prometheus_url = self.text("prometheus_url").map(ToOwned::to_owned);
        SourcesConfig { connections: self.connections.found.clone(), prometheus_url, allow_private }
    }

    /// The ports that replicas get.
    ///
    /// # Errors
    /// Never for settings that were checked, which all are.
    pub fn agent_ports(&self) -> Outcome<PortRange> {
        ports(&self.get("agent.ports").value).map_err(|_| self.unusable("agent.ports"))
    }

    /// Where container engines are looked for, in this order; nowhere when containers are switched off.
    pub fn engine_sockets(&self, environment: &Environment) -> Vec<PathBuf> {
        match value::engine(&self.get("agent.docker").value) {
            Ok(EngineChoice::Socket(socket)) => vec![socket],
            Ok(EngineChoice::Auto) => {
                let named = environment.docker_host.as_deref().and_then(value::socket);
                named.into_iter().chain(USUAL_SOCKETS.map(PathBuf::from)).collect()
            }
            // Settings were checked when they were read.
            Ok(EngineChoice::Off) | Err(_) => Vec::new(),
        }
    }

    /// Below which paths containers may be given directories of this machine.
    pub fn allowed_mounts(&self) -> Vec<PathBuf> {
        value::paths(&self.get("agent.allowed_mounts").value).unwrap_or_default()
    }

    /// Where credentials for registries are, if anywhere.
    pub fn registry_auth(&self) -> Option<PathBuf> {
        let value = &self.get("agent.registry_auth").value;
        (!value.is_empty()).then(|| PathBuf::from(value))
    }

    /// Where a proxy listens, by its key.
    ///
    /// # Errors
    /// Never for settings that were checked, which all are.
    pub fn doors(&self, key: &str) -> Outcome<Doors> {
        value::doors(&self.get(key).value).map_err(|_| self.unusable(key))
    }

    /// What a proxy is told that keeps its state in `data`, but for where it listens.
    ///
    /// # Errors
    /// Never for settings that were checked, which all are.
    pub fn proxy_config(&self, attach: Attach, data: PathBuf) -> Outcome<ProxyConfig> {
        let mut config = ProxyConfig::new(attach.servers, attach.token, data);
        config.name = self.text("proxy.name").map_or_else(host_name, ToOwned::to_owned);
        config.certificates = self.text("proxy.certificates").map(PathBuf::from);
        config.trusted_proxies =
            value::networks(&self.get("proxy.trusted").value).map_err(|_| self.unusable("proxy.trusted"))?;
        config.access_log = match self.get("proxy.access_log").value.as_str() {
            "off" | "" => None,
            "stdout" => Some(AccessLogTarget::Stdout),
            file => Some(AccessLogTarget::File(PathBuf::from(file))),
        };
        let ports = ports(&self.get("proxy.tcp_ports").value).map_err(|_| self.unusable("proxy.tcp_ports"))?;
        config.tcp_ports = ports.bounds();
        // Where a server of this machine listens: while it restarts, its port must not be somebody else's.
        for key in ["listen", "agent_listen"] {
            let port = self.address(key)?.port();
            config.tcp_ports_taken.push(port..=port);
        }
        config.workers = self.number("proxy.workers")?;
        config.max_connections = self.number("proxy.max_connections")?;
        Ok(config)
    }

    /// When images go that the agent has pulled.
    ///
    /// # Errors
    /// Never for settings that were checked, which all are.
    pub fn image_gc(&self) -> Outcome<ImageGc> {
        let hours: u64 = self.parsed("agent.image_gc_h")?;
        let unused_for = (hours > 0).then(|| Duration::from_secs(hours * 3_600));
        Ok(ImageGc { unused_for, disk_percent: self.parsed("agent.image_gc_disk_percent")? })
    }

    fn parsed<T: std::str::FromStr>(&self, key: &str) -> Outcome<T> {
        self.get(key).value.parse().map_err(|_| self.unusable(key))
    }

    fn unusable(&self, key: &str) -> Failure {
        let setting = self.get(key);
        Failure::general(format!("{key} = {:?} ({}) cannot be used", setting.value, setting.source))
    }

    fn address(&self, key: &str) -> Outcome<SocketAddr> {
        self.parsed(key)
    }

    fn number(&self, key: &str) -> Outcome<usize> {
        self.parsed(key)
    }

    fn seconds(&self, key: &str) -> Outcome<Duration> {
        self.parsed(key).map(Duration::from_secs)
    }

    fn quota(&self, tier: &str) -> Outcome<Quota> {
        let limit = |what: &str| self.limit(&format!("tier.{tier}.{what}"));
        Ok(Quota { deployments: limit("deployments")?, replicas: limit("replicas")?, policies: limit("policies")? })
    }

    fn limit(&self, key: &str) -> Outcome<Option<u32>> {
        if self.get(key).value == UNLIMITED { Ok(None) } else { self.parsed(key).map(Some) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Environment;
    use crate::settings::FileChoice;

    #[test]
    fn the_table_and_the_server_agree_on_the_defaults() {
        let settings = Settings::load(FileChoice::OnlyNamed, &Environment::default(), &[]).expect("accepted");
        let typed = settings.server_config().expect("typed");
        let theirs = ServerConfig::new(typed.data_dir.clone());
        assert_eq!(format!("{typed:?}"), format!("{theirs:?}"));
    }
}
