//! Real executables, and processes that load a runtime.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use obi::model::ids::{KtimeNs, Tgid};
use obi::model::process::{ProcessEvent, ProcessImage, ProcessRecord};

use crate::{Judge, Scratch, bounded};

#[test]
fn real_executables_of_this_machine_are_of_their_languages() {
    let scratch = Scratch::new();
    let mut seen = 0;
    for (path, by_name, renamed) in [
        ("/usr/bin/python3", "python", "python"),
        ("/usr/bin/node", "nodejs", "nodejs"),
        ("/usr/bin/java", "java", "java"),
        ("/usr/bin/javac", "java", "java"),
        ("/usr/bin/ruby", "ruby", "ruby"),
        ("/usr/bin/php8.2", "php", "php"),
        ("/usr/sbin/php-fpm8.2", "php", "php"),
        ("/usr/local/go/bin/go", "go", "go"),
        ("/usr/bin/go", "go", "go"),
        ("/usr/bin/apt", "cpp", "cpp"),
        ("/usr/bin/bash", "generic", "generic"),
        ("/usr/bin/perl", "generic", "generic"),
        ("/usr/sbin/nginx", "generic", "generic"),
        ("/usr/sbin/apache2", "generic", "generic"),
        ("/proc/self/exe", "rust", "rust"),
    ] {
        let Ok(file) = fs::canonicalize(path) else { continue };
        seen += 1;
        assert_eq!(bounded(&file), by_name, "{path}");
        let app = scratch.at(&format!("app-{seen}"));
        symlink(&file, &app).unwrap();
        assert_eq!(bounded(&app), renamed, "{path} under another name");
    }
    assert!(seen >= 2, "at least a shell and this test");
}

/// A program that says `ready` and waits, as Java runs it.
const READY_JAVA: &str = "class Ready { public static void main(String[] a) throws Exception {\n\
    System.out.println(\"ready\"); System.in.read(); } }";

#[test]
fn running_interpreters_are_of_their_languages_by_name_and_without_one() {
    let scratch = Scratch::new();
    let java = scratch.file("Ready.java", READY_JAVA.as_bytes());
    let mut seen = 0;
    for (command, arguments, language) in [
        ("sh", ["-c", "echo ready; read x"], "generic"),
        ("perl", ["-e", "$| = 1; print qq(ready\n); <STDIN>"], "generic"),
        ("python3", ["-c", "print('ready', flush=True); input()"], "python"),
        ("node", ["-e", "console.log('ready'); process.stdin.resume()"], "nodejs"),
        ("ruby", ["-e", "puts 'ready'; STDOUT.flush; gets"], "ruby"),
        ("php8.2", ["-r", "echo \"ready\n\"; fgets(STDIN);"], "php"),
        ("java", ["-Xmx64m", java.to_str().unwrap()], "java"),
    ] {
        let Some(mut running) = Launched::run(Command::new(command).args(arguments)) else {
            eprintln!("SKIP {command}: missing");
            continue;
        };
        running.hear();
        seen += 1;
        let id = running.0.id();
        let path = fs::read_link(format!("/proc/{id}/exe")).unwrap();
        for path in [path.as_path(), Path::new("/nowhere/app")] {
            let fact = Judge::new().fact(id, path);
            assert_eq!(fact.service.unwrap().language, language, "{command} as {path:?}");
        }
    }
    assert!(seen > 0, "there is a shell");
}

/// What this machine's compiler makes of a program in C, or in C++ if it is linked with its library;
/// `None` without a compiler.
fn compiled(scratch: &Scratch, name: &str, source: &str, more: &[&str]) -> Option<PathBuf> {
    let ending = if more.contains(&"-lstdc++") { "cc" } else { "c" };
    let (file, program) =
        (scratch.file(&format!("{name}.{ending}"), source.as_bytes()), scratch.at(name));
    let mut gcc = Command::new("gcc");
    let built = gcc.arg(file).args(more).arg("-o").arg(&program).output();
    match built {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Some(program)
        }
        Err(error) => {
            eprintln!("SKIP {name}: gcc: {error}");
            None
        }
    }
}

/// Says something, waits for a line, loads the library that it is asked to, says something again.
const LAUNCHER: &str = "#include <dlfcn.h>\n#include <stdio.h>\nint main(int n, char **a) {\n\
    puts(\"begun\"); fflush(stdout); getchar();\n\
    if (a[1] && !dlopen(a[1], RTLD_NOW)) return 1;\n\
    puts(\"ready\"); fflush(stdout); getchar(); getchar(); return 0; }";

/// A process that says five letters at a time; killed when dropped.
struct Launched(Child);

impl Launched {
    fn start(program: &Path, library: Option<&Path>) -> Self {
        let mut launched = Self::run(Command::new(program).args(library)).unwrap();
        launched.hear();
        launched
    }

    /// `None` when there is no such program.
    fn run(command: &mut Command) -> Option<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok().map(Self)
    }

    fn hear(&mut self) {
        self.0.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
    }

    fn load(&mut self) {
        self.0.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        self.hear();
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn a_process_is_of_the_runtime_that_it_has_loaded_although_its_executable_is_deleted() {
    let scratch = Scratch::new();
    let Some(program) = compiled(&scratch, "launcher", LAUNCHER, &["-ldl"]) else { return };
    let libraries = [
        ("libjvm.so", "java"),
        ("libpython3.11.so.1.0", "python"),
        ("libphp8.2.so", "php"),
        ("libcoreclr.so", "dotnet"),
        ("libzstd.so.1", "generic"),
    ];
    let launched = libraries.map(|(name, language)| {
        let library = compiled(&scratch, name, "int f;", &["-shared", "-fPIC"]).unwrap();
        let mut launched = Launched::start(&program, Some(&library));
        launched.load();
        (launched, language)
    });
    fs::remove_file(&program).unwrap();
    let mut judge = Judge::new();
    for (launched, language) in launched {
        let fact = judge.fact(launched.0.id(), &program);
        assert_eq!(fact.service.unwrap().language, language);
    }
    // What was loaded is not remembered with the executable.
    assert_eq!((judge.examined(), judge.known()), (1, 4));
}

#[test]
fn who_loads_a_runtime_before_it_listens_is_told_anew() {
    let scratch = Scratch::new();
    let Some(program) = compiled(&scratch, "launcher", LAUNCHER, &["-ldl"]) else { return };
    let library = compiled(&scratch, "libjvm.so", "int f;", &["-shared", "-fPIC"]).unwrap();
    let mut launched = Launched::start(&program, Some(&library));
    let mut judge = Judge::new();
    let id = launched.0.id();
    assert_eq!(judge.fact(id, &program).service.unwrap().language, "generic");
    let mut listens = |at, port| {
        let image = ProcessImage::default();
        let (at, tgid) = (KtimeNs(at), Tgid(id));
        let record = ProcessRecord::Listen { at, tgid, ns_tgid: id, port, image };
        let [decision] = judge.discovery.on_record(record).try_into().unwrap();
        let event = ProcessEvent::Selected { tgid, ns_tgid: id, since: at, adopt: false };
        assert_eq!(decision.event, Some(event));
        decision.fact.map(|fact| (fact.since.0, fact.service.unwrap().language))
    };
    assert_eq!(listens(2, 80), None);
    launched.load();
    assert_eq!(listens(3, 81), Some((3, "java")));
    assert_eq!(listens(4, 82), None);
    // What is gone has nothing loaded, and takes nothing back.
    drop(launched);
    assert_eq!(listens(5, 83), None);
}

#[test]
fn programs_of_this_machine_s_compilers_are_told_apart() {
    let scratch = Scratch::new();
    let main = "int main(void) { return 0; }";
    let cxx = "#include <string>\n#include <iostream>\nint main(int n, char **a) {\n\
               try { std::cout << std::string(a[0]).at(999); } catch (...) { return 1; } }";
    for (name, source, flags, language) in [
        ("c", main, &[][..], "generic"),
        ("c-static", main, &["-static"], "generic"),
        ("c-stripped", main, &["-static", "-s"], "generic"),
        ("cxx", cxx, &["-lstdc++"], "cpp"),
        ("cxx-static", cxx, &["-static", "-lstdc++"], "cpp"),
        ("cxx-stripped", cxx, &["-static", "-lstdc++", "-s"], "cpp"),
    ] {
        let Some(program) = compiled(&scratch, name, source, flags) else { return };
        assert_eq!(bounded(&program), language, "{name}");
    }
}
