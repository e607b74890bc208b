//! Messages, and what becomes of damaged ones.

use super::ip;
use super::server::{labels, message, record};
use crate::resolver::wire::{Query, Reply, is_host_name};

fn query() -> Query {
    Query::new(ip("10.0.0.7"), 0x1234)
}

/// What a message with one PTR record says, whose data are such, and others behind it.
fn says(data: &[u8], behind: &[u8]) -> Option<Reply> {
    let answer = message(query().bytes(), 0, &[record(&[0xc0, 12], 12, data)]);
    query().read(&[&answer[..], behind].concat())
}

fn name(text: &str) -> Option<Reply> {
    Some(Reply::Name(text.into()))
}

/// Where the data of the first record stand.
fn data_at() -> u16 {
    u16::try_from(query().bytes().len() + 12).unwrap()
}

fn pointer(to: u16) -> [u8; 2] {
    (0xc000 | to).to_be_bytes()
}

#[test]
fn a_question_is_for_the_name_in_the_reverse_tree() {
    let expected = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\
                     \x017\x010\x010\x0210\x07in-addr\x04arpa\x00\x00\x0c\x00\x01";
    assert_eq!(query().bytes(), expected);
    let six = Query::new(ip("2001:db8::a7"), 0);
    let labels = "\x017\x01a".to_owned()
        + &"\x010".repeat(22)
        + "\x018\x01b\x01d\x010\x011\x010\x010\x012\x03ip6\x04arpa";
    let expected = [&b"\0\0\x01\0\0\x01\0\0\0\0\0\0"[..], labels.as_bytes(), b"\0\0\x0c\0\x01"];
    assert_eq!(six.bytes(), expected.concat());
}

#[test]
fn a_name_may_be_compressed_and_has_an_end() {
    let at = data_at();
    assert_eq!(says(&labels("db.example."), b""), name("db.example."));
    // `in-addr.arpa` of the question, behind four labels of 2, 2, 2 and 3 bytes.
    assert_eq!(
        says(&[b"\x01x".as_slice(), &pointer(12 + 9)].concat(), b""),
        name("x.in-addr.arpa.")
    );
    // A pointer to a pointer before it.
    let data = [b"\x01x".as_slice(), &pointer(at - 12)].concat();
    assert_eq!(says(&data, b""), name("x.7.0.0.10.in-addr.arpa."));
    let malformed = Some(Reply::Malformed);
    for to in [at, at + 1, at + 2, at + 40, 0x3fff] {
        assert_eq!(says(&pointer(to), &pointer(at)), malformed, "to {to}");
    }
    assert_eq!(says(b"\x01x\xc0", b""), malformed);
    assert_eq!(says(b"\x40x\x00", b""), malformed);
    assert_eq!(says(b"\x80x\x00", b""), malformed);
    assert_eq!(says(b"\x05x", b""), malformed);
    assert_eq!(says(b"", b""), malformed);
    let label = "x".repeat(49) + ".";
    assert_eq!(says(&labels(&label.repeat(5)), b""), name(&label.repeat(5)));
    assert_eq!(says(&labels(&label.repeat(6)), b""), malformed);
    assert_eq!(says(b"\x00", b""), Some(Reply::Nameless));
    for text in ["a b.example.", "a/b.example.", "\u{e4}.example.", "a\n.example.", "\0.example."] {
        assert_eq!(says(&labels(text), b""), Some(Reply::Nameless), "{text:?}");
    }
}

#[test]
fn only_what_repeats_id_and_question_is_an_answer() {
    let answer = message(query().bytes(), 0, &[record(&[0xc0, 12], 12, &labels("db."))]);
    let with = |at: usize, byte: u8| {
        let mut changed = answer.clone();
        changed[at] = byte;
        query().read(&changed)
    };
    assert_eq!(query().read(&answer), name("db."));
    // An upper-case letter of the question.
    assert_eq!(with(answer.iter().position(|b| *b == b'i').unwrap(), b'I'), name("db."));
    let end_of_question = query().bytes().len();
    for at in (0..2).chain(12..end_of_question) {
        assert_eq!(with(at, answer[at] ^ 0x81), None, "{at}");
    }
    assert_eq!(with(2, 0x01), None, "a question");
    assert_eq!(with(2, 0x89), None, "another operation");
    assert_eq!(with(5, 2), None, "two questions");
    assert_eq!(with(5, 0), None, "no question, and no error");
    assert_eq!(with(2, 0x83), Some(Reply::Truncated));
    assert_eq!(with(3, 3), Some(Reply::Nameless));
    assert_eq!(with(3, 2), Some(Reply::Refused(2)));
    assert_eq!(with(7, 0), Some(Reply::Nameless), "no records");
    assert_eq!(with(7, 2), name("db."), "the second record is missing, the first is whole");
    let short = [&query().bytes()[..2], b"\x81\x81\0\0\0\0\0\0\0\0"].concat();
    assert_eq!(query().read(&short), Some(Reply::Refused(1)), "an error without the question");
}

#[test]
fn no_damage_panics_or_makes_a_name_of_a_part() {
    let alias = labels("7.net.example.");
    let records = [record(&[0xc0, 12], 5, &alias), record(&alias, 12, &labels("db.example."))];
    let whole = message(query().bytes(), 0, &records);
    assert_eq!(query().read(&whole), name("db.example."));
    for length in 0..whole.len() {
        let reply = query().read(&whole[..length]);
        assert!(matches!(reply, None | Some(Reply::Malformed)), "{length}: {reply:?}");
    }
    let mut states = 0;
    for at in 0..whole.len() {
        for byte in 0..=u8::MAX {
            let mut changed = whole.clone();
            changed[at] = byte;
            if let Some(Reply::Name(name)) = query().read(&changed) {
                assert!(is_host_name(&name), "{at} {byte}: {name}");
            }
            states += 1;
        }
    }
    assert_eq!(states, whole.len() * 256);
    // Any bytes behind the question, from a generator with a fixed start.
    let mut state = 1u64;
    let mut random = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    for round in 0..20_000 {
        let mut damaged = message(query().bytes(), 0, &[]);
        damaged[7] = 1 + random() % 4;
        damaged.extend((0..round % 64).map(|_| random()));
        if let Some(Reply::Name(name)) = query().read(&damaged) {
            assert!(is_host_name(&name), "{name}");
        }
    }
}
