//! Files that are none, or not whole.

use super::*;

fn written(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("obi.yml");
    std::fs::write(&path, bytes).unwrap();
    (dir, path)
}

/// What is wrong with a file that holds these bytes, behind its name.
fn wrong(bytes: &[u8]) -> Vec<String> {
    let (_dir, path) = written(bytes);
    let (problems, _) = check(&path, &Environment::default(), false);
    let name = path.display().to_string();
    problems.iter().map(|why| why.replace(&name, "f")).collect()
}

#[test]
fn a_nul_byte_or_foreign_bytes_are_errors_with_their_line() {
    let nul = "config file f:2: holds a NUL byte, which no YAML may: was it written whole?";
    assert_eq!(wrong(b"open_port: 80\n\0exclude: [\n"), [nul]);
    assert_eq!(
        wrong(b"open_port: 80\na: \xff\n"),
        ["config file f:2: holds bytes that are no UTF-8"]
    );
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_key() {
    let (_dir, path) = written("\u{feff}open_port: 80\ntrace_printer: text\n".as_bytes());
    let (problems, notices) = check(&path, &Environment::default(), true);
    assert_eq!((problems.len(), notices.len()), (0, 0), "{problems:?} {notices:?}");
}

#[test]
fn what_is_no_file_is_neither_waited_for_nor_read_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let why = |path: &Path| read_bounded(path).unwrap_err().to_string();
    assert_eq!(why(&pipe), "is a pipe or a socket: it must be a file");
    assert_eq!(why(dir.path()), "is a directory");
    assert_eq!(why(Path::new("/dev/zero")), "is larger than 4194304 bytes");
    assert_eq!(read_bounded(Path::new("/dev/null")).unwrap(), b"");
}

#[test]
fn a_file_that_chooses_nothing_says_what_that_means() {
    for text in
        ["", "# all of it is commented out\n", "discovery: {instruments: [{open_ports: 1}]}\n"]
    {
        let (_dir, path) = written(text.as_bytes());
        let (problems, notices) = check(&path, &Environment::default(), false);
        assert_eq!(problems, Vec::<String>::new());
        let said =
            "nothing in it chooses processes or says where spans go: every process is observed";
        assert_eq!(notices.iter().filter(|n| n.contains(said)).count(), 1, "{notices:?}");
    }
}

#[test]
fn a_secret_in_a_pattern_is_shown_nowhere_and_matches_all_the_same() {
    let (_dir, path) =
        written(b"trace_printer: text\ndiscovery: {instrument: [{cmd_args: '*${API_TOKEN}*'}]}");
    let env: Environment =
        [("API_TOKEN".to_owned(), "planted-secret".to_owned())].into_iter().collect();
    let config = load(Some(&path), &env, Purpose::Observe).unwrap().config;
    let selector = &config.selection.include[0];
    assert_eq!(selector.shown(), "discovery.instrument[0] (cmd_args: *****)");
    let Criterion::CmdArgs(pattern) = &selector.criteria[0] else { panic!() };
    assert!(pattern.matches("x planted-secret y"));
}

#[test]
fn a_variable_of_several_lines_moves_no_line_of_the_file() {
    let text = "log_format: \"${A}\"\nlog_level: ${B}\nx: \"${A}${A}\"\ny: 1\n";
    let (_dir, path) = written(text.as_bytes());
    let vars = [("A", "one\n\n  two"), ("B", "LOUD")];
    let env: Environment =
        vars.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let (problems, notices) = check(&path, &env, false);
    let at = |line: usize, name: &str| format!("{}:{line}: {name}", path.display());
    assert!(problems.iter().any(|why| why.starts_with(&at(2, "log_level"))), "{problems:?}");
    for (line, name) in [(3, "x is not"), (4, "y is not")] {
        assert!(notices.iter().any(|n| n.starts_with(&at(line, name))), "{name}: {notices:?}");
    }
}

#[test]
fn whoever_began_with_everything_and_chose_since_does_not_go_back_to_it_unseen() {
    let (_dir, path) = written(b"");
    let load = |text: &str, purpose| {
        std::fs::write(&path, text).unwrap();
        load(Some(&path), &Environment::default(), purpose).unwrap()
    };
    for purpose in [Purpose::Observe, Purpose::Record] {
        let mut current = load("", purpose);
        assert!(current.config.everything);
        current.adopt_live(&load("open_port: 80\ntrace_printer: text", purpose));
        assert!(!current.config.everything, "an empty file would be refused now");
    }
}
