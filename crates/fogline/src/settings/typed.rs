//! The settings as server and agent take them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use fogline_core::settings::Quota;
use fogline_server::ServerConfig;
use secrecy::SecretString;

use super::{Settings, value::UNLIMITED};
use crate::exit::{Failure, Outcome};

impl Settings {
    /// What a server is told.
    ///
    /// # Errors
    /// Never for settings that were checked, which all are.
    pub fn server_config(&self) -> Outcome<ServerConfig> {
        let mut config = ServerConfig::new(PathBuf::from(&self.get("data").value));
        config.listen = self.address("listen")?;
        config.agent_listen = self.address("agent_listen")?;
        config.admin_password = self.text("admin_password").map(SecretString::from);
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
        core.free = self.quota("tier.free.deployments", "tier.free.replicas")?;
        core.pro = self.quota("tier.pro.deployments", "tier.pro.replicas")?;
        core.enterprise = self.quota("tier.enterprise.deployments", "tier.enterprise.replicas")?;
        Ok(config)
    }

    fn parsed<T: std::str::FromStr>(&self, key: &str) -> Outcome<T> {
        let setting = self.get(key);
        setting
            .value
            .parse()
            .map_err(|_| Failure::general(format!("{key} = {:?} ({}) cannot be used", setting.value, setting.source)))
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

    fn quota(&self, deployments: &str, replicas: &str) -> Outcome<Quota> {
        Ok(Quota { deployments: self.limit(deployments)?, replicas: self.limit(replicas)? })
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
