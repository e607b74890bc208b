//! What programs and libraries of a language are called.

use super::Language;
use super::Language::{Dotnet, Generic, Java, Nodejs, Php, Python, Ruby};

/// Executables, without the version that may follow.
const PROGRAMS: [(&str, Language); 24] = [
    ("java", Java),
    ("javaw", Java),
    ("jsvc", Java),
    ("dotnet", Dotnet),
    ("mono", Dotnet),
    ("mono-sgen", Dotnet),
    ("node", Nodejs),
    ("nodejs", Nodejs),
    ("deno", Nodejs),
    ("denort", Nodejs),
    ("bun", Nodejs),
    ("php", Php),
    ("php-cgi", Php),
    ("php-fpm", Php),
    ("lsphp", Php),
    ("ruby", Ruby),
    ("truffleruby", Ruby),
    ("python", Python),
    ("pypy", Python),
    ("graalpy", Python),
    // Virtual machines, some in C++, of languages that the contract has no word for.
    ("beam.smp", Generic),
    ("dart", Generic),
    ("julia", Generic),
    ("perl", Generic),
];

/// Libraries that are a runtime, or bring one into a server; the first counts of several that a
/// process has loaded. Python is the one that is most often only an extension.
const LIBRARIES: [(&str, Language); 13] = [
    ("libjvm", Java),
    ("libjli", Java),
    ("libcoreclr", Dotnet),
    ("libhostfxr", Dotnet),
    ("libmonosgen", Dotnet),
    ("libnode", Nodejs),
    ("libphp", Php),
    ("mod_php", Php),
    ("libruby", Ruby),
    ("mod_wsgi", Python),
    ("libpython", Python),
    ("libpypy", Python),
    ("libswiftCore", Generic),
];

/// Programs that serve other programs' code and are called after none of them.
const HOSTS: [(&str, Language); 1] = [("uwsgi", Python)];

/// Programs that may load a runtime for a function or a plug-in, and remain what they are.
const THEMSELVES: [&str; 7] =
    ["postgres", "mysqld", "mariadbd", "oracle", "collectd", "freeradius", "gdb"];

/// Libraries of C++ itself.
const CXX: [&str; 2] = ["libstdc++", "libc++"];

/// The language of a program by its base name; `Generic` where the name tells that it is none of
/// the contract's.
pub(super) fn of_program(base: &str) -> Option<Language> {
    PROGRAMS.iter().find(|(stem, _)| is_version_of(base, stem)).map(|(_, language)| *language)
}

/// The language that a host of runtimes is mostly used for.
pub(super) fn of_host(base: &str) -> Option<Language> {
    let base = base.split(['-', '_']).next().unwrap_or_default();
    HOSTS.iter().find(|(stem, _)| is_version_of(base, stem)).map(|(_, language)| *language)
}

/// Whether a runtime that the program loads says nothing of the program.
pub(super) fn embeds_at_most(base: &str) -> bool {
    THEMSELVES.contains(&base)
}

/// Whether the program is the dynamic loader, which was asked by name to run another one.
pub(super) fn is_loader(base: &str) -> bool {
    base.starts_with("ld-") || base.starts_with("ld.so")
}

/// The place in the order of libraries, and the language, of a library by its base name.
pub(super) fn of_library(base: &[u8]) -> Option<(usize, Language)> {
    let found = LIBRARIES.iter().position(|(stem, _)| is_library(base, stem))?;
    LIBRARIES.get(found).map(|(_, language)| (found, *language))
}

/// Whether the library is one of C++ itself.
pub(super) fn is_cxx(base: &[u8]) -> bool {
    CXX.iter().any(|stem| is_library(base, stem))
}

/// `python3.11`, `python3.13t`, `node-18` and `php-fpm8.2` are versions, `node_exporter` is none.
fn is_version_of(base: &str, stem: &str) -> bool {
    let Some(version) = base.strip_prefix(stem) else { return false };
    // Builds of Python with another ABI.
    let version = version.trim_end_matches(['d', 'm', 't', 'u']);
    version.chars().all(|c| c.is_ascii_digit() || c == '.' || c == '-')
}

/// `libpython3.11.so.1.0`, `libphp.so`, `mod_wsgi-py311.cpython-311-x86_64-linux-gnu.so`.
fn is_library(base: &[u8], stem: &str) -> bool {
    let Some(rest) = base.strip_prefix(stem.as_bytes()) else { return false };
    let version = rest.first().is_some_and(|b| b.is_ascii_digit() || *b == b'.' || *b == b'-');
    version && rest.windows(3).any(|w| w == b".so")
}
