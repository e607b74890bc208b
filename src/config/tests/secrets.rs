//! What came out of a variable with a secret's name is never shown, wherever it stands; what came
//! out of another one is.

#![expect(clippy::print_stdout, reason = "how many cases there were is part of the result")]

use std::collections::HashSet;
use std::path::Path;

use super::super::{Environment, check, effective};
use super::contract::{document_of, rows, setting};

/// No word of any message.
const SECRET: &str = "zq7-hunter2";

/// Everything that `obi config` would say of a file; what the agent says when it starts is a part
/// of that.
fn said(file: &Path, env: &Environment) -> String {
    let (problems, notices) = check(file, env, true);
    let printed = match effective(Some(file), env, true) {
        Ok(text) => text,
        Err(error) => error.to_string(),
    };
    [problems.join("\n"), notices.join("\n"), printed].join("\n")
}

/// The ways in which a value may be written.
const SHAPES: [&str; 7] =
    ["${X}", "\"${X}\"", "'a ${X} b'", "[${X}]", "[a, '${X}']", "{${X}: ${X}}", "\n  - a: ${X}"];

#[test]
fn no_key_shows_what_came_out_of_a_secret_s_variable() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f");
    let (mut hidden, mut shown) = (0, 0);
    let say = |row, shape: &str, name: &str| {
        let value = shape.replace("${X}", &format!("${{{name}}}"));
        std::fs::write(&file, document_of(row, &value)).unwrap();
        said(&file, &super::env(&[(name, SECRET), ("OTEL_EBPF_TRACE_PRINTER", "text")]))
    };
    let mut kinds = HashSet::new();
    for row in rows().iter().filter(|row| row.key != "(none)") {
        // In every shape once for each kind of setting.
        let is_new = kinds.insert(std::mem::discriminant(&setting(row).kind));
        for shape in &SHAPES[..if is_new { SHAPES.len() } else { 1 }] {
            let said = say(row, shape, "API_TOKEN");
            assert!(!said.contains(SECRET), "{shape} in {row:?}: {said}");
            hidden += 1;
        }
        shown += usize::from(say(row, SHAPES[0], "PLAIN").contains(SECRET));
    }
    println!(
        "{} kinds; {hidden} documents without the secret, {shown} with it under another name",
        kinds.len()
    );
    assert_eq!((kinds.len(), hidden, shown), (26, 455, 299));
}

#[test]
fn a_secret_is_masked_whatever_the_value_becomes() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f");
    let said = |yaml: &str, secret: &str| {
        std::fs::write(&file, yaml).unwrap();
        said(&file, &super::env(&[("DB_PASSWORD", secret)]))
    };
    // A number, a duration, a truth value; too short to be looked for.
    for (yaml, secret, becomes) in [
        ("otel_traces_export: {batch_max_size: ${DB_PASSWORD}}", "0x1f2f", "7983"),
        ("shutdown_timeout: ${DB_PASSWORD}", "4711ms", "4.711s"),
        ("profile_port: ${DB_PASSWORD}", "987", "987"),
        ("profile_port: ${DB_PASSWORD}", "987.5", "987"),
        ("open_port: ${DB_PASSWORD}", "4711,0x22b8", "8888"),
        ("service_name: ${DB_PASSWORD}", "a\"b\\c'd", "b\\\\c'd"),
        ("service_name: \"${DB_PASSWORD}\"", "first-part\n\n second-part", "second-part"),
        ("routes: {patterns: [${DB_PASSWORD}]}", "left-part, right-part", "right-part"),
        ("attributes: {select: {${DB_PASSWORD}: {include: [a]}}}", "key-part", "key-part"),
        ("log_format: ${DB_PASSWORD}", "xml", "xml"),
        ("network: {interfaces: ['${DB_PASSWORD}']}", "/[q/", "[q"),
        ("routes: {wildcard_char: ${DB_PASSWORD}}", "#", "#"),
    ] {
        let said = said(yaml, secret);
        assert!(!said.contains(becomes), "{yaml}: {said}");
        let plain = yaml.replace("DB_PASSWORD", "DB_NAME");
        std::fs::write(&file, plain).unwrap();
        let control = super::secrets::said(&file, &super::env(&[("DB_NAME", secret)]));
        let skipped = secret == "#";
        assert!(skipped || control.contains(becomes), "{yaml}: {control}");
    }
}
