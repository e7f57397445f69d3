//! Whether a text is a value that a setting may have.

use std::net::SocketAddr;
use std::path::PathBuf;

use fogline_agent::ports::PortRange;
use fogline_proxy::Network;

use super::{Definition, Kind};

/// The word for no limit.
pub const UNLIMITED: &str = "unlimited";

/// Checks a value; the error says what would be accepted.
pub fn check(definition: &Definition, value: &str) -> Result<(), String> {
    match definition.kind {
        Kind::Address => value
            .parse::<SocketAddr>()
            .map(drop)
            .map_err(|_| "accepted: an IP address and a port, such as 127.0.0.1:8000 or [::1]:8000".to_owned()),
        Kind::Number(from, to) => {
            let number = value.parse::<u64>().ok().filter(|number| (from..=to).contains(number));
            number.map(drop).ok_or_else(|| format!("accepted: a whole number from {from} to {to}"))
        }
        Kind::Limit if value == UNLIMITED => Ok(()),
        Kind::Limit => value.parse::<u32>().map(drop).map_err(|_| format!("accepted: a whole number, or {UNLIMITED}")),
        Kind::Ports => ports(value).map(drop),
        Kind::Engine => engine(value).map(drop),
        Kind::Paths => paths(value).map(drop),
        Kind::Doors => doors(value).map(drop),
        Kind::Networks => networks(value).map(drop),
        Kind::Word(words) if words.contains(&value) => Ok(()),
        Kind::Word(words) => Err(format!("accepted: {}", words.join(", "))),
        Kind::Path if value.contains('\0') => Err("accepted: a path".to_owned()),
        Kind::Path | Kind::Text | Kind::Secret => Ok(()),
    }
}

/// Which engine runs containers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EngineChoice {
    /// The first that answers where engines usually listen.
    Auto,
    /// None.
    Off,
    /// The one behind this socket.
    Socket(PathBuf),
}

/// Which engine a value names.
pub fn engine(value: &str) -> Result<EngineChoice, String> {
    match value {
        "auto" => Ok(EngineChoice::Auto),
        "off" => Ok(EngineChoice::Off),
        _ => socket(value)
            .map(EngineChoice::Socket)
            .ok_or_else(|| "accepted: auto, off, or a socket such as unix:///var/run/docker.sock".to_owned()),
    }
}

/// The path of a socket that is written as engines' tools write it.
pub fn socket(value: &str) -> Option<PathBuf> {
    value.strip_prefix("unix://").filter(|path| path.starts_with('/') && !path.contains('\0')).map(PathBuf::from)
}

/// The paths in a list.
pub fn paths(value: &str) -> Result<Vec<PathBuf>, String> {
    let given = value.split(',').map(str::trim).filter(|path| !path.is_empty());
    given
        .map(|path| {
            let is_fine = path.starts_with('/') && !path.trim_matches('/').is_empty() && !path.contains('\0');
            is_fine.then(|| PathBuf::from(path)).ok_or_else(|| {
                "accepted: absolute paths other than /, separated by commas, such as /srv/data,/srv/media".to_owned()
            })
        })
        .collect()
}

/// Where a proxy listens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Doors {
    /// Nowhere.
    Off,
    /// At the usual port of this machine, or at another where that is taken.
    Auto,
    /// At these.
    At(Vec<SocketAddr>),
}

/// Where a value says that a proxy listens.
pub fn doors(value: &str) -> Result<Doors, String> {
    match value {
        "off" => Ok(Doors::Off),
        "auto" => Ok(Doors::Auto),
        _ => value.split(',').map(|one| one.trim().parse()).collect::<Result<_, _>>().map(Doors::At).map_err(|_| {
            "accepted: off, auto, or IP addresses with ports, separated by commas, such as 0.0.0.0:80,[::]:80"
                .to_owned()
        }),
    }
}

/// The networks in a list.
pub fn networks(value: &str) -> Result<Vec<Network>, String> {
    value.split(',').map(str::trim).filter(|text| !text.is_empty()).map(str::parse).collect()
}

/// The ports from the first to the last.
pub fn ports(value: &str) -> Result<PortRange, String> {
    let numbers = value.split_once('-').and_then(|(first, last)| {
        let port = |text: &str| text.trim().parse().ok();
        PortRange::new(port(first)?, port(last)?).ok()
    });
    numbers.ok_or_else(|| "accepted: FIRST-LAST, from 1 to 65535, such as 20000-29999".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_a_word_or_a_socket() {
        assert_eq!(engine("auto"), Ok(EngineChoice::Auto));
        assert_eq!(engine("off"), Ok(EngineChoice::Off));
        assert_eq!(engine("unix:///run/x.sock"), Ok(EngineChoice::Socket(PathBuf::from("/run/x.sock"))));
        for value in ["", "on", "/run/x.sock", "unix://run/x.sock", "tcp://10.0.0.1:2375"] {
            assert!(engine(value).is_err(), "{value}");
        }
    }

    #[test]
    fn a_list_of_paths_may_be_empty_and_never_holds_the_root() {
        assert_eq!(paths(""), Ok(Vec::new()));
        assert_eq!(paths("/srv/a, /srv/b,"), Ok(vec![PathBuf::from("/srv/a"), PathBuf::from("/srv/b")]));
        for value in ["/", "//", "srv", "/srv,.."] {
            assert!(paths(value).is_err(), "{value}");
        }
    }

    #[test]
    fn a_proxy_listens_nowhere_where_it_can_or_where_it_is_told() {
        let at = |text: &str| text.parse().expect("an address");
        assert_eq!(doors("off"), Ok(Doors::Off));
        assert_eq!(doors("auto"), Ok(Doors::Auto));
        assert_eq!(doors("0.0.0.0:80, [::1]:80"), Ok(Doors::At(vec![at("0.0.0.0:80"), at("[::1]:80")])));
        for value in ["", "on", "8080", "localhost:80", "127.0.0.1:80,", "127.0.0.1:80,auto"] {
            assert!(doors(value).is_err(), "{value}");
        }
    }

    #[test]
    fn a_list_of_networks_may_be_empty() {
        assert_eq!(networks(""), Ok(Vec::new()));
        assert_eq!(networks("10.0.0.0/8, ::1,").map(|found| found.len()), Ok(2));
        for value in ["10.0.0.0/33", "all", "10.0.0.1;10.0.0.2"] {
            assert!(networks(value).is_err(), "{value}");
        }
    }

    #[test]
    fn a_range_of_ports_holds_one() {
        assert_eq!(ports("15000-15099"), Ok(PortRange::new(15_000, 15_099).expect("a range")));
        assert_eq!(ports("1 - 65535"), Ok(PortRange::new(1, 65_535).expect("a range")));
        for value in ["", "20000", "20000-", "-1", "9-8", "0-9", "1-65536", "1-2-3", "a-b"] {
            assert!(ports(value).is_err(), "{value}");
        }
    }
}
