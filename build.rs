//! Compiles the eBPF objects and generates their Rust skeletons. No network.

#![expect(clippy::disallowed_methods, reason = "a build script is configured by its environment")]

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use libbpf_cargo::SkeletonBuilder;

/// Objects under `bpf/`: `<name>.bpf.c` becomes `<name>.skel.rs`.
const OBJECTS: [&str; 3] = ["abi", "agent", "probe"];

fn main() -> Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let clang = find_clang()?;
    let vmlinux = vmlinux_dir(&root)?;
    println!("cargo:rerun-if-changed=bpf");
    println!("cargo:rerun-if-changed={}", vmlinux.display());
    for object in OBJECTS {
        build_object(&root, &out, &clang, &vmlinux, object)?;
    }
    Ok(())
}

fn build_object(root: &Path, out: &Path, clang: &str, vmlinux: &Path, object: &str) -> Result<()> {
    let source = root.join("bpf").join(format!("{object}.bpf.c"));
    let mut args: Vec<OsString> = vec!["--config".into(), root.join("bpf/clang.cfg").into()];
    for include in [&root.join("bpf"), vmlinux, &libbpf_headers()?] {
        args.extend(["-I".into(), include.into()]);
    }
    SkeletonBuilder::new()
        .source(&source)
        .clang(clang)
        .clang_args(args)
        .build_and_generate(out.join(format!("{object}.skel.rs")))
        .with_context(|| format!("compile {}", source.display()))
}

/// `$CLANG`, else the newest of the versions the project is tested with.
fn find_clang() -> Result<String> {
    println!("cargo:rerun-if-env-changed=CLANG");
    if let Ok(clang) = env::var("CLANG") {
        return Ok(clang);
    }
    for candidate in ["clang-19", "clang"] {
        if std::process::Command::new(candidate).arg("--version").output().is_ok() {
            return Ok(candidate.to_owned());
        }
    }
    bail!("no clang found: install clang-19 (`make deps` does) or set CLANG")
}

/// Where libbpf-sys put the headers of the libbpf it built (`bpf/bpf_helpers.h` and friends).
fn libbpf_headers() -> Result<PathBuf> {
    let dir = env::var("DEP_BPF_INCLUDE").context("libbpf-sys published no include folder")?;
    Ok(PathBuf::from(dir))
}

fn vmlinux_dir(root: &Path) -> Result<PathBuf> {
    let arch = env::var("CARGO_CFG_TARGET_ARCH")?;
    let dir = root.join("vmlinux").join(&arch);
    if !dir.join("vmlinux.h").exists() {
        bail!("no vmlinux/{arch}/vmlinux.h: this architecture is not supported");
    }
    Ok(dir)
}
