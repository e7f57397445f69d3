//! How `dockerd` is started.

use std::process::Command;

use super::Engine;
use crate::program;

/// Its command line, in the engine's namespaces.
pub(super) fn command(engine: &Engine) -> Command {
    program::find("iptables", "iptables");
    let mut command = engine.command(&program::find("dockerd", "docker.io"));
    let mut flag = |name: &str, value: &str| {
        command.arg(format!("--{name}={value}"));
    };
    flag("data-root", &engine.path("data").display().to_string());
    flag("exec-root", &engine.path("x").display().to_string());
    flag("pidfile", &engine.path("pid").display().to_string());
    flag("host", &format!("unix://{}", engine.socket().display()));
    flag("group", "root");
    flag("storage-driver", "overlay2");
    flag("exec-opt", "native.cgroupdriver=cgroupfs");
    flag("cgroup-parent", &format!("/{}", engine.cgroups()));
    // There is no network to leave this one by.
    flag("dns", "127.0.0.1");
    flag("shutdown-timeout", "5");
    command
}
