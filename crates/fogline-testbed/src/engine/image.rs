//! The test image: one program and next to nothing else.
//!
//! Invariant: images of two versions differ in what they hold, so their digests do too.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::{Engine, service_program};
use crate::program;

impl Engine {
    /// Makes an image that runs the service of `version`, tagged `name`, and gives its id, `sha256:…`. It listens on
    /// `PORT`, 8080 without; runs as root unless told otherwise; knows the users `app` (1000) and `nobody` (65534).
    ///
    /// # Panics
    /// When the engine refuses.
    pub fn make_image(&self, name: &str, version: &str) -> String {
        let root = tempfile::Builder::new().prefix("image-").tempdir_in(self.directory.path());
        let root = root.expect("a directory can be made");
        let write = |path: &str, text: &str| fs::write(root.path().join(path), text).expect("a file can be written");
        for directory in ["etc", "tmp", "run", "var"] {
            fs::create_dir(root.path().join(directory)).expect("a directory can be made");
        }
        fs::set_permissions(root.path(), Permissions::from_mode(0o755)).expect("the owner may do that");
        fs::copy(service_program(), root.path().join("service")).expect("build.rs made it");
        write("version", version);
        write("etc/passwd", "root:x:0:0::/:\napp:x:1000:1000::/:\nnobody:x:65534:65534::/:\n");
        write("etc/group", "root:x:0:\napp:x:1000:\nnogroup:x:65534:\n");
        let archive = root.path().with_extension("tar");
        let mut tar = program::command(&program::find("tar", "tar"));
        tar.args(["--create", "--numeric-owner", "--owner=0", "--group=0", "--mtime=@0", "--sort=name", "--file"]);
        program::run(tar.arg(&archive).arg("--directory").arg(root.path()).arg("."));
        let archive_path = archive.display().to_string();
        let changes = ["--change", "ENTRYPOINT [\"/service\"]", "--change", "EXPOSE 8080"];
        self.ok(&[&["import"], &changes[..], &[&archive_path, name]].concat());
        fs::remove_file(archive).expect("it was made here");
        self.ok(&["image", "inspect", "--format", "{{.Id}}", name])
    }
}
