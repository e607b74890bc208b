//! What is remembered of executables, and what is not.

use std::fs;
use std::os::unix::fs::symlink;

use obi::model::process::ThreadModel;

use crate::elf::Image;
use crate::{Judge, Scratch, needing};

/// A program with this build id.
fn built(id: u32) -> Image {
    let id = [id.to_le_bytes(); 5].concat();
    Image { note: Some(("GNU", 3, id)), ..needing(&["libpython3.so"]) }
}

#[test]
fn two_thousand_processes_of_three_hundred_executables_cost_three_hundred_looks() {
    let scratch = Scratch::new();
    let paths: Vec<_> =
        (0..300).map(|n| scratch.file(&format!("app-{n}"), &built(n).bytes())).collect();
    let mut judge = Judge::new();
    for n in 0..2_000 {
        assert_eq!(judge.of(&paths[n % paths.len()]), "python");
    }
    assert_eq!((judge.examined(), judge.known()), (300, 1_700));
}

#[test]
fn copies_of_an_executable_are_examined_once_and_another_one_in_its_place_anew() {
    let scratch = Scratch::new();
    let mut judge = Judge::new();
    let bytes = built(7).bytes();
    for n in 0..50 {
        // Each container has the file on a device of its own.
        assert_eq!(judge.of(&scratch.file(&format!("copy-{n}"), &bytes)), "python");
    }
    assert_eq!((judge.examined(), judge.known()), (1, 49));
    let path = scratch.file("app", &needing(&["libjli.so"]).bytes());
    assert_eq!(judge.of(&path), "java");
    let other = scratch.file("other", &needing(&["libphp.so"]).bytes());
    fs::rename(other, &path).unwrap();
    assert_eq!(judge.of(&path), "php");
    // Of the same size, written over the first; in the same moment, as far as coarse clocks tell.
    fs::write(&path, needing(&["libjvm.so"]).bytes()).unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(judge.of(&path), "java");
    assert_eq!(judge.examined(), 4);
}

#[test]
fn names_are_not_remembered_with_the_file() {
    let scratch = Scratch::new();
    let mut judge = Judge::new();
    let tools = scratch.file("tools", &built(1).bytes());
    fs::write(&tools, Image::default().bytes()).unwrap();
    for (name, language) in [("ruby", "ruby"), ("tools2", "generic"), ("python3", "python")] {
        symlink(&tools, scratch.at(name)).unwrap();
        assert_eq!(judge.of(&scratch.at(name)), language);
    }
    assert_eq!((judge.examined(), judge.known()), (1, 2));
}

#[test]
fn below_an_excluded_path_nothing_is_said_of_the_language_and_threads_are_known_all_the_same() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.at("sbin")).unwrap();
    let go = Image::with_section(".gopclntab", b"x").bytes();
    let (inside, outside) = (scratch.file("sbin/go", &go), scratch.file("go", &go));
    let mut judge = Judge::new();
    let below = scratch.at("sbin/").to_str().unwrap().to_owned();
    judge.discovery = judge.discovery.without_languages_below(vec![String::new(), below]);
    assert_eq!(judge.of(&scratch.file("sbin/python3", b"")), "generic");
    let languages = [&inside, &outside].map(|path| {
        let fact = judge.fact(4_194_305, path);
        (fact.service.unwrap().language, fact.threads)
    });
    assert_eq!(languages, [("generic", ThreadModel::Moves), ("go", ThreadModel::Moves)]);
}
