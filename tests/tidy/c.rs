//! Rules of the eBPF side.

use crate::source::{self, File, complaint};
use crate::{catches, clean};

/// What the kernel keeps of a map's or program's name.
const KERNEL_NAME_LEN: usize = 15;

fn of_bpf(file: &&File) -> bool {
    file.is_c() && file.path.starts_with("bpf/")
}

/// Maps and programs as (name, kind): what stands before `SEC(".maps")`, and the function behind
/// any other section.
fn kernel_names(file: &File) -> Vec<(String, &'static str)> {
    let mut names = Vec::new();
    for (at, _) in file.text.match_indices("SEC(\"") {
        let (before, after) = file.text.split_at(at);
        let section = after.split('"').nth(1).unwrap_or("");
        if section == ".maps" {
            let name = before.trim_end().rsplit(|c: char| c.is_whitespace() || c == '}').next();
            names.push((name.unwrap_or("").to_owned(), "map"));
        } else if !matches!(section, "license" | "version") && !section.starts_with('.') {
            names.extend(program_name(after).map(|name| (name, "program")));
        }
    }
    names
}

/// `int BPF_PROG(name, …)` or `int name(…)` behind a section.
fn program_name(after: &str) -> Option<String> {
    let open = after.split_once(')')?.1;
    let head = open.split_once('{')?.0;
    let (first, inside) = head.split_once('(')?;
    let called = first.trim().rsplit(char::is_whitespace).next()?;
    let name = match called.starts_with("BPF_") {
        true => inside.split([',', ')']).next()?,
        false => called,
    };
    Some(name.trim().to_owned())
}

fn long_names(files: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files.iter().filter(of_bpf) {
        for (name, kind) in kernel_names(file) {
            if name.len() > KERNEL_NAME_LEN {
                let what = format!("{kind} {name}: the kernel keeps {KERNEL_NAME_LEN} characters");
                found.push(complaint(file, &what));
            }
        }
    }
    found
}

fn repeated_names(files: &[File]) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    let mut found = Vec::new();
    for file in files.iter().filter(of_bpf) {
        for (name, kind) in kernel_names(file) {
            if seen.contains(&name) {
                found.push(complaint(file, &format!("a second {kind} or map named {name}")));
            }
            seen.push(name);
        }
    }
    found
}

/// Sections are made by hooks (programs), maps, and the object files that join them.
fn stray_sections(files: &[File]) -> Vec<String> {
    let home = |p: &str| {
        let object = p.ends_with(".bpf.c") && p.matches('/').count() == 1;
        p.starts_with("bpf/hooks/") || p.starts_with("bpf/maps/") || object
    };
    files
        .iter()
        .filter(of_bpf)
        .filter(|f| !home(&f.path) && source::has_word(&f.code(), "SEC"))
        .map(|f| complaint(f, "a section outside bpf/hooks, bpf/maps and the objects"))
        .collect()
}

fn unguarded_headers(files: &[File]) -> Vec<String> {
    files
        .iter()
        .filter(of_bpf)
        .filter(|f| f.path.ends_with(".h") && !f.text.contains("#pragma once"))
        .map(|f| complaint(f, "no #pragma once"))
        .collect()
}

fn unlicensed(files: &[File]) -> Vec<String> {
    let first = |f: &File| f.text.lines().next().unwrap_or("").to_owned();
    files
        .iter()
        .filter(of_bpf)
        .filter(|f| !first(f).contains("SPDX-License-Identifier:"))
        .map(|f| complaint(f, "no SPDX line at the top"))
        .collect()
}

#[test]
fn names_in_the_kernel_are_whole() {
    clean(long_names);
    let bad = "SEC(\"fexit/tcp_sendmsg\")\nint BPF_PROG(fexit_tcp_sendmsg, struct sock *sk)\n{\n}";
    let good = "SEC(\"fexit/tcp_sendmsg\")\nint BPF_PROG(obi_fx_send, struct sock *sk)\n{\n}";
    catches(long_names, "bpf/hooks/a.h", bad, good);
    let bad = "struct {\n} connection_by_socket SEC(\".maps\");";
    catches(long_names, "bpf/maps/a.h", bad, "struct {\n} conn_by_sk SEC(\".maps\");");
}

#[test]
fn names_in_the_kernel_are_unique() {
    clean(repeated_names);
    let bad = "SEC(\"iter/task\")\nint x(void *ctx)\n{\n}\nstruct {\n} x SEC(\".maps\");";
    let good = "SEC(\"iter/task\")\nint x(void *ctx)\n{\n}\nstruct {\n} y SEC(\".maps\");";
    catches(repeated_names, "bpf/hooks/a.h", bad, good);
}

#[test]
fn sections_stand_in_hooks_maps_and_objects() {
    clean(stray_sections);
    catches(stray_sections, "bpf/lib/a.h", "SEC(\"x\")", "/* SEC(\"x\") */ int SECOND;");
    let home = File::new("bpf/agent.bpf.c", "char LICENSE[] SEC(\"license\") = \"x\";");
    assert_eq!(stray_sections(&[home]), Vec::<String>::new());
}

#[test]
fn headers_are_read_once_and_licensed() {
    clean(unguarded_headers);
    clean(unlicensed);
    catches(unguarded_headers, "bpf/a.h", "int x;", "#pragma once\nint x;");
    catches(unlicensed, "bpf/a.h", "int x;", "/* SPDX-License-Identifier: Apache-2.0 */\nint x;");
}
