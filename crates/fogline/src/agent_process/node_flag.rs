//! A node as a flag says it: `name=edge-1,cpu=4,memory-mb=8192,storage-gb=100,region=eu,zone=eu-a,label.disk=ssd`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use fogline_agent::config::NodeConfig;
use fogline_core::quantity::{CpuMillis, Resources};

/// The region of a node that names none.
const NOWHERE: &str = "local";
/// What a flag may say.
const KEYS: &str = "name, cpu, memory-mb, storage-gb, gpu, region, zone, label.KEY";

/// A declared node. As text it is the flag that declares it.
#[derive(Clone, PartialEq, Debug)]
pub struct NodeFlag(pub NodeConfig);

impl NodeFlag {
    /// This machine, with all that it has, under its own name.
    pub fn this_machine() -> Self {
        let zone = NOWHERE.to_owned();
        Self(NodeConfig { region: zone.clone(), zone, ..NodeConfig::machine(host_name()) })
    }
}

impl FromStr for NodeFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut given: BTreeMap<&str, &str> = BTreeMap::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (key, value) =
                part.split_once('=').ok_or_else(|| format!("{part:?} has no =; write cpu=4,memory-mb=8192,…"))?;
            if given.insert(key.trim(), value.trim()).is_some() {
                return Err(format!("{key} is there twice"));
            }
        }
        let name = given.remove("name").ok_or("name is missing")?.to_owned();
        check_word("name", &name)?;
        let sizes = (given.remove("cpu"), given.remove("memory-mb"), given.remove("storage-gb"), given.remove("gpu"));
        let capacity =
            match sizes {
                (None, None, None, None) => None,
                (Some(cpu), Some(memory), Some(storage), gpu) => Some(Resources {
                    cpu_millis: CpuMillis::from_cores(number("cpu", cpu)?)?,
                    memory_mb: number("memory-mb", memory)?,
                    storage_gb: number("storage-gb", storage)?,
                    gpu_units: gpu.map_or(Ok(0), |gpu| number("gpu", gpu))?,
                }),
                _ => return Err(
                    "cpu, memory-mb and storage-gb belong together; without them the node has what this machine has"
                        .to_owned(),
                ),
            };
        let region = given.remove("region").unwrap_or(NOWHERE).to_owned();
        check_word("region", &region)?;
        let zone = given.remove("zone").unwrap_or(&region).to_owned();
        check_word("zone", &zone)?;
        let mut labels = BTreeMap::new();
        for (key, value) in given {
            let label = key.strip_prefix("label.").filter(|label| !label.is_empty());
            let label = label.ok_or_else(|| format!("{key} is not known; accepted: {KEYS}"))?;
            labels.insert(label.to_owned(), value.to_owned());
        }
        Ok(Self(NodeConfig { name, region, zone, capacity, labels }))
    }
}

fn number<T: FromStr>(key: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{key} is {value:?}, which is no number that it can be"))
}

fn check_word(key: &str, value: &str) -> Result<(), String> {
    let fits = (1..=100).contains(&value.len())
        && value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if fits { Ok(()) } else { Err(format!("{key} is {value:?}; accepted: 1 to 100 letters, digits, -, _ and .")) }
}

impl fmt::Display for NodeFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NodeConfig { name, region, zone, capacity, labels } = &self.0;
        write!(f, "name={name}")?;
        if let Some(Resources { cpu_millis, memory_mb, storage_gb, gpu_units }) = capacity {
            write!(f, ",cpu={cpu_millis},memory-mb={memory_mb},storage-gb={storage_gb},gpu={gpu_units}")?;
        }
        write!(f, ",region={region},zone={zone}")?;
        labels.iter().try_for_each(|(key, value)| write!(f, ",label.{key}={value}"))
    }
}

/// The host's name, in the letters that a node's name may have.
pub fn host_name() -> String {
    let uname = rustix::system::uname();
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name = uname.nodename().to_string_lossy();
    let name: String = name.chars().map(|c| if legal(c) { c } else { '-' }).take(100).collect();
    let name = name.trim_start_matches('.');
    if name.is_empty() { "this-machine".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_name_that_a_node_may_have() {
        let machine = NodeFlag::this_machine();
        assert_eq!(machine.to_string().parse::<NodeFlag>().expect("a node"), machine);
    }

    #[test]
    fn a_flag_says_all_of_a_node_and_back() {
        for text in [
            "name=edge-1,cpu=4,memory-mb=8192,storage-gb=100,gpu=0,region=eu,zone=eu-a",
            "name=all-of-it,region=eu,zone=eu-a",
            "name=n,cpu=0.5,memory-mb=512,storage-gb=1,gpu=2,region=eu,zone=eu,label.disk=ssd",
        ] {
            assert_eq!(text.parse::<NodeFlag>().expect("a node").to_string(), text);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, part) in [
            ("cpu=4", "name is missing"),
            ("name=a,cpu=four,memory-mb=1,storage-gb=1", "cpu is \"four\""),
            ("name=a,cpu=1,memory-mb=-1,storage-gb=1", "memory-mb"),
            ("name=a b,cpu=1,memory-mb=1,storage-gb=1", "name is"),
            ("name=a,cpu=1", "belong together"),
            ("name=a,cpu=1,memory-mb=1,storage-gb=1,colour=red", "colour is not known"),
            ("name=a,name=b", "twice"),
            ("edge", "has no ="),
        ] {
            let error = text.parse::<NodeFlag>().expect_err("refused");
            assert!(error.contains(part), "{error}");
        }
    }
}
