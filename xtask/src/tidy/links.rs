//! Links between the documents: each must lead to a file that is there.
//!
//! Must never follow a link to the network. A heading behind `#` is not checked.

use std::collections::BTreeSet;

use super::{Breach, File};

/// The links of a Markdown file that lead to nothing.
pub(super) fn broken(file: &File, paths: &BTreeSet<&str>) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let mut in_code = false;
    for (index, line) in file.text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        for target in targets(line).into_iter().filter(|_| !in_code) {
            let target = target.split('#').next().unwrap_or(target);
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let path = resolve(&file.path, target);
            let leads_somewhere = paths.contains(path.as_str()) || {
                let directory = format!("{path}/");
                paths.range(directory.as_str()..).next().is_some_and(|next| next.starts_with(&directory))
            };
            if !leads_somewhere {
                breaches.push(Breach {
                    path: file.path.clone(),
                    line: index + 1,
                    what: format!("the link to {target} leads to nothing: there is no {path}"),
                });
            }
        }
    }
    breaches
}

/// What stands in the round brackets of `[text](target)`.
fn targets(line: &str) -> Vec<&str> {
    line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target).collect()
}

/// The path from the root of what `target` names in the file at `from`.
fn resolve(from: &str, target: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.trim_end_matches('/').split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_resolved_from_the_file_they_are_in() {
        assert_eq!(resolve("docs/adr/0001.md", "../glossary.md"), "docs/glossary.md");
        assert_eq!(resolve("README.md", "docs/adr/"), "docs/adr");
        assert_eq!(resolve("docs/a.md", "./b.md"), "docs/b.md");
    }

    #[test]
    fn only_links_that_lead_nowhere_are_breaches() {
        let paths = BTreeSet::from(["README.md", "docs/adr/0001.md", "docs/glossary.md"]);
        let text = "[a](glossary.md#node) [b](adr) [c](https://example.org/x.md) [d](#here)\n[e](gone.md)\n```\n[f](gone.md)\n```\n";
        let file = File { path: "docs/x.md".to_owned(), text: text.to_owned() };
        let found = broken(&file, &paths);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].line, found[0].what.contains("there is no docs/gone.md")), (2, true));
    }
}
