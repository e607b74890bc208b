//! Which module may use which, and what adding a protocol may touch.

use crate::source::{self, File, complaint};
use crate::{catches, clean, is_test};

/// Module and what it may use besides itself. A stage never uses another stage.
const TABLE: [(&str, &[&str]); 18] = [
    ("semconv", &[]),
    ("model", &["semconv"]),
    ("protocols", &["model", "semconv"]),
    ("abi", &["model", "telemetry"]),
    ("discovery", &["model", "semconv", "telemetry"]),
    ("k8s", &["model", "semconv", "telemetry"]),
    ("config", &["model", "semconv", "telemetry"]),
    ("telemetry", &["model", "semconv"]),
    ("resolver", &[]),
    ("stages::loader", &["abi", "model", "config", "telemetry"]),
    ("stages::reader", &["abi", "model", "config", "telemetry"]),
    ("stages::decoder", &["abi", "protocols", "model", "config", "semconv", "telemetry"]),
    (
        "stages::decorator",
        &["model", "semconv", "config", "k8s", "discovery", "resolver", "telemetry"],
    ),
    ("stages::exporter", &["model", "semconv", "config", "telemetry"]),
    ("app", EVERYTHING),
    ("commands", EVERYTHING),
    ("lib", EVERYTHING),
    ("main", EVERYTHING),
];

/// `app` and `commands` know all stages; nothing but `commands` and `main` knows `app`.
const EVERYTHING: &[&str] = &[
    "semconv",
    "model",
    "protocols",
    "abi",
    "discovery",
    "k8s",
    "config",
    "telemetry",
    "resolver",
    "stages",
    "app",
    "commands",
];

/// What would let a protocol see the outside world.
const IMPURE: [&str; 9] = [
    "std::io",
    "std::fs",
    "std::thread",
    "std::process",
    "std::env",
    "Instant",
    "SystemTime",
    "TcpStream",
    "UdpSocket",
];

/// `src/stages/decoder/pair.rs` is of module `stages::decoder`, `src/app.rs` of `app`.
fn module_of(path: &str) -> Option<String> {
    let inner = path.strip_prefix("src/")?.strip_suffix(".rs")?;
    Some(top_module(&inner.replace('/', "::")))
}

/// First segment, or the first two below `stages`.
fn top_module(path: &str) -> String {
    let mut parts = path.split("::");
    let first = parts.next().unwrap_or("");
    match (first, parts.next()) {
        ("stages", Some(stage)) if stage != "mod" => format!("stages::{stage}"),
        _ => first.to_owned(),
    }
}

fn edges(files: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files.iter().filter(|f| f.is_rust()) {
        let Some(module) = module_of(&file.path) else { continue };
        let Some((_, allowed)) = TABLE.iter().find(|(m, _)| *m == module) else {
            if module != "stages" {
                found.push(complaint(file, &format!("module {module} is not in the table")));
            }
            continue;
        };
        for path in source::crate_paths(&file.code()) {
            let used = top_module(&path);
            let by_name = |a: &&&str| **a == used || used.starts_with(&format!("{a}::"));
            let is_module = TABLE.iter().any(|(m, _)| *m == used) || used.starts_with("stages");
            if is_module && used != module && allowed.iter().find(by_name).is_none() {
                found.push(complaint(file, &format!("{module} may not use {used}")));
            }
        }
    }
    found
}

fn impure_protocols(files: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    let of_protocols = |f: &&File| f.path.starts_with("src/protocols/") && !is_test(&f.path);
    for file in files.iter().filter(of_protocols) {
        let code = file.code();
        for name in IMPURE {
            let seen = match name.contains("::") {
                true => code.contains(name),
                false => source::has_word(&code, name),
            };
            if seen {
                found.push(complaint(file, &format!("a protocol is pure, and uses {name}")));
            }
        }
    }
    found
}

/// Variant and folder of each registered protocol, from the list in `src/protocols/mod.rs`.
fn registry(files: &[File]) -> Vec<(String, String)> {
    let Some(file) = files.iter().find(|f| f.path == "src/protocols/mod.rs") else {
        return Vec::new();
    };
    let code = file.code();
    let list = code.rsplit("\nprotocols! {").next().unwrap_or("");
    let body = list.split('}').next().unwrap_or("");
    body.lines()
        .filter_map(|line| {
            let (variant, path) = line.split_once("=>")?;
            let folder = path.trim().split("::").next()?;
            Some((variant.trim().to_owned(), folder.to_owned()))
        })
        .collect()
}

/// Folders under `src/protocols/`.
fn protocol_folders(files: &[File]) -> Vec<String> {
    let mut folders: Vec<String> = files
        .iter()
        .filter_map(|f| f.path.strip_prefix("src/protocols/")?.split_once('/'))
        .map(|(folder, _)| folder.to_owned())
        .collect();
    folders.sort();
    folders.dedup();
    folders
}

/// A protocol is one folder and one line of the registry, and nothing else knows it.
fn scattered_protocols(files: &[File]) -> Vec<String> {
    let registry = registry(files);
    let mut found = Vec::new();
    for folder in protocol_folders(files) {
        let lines = registry.iter().filter(|(_, f)| *f == folder).count();
        if lines != 1 {
            found.push(format!("src/protocols/{folder}: {lines} lines in the registry, not one"));
        }
    }
    let elsewhere = |f: &&File| {
        f.is_rust()
            && f.path.starts_with("src/")
            && !f.path.starts_with("src/protocols/")
            && !is_test(&f.path)
    };
    for file in files.iter().filter(elsewhere) {
        let code = file.code();
        for (variant, folder) in &registry {
            let by_kind = ["ProtocolKind", "ConnState"]
                .iter()
                .any(|t| code.contains(&format!("{t}::{variant}")));
            if by_kind || code.contains(&format!("protocols::{folder}")) {
                found.push(complaint(file, &format!("knows the protocol {folder}")));
            }
        }
    }
    found
}

#[test]
fn modules_use_only_what_the_table_says() {
    clean(edges);
    catches(edges, "src/model/a.rs", "use crate::abi::X;", "use crate::semconv::{A, B};");
    catches(edges, "src/stages/reader.rs", "crate::stages::decoder::x()", "use crate::abi::X;");
    catches(edges, "src/stages/exporter/otlp/a.rs", "use crate::{model::A, protocols::B};", "");
    catches(
        edges,
        "src/stages/decoder/a.rs",
        "use crate::app::X;",
        "use crate::stages::decoder::Y;",
    );
    assert_eq!(
        edges(&[File::new("src/helpers/a.rs", "")]).len(),
        1,
        "an unlisted module is caught"
    );
}

#[test]
fn protocols_are_pure() {
    clean(impure_protocols);
    let path = "src/protocols/http1/mod.rs";
    catches(impure_protocols, path, "use std::io::Read;", "// std::io\nuse std::net::IpAddr;");
    catches(impure_protocols, path, "let t = Instant::now();", "let instant = 1;");
}

#[test]
fn a_protocol_is_one_folder_and_one_line() {
    clean(scattered_protocols);
    assert_eq!(registry(&source::tree()).len(), protocol_folders(&source::tree()).len());
    let list = File::new(
        "src/protocols/mod.rs",
        "macro_rules! protocols {}\nprotocols! {\n    /// One.\n    Http1 => http1::Http1,\n}\n",
    );
    let known = File::new("src/protocols/http1/mod.rs", "");
    let stray = File::new("src/protocols/redis/mod.rs", "");
    let app = File::new("src/app.rs", "match k { ProtocolKind::Http1 => {} }");
    let good = File::new("src/app.rs", "ProtocolKind::ALL");
    let of = |last: File| {
        let known = File::new(&known.path, &known.text);
        scattered_protocols(&[File::new(&list.path, &list.text), known, last])
    };
    assert_eq!(of(stray), ["src/protocols/redis: 0 lines in the registry, not one"]);
    assert_eq!(of(app), ["src/app.rs: knows the protocol http1"]);
    assert_eq!(of(good), Vec::<String>::new());
}
