//! Reads the TOML file into keys and texts.

use std::collections::BTreeMap;
use std::path::Path;

use config::{Config, File, FileFormat, Map, Value, ValueKind};

use super::connections::Connections;
use super::{SETTINGS, closest};
use crate::exit::{Exit, Failure, Outcome};

/// The file's values by dotted key, and the servers that it names. Keys that are no settings go to `problems`.
pub fn read(path: &Path, problems: &mut Vec<String>) -> Outcome<(BTreeMap<String, String>, Connections)> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Failure::new(Exit::Refused, format!("cannot read the settings in {}", path.display())).because(error)
    };
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(&error))?;
    let config = Config::builder()
        .add_source(File::from_str(&text, FileFormat::Toml))
        .build()
        .map_err(|error| unreadable(&error))?;
    let table = config.cache.into_table().map_err(|error| unreadable(&error))?;
    let mut values = BTreeMap::new();
    flatten("", table, &mut values, problems);
    let of_connections = values.extract_if(.., |key, _| Connections::owns(key)).collect();
    let connections = Connections::of(of_connections, path, problems);
    values.retain(|key, _| {
        let known = SETTINGS.iter().any(|definition| definition.key == *key);
        if !known {
            let meant = closest(key, SETTINGS.iter().map(|definition| definition.key));
            let hint = meant.map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
            problems.push(format!("{key} (file {}): is no setting{hint}", path.display()));
        }
        known
    });
    Ok((values, connections))
}

fn flatten(prefix: &str, table: Map<String, Value>, values: &mut BTreeMap<String, String>, problems: &mut Vec<String>) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        match value.kind {
            ValueKind::Table(inner) => flatten(&key, inner, values, problems),
            ValueKind::Array(_) | ValueKind::Nil => problems.push(format!("{key}: a list is no value of a setting")),
            scalar => drop(values.insert(key, scalar.to_string())),
        }
    }
}
