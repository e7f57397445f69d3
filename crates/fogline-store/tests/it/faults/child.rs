//! The same test once more in a process of its own, for what a whole process has to be prepared for: a mount that
//! nobody else sees, a library loaded first, a death without warning.

#![expect(clippy::disallowed_methods, reason = "the one file of these tests that reads the environment")]

use std::env;
use std::ffi::OsString;
use std::process::{Command, Output};

const MARK: &str = "FOGLINE_STORE_TEST_CHILD";

/// Whether this process is the one that was prepared.
pub fn is_child() -> bool {
    env::var_os(MARK).is_some()
}

/// What the parent has told the child beside that.
pub fn value(name: &str) -> OsString {
    env::var_os(name).expect("the parent has set it")
}

/// Program and arguments that run one test of this binary.
pub fn arguments(test: &str) -> Vec<OsString> {
    let program = env::current_exe().expect("this program").into_os_string();
    let rest = ["--exact", test, "--nocapture", "--test-threads=1"].map(Into::into);
    [program].into_iter().chain(rest).collect()
}

/// Marks a command as the one that runs the child.
pub fn prepare(command: &mut Command) -> &mut Command {
    command.env(MARK, "1")
}

/// Fails with everything that the child said, unless it ran its test and passed.
pub fn assert_passed(output: &Output) {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let passed = output.status.success() && out.contains("1 passed");
    assert!(passed, "the child failed: {}\n--- stdout\n{out}\n--- stderr\n{err}", output.status);
}
