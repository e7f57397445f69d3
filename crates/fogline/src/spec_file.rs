//! Reads deployment specs from YAML (or JSON, which is YAML) and checks them before anything is sent.
//!
//! Invariant: either every document of every file is accepted, or nothing is done and each fault is shown with its place.

use std::borrow::Cow;
use std::io::Read;
use std::path::Path;

use fogline_core::spec::DeploymentSpec;
use serde_saphyr::{MessageFormatter, SnippetMode, UserMessageFormatter};

use crate::exit::{Exit, Failure, Outcome};

/// The largest file that is read: a spec is a page of text.
const MOST_BYTES: u64 = 4 * 1_024 * 1_024;

/// A spec and the words for where it came from.
#[derive(Debug)]
pub struct Loaded {
    /// What was asked for.
    pub spec: DeploymentSpec,
    /// The file, and the document where there are several.
    pub origin: String,
}

/// Reads all specs of a file; `-` is standard input.
pub fn load(path: &Path) -> Outcome<Vec<Loaded>> {
    let is_stdin = path == Path::new("-");
    let shown = if is_stdin { "standard input".to_owned() } else { path.display().to_string() };
    let text = read(path, is_stdin, &shown)?;
    let specs = parse(&text, &shown)?;
    if specs.is_empty() {
        return Err(Failure::new(Exit::Refused, format!("{shown} holds no spec"))
            .hint("`fogline schema` describes what a spec may say; examples/hello.yaml is a small one"));
    }
    let several = specs.len() > 1;
    let mut loaded = Vec::with_capacity(specs.len());
    let mut faults = Vec::new();
    for (index, spec) in specs.into_iter().enumerate() {
        let origin = if several { format!("{shown}, document {}", index + 1) } else { shown.clone() };
        if let Err(errors) = spec.validate() {
            faults.extend(
                errors
                    .iter()
                    .map(|error| if several { format!("document {}: {error}", index + 1) } else { error.to_string() }),
            );
        }
        loaded.push(Loaded { spec, origin });
    }
    if faults.is_empty() {
        return Ok(loaded);
    }
    let mut failure = Failure::new(Exit::Refused, format!("{shown} cannot be accepted"));
    failure.causes = faults;
    Err(failure.hint("nothing was sent; `fogline schema` describes what a spec may say"))
}

pub fn read(path: &Path, is_stdin: bool, shown: &str) -> Outcome<String> {
    let failed = |error: std::io::Error| {
        let exit = if error.kind() == std::io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Failure };
        Failure::new(exit, format!("cannot read {shown}")).because(error)
    };
    let mut bytes = Vec::new();
    let source: Box<dyn Read> =
        if is_stdin { Box::new(std::io::stdin().lock()) } else { Box::new(std::fs::File::open(path).map_err(failed)?) };
    source.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(Failure::new(
            Exit::Refused,
            format!("{shown} is larger than {} MB, which is no spec", MOST_BYTES >> 20),
        ));
    }
    String::from_utf8(bytes).map_err(|_| Failure::new(Exit::Refused, format!("{shown} is not UTF-8 text")))
}

fn parse(text: &str, shown: &str) -> Outcome<Vec<DeploymentSpec>> {
    let options = serde_saphyr::options! {
        // `replicas: yes` and a country called `no` are mistakes; so is the second of two equal keys.
        strict_booleans: true,
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::Error,
        with_snippet: true,
    };
    serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
        let formatter = Plain;
        let options = serde_saphyr::render_options! {
            formatter: &formatter,
            snippets: SnippetMode::Auto,
            source_name: Some(shown),
        };
        Failure::new(Exit::Refused, format!("{shown} is no valid spec"))
            .because(without_repetition(&error.render_with_options(options)))
            .hint("nothing was sent; `fogline schema` describes what a spec may say")
    })
}

/// The parser's messages without the names of Rust's types.
pub struct Plain;

impl MessageFormatter for Plain {
    fn format_message<'a>(&self, error: &'a serde_saphyr::Error) -> Cow<'a, str> {
        let message = UserMessageFormatter.format_message(error);
        let plain = match message.strip_prefix("invalid ") {
            Some("u8" | "u16") => "this is no whole number from 0 to 65535",
            Some("u32" | "u64" | "i32" | "i64") => "this is no whole number, or too large a one",
            Some("f32" | "f64") => "this is no number",
            Some("bool" | "boolean") => "this is neither true nor false",
            _ if message == "expected string scalar" => "a text is expected here",
            _ => return message,
        };
        Cow::Borrowed(plain)
    }
}

/// The place and the mistake once: where lines of the file are shown, the first line says nothing more than they do.
pub fn without_repetition(rendered: &str) -> &str {
    match rendered.split_once('\n') {
        Some((_, lines)) if lines.contains("-->") => lines,
        _ => rendered.strip_prefix("error: ").unwrap_or(rendered),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        parse(text, "test.yaml").expect_err("refused").to_string()
    }

    #[test]
    fn several_documents_are_several_specs() {
        let one = "name: a\ncommand: [sleep, '1']\nresources: {cpu: 0.5, memory: 512}\n";
        let specs =
            parse(&format!("{one}---\n{}---\n", one.replace("name: a", "name: b")), "test.yaml").expect("parses");
        assert_eq!(specs.iter().map(|spec| spec.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn what_is_said_of_requests_is_read() {
        let text = "name: web\nport: 80\ncommand: [serve]\nresources: {cpu: 0.5, memory: 512}\n\
            routes: [{host: web.localhost, path: /api, strip_path: true}, {tcp_port: 15432}]\n\
            traffic: {timeout_s: 10, hold: {max_requests: 5, placeholder: {}}}\n\
            warm_up: {path: /warm, times: 3}\n";
        let specs = parse(text, "test.yaml").expect("parses");
        let spec = specs.first().expect("one");
        assert_eq!((spec.routes.len(), spec.routes[1].tcp_port), (2, Some(15_432)));
        let traffic = spec.traffic.as_ref().expect("said");
        assert_eq!((traffic.timeout_s, traffic.idle_timeout_s, traffic.hold.max_requests), (10, 600, 5));
        assert_eq!(spec.warm_up.as_ref().map(|warm_up| (warm_up.times, warm_up.timeout_s)), Some((3, 30)));
    }

    #[test]
    fn a_mistake_is_shown_at_its_place() {
        for (text, parts) in [
            ("name: web\nreplica: 3\nresources: {cpu: 1, memory: 512}\n", ["replica", "test.yaml:2"]),
            ("name: web\nreplicas: many\nresources: {cpu: 1, memory: 512}\n", ["many", "test.yaml:2"]),
            ("name: web\nname: web\nresources: {cpu: 1, memory: 512}\n", ["duplicate", "test.yaml:2"]),
            ("name: [web\n", ["test.yaml", "^"]),
            ("name: web\nroutes:\n  - hots: a\nresources: {cpu: 1, memory: 512}\n", ["hots", "test.yaml:3"]),
            ("name: web\ntraffic:\n  timeout: 3\nresources: {cpu: 1, memory: 512}\n", ["timeout", "test.yaml:3"]),
            ("name: web\nwarm_up:\n  pth: /x\nresources: {cpu: 1, memory: 512}\n", ["pth", "test.yaml:3"]),
        ] {
            let shown = refusal(text);
            for part in parts {
                assert!(shown.contains(part), "{part:?} in:\n{shown}");
            }
        }
    }
}
