use super::*;
use crate::model::service::Service;

#[test]
fn every_language_has_a_word_of_the_contract() {
    use Language::{Cpp, Dotnet, Generic, Go, Java, Nodejs, Php, Python, Ruby, Rust};
    let all = [Go, Java, Dotnet, Python, Ruby, Nodejs, Rust, Php, Cpp, Generic];
    let words =
        ["go", "java", "dotnet", "python", "ruby", "nodejs", "rust", "php", "cpp", "generic"];
    assert_eq!(all.map(Language::word), words);
    assert_eq!(words.map(Service::language_named), words);
}

/// What is concluded of `/x/NAME` that says this of itself and has loaded that.
fn concluded(name: &str, evidence: Evidence, loaded: Option<Language>) -> &'static str {
    conclude(evidence, &format!("/x/{name}"), |_| loaded).word()
}

#[test]
fn what_is_known_is_weighed_in_order() {
    use Language::{Java, Php, Python, Ruby, Rust};
    let of = |own, linked, cxx| Evidence { own, linked, cxx };
    let nothing = Evidence::default();
    assert_eq!(concluded("ruby", of(Some(Rust), Some(Php), true), Some(Java)), "rust");
    assert_eq!(concluded("ruby", of(None, Some(Php), true), Some(Java)), "ruby");
    assert_eq!(concluded("app", of(None, Some(Php), true), Some(Java)), "php");
    assert_eq!(concluded("app", of(None, None, true), Some(Java)), "java");
    assert_eq!(concluded("app", of(None, None, true), None), "cpp");
    assert_eq!(concluded("app", nothing, None), "generic");
    assert_eq!(concluded("uwsgi", nothing, None), "python");
    assert_eq!(concluded("uwsgi_python3", nothing, None), "python");
    assert_eq!(concluded("uwsgi", nothing, Some(Ruby)), "ruby");
    // A function of a database may be in Python; the database is not.
    assert_eq!(concluded("postgres", nothing, Some(Python)), "generic");
    assert_eq!(concluded("apache2", nothing, Some(Php)), "php");
}

#[test]
fn what_is_loaded_is_asked_for_only_where_nothing_else_tells() {
    let asked = |name: &str, own| {
        let asked = std::cell::Cell::new(None);
        conclude(Evidence { own, ..Evidence::default() }, name, |loader| {
            asked.set(Some(loader));
            None
        });
        asked.get()
    };
    assert_eq!(asked("app", Some(Language::Go)), None);
    assert_eq!(asked("python3", None), None);
    assert_eq!(asked("app", None), Some(false));
    assert_eq!(asked("/lib64/ld-linux-x86-64.so.2", None), Some(true));
    assert_eq!(asked("", None), Some(false));
}
