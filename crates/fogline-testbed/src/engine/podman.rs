//! How Podman's service is started.
//!
//! Everything it keeps is in the engine's directory or in the namespace's own `/run`. Of the machine's settings in
//! `/etc/containers` it reads those of registries and signatures, and no others. It has no flag for the cgroup of
//! containers: whoever makes one names [`Engine::cgroups`] as its parent.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::Engine;
use crate::program;

/// Where Podman looks for the programs that only it runs.
const HELPERS: [&str; 2] = ["/usr/lib/podman", "/usr/libexec/podman"];

/// Its command line, in the engine's namespaces.
pub(super) fn command(engine: &Engine) -> Command {
    program::find("iptables", "iptables");
    program::find("conmon", "conmon");
    program::find("runc", "runc");
    // It can do with CNI's plugins as well, which keep notes in a fixed place of the machine.
    let has_network = HELPERS.iter().any(|place| Path::new(place).join("netavark").is_file());
    assert!(has_network, "this test needs the program netavark: run `make deps`, or install netavark");
    let podman = program::find("podman", "podman");
    let settings = engine.path("containers.conf");
    fs::write(&settings, text(engine)).expect("a file can be written");
    let mut command = engine.command(&program::find("env", "coreutils"));
    // Where the program that watches a container leaves a file when memory was short.
    command.arg(format!("--chdir={}", engine.path("").display()));
    command.arg(format!("CONTAINERS_CONF={}", settings.display()));
    command.arg(podman);
    for (flag, place) in [("--root", "data"), ("--runroot", "x"), ("--tmpdir", "tmp")] {
        command.arg(flag).arg(engine.path(place));
    }
    // Copies need no mounts that somebody must undo.
    command.args(["--storage-driver", "vfs", "system", "service", "--time=0"]);
    command.arg(format!("unix://{}", engine.socket().display()));
    command
}

/// Its settings.
fn text(engine: &Engine) -> String {
    let init = program::find("tini-static", "tini");
    format!(
        "[engine]\ninit_path = \"{}\"\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n\
         [network]\nnetwork_backend = \"netavark\"\nnetwork_config_dir = \"{}\"\n",
        init.display(),
        engine.path("net").display()
    )
}
