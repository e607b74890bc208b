//! The table of settings against the contract's own (`tests/fixtures/contract/config.tsv`), row by
//! row.

#![expect(clippy::print_stdout, reason = "how many cases there were is part of the result")]

use std::collections::BTreeSet;

use super::super::document::{self, Node};
use super::super::key::{ENV_ONLY, Key, Kind};
use super::super::value::{Reader, Value};
use super::super::{Environment, check, keys};

const ROWS: &str = include_str!("../../../tests/fixtures/contract/config.tsv");

#[derive(Debug)]
pub(super) struct Row {
    pub(super) key: &'static str,
    vars: Vec<&'static str>,
    default: &'static str,
    wrong: &'static str,
}

pub(super) fn rows() -> Vec<Row> {
    let lines = ROWS.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let [key, vars, default, wrong] = line.split('\t').collect::<Vec<_>>()[..] else {
                panic!("four columns: {line}")
            };
            let vars = vars.split(',').filter(|var| !var.is_empty()).collect();
            Row { key, vars, default, wrong }
        })
        .collect()
}

/// The setting of a row: by its key, else by its first variable. `[]` leads into the elements of a
/// sequence, `{}` into those of a mapping.
pub(super) fn setting(row: &Row) -> &'static Key {
    let (first, rest) = match row.key.split_once("[].").or_else(|| row.key.split_once(".{}.")) {
        Some((first, rest)) => (first, Some(rest)),
        None => (row.key, None),
    };
    let found = |key: &&Key| match first {
        "(none)" => row.vars.first().is_some_and(|var| key.vars.contains(var)) && !key.in_yaml(),
        path => key.path == path,
    };
    let key = keys::all().find(found).or_else(|| {
        keys::all().find(|key| first == "(none)" && row.vars.iter().all(|v| key.vars.contains(v)))
    });
    let key = key.unwrap_or_else(|| panic!("{row:?}"));
    let Some(rest) = rest else { return key };
    let below = match key.kind {
        Kind::Map(Kind::Fields(keys)) => keys,
        kind => kind.keys().unwrap_or_else(|| panic!("{row:?}")),
    };
    below.iter().find(|key| key.path == rest).unwrap_or_else(|| panic!("{row:?}"))
}

fn value(kind: Kind, yaml: &str) -> Option<Value> {
    let node = document::parse(yaml).unwrap().unwrap_or_else(|| Node::quoted(""));
    let mut reader = Reader::new(false);
    let value = reader.read(kind, &node);
    assert!(reader.remarks.is_empty(), "{yaml}: {:?}", reader.remarks);
    value
}

/// A document that sets the row's key to `value`.
pub(super) fn document_of(row: &Row, value: &str) -> String {
    let mut text = String::new();
    let mut indent = 0;
    let mut parts = row.key.split('.').peekable();
    while let Some(part) = parts.next() {
        let list = part.strip_suffix("[]");
        let name = if part == "{}" { "some.attribute" } else { list.unwrap_or(part) };
        let last = parts.peek().is_none();
        let lead = if text.ends_with("- ") { 0 } else { indent };
        text += &format!("{}{name}:{}", " ".repeat(lead), if last { " " } else { "\n" });
        indent += 2;
        if list.is_some() {
            text += &format!("{}- ", " ".repeat(indent));
            indent += 2;
        }
    }
    text + value + "\n"
}

#[test]
fn every_row_has_its_key_its_variables_and_its_default() {
    let mut defaults = 0;
    for row in rows() {
        let key = setting(&row);
        assert!(row.vars.iter().all(|var| key.vars.contains(var)), "{row:?}: {:?}", key.vars);
        match row.default {
            "?" => assert!(!key.default.is_empty(), "{row:?}"),
            "-" => assert_eq!(key.default, "", "{row:?}"),
            default => {
                defaults += 1;
                assert_eq!(value(key.kind, key.default), value(key.kind, default), "{row:?}");
            }
        }
    }
    println!("{} rows, {defaults} with a default", rows().len());
    assert_eq!((rows().len(), defaults), (306, 193));
}

#[test]
fn every_row_refuses_what_is_wrong_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("obi.yml");
    let (mut refused, mut free) = (0, 0);
    for row in rows().iter().filter(|row| row.key != "(none)") {
        if row.wrong == "-" {
            free += 1;
            continue;
        }
        std::fs::write(&file, document_of(row, row.wrong)).unwrap();
        let (problems, _) = check(&file, &Environment::default(), false);
        let name = row.key.replace("[].", "[0].").replace("{}", "some.attribute");
        let named = |problem: &String| problem.contains(&format!(": {name}"));
        assert!(problems.iter().any(named), "{row:?}: {problems:?}");
        refused += 1;
    }
    println!("{refused} rows that can be wrong, {free} that take any text");
    assert_eq!((refused, free), (267, 32));
}

#[test]
fn every_variable_refuses_what_is_wrong_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("obi.yml");
    std::fs::write(&file, "").unwrap();
    let mut refused = BTreeSet::new();
    for row in rows() {
        let key = setting(&row);
        // What is a sequence in the file is a comma list here: any text is one.
        let list = matches!(key.kind, Kind::List | Kind::Names(_) | Kind::SomeOf(..));
        let wrong = row.wrong.trim_matches(['\'', '"']);
        for var in row.vars.iter().filter(|_| row.wrong != "-" && !list) {
            let env = [((*var).to_owned(), wrong.to_owned())].into_iter().collect();
            let (problems, _) = check(&file, &env, false);
            let named = |problem: &String| problem.starts_with(&format!("{var} = "));
            assert!(problems.iter().any(named), "{row:?}: {problems:?}");
            refused.insert(*var);
        }
    }
    println!("{} variables that can be wrong", refused.len());
    assert_eq!(refused.len(), 174);
}

#[test]
fn no_setting_is_beyond_the_contract_but_our_own() {
    let rows = rows();
    let in_contract = |key: &Key| {
        let below = [format!("{}[].", key.path), format!("{}.{{}}.", key.path)];
        let leads = |row: &Row| below.iter().any(|prefix| row.key.starts_with(prefix));
        rows.iter().any(|row| leads(row) || setting(row).path == key.path)
    };
    let own: Vec<&str> = keys::all()
        .filter(|key| !in_contract(key))
        .filter(|key| {
            !key.path.starts_with(ENV_ONLY) || key.vars.iter().any(|v| v.starts_with("OTEL_EBPF_"))
        })
        .map(|key| key.path)
        .collect();
    let ours = ["ledger_file", "runtime_dir", "fault"].map(|name| format!("environment.{name}"));
    assert_eq!(own, [&ours[0], &ours[1], &ours[2], "ebpf.front_end"]);
    let vars: BTreeSet<&str> = keys::all().flat_map(|key| key.vars).copied().collect();
    let theirs = vars.iter().filter(|var| var.starts_with("OTEL_EBPF_")).count();
    println!("{theirs} variables that begin with OTEL_EBPF_");
    // Four are our own. Beside the 199 others the contract names that of the file's path, 6 that
    // have no effect any more (`REMOVED`), and 8 of its companion.
    assert_eq!(theirs, 203);
}

#[test]
fn every_setting_says_what_it_is_and_has_a_default_of_its_kind() {
    let mut paths = BTreeSet::new();
    for key in keys::all() {
        assert!(paths.insert(key.path), "{} stands twice", key.path);
        assert!(key.doc.ends_with('.'), "{}: {}", key.path, key.doc);
        if !key.default.is_empty() {
            assert!(value(key.kind, key.default).is_some(), "{}", key.path);
        }
    }
}
