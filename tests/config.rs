//! Configuration files that nobody would write, on the stable toolchain; and what the program itself
//! says of configurations: exit statuses, streams, secrets.

#![expect(clippy::unwrap_used, reason = "a test panics when it cannot go on")]
#![expect(clippy::print_stdout, reason = "how many cases there were is part of the result")]

#[path = "support/config.rs"]
mod config;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Mutations of each input.
const MUTATIONS: usize = 40;
const CORPUS: [&str; 2] = ["tests/fuzz/corpus/config", "tests/fixtures/config"];

fn corpus() -> Vec<Vec<u8>> {
    let mut files: Vec<PathBuf> = CORPUS
        .iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension() != Some("said".as_ref()))
        .collect();
    files.sort();
    assert!(files.len() > 9, "{CORPUS:?} hold the inputs that were interesting once");
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

#[test]
fn the_corpus_keeps_the_rules() {
    let corpus = corpus();
    let accepted = corpus.iter().filter(|input| config::run(input)).count();
    println!("{} files, {accepted} accepted", corpus.len());
    assert!(accepted >= 9, "the contract's examples are valid");
}

#[test]
fn mutated_files_keep_the_rules() {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut below = |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % n.max(1) as u64).unwrap()
    };
    let pieces: [&[u8]; 24] = [
        b"${A}",
        b"${B_TOKEN}",
        b"$(C)",
        b"$$",
        b": ",
        b"- ",
        b"\n",
        b"  ",
        b"[",
        b"]",
        b"{",
        b"}",
        b"'",
        b"\"",
        b"#",
        b"&a ",
        b"*a",
        b"<<: *a",
        b"|\n",
        b"~",
        b"!!str ",
        b"\t",
        b"\xff",
        "ü".as_bytes(),
    ];
    let (mut tried, mut accepted) = (0, 0);
    for input in corpus() {
        for _ in 0..MUTATIONS {
            let mut mutant = input.clone();
            for _ in 0..=below(3) {
                let at = below(mutant.len() + 1);
                match below(3) {
                    0 => mutant
                        .splice(at..at, pieces[below(pieces.len())].iter().copied())
                        .for_each(drop),
                    1 => mutant.drain(at..(at + below(12)).min(mutant.len())).for_each(drop),
                    _ => {
                        let from = below(mutant.len());
                        let piece = mutant[from..(from + below(40)).min(mutant.len())].to_vec();
                        mutant.splice(at..at, piece).for_each(drop);
                    }
                }
            }
            tried += 1;
            accepted += usize::from(config::run(&mutant));
        }
    }
    println!("{tried} files, {accepted} accepted");
    assert!(accepted > tried / 20 && accepted < tried, "of both kinds");
}

/// What is large, or deep, or repeats itself.
#[test]
fn large_files_are_read_or_refused_in_bounded_time() {
    let wide = format!("x: [{}]\n", "a, ".repeat(90_000));
    let line = format!("service_name: {}\n", "ü ".repeat(200_000));
    let deep = format!("x: {}{}\n", "[".repeat(60), "]".repeat(60));
    let keys: String = (0..20_000).map(|i| format!("k{i}: \"{i}\" # c\n")).collect();
    let dollars = format!("x: '{}'\n", "${A".repeat(200_000));
    let blank = "\n".repeat(1_000_000);
    for (text, accepted) in [
        (wide, true),
        (line, true),
        (deep, true),
        (keys, true),
        (dollars, true),
        (blank, true),
        ("x: ".repeat(200_000), false),
        ("{".repeat(500_000), false),
        ("a".repeat(5 << 20), false),
    ] {
        let start: String = text.chars().take(20).collect();
        println!("{start:?}");
        assert_eq!(config::run(text.as_bytes()), accepted, "{start}");
    }
}

fn obi(args: &[&str], vars: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_obi"));
    command.args(args).env_clear().envs(vars.iter().copied()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn file(folder: &Path, yaml: &str) -> String {
    let path = folder.join("obi.yml");
    fs::write(&path, yaml).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn check_says_valid_or_not_by_its_exit_status() {
    let folder = tempfile::tempdir().unwrap();
    let valid = file(folder.path(), "network: {enable: true, print_flows: true}\n");
    let output = obi(&["config", "check", &valid], &[]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).ends_with("obi.yml is valid\n"), "{output:?}");
    assert!(text(&output.stdout).contains("warning: nothing would be done"), "{output:?}");
    let refused = obi(&["--config", &valid], &[]);
    assert_eq!(refused.status.code(), Some(1));
    let said = text(&refused.stderr);
    assert!(said.starts_with("obi: nothing would be done: flows (network) is not there"), "{said}");
    assert_eq!(said.lines().count(), 1);
    let wrong = file(folder.path(), "log_level: loud\n");
    assert_eq!(obi(&["config", "validate", &wrong], &[]).status.code(), Some(1));
    assert_eq!(obi(&["config", "check"], &[]).status.code(), Some(2));
    let receiver = obi(&["config", "check", "--mode=receiver", &wrong], &[]);
    assert_eq!(receiver.status.code(), Some(1));
}

#[test]
fn migrate_tells_whole_partial_and_wrong_apart_by_its_exit_status() {
    let folder = tempfile::tempdir().unwrap();
    let migrate = |yaml: &str, more: &[&str]| {
        let path = file(folder.path(), yaml);
        let output = obi(&[&["config", "migrate"], more, &[path.as_str()]].concat(), &[]);
        let said = text(&output.stderr).replace(&path, "f");
        assert_eq!(fs::read_to_string(path).unwrap(), yaml, "the file is not changed");
        (output.status.code(), text(&output.stdout), said)
    };
    let old = "ebpf: {context_propagation: ip} # c\n";
    let new = "ebpf: {context_propagation: disabled} # c\n";
    assert_eq!(migrate(old, &[]), (Some(0), new.to_owned(), String::new()));
    assert_eq!(migrate(new, &["--mode=standalone"]), (Some(0), new.to_owned(), String::new()));
    let advice = "f:2: service_name has no new name; set OTEL_SERVICE_NAME in the environment of the \
                  observed process\n";
    let partial = format!("{old}service_name: x\n");
    let refused = "obi: f is not printed because of what is left; --allow-partial prints it all the \
                   same\n";
    assert_eq!(migrate(&partial, &[]), (Some(3), String::new(), format!("{advice}{refused}")));
    let printed = format!("{new}service_name: x\n");
    assert_eq!(migrate(&partial, &["--allow-partial"]), (Some(3), printed, advice.to_owned()));
    let (status, out, said) = migrate("a: [", &[]);
    assert_eq!((status, out.as_str()), (Some(1), ""));
    assert!(said.contains("f:2: this is not YAML"), "{said}");
    assert_eq!(migrate(old, &["--mode=receiver"]).0, Some(1));
    assert_eq!(obi(&["config", "migrate"], &[]).status.code(), Some(2));
}

/// A file and variables that hold secrets, each another one: `S` and a number.
const PLANTED: &[(&str, &[(&str, &str)])] = &[
    (
        "open_port: 80\n",
        &[
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer S1x"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-key=S2x"),
            ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "x-key=S3x"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:S4x@c:4318"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://me:S5x@c:4318"),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://S6x@c:4318"),
            ("OTEL_RESOURCE_ATTRIBUTES", "k=${MY_SECRET}"),
            ("MY_SECRET", "S7x-long"),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "S8x.pem"),
        ],
    ),
    (
        "open_port: 80\n",
        &[
            ("OTEL_EXPORTER_OTLP_HEADERS", "S1x no pair"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "bad name=S2x"),
            ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "S3x"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "me:S4x@c:4318"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://me:S5x/S5x@c:x"),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "ftp://me:S6x@c"),
        ],
    ),
    (
        "open_port: 80\notel_traces_export: {endpoint: 'https://me:S1x@c'}\notel_metrics_export: {endpoint: \
      'https://me:S2x@c'}\n",
        &[],
    ),
    (
        "open_port: 80\notel_traces_export: {endpoint: 'me:S1x@c'}\notel_metrics_export: {endpoint: \
      'x://me:S2x@c'}\n",
        &[],
    ),
    (
        "otel_traces_export: {batch_max_size: ${API_TOKEN}, headers: {authorization: S2x}}\nnetwork: S3x\n\
      password: S4x\nrouts: [S5x]\n",
        &[("API_TOKEN", "S1x-long")],
    ),
    ("a: 1\n${API_TOKEN}: [S2x\nb: S3x\n", &[("API_TOKEN", "S1x-long")]),
    ("${API_TOKEN}: S2x\n${API_TOKEN}: S3x\n", &[("API_TOKEN", "S1x-long")]),
    ("password: S1x\npassword: S2x\n", &[]),
    (
        "discovery:\n  instrument:\n    - exe_path: '[${API_TOKEN}'\n    - ${API_TOKEN}: x\n  services:\n    - \
      exe_path: '(${API_TOKEN}'\n",
        &[("API_TOKEN", "S1x-long")],
    ),
    ("service_name: ${DB_PASSWD}\nopen_port: 80\n", &[("DB_PASSWD", "'S1x")]),
    ("open_port: 80\n", &[("OTEL_SERVICE_NAME", "$DB_CREDENTIAL"), ("DB_CREDENTIAL", "S1x-long")]),
];

#[test]
fn no_secret_is_ever_printed() {
    let folder = tempfile::tempdir().unwrap();
    let (mut hidden, mut runs) = (0, 0);
    for (yaml, vars) in PLANTED {
        let path = file(folder.path(), yaml);
        for args in [
            &["config", "check", path.as_str()][..],
            &["config", "check", "--strict", path.as_str()],
            &["--config", path.as_str(), "config", "print"],
            &["--config", path.as_str(), "config", "print", "--origin"],
            &["config", "migrate", path.as_str()],
            &["config", "schema"],
            &["--config", path.as_str(), "replay", "/nonexistent/recording"],
            // Stands in no list of front ends, so that the agent never starts.
            &["--config", path.as_str()],
        ] {
            let stop = [("OTEL_EBPF_BPF_FRONT_END", "none")];
            let vars = if args.len() == 2 { [*vars, &stop].concat() } else { vars.to_vec() };
            let output = obi(args, &vars);
            // What is migrated is the file as it was written.
            let file = if args.contains(&"migrate") { &[][..] } else { &output.stdout };
            let said = text(file) + &text(&output.stderr);
            let shown: Vec<String> =
                (1..=9).map(|i| format!("S{i}x")).filter(|secret| said.contains(secret)).collect();
            assert_eq!(shown, Vec::<String>::new(), "{args:?}: {said}");
            runs += 1;
        }
        hidden += (1..=9).filter(|i| format!("{yaml}{vars:?}").contains(&format!("S{i}x"))).count();
    }
    println!("{hidden} secrets, {runs} runs");
    assert_eq!((hidden, runs), (34, 88));
}

/// The same places, under names that say nothing of a secret.
#[test]
fn what_is_no_secret_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "otel_traces_export: {batch_max_size: ${API_NAME}}\n");
    let output = obi(&["config", "check", &path], &[("API_NAME", "S1x-long")]);
    assert!(text(&output.stdout).contains("batch_max_size = S1x-long: must be"), "{output:?}");
    let path = file(folder.path(), "service_name: ${DB_NAME}\n");
    let output = obi(&["--config", &path, "config", "print"], &[("DB_NAME", "S1x-long")]);
    assert!(text(&output.stdout).contains("service_name: \"S1x-long\""), "{output:?}");
}
