//! Whole files of the contract (`tests/fixtures/config/`): each is valid, says exactly this, and
//! means the same with every value out of a variable.

#![expect(clippy::print_stdout, reason = "how many cases there were is part of the result")]

use std::path::Path;

use super::super::document::{self, Content, Node};
use super::super::{check, effective};
use super::env;

/// A file, and the variables that it expects. What there is to say of it stands in the file of the
/// same name that ends in `.said`.
type Example = (&'static str, &'static [(&'static str, &'static str)]);

const EXAMPLES: &[Example] = &[
    ("01-minimal.yml", &[]),
    ("02-kubernetes-daemonset.yml", &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318")]),
    ("03-prometheus.yml", &[]),
    ("04-network-only.yml", &[]),
    ("05-filters-and-routes.yml", &[]),
    ("06-discovery-and-sampling.yml", &[]),
    ("07-secrets-from-environment.yml", &[("OTLP_HOST", "c.example")]),
    ("08-payloads-logs-and-genai.yml", &[]),
    ("09-legacy-style.yml", &[]),
];

fn folder() -> &'static Path {
    Path::new("tests/fixtures/config")
}

/// Bytes of the scalars that are values, inside their quotes.
fn scalars(node: &Node, out: &mut Vec<std::ops::Range<usize>>) {
    match &node.content {
        Content::List(items) => items.iter().for_each(|item| scalars(item, out)),
        Content::Map(entries) => entries.iter().for_each(|e| scalars(&e.value, out)),
        Content::Plain(written) if written.is_empty() => {}
        Content::Plain(_) => out.push(node.span.clone()),
        Content::Quoted(_) if node.span.len() > 2 => {
            out.push(node.span.start + 1..node.span.end - 1);
        }
        Content::Quoted(_) => {}
    }
}

/// The text with every value replaced by a variable, and these variables.
fn by_variables(text: &str) -> (String, Vec<(String, String)>) {
    let mut spans = Vec::new();
    scalars(&document::parse(text).unwrap().unwrap(), &mut spans);
    let mut vars = Vec::new();
    let mut out = text.to_owned();
    for (i, span) in spans.into_iter().enumerate().rev() {
        vars.push((format!("V{i}"), text.get(span.clone()).unwrap().to_owned()));
        out.replace_range(span, &format!("${{V{i}}}"));
    }
    (out, vars)
}

#[test]
fn every_example_is_valid_and_says_what_is_expected() {
    let files = std::fs::read_dir(folder()).unwrap();
    let files = files.filter(|f| f.as_ref().unwrap().path().extension() == Some("yml".as_ref()));
    assert_eq!(files.count(), EXAMPLES.len(), "a fixture without expectations");
    let mut said = 0;
    for (name, vars) in EXAMPLES {
        let file = folder().join(name);
        let (problems, notices) = check(&file, &env(vars), false);
        assert_eq!(problems, Vec::<String>::new(), "{name}");
        let place = format!("{}:", file.display());
        let notices: Vec<&str> =
            notices.iter().map(|n| n.strip_prefix(&place).unwrap_or(n)).collect();
        let expected = file.with_extension("said");
        if std::env::var_os("UPDATE_SAID").is_some() {
            let lines: String = notices.iter().map(|notice| format!("{notice}\n")).collect();
            std::fs::write(&expected, lines).unwrap();
        }
        let expected = std::fs::read_to_string(expected).unwrap();
        assert_eq!(notices, expected.lines().collect::<Vec<_>>(), "{name}");
        said += notices.len();
    }
    println!("{} files, {said} notices", EXAMPLES.len());
    assert_eq!((EXAMPLES.len(), said), (9, 101));
}

#[test]
fn every_example_means_the_same_with_its_values_out_of_variables() {
    let dir = tempfile::tempdir().unwrap();
    let mut replaced = 0;
    for (name, vars) in EXAMPLES {
        let file = folder().join(name);
        let text = env(vars).substitute(&std::fs::read_to_string(&file).unwrap());
        let (text, own) = by_variables(&text);
        assert!(!own.is_empty(), "{name}");
        replaced += own.len();
        let other = dir.path().join(name);
        std::fs::write(&other, text).unwrap();
        let own: Vec<_> = own.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let before = effective(Some(&file), &env(vars), false).unwrap();
        let after = effective(Some(&other), &env(&[vars, &own[..]].concat()), false);
        assert_eq!(after.unwrap(), before, "{name}");
        // And not, if one of them is not set: the variables do count.
        let others = effective(Some(&other), &env(&[vars, &own[1..]].concat()), false);
        assert_ne!(others.ok(), Some(before), "{name}");
    }
    println!("{replaced} values out of variables");
    assert_eq!(replaced, 297);
}
