//! From a URL to addresses that may be connected to.
//!
//! Invariant: what [`Guard::addresses`] gives was checked, all of it, and is what the caller connects to: nobody looks
//! the name up a second time, so a name that changes its mind gains nothing.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use url::{Host, Url};

use super::class::{Class, Private};
use super::names::{Names, SystemNames};
use super::own;

/// Which addresses may be called, and who knows names.
#[derive(Clone)]
pub struct Guard {
    allow_private: bool,
    names: Arc<dyn Names>,
}

/// Why a place is not called.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    /// It may not be called from here.
    #[error("{host} is {}, which may not be called from here{}", class.as_str(), hint(*class))]
    Forbidden {
        /// What was to be called, as it was written: never the address that a name led to.
        host: String,
        /// What it is.
        class: Class,
    },
    /// Its name has no address.
    #[error("the name {host} has no address: {detail}")]
    Unknown {
        /// The name.
        host: String,
        /// What the resolver said.
        detail: String,
    },
}

const fn hint(class: Class) -> &'static str {
    match class {
        Class::Private(_) => " (an administrator may allow it by metric_allow_private, or set up a connection)",
        Class::Public | Class::Never(_) => "",
    }
}

impl Guard {
    /// One that asks the machine's resolver. With `allow_private` this machine and its networks may be called; metadata
    /// services never.
    #[must_use]
    pub fn new(allow_private: bool) -> Self {
        Self::with_names(allow_private, Arc::new(SystemNames::default()))
    }

    /// The same with another resolver.
    #[must_use]
    pub fn with_names(allow_private: bool, names: Arc<dyn Names>) -> Self {
        Self { allow_private, names }
    }

    /// The same resolver, for places that an administrator has chosen: private ones are fine.
    #[must_use]
    pub(crate) fn of_administrator(&self) -> Self {
        Self { allow_private: true, names: Arc::clone(&self.names) }
    }

    /// Checks a URL without asking anybody: its scheme, that nobody's name or password is in it, and its host where that
    /// is an address in any notation.
    ///
    /// # Errors
    /// Says what is wrong; never with the URL, which may hold what it should not.
    pub fn check_url(&self, url: &str, schemes: &[&str]) -> Result<Url, String> {
        let parsed = Url::parse(url).map_err(|error| format!("is no URL: {error}"))?;
        if !schemes.contains(&parsed.scheme()) {
            return Err(format!("the scheme {:?} is not one that can be asked", parsed.scheme()));
        }
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err("has a user or password in it".to_owned());
        }
        let host = host_of(&parsed).ok_or("names no host")?;
        self.check_host(&host).map_err(|refused| refused.to_string())?;
        Ok(parsed)
    }

    /// Refuses a host that is an address which may not be called. A name passes: it is checked when it is looked up.
    ///
    /// # Errors
    /// [`Refused::Forbidden`].
    pub(crate) fn check_host(&self, host: &Host) -> Result<(), Refused> {
        match (address_of(host), host) {
            (Some(address), _) => self.check(address, || host.to_string()),
            // Names that mean this machine everywhere (RFC 6761): told when a policy is written, not when it is asked.
            (None, Host::Domain(name)) if is_localhost(name) => {
                self.check(IpAddr::V4(Ipv4Addr::LOCALHOST), || name.clone())
            }
            (None, _) => Ok(()),
        }
    }

    /// The addresses that `host` may be called at.
    ///
    /// # Errors
    /// When it has none, or any of them may not be called.
    pub(crate) async fn addresses(&self, host: &Host, port: u16) -> Result<Vec<SocketAddr>, Refused> {
        if let Some(address) = address_of(host) {
            self.check(address, || host.to_string())?;
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        self.addresses_of_name(&host.to_string(), port).await
    }

    async fn addresses_of_name(&self, name: &str, port: u16) -> Result<Vec<SocketAddr>, Refused> {
        let unknown = |detail: String| Refused::Unknown { host: name.to_owned(), detail };
        let found = self.names.lookup(name).await.map_err(|error| unknown(error.to_string()))?;
        if found.is_empty() {
            return Err(unknown("the resolver names none".to_owned()));
        }
        // One that is forbidden spoils the rest: a client would try them all, one after the other. Which it is, is not
        // told: whoever writes policies is not to learn the names and addresses of a network that is not theirs.
        for address in &found {
            self.check(*address, || name.to_owned())?;
        }
        Ok(found.into_iter().map(|address| SocketAddr::new(address, port)).collect())
    }

    fn check(&self, address: IpAddr, shown: impl FnOnce() -> String) -> Result<(), Refused> {
        let class = match Class::of(address) {
            // A public address may be this machine's own, and lead to what it means to be reached by nobody else.
            Class::Public if !self.allow_private && own::is_of_this_machine(address) => {
                Class::Private(Private::Loopback)
            }
            class => class,
        };
        let allowed = match class {
            Class::Public => true,
            Class::Private(_) => self.allow_private,
            Class::Never(_) => false,
        };
        if allowed { Ok(()) } else { Err(Refused::Forbidden { host: shown(), class }) }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("allow_private", &self.allow_private).finish_non_exhaustive()
    }
}

/// How the HTTP client asks: it connects to what it is told here, and to nothing else, unless the URL has an address
/// instead of a name, which [`Guard::check_host`] has seen before.
impl reqwest::dns::Resolve for Guard {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let guard = self.clone();
        Box::pin(async move {
            // Port 0 stands for the URL's own.
            let found = match Host::parse(name.as_str()) {
                Ok(host) => guard.addresses(&host, 0).await?,
                Err(_) => guard.addresses_of_name(name.as_str(), 0).await?,
            };
            Ok(Box::new(found.into_iter()) as reqwest::dns::Addrs)
        })
    }
}

/// The host of a URL by the rules of HTTP's, which know every notation of an address, whatever the scheme is.
pub(crate) fn host_of(url: &Url) -> Option<Host> {
    Host::parse(url.host_str()?).ok()
}

fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name == "localhost" || name.ends_with(".localhost")
}

fn address_of(host: &Host) -> Option<IpAddr> {
    match host {
        Host::Ipv4(address) => Some(IpAddr::V4(*address)),
        Host::Ipv6(address) => Some(IpAddr::V6(*address)),
        Host::Domain(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HTTP: &[&str] = &["http", "https"];

    #[test]
    fn an_address_is_seen_in_every_notation() {
        let guard = Guard::new(false);
        for host in [
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0x7f.0.0.1",
            "0177.0.0.1",
            "017700000001",
            "127.0.0.1.",
            "127.0x0.0.01",
            "0",
            "0.0.0.0",
            "%31%32%37.0.0.1",
            "１２７.0.0.1",
            "127。0。0。1",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "[fd12::1]",
            "[fe80::1]",
            "169.254.169.254",
            "0xa9fea9fe",
            "[::ffff:169.254.169.254]",
            "10.0.0.1",
            "100.64.0.1",
            "localhost",
            "LOCALHOST.",
            "a.localhost",
        ] {
            for scheme in ["http", "https", "redis", "rediss"] {
                let url = format!("{scheme}://{host}:8080/x");
                let refused = guard.check_url(&url, &["http", "https", "redis", "rediss"]).expect_err(&url);
                assert!(refused.contains("may not be called"), "{url}: {refused}");
            }
        }
    }

    #[test]
    fn what_is_no_address_of_a_server_is_refused() {
        let guard = Guard::new(true);
        for (url, said) in [
            ("file:///etc/passwd", "scheme"),
            ("gopher://example.com/", "scheme"),
            ("unix:///run/docker.sock", "scheme"),
            ("javascript:alert(1)", "scheme"),
            ("http://", "no URL"),
            ("//example.com", "no URL"),
            ("http://[fe80::1%25eth0]/", "no URL"),
            ("http://user@example.com/", "user or password"),
            ("http://user:word@example.com/", "user or password"),
            ("http://:word@example.com/", "user or password"),
            ("http://example.com@169.254.169.254/", "user or password"),
            ("http://169.254.169.254/latest/meta-data/", "metadata"),
            ("http://[fd00:ec2::254]/", "metadata"),
            ("http://[::ffff:a9fe:a9fe]/", "metadata"),
            ("http://224.0.0.1/", "multicast"),
            ("http://255.255.255.255/", "reserved"),
        ] {
            let refused = guard.check_url(url, HTTP).expect_err(url);
            assert!(refused.contains(said), "{url}: {refused}");
            assert!(!refused.contains("word@"), "{refused}");
        }
    }

    #[test]
    fn the_host_is_what_the_client_takes_for_it() {
        let guard = Guard::new(false);
        // What looks like a user or a path to a hasty reader, and is neither.
        for (url, host) in [
            ("http://example.com#@127.0.0.1/", "example.com"),
            ("http://example.com/@127.0.0.1/", "example.com"),
            ("http://example.com?@127.0.0.1/", "example.com"),
            ("http:\\\\example.com\\@127.0.0.1/", "example.com"),
            ("HTTP://EXAMPLE.com.:80/", "example.com."),
        ] {
            let parsed = guard.check_url(url, HTTP).expect(url);
            assert_eq!(host_of(&parsed).expect(url).to_string(), host, "{url}");
        }
        assert!(guard.check_url("http:\\\\127.0.0.1\\", HTTP).is_err());
    }

    #[test]
    fn private_ones_may_be_allowed() {
        let guard = Guard::new(true);
        for host in ["127.0.0.1", "localhost", "10.0.0.1", "[::1]", "[fd12::1]", "example.com", "8.8.8.8"] {
            assert!(guard.check_url(&format!("http://{host}/"), HTTP).is_ok(), "{host}");
        }
    }

    /// Gives one list of addresses after the other.
    struct Fickle(std::sync::Mutex<Vec<Vec<IpAddr>>>);

    impl Names for Fickle {
        fn lookup(&self, _: &str) -> super::super::names::Lookup {
            let next = self.0.lock().expect("no test panics with it").pop().unwrap_or_default();
            Box::pin(std::future::ready(Ok(next)))
        }
    }

    #[tokio::test]
    async fn every_address_of_a_name_is_checked_and_none_is_looked_up_twice() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let answers = vec![
            vec![ip("127.0.0.1")],
            vec![ip("8.8.8.8"), ip("::ffff:10.0.0.1")],
            vec![],
            vec![ip("8.8.8.8"), ip("2606:4700::1")],
        ];
        let guard = Guard::with_names(false, Arc::new(Fickle(std::sync::Mutex::new(answers))));
        let host = Host::parse("example.com").expect("a name");
        let found = guard.addresses(&host, 443).await.expect("both are public");
        assert_eq!(found, ["8.8.8.8:443", "[2606:4700::1]:443"].map(|text| text.parse().expect("an address")));
        let none = guard.addresses(&host, 443).await.expect_err("no address");
        assert!(matches!(none, Refused::Unknown { .. }), "{none}");
        let mixed = guard.addresses(&host, 443).await.expect_err("one of two is private");
        assert!(mixed.to_string().starts_with("example.com is an address of a private network"));
        let rebound = guard.addresses(&host, 443).await.expect_err("loopback now");
        assert!(matches!(rebound, Refused::Forbidden { class: Class::Private(_), .. }), "{rebound}");
    }
}
