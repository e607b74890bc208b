//! What holds for every setting and any text.

#![expect(clippy::print_stdout, reason = "how many cases there were is part of the result")]

use std::collections::BTreeMap;

use super::super::document::{self, Content, Entry};
use super::super::key::{ENV_ONLY, Key, Kind};
use super::super::layers::{Remarks, Settings, settle};
use super::super::notice::Origin;
use super::super::secret::Secrets;
use super::super::value::Value;
use super::super::{Environment, keys, pages};

/// Two different values that the setting takes, as YAML.
fn samples(key: &Key) -> [String; 2] {
    let words = |list: &[&str]| [list[0], list[1]].map(str::to_owned);
    let lists = |list: &[&str]| [list[0], list[1]].map(|word| format!("['{word}']"));
    match key.kind {
        Kind::Bool => ["true".to_owned(), "false".to_owned()],
        Kind::Int(min, _) => [min.max(0) + 1, min.max(0) + 2].map(|n| n.to_string()),
        Kind::Above(least) => [least + 0.25, least + 1.0].map(|n| n.to_string()),
        Kind::Duration(_) => ["61s".to_owned(), "1h0m0.5s".to_owned()],
        Kind::Word(list) | Kind::AnyCase(list) => {
            let list: Vec<&str> = list.iter().copied().filter(|word| !word.is_empty()).collect();
            words(&list).map(|word| format!("'{word}'"))
        }
        Kind::Such(_, judge) => {
            let texts =
                ["WARN", "ERROR", "headers", "all", "local", "name:x", "/x", "/y", "a", "b"];
            let mut fit = texts.into_iter().filter(|text| judge(text));
            [fit.next().unwrap(), fit.next().unwrap()].map(str::to_owned)
        }
        Kind::Url => ["http://a:1".to_owned(), "https://b".to_owned()],
        Kind::Ip => ["10.0.0.1".to_owned(), "'::1'".to_owned()],
        Kind::Short(_) => ["a".to_owned(), "b".to_owned()],
        Kind::Numbers(_) => ["'80,8000-8999'".to_owned(), "17".to_owned()],
        Kind::Pids => ["[1, 2]".to_owned(), "[3]".to_owned()],
        Kind::Buckets => ["[0, 0.5, 1]".to_owned(), "[2]".to_owned()],
        Kind::Words(list) | Kind::WordsAnyCase(list) | Kind::Names(list) => lists(list),
        Kind::Cidrs => [
            "[10.0.0.0/8, {cidr: 'fe80::/10', name: 'x: y'}]".to_owned(),
            "[10.1.0.0/16]".to_owned(),
        ],
        Kind::List | Kind::Globs => ["[dns]".to_owned(), "[k8s, '#']".to_owned()],
        Kind::SomeOf(_, judge) => {
            let mut fit = ["dns", "k8s", "node", "services"].into_iter().filter(|text| judge(text));
            [fit.next().unwrap(), fit.next().unwrap()].map(|text| format!("[{text}]"))
        }
        Kind::Items(keys) | Kind::Selectors(keys) | Kind::Fields(keys) => {
            let [a, b] = [keys.first(), keys.last()].map(|key| {
                let key = key.unwrap();
                nested(key.path, &samples(key)[0])
            });
            match key.kind {
                Kind::Fields(_) => [a, b],
                _ => [format!("[{a}, {b}]"), format!("[{b}]")],
            }
        }
        Kind::Map(inner) => {
            let key = Key::new("", *inner, "", "");
            samples(&key).map(|value| format!("{{'a.b': {value}, 'c d': {value}}}"))
        }
        Kind::Pairs => ["a=b".to_owned(), "c=d".to_owned()],
        Kind::Text | Kind::Glob | Kind::Regex => ["1.10".to_owned(), "'x: \"q\" # y'".to_owned()],
    }
}

/// `a.b` set to `value`, in flow style.
fn nested(path: &str, value: &str) -> String {
    let opened: String = path.split('.').map(|part| format!("{{{part}: ")).collect();
    format!("{opened}{value}{}", "}".repeat(path.split('.').count()))
}

fn entries(yaml: &str) -> Vec<Entry> {
    match document::parse(yaml).unwrap().unwrap().content {
        Content::Map(entries) => entries,
        other => panic!("{other:?}"),
    }
}

fn settled(yaml: &str, env: &Environment) -> (Settings, Remarks) {
    let mut remarks = Remarks::default();
    let settings = settle(&entries(yaml), env, &mut remarks);
    (settings, remarks)
}

fn values(settings: &Settings) -> BTreeMap<&'static str, Value> {
    settings.all().map(|s| (s.key.path, s.value.clone())).collect()
}

/// As a variable has it.
fn in_environment(sample: &str) -> String {
    let node = document::parse(sample).unwrap().unwrap();
    match node.content {
        Content::Quoted(text) | Content::Plain(text) => text,
        Content::List(items) => {
            let texts = items.into_iter().map(|item| match item.content {
                Content::Quoted(text) | Content::Plain(text) => text,
                _ => "10.0.0.0/9".to_owned(),
            });
            texts.collect::<Vec<_>>().join(",")
        }
        Content::Map(_) => panic!("no variable holds a mapping"),
    }
}

#[test]
fn the_layers_count_in_order_for_every_setting_and_every_subset_of_them() {
    let mut checked = 0;
    for key in keys::all().filter(|key| !key.secret) {
        let [a, b] = samples(key);
        for (in_file, in_env) in [(false, false), (true, false), (false, true), (true, true)] {
            if in_file && key.path.starts_with(ENV_ONLY) || in_env && key.vars.is_empty() {
                continue;
            }
            let yaml = if in_file { nested(key.path, &a) } else { "{}".to_owned() };
            // The last variable of several is the least.
            let set = key
                .vars
                .last()
                .filter(|_| in_env)
                .map(|var| ((*var).to_owned(), in_environment(&b)));
            let (settings, remarks) = settled(&yaml, &set.into_iter().collect());
            assert!(remarks.problems.is_empty(), "{}: {:?}", key.path, remarks.problems);
            let origin = settings.setting(key).map(|setting| setting.origin.clone());
            let expected = match (in_file, in_env, key.default) {
                (_, true, _) => key.vars.last().map(|var| Origin::Variable(var)),
                (true, false, _) => Some(Origin::File(1)),
                (false, false, "") => None,
                (false, false, _) => Some(Origin::Default),
            };
            assert_eq!(origin, expected, "{} {yaml}", key.path);
            checked += 1;
        }
    }
    println!("{checked} subsets of layers");
    assert_eq!(checked, 974);
}

#[test]
fn what_is_printed_is_read_back_as_the_same() {
    let nothing = Environment::default();
    let mut alone = 0;
    let again = |settings: &Settings| {
        let (again, remarks) =
            settled(&pages::effective(settings, "", true, &Secrets::default()), &nothing);
        assert!(remarks.problems.is_empty(), "{:?}", remarks.problems);
        assert!(remarks.notices.is_empty(), "{:?}", remarks.notices);
        again
    };
    for key in keys::all().filter(|key| key.in_yaml()) {
        for sample in samples(key) {
            let (settings, remarks) = settled(&nested(key.path, &sample), &nothing);
            assert!(remarks.problems.is_empty(), "{}: {:?}", key.path, remarks.problems);
            let again = again(&settings);
            assert_eq!(again.get(key), settings.get(key), "{}", key.path);
            alone += 1;
        }
    }
    let (defaults, _) = settled("{}", &nothing);
    let in_yaml = |settings: &Settings| {
        let mut values = values(settings);
        values.retain(|path, _| !path.starts_with(ENV_ONLY));
        values
    };
    assert_eq!(in_yaml(&again(&defaults)), in_yaml(&defaults));
    println!("{alone} settings printed and read back");
    assert_eq!(alone, 508);
}

#[test]
fn the_default_file_without_its_comment_signs_changes_nothing() {
    let active: Vec<String> = pages::default_file()
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .filter(|line| !line.trim_start().starts_with('#'))
        .map(str::to_owned)
        .collect();
    let yaml = active.join("\n");
    let (settings, remarks) = settled(&yaml, &Environment::default());
    assert!(remarks.problems.is_empty(), "{:?}", remarks.problems);
    assert!(remarks.notices.is_empty(), "{:?}", remarks.notices);
    let (defaults, _) = settled("{}", &Environment::default());
    let mut differing = values(&settings);
    differing.retain(|path, value| values(&defaults).get(path) != Some(value));
    assert_eq!(differing, BTreeMap::new());
}

#[test]
fn no_text_makes_substitution_or_parsing_panic() {
    let env: Environment = [("A".to_owned(), "1: [".to_owned())].into_iter().collect();
    let pieces = [
        "$", "{", "}", "(", ")", "A", "env:", ":-", "$$", "ü", "\n", " ", "- ", "a: ", "&x ", "*x",
        "[", "]", "'", "\"", "|", "<<: ", "#", "\t", "!!str ", "? ", "---\n", "%",
    ];
    // Numerical Recipes' generator: the same texts every time.
    let mut state: u32 = 1;
    let mut below = |n: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % n
    };
    for i in 0..20_000 {
        let text: String = (0..below(24)).map(|_| pieces[below(pieces.len())]).collect();
        let substituted = env.substitute(&text);
        if let Ok(Some(node)) = document::parse(&substituted)
            && let Content::Map(entries) = node.content
            && i % 20 == 0
        {
            settle(&entries, &env, &mut Remarks::default());
        }
    }
}

#[test]
fn what_is_generated_is_what_is_committed() {
    let defaults = include_str!("../../../configs/default.yaml");
    assert!(defaults == pages::default_file(), "obi config defaults > configs/default.yaml");
    let reference = include_str!("../../../configs/README.md");
    assert!(reference == pages::reference(), "obi config reference > configs/README.md");
}
