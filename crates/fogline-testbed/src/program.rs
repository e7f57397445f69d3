//! Programs of the machine: where they are, and running one to its end.
//!
//! Must never read the environment of the test: a program is found in the usual directories (`/usr/sbin` is not in
//! everybody's `PATH`) and gets an environment of nothing but a `PATH` and plain messages. Invariant: a program that is
//! missing, or that failed where it must not, is a panic that says which, and what it said.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Where programs are looked for.
const PLACES: [&str; 6] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin", "/usr/local/bin"];

/// The program of this name, which the Debian package `package` has.
///
/// # Panics
/// When it is not there.
pub(crate) fn find(name: &str, package: &str) -> PathBuf {
    let found = PLACES.iter().map(|place| Path::new(place).join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("this test needs the program {name}: run `make deps`, or install {package}"))
}

/// The start of a command line of `program`, with the environment that all programs of the bed get.
pub(crate) fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", PLACES.join(":")).env("LC_ALL", "C.UTF-8").current_dir("/");
    command
}

/// Runs it to its end and gives its standard output.
///
/// # Panics
/// When it cannot be run, or says that it failed; with what it said.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> String {
    let output = output(command);
    assert!(
        output.status.success(),
        "{command:?} failed ({}):\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs it to its end, however that is.
#[track_caller]
pub(crate) fn output(command: &mut Command) -> Output {
    command.stdin(std::process::Stdio::null());
    command.output().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"))
}
