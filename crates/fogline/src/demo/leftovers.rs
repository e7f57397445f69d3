//! Which processes belong to a directory: the demo's proof that it has left nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Every process, by its id, whose command line names `dir` or that works in it.
pub fn processes_of(dir: &Path) -> BTreeMap<i32, String> {
    let (name, own) = (dir.to_string_lossy(), std::process::id().cast_signed());
    let Ok(entries) = fs::read_dir("/proc") else { return BTreeMap::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != own)
        .filter_map(|pid: i32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            let works_there = fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(dir));
            (works_there || line.contains(&*name)).then_some((pid, line))
        })
        .collect()
}
