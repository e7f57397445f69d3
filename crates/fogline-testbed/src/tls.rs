//! Certificates of a test's server: an authority of its own, and one certificate for loopback.
//!
//! Made with the `openssl` program, so that no library for making them is built for tests only.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::program;

const CA: &str = "ca.pem";
pub(crate) const CERTIFICATE: &str = "server.pem";
pub(crate) const KEY: &str = "server.key";

/// Where the files come from.
pub(crate) enum Source<'a> {
    /// They are made.
    New,
    /// The ones beside this authority's certificate.
    CopyOf(&'a Path),
}

/// Puts the files into `directory` and gives the path of the authority's certificate.
pub(crate) fn prepare(source: Source, directory: &Path) -> PathBuf {
    fs::create_dir(directory).expect("a directory can be made");
    match source {
        Source::New => make(directory),
        Source::CopyOf(ca) => {
            for name in [CA, CERTIFICATE, KEY] {
                fs::copy(ca.with_file_name(name), directory.join(name)).expect("a file can be copied");
            }
        }
    }
    let key = fs::Permissions::from_mode(0o600);
    fs::set_permissions(directory.join(KEY), key).expect("the owner may do that");
    directory.join(CA)
}

fn make(directory: &Path) {
    let openssl = program::find("openssl", "openssl");
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    let new = |arguments: &[&str]| {
        let mut command = program::command(&openssl);
        program::run(command.current_dir(directory).args(["req", "-x509"]).args(curve).args(arguments));
    };
    new(&[
        "-subj",
        "/CN=Authority of a test",
        "-addext",
        "keyUsage=critical,keyCertSign",
        "-keyout",
        "ca.key",
        "-out",
        CA,
    ]);
    let mut request = program::command(&openssl);
    request.current_dir(directory).args(["req", "-new"]).args(&curve[..5]);
    program::run(request.args(["-subj", "/CN=localhost", "-keyout", KEY, "-out", "server.csr"]));
    let extensions = "subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=critical,CA:FALSE\n\
                      keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n";
    fs::write(directory.join("server.ext"), extensions).expect("a file can be written");
    let mut sign = program::command(&openssl);
    sign.current_dir(directory).args(["x509", "-req", "-in", "server.csr", "-out", CERTIFICATE, "-days", "2"]);
    program::run(sign.args(["-CA", CA, "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "server.ext"]));
}
