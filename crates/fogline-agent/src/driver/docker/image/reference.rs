//! The name of an image as people write it, taken apart.
//!
//! Decides which registry is meant, by the rules that every engine shares: the first part is a registry when it has a
//! dot, a colon or a capital letter in it, or is `localhost`; otherwise the image is one of Docker Hub, below `library/`
//! when its name has one part only; no tag and no digest means `latest`. What an engine is given is always the whole
//! name, so that no engine guesses another registry. Tests: below.

use std::fmt;

use fogline_core::image_digest::ImageDigest;

/// The registry of names without one.
const HUB: &str = "docker.io";
/// The old name of the same.
const HUB_INDEX: &str = "index.docker.io";
const OFFICIAL: &str = "library/";
const LONGEST_NAME: usize = 255;
const LONGEST_TAG: usize = 128;

/// An image's name.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<ImageDigest>,
}

/// Text that names no image.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{part} is no {what} of an image")]
pub struct BadReference {
    part: String,
    what: &'static str,
}

fn bad(part: &str, what: &'static str) -> BadReference {
    BadReference { part: format!("{:?}", part.chars().take(LONGEST_NAME).collect::<String>()), what }
}

impl Reference {
    /// Takes a name apart.
    ///
    /// # Errors
    /// Which part is wrong.
    pub fn parse(text: &str) -> Result<Self, BadReference> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse().map_err(|_| bad(digest, "digest"))?)),
            None => (text, None),
        };
        let (registry, rest) = match rest.split_once('/') {
            Some((first, rest)) if is_registry(first) => (first, rest),
            _ => (HUB, rest),
        };
        let (path, tag) = match rest.rsplit_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (rest, None),
        };
        if !is_host(registry) {
            return Err(bad(registry, "registry"));
        }
        if !path.split('/').all(is_path_part) {
            return Err(bad(path, "name"));
        }
        if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
            return Err(bad(tag, "tag"));
        }
        let registry = if registry == HUB_INDEX { HUB } else { registry };
        let official = if registry == HUB && !path.contains('/') { OFFICIAL } else { "" };
        let repository = format!("{official}{path}");
        if registry.len() + 1 + repository.len() > LONGEST_NAME {
            return Err(bad(text, "name"));
        }
        let default = digest.is_none().then_some("latest");
        let tag = tag.or(default).map(ToOwned::to_owned);
        Ok(Self { registry: registry.to_owned(), repository, tag, digest })
    }

    /// `address[:port]` of the registry; `docker.io` for Docker Hub.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The digest that it names itself.
    #[must_use]
    pub const fn digest(&self) -> Option<&ImageDigest> {
        self.digest.as_ref()
    }

    /// The whole name without tag and digest.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The whole name of what it is now: by its digest where it has one.
    #[must_use]
    pub fn whole(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => self.pinned(digest),
            (None, tag) => format!("{}:{}", self.name(), tag.as_deref().unwrap_or("latest")),
        }
    }

    /// The whole name of one exact image.
    #[must_use]
    pub fn pinned(&self, digest: &ImageDigest) -> String {
        format!("{}@{digest}", self.name())
    }

    /// Whether both are in the same place, whatever their tags and digests.
    #[must_use]
    pub fn has_name_of(&self, other: &Self) -> bool {
        (&self.registry, &self.repository) == (&other.registry, &other.repository)
    }
}

/// As people write it.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.registry == HUB {
            f.write_str(self.repository.strip_prefix(OFFICIAL).unwrap_or(&self.repository))?;
        } else {
            write!(f, "{}/{}", self.registry, self.repository)?;
        }
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.as_ref().map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

fn is_registry(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':']) || first.chars().any(|c| c.is_ascii_uppercase())
}

fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_number = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    let is_address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
    let is_label = |label: &str| {
        !label.is_empty()
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (is_address || host.split('.').all(is_label)) && port.is_none_or(is_number)
}

/// Small letters and digits, with one `.`, one or two `_` or any number of `-` between them.
fn is_path_part(part: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let starts_and_ends = part.starts_with(is_inner) && part.ends_with(is_inner);
    let separators = part.split(is_inner).filter(|separator| !separator.is_empty());
    starts_and_ends
        && separators.into_iter().all(|one| matches!(one, "." | "_" | "__") || one.chars().all(|c| c == '-'))
}

fn is_tag(tag: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    tag.len() <= LONGEST_TAG && tag.starts_with(is_word) && tag.chars().all(|c| is_word(c) || matches!(c, '.' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn names_are_taken_apart() {
        let table = [
            ("nginx", "docker.io/library/nginx:latest", "nginx:latest"),
            ("nginx:1.29", "docker.io/library/nginx:1.29", "nginx:1.29"),
            ("team/web", "docker.io/team/web:latest", "team/web:latest"),
            ("team/web:v1", "docker.io/team/web:v1", "team/web:v1"),
            ("docker.io/nginx", "docker.io/library/nginx:latest", "nginx:latest"),
            ("index.docker.io/library/nginx", "docker.io/library/nginx:latest", "nginx:latest"),
            ("localhost/web", "localhost/web:latest", "localhost/web:latest"),
            ("localhost:5000/web", "localhost:5000/web:latest", "localhost:5000/web:latest"),
            ("localhost:5000/a/b/c:v1", "localhost:5000/a/b/c:v1", "localhost:5000/a/b/c:v1"),
            ("10.0.0.1:5000/web:v1", "10.0.0.1:5000/web:v1", "10.0.0.1:5000/web:v1"),
            ("[::1]:5000/web", "[::1]:5000/web:latest", "[::1]:5000/web:latest"),
            ("[fd00::1]/web:v1", "[fd00::1]/web:v1", "[fd00::1]/web:v1"),
            ("registry.example/web", "registry.example/web:latest", "registry.example/web:latest"),
            ("Registry/web", "Registry/web:latest", "Registry/web:latest"),
            ("registry/web", "docker.io/registry/web:latest", "registry/web:latest"),
            ("a__b/c-d.e_f--g:V_1.2-x", "docker.io/a__b/c-d.e_f--g:V_1.2-x", "a__b/c-d.e_f--g:V_1.2-x"),
        ];
        for (text, whole, shown) in table {
            let reference = Reference::parse(text).expect(text);
            assert_eq!((reference.whole().as_str(), reference.to_string().as_str()), (whole, shown), "{text}");
            assert_eq!(Reference::parse(whole), Ok(reference.clone()), "the whole name names the same");
            assert_eq!(Reference::parse(shown), Ok(reference), "what is shown names the same");
        }
    }

    #[test]
    fn a_digest_goes_before_a_tag() {
        for (text, shown) in [("web", "web"), ("web:v1", "web:v1"), ("localhost:5000/web", "localhost:5000/web")] {
            let reference = Reference::parse(&format!("{text}@{DIGEST}")).expect(text);
            assert_eq!(reference.digest().map(ImageDigest::as_str), Some(DIGEST));
            assert_eq!(reference.whole(), format!("{}@{DIGEST}", reference.name()));
            assert_eq!(reference.to_string(), format!("{shown}@{DIGEST}"));
        }
        let (tagged, pinned) =
            (Reference::parse("web:v1"), Reference::parse(&format!("docker.io/library/web@{DIGEST}")));
        assert!(tagged.expect("a name").has_name_of(&pinned.expect("a name")));
    }

    #[test]
    fn what_names_no_image_is_refused() {
        let long = "a".repeat(250);
        let tag = format!("web:{}", "t".repeat(129));
        let broken = [
            "",
            ":",
            "@",
            "/",
            "web:",
            ":v1",
            "web@",
            "web@latest",
            "Web",
            "web/",
            "/web",
            "a//b",
            "-web",
            "web-",
            "a..b",
            "a___b",
            "a.-b",
            "web:-v1",
            "web:.v1",
            "web:v 1",
            "web\n",
            "we\u{fc}b",
            "../etc",
            "a/../b",
            "http://localhost/web",
            "localhost:/web",
            "localhost:0/web",
            "localhost:99999/web",
            "localhost:x/web",
            "a.-b.c/web",
            "[::1/web",
            "[x]:5000/web",
            "web@sha256:abc",
            "web@sha512:abc",
            &long,
            &tag,
        ];
        for text in broken {
            assert!(Reference::parse(text).is_err(), "{text:?}");
        }
    }
}
