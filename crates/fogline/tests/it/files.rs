//! Specs in files: the examples, the schema, and what is refused before anything is sent.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::{Dev, Ran, run_in, run_with_input};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

/// Applies a spec with a server that is not there: what is refused with 4 was refused here, what is accepted fails with 7.
fn apply(spec: &str) -> Ran {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("spec.yaml");
    std::fs::write(&path, spec).expect("written");
    let variables = [("FOGLINE_TOKEN", "token"), ("FOGLINE_SERVER", "http://127.0.0.1:9")];
    run_in(home.path(), &variables, &["apply", "-f", path.to_str().expect("a path")])
}

const RESOURCES: &str = "resources: {cpu: 1, memory: 512}\n";

#[test]
fn bad_files_are_refused_at_their_place_and_nothing_is_sent() {
    let long = format!("name: {}\n", "x".repeat(101));
    for (spec, parts) in [
        ("name: [web\n", &["spec.yaml", "^"][..]),
        ("name: web\nreplicas: three\nresources: {cpu: 1, memory: 512}\n", &["spec.yaml:2", "three"]),
        ("name: web\nreplcas: 3\nresources: {cpu: 1, memory: 512}\n", &["replcas", "spec.yaml:2"]),
        ("name: web\nresources: {cpu: .nan, memory: 512}\n", &["no number of cores"]),
        ("name: web\ncommand: [x]\nresources: {cpu: 0.1, memory: -1}\n", &["spec.yaml:3"]),
        ("", &["holds no spec", "fogline schema"]),
        ("# nothing\n---\n---\n", &["holds no spec"]),
        ("- a\n- b\n", &["spec.yaml:1"]),
        ("a: &a [x,x,x,x]\nb: &b [*a,*a,*a]\nname: web\n", &["spec.yaml:1"]),
    ] {
        apply(spec).fails(4, parts);
    }
    apply(&format!("{long}command: [x]\n{RESOURCES}")).fails(4, &["name", "1 to 100 letters"]);
    let both =
        format!("name: ok\ncommand: [x]\n{RESOURCES}---\nname: bad/name\ncommand: [x]\nreplicas: 101\n{RESOURCES}");
    apply(&both).fails(4, &["document 2: name", "document 2: replicas: 101 is out of range", "nothing was sent"]);
    let twice = format!("name: same\ncommand: [x]\n{RESOURCES}---\nname: same\ncommand: [y]\n{RESOURCES}");
    apply(&twice).fails(4, &["twice", "document 2"]);
}

#[test]
fn a_file_that_is_not_there_is_3_and_one_that_is_no_text_is_4() {
    let home = tempfile::tempdir().expect("a directory");
    run_in(home.path(), &[], &["apply", "-f", "nowhere.yaml"]).fails(3, &["nowhere.yaml", "No such file"]);
    std::fs::write(home.path().join("bytes"), [0xff, 0xfe, 0x00]).expect("written");
    run_in(home.path(), &[], &["apply", "-f", "bytes"]).fails(4, &["not UTF-8"]);
    std::fs::write(home.path().join("large"), vec![b'#'; 5 * 1024 * 1024]).expect("written");
    run_in(home.path(), &[], &["apply", "-f", "large"]).fails(4, &["larger than"]);
}

#[test]
fn standard_input_is_a_file_as_well() {
    let home = tempfile::tempdir().expect("a directory");
    run_with_input(home.path(), &[], &["apply", "-f", "-"], "name: 7\n").fails(4, &["standard input"]);
}

#[test]
fn the_examples_are_accepted_by_the_program_and_by_its_schema() {
    let home = tempfile::tempdir().expect("a directory");
    let schema: Value = serde_json::from_str(&run_in(home.path(), &[], &["schema"]).ok()).expect("JSON");
    let variables = [("FOGLINE_TOKEN", "token"), ("FOGLINE_SERVER", "http://127.0.0.1:9")];
    let mut seen = 0;
    for entry in std::fs::read_dir(examples()).expect("examples").flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        seen += 1;
        // 7: it was accepted, and the server is not there.
        run_in(home.path(), &variables, &["apply", "-f", path.to_str().expect("a path")]).fails(7, &["cannot reach"]);
        let text = std::fs::read_to_string(&path).expect("readable");
        let value: Value = serde_saphyr::from_str(&text).expect("YAML");
        assert_eq!(faults(&schema, &schema, &value, ""), Vec::<String>::new(), "{}", path.display());
    }
    assert!(seen >= 2, "hello.yaml and web.yaml");
}

#[test]
fn the_examples_are_accepted_by_the_server() {
    let dev = Dev::start();
    dev.log_in();
    for (name, says) in [("hello.yaml", "node-01"), ("web.yaml", "node-01")] {
        let path = examples().join(name);
        let explained = dev.cli(&["explain", "-f", path.to_str().expect("a path")]).ok();
        assert!(explained.contains(says), "{name}: {explained}");
    }
}

#[test]
fn flags_can_be_turned_into_a_file() {
    let home = tempfile::tempdir().expect("a directory");
    let flags = [
        "deploy",
        "web",
        "--replicas",
        "2",
        "--port",
        "80",
        "-e",
        "A=yes: \"no\"",
        "--print-spec",
        "--",
        "sh",
        "-c",
        "a\nb",
    ];
    let spec = run_in(home.path(), &[], &flags).ok();
    assert!(spec.contains("name: web"), "{spec}");
    let variables = [("FOGLINE_TOKEN", "token"), ("FOGLINE_SERVER", "http://127.0.0.1:9")];
    // 7: it was accepted, and the server is not there.
    run_with_input(home.path(), &variables, &["apply", "-f", "-"], &spec).fails(7, &["cannot reach"]);
}

#[test]
fn the_schema_refuses_what_the_program_refuses() {
    let home = tempfile::tempdir().expect("a directory");
    let schema: Value = serde_json::from_str(&run_in(home.path(), &[], &["schema"]).ok()).expect("JSON");
    for (spec, part) in [
        ("replicas: 1\nresources: {cpu: 1, memory: 512}\n", "name"),
        ("name: web\ncolour: red\nresources: {cpu: 1, memory: 512}\n", "colour"),
        ("name: web\nresources: {cpu: many, memory: 512}\n", "cpu"),
        ("name: web\nruntime: podman\nresources: {cpu: 1, memory: 512}\n", "runtime"),
    ] {
        let value: Value = serde_saphyr::from_str(spec).expect("YAML");
        let faults = faults(&schema, &schema, &value, "");
        assert!(faults.iter().any(|fault| fault.contains(part)), "{part} in {faults:?}");
    }
}

/// What a JSON Schema says against a value: the keywords that schemars writes for a spec, and no others.
fn faults(root: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.strip_prefix('#').expect("a reference within the schema");
        return faults(root, root.pointer(pointer).expect("it leads somewhere"), value, at);
    }
    for any in ["anyOf", "oneOf"] {
        if let Some(choices) = schema[any].as_array() {
            let fits = choices.iter().any(|choice| faults(root, choice, value, at).is_empty());
            return if fits { Vec::new() } else { vec![format!("{at}: {value} fits none of the choices")] };
        }
    }
    let mut found = Vec::new();
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let fits = types.is_empty() || types.contains(&is) || (is == "integer" && types.contains(&"number"));
    if !fits {
        found.push(format!("{at}: {value} is no {types:?}"));
    }
    if let Some(allowed) = schema["enum"].as_array().filter(|allowed| !allowed.contains(value)) {
        found.push(format!("{at}: {value} is none of {allowed:?}"));
    }
    if schema["const"] != Value::Null && schema["const"] != *value {
        found.push(format!("{at}: {value} is not {}", schema["const"]));
    }
    if let Some(items) = value.as_array().filter(|_| schema["items"].is_object()) {
        found.extend(items.iter().flat_map(|item| faults(root, &schema["items"], item, &format!("{at}[]"))));
    }
    if let Some(fields) = value.as_object() {
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        found.extend(required.filter(|name| !fields.contains_key(*name)).map(|name| format!("{at}.{name} is missing")));
        for (name, field) in fields {
            let at = format!("{at}.{name}");
            match (&schema["properties"][name], &schema["additionalProperties"]) {
                (Value::Null, Value::Bool(false)) => found.push(format!("{at} is not known")),
                (Value::Null, Value::Object(_)) => {
                    found.extend(faults(root, &schema["additionalProperties"], field, &at))
                }
                (Value::Null, _) => {}
                (known, _) => found.extend(faults(root, known, field, &at)),
            }
        }
    }
    found
}
