//! How paths are compared: by whole segments, and as they were sent.
//!
//! What a replica makes of a path is not known: some decode `%2f`, resolve `..`, join `//` or cut `;x`. So a path whose
//! plain reading leads to another route than its raw spelling is refused: nobody gets to a route by a spelling that the
//! router did not see. Where both lead to the same route (`/npm/@scope%2fname`), it is passed on untouched.

/// Whether `path` begins with the segments of `prefix`.
pub(super) fn begins_with(path: &str, prefix: &str) -> bool {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether the path may be read in another way than it is spelt.
pub(super) fn may_be_read_otherwise(path: &str) -> bool {
    let bytes = path.as_bytes();
    bytes.iter().any(|byte| matches!(byte, b'%' | b';' | b'\\'))
        || bytes.windows(2).any(|pair| pair[0] == b'/' && matches!(pair[1], b'/' | b'.'))
}

/// The path as the most obliging replica would read it: decoded, `\` as `/`, without parameters, empty and dot segments.
pub(super) fn plain(path: &str) -> String {
    let mut segments: Vec<&[u8]> = Vec::new();
    let decoded = decoded(path);
    for segment in decoded.split(|byte| matches!(byte, b'/' | b'\\')) {
        let segment = segment.split(|byte| *byte == b';').next().unwrap_or_default();
        match segment {
            b"" | b"." => {}
            b".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    let mut plain = String::from("/");
    plain.push_str(&String::from_utf8_lossy(&segments.join(&b'/')));
    plain
}

fn decoded(path: &str) -> Vec<u8> {
    let bytes = path.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digit = |offset: usize| bytes.get(at + offset).and_then(|&byte| char::from(byte).to_digit(16));
        if let (b'%', Some(high), Some(low)) = (byte, digit(1), digit(2)) {
            decoded.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
            at += 3;
        } else {
            decoded.push(byte);
            at += 1;
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_takes_whole_segments() {
        for (path, prefix, fits) in [
            ("/api", "/api", true),
            ("/api/x", "/api", true),
            ("/api/", "/api/", true),
            ("/api", "/api/", true),
            ("/apis", "/api", false),
            ("/", "/", true),
            ("/x", "/", true),
            ("*", "/", false),
        ] {
            assert_eq!(begins_with(path, prefix), fits, "{path} {prefix}");
        }
    }

    #[test]
    fn a_path_is_read_as_the_most_obliging_replica_would() {
        for (path, read) in [
            ("/a/../b", "/b"),
            ("/a/%2e%2E/b", "/b"),
            ("/a%2fb", "/a/b"),
            ("/a/..;x=1/b", "/b"),
            ("//b", "/b"),
            ("/a\\..\\b", "/b"),
            ("/%62", "/b"),
            ("/%", "/%"),
            ("/../..", "/"),
        ] {
            assert!(may_be_read_otherwise(path), "{path}");
            assert_eq!(plain(path), read, "{path}");
        }
        assert!(!may_be_read_otherwise("/a/b.c/d-e~f"));
    }
}
