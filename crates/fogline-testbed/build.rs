//! Builds the program of the test image, linked statically, so that it runs where there is nothing else.
//!
//! Must never need anything but the compiler that builds this crate. Cargo builds it again when its source changes.

use std::path::PathBuf;
use std::process::Command;

#[expect(clippy::disallowed_methods, reason = "cargo tells a build script by the environment what to use")]
fn main() {
    let variable = |name: &str| PathBuf::from(std::env::var_os(name).expect("cargo sets it"));
    let source = "service/main.rs";
    println!("cargo::rerun-if-changed=service");
    let status = Command::new(variable("RUSTC"))
        .args(["--edition", "2024", "--crate-name", "service", "-C", "target-feature=+crt-static"])
        .args(["-C", "opt-level=2", "-C", "strip=symbols", "-C", "panic=abort", "-D", "warnings", source, "-o"])
        .arg(variable("OUT_DIR").join("service"))
        .status()
        .expect("the compiler runs");
    assert!(status.success(), "the program of the test image does not compile");
}
