//! Files that are damaged, endless or made to do damage.

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::elf::Image;
use crate::{HUGE, Scratch, bounded, exporting};

/// Files of every kind, each of four builds.
fn images() -> Vec<Vec<u8>> {
    let all = Image {
        sections: vec![
            (".data", vec![7; 40]),
            (".rodata", b"text".to_vec()),
            (".comment", b"GCC".to_vec()),
            (".strtab", b"\0main\0".to_vec()),
        ],
        needed: vec!["libc.so.6", "libm.so.6"],
        exports: vec!["main", "start", "Py_main"],
        note: Some(("GNU", 3, vec![9; 20])),
        ..Image::default()
    };
    let builds = [(false, false), (true, false), (false, true), (true, true)];
    builds
        .map(|(is_32_bit, is_big_endian)| Image { is_32_bit, is_big_endian, ..all.clone() }.bytes())
        .to_vec()
}

#[test]
fn a_file_that_ends_anywhere_is_judged() {
    let scratch = Scratch::new();
    let mut looks = 0;
    for bytes in images() {
        for len in 0..bytes.len() {
            assert_eq!(bounded(&scratch.file("cut", &bytes[..len])), "generic");
            looks += 1;
        }
    }
    assert!(looks > 3_000, "{looks}");
}

#[test]
fn a_damaged_file_is_judged_within_the_bounds() {
    let scratch = Scratch::new();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % below as u64).unwrap()
    };
    for bytes in images() {
        for round in 0..500 {
            let mut damaged = bytes.clone();
            for _ in 0..1 + round % 8 {
                let at = random(damaged.len());
                let value = [0, 1, 0x7f, 0x80, 0xff, random(256)][random(6)];
                let len = [1, 2, 4, 8][random(4)].min(damaged.len() - at);
                damaged[at..at + len].fill(u8::try_from(value).unwrap());
            }
            let path = scratch.file("damaged", &damaged);
            if round % 16 == 0 {
                // What it claims to have may be there.
                File::options().write(true).open(&path).unwrap().set_len(HUGE).unwrap();
            }
            bounded(&path);
        }
    }
}

/// Writes a little-endian number over another one.
fn overwrite(bytes: &mut [u8], at: usize, value: u64, len: usize) {
    bytes[at..at + len].copy_from_slice(&value.to_le_bytes()[..len]);
}

/// What a 64-bit file is made to say instead: where, a number, its bytes. Its segments begin at 64, its
/// sections where `e_shoff` says.
type Lies = Vec<(usize, u64, usize)>;

#[test]
fn counts_and_offsets_that_overflow_cost_nothing() {
    let scratch = Scratch::new();
    let whole = images().swap_remove(0);
    let sections = usize::try_from(u64::from_le_bytes(whole[40..48].try_into().unwrap())).unwrap();
    let dynamic = 64 + 56;
    let note = dynamic + 56;
    let mut cases: Vec<(&str, Lies)> = vec![
        ("2^32 sections", vec![(60, 0, 2), (sections + 32, 1 << 32, 8)]),
        ("2^20 sections that are there", vec![(60, 0, 2), (sections + 32, 1 << 20, 8)]),
        ("2^64 sections", vec![(60, 0, 2), (sections + 32, u64::MAX, 8)]),
        ("65,535 sections", vec![(60, 0xffff, 2)]),
        ("sections at the end of all numbers", vec![(40, u64::MAX - 8, 8)]),
        ("names in a section that is not there", vec![(62, 0xfffe, 2)]),
        ("2^32 segments", vec![(56, 0xffff, 2), (sections + 44, 0xffff_ffff, 4)]),
        ("segments at the end of all numbers", vec![(32, u64::MAX - 8, 8)]),
        ("400 MB to link with", vec![(dynamic + 32, 400 << 20, 8)]),
        ("everything to link with", vec![(dynamic + 32, u64::MAX, 8)]),
        ("400 MB of notes", vec![(note + 32, 400 << 20, 8)]),
        ("notes at the end of all numbers", vec![(note + 8, u64::MAX, 8)]),
        ("a segment that overflows", vec![(64 + 8, u64::MAX, 8), (64 + 32, u64::MAX, 8)]),
    ];
    for section in 1..5 {
        let at = sections + section * 64 + 24;
        cases.push(("a section of everything", vec![(at, 0, 8), (at + 8, u64::MAX, 8)]));
        cases.push(("a section behind everything", vec![(at, u64::MAX, 8), (at + 8, 9, 8)]));
    }
    for (what, changes) in cases {
        let mut bytes = whole.clone();
        for (at, value, len) in changes {
            overwrite(&mut bytes, at, value, len);
        }
        let path = scratch.file("app", &bytes);
        assert_eq!(bounded(&path), "generic", "{what}");
        File::options().write(true).open(&path).unwrap().set_len(HUGE).unwrap();
        assert_eq!(bounded(&path), "generic", "{what}, in a large file");
    }
}

#[test]
fn a_chain_of_symbols_without_an_end_is_left() {
    let scratch = Scratch::new();
    let mut image = exporting(&["napi_create_function"; 200]);
    // The first of equal names answers.
    assert_eq!(scratch.of("app", &image), "nodejs");
    image.exports = vec!["a"; 200];
    image.exports.push("napi_create_function");
    assert_eq!(scratch.of("app", &image), "generic");
    let mut bytes = exporting(&["a", "b"]).bytes();
    let hash = bytes.windows(4).rposition(|w| w == (177_670_u32 + 1).to_le_bytes()).unwrap();
    bytes[hash] &= !1;
    assert_eq!(bounded(&scratch.file("app", &bytes)), "generic");
}

#[test]
fn half_a_gigabyte_costs_less_than_two_megabytes() {
    let scratch = Scratch::new();
    let build = |marker: &[u8], at: u64| {
        let mut image = Image::with_section(".rodata", b"x");
        image.sections.extend([(".symtab", vec![1; 24]), (".strtab", vec![0; 24])]);
        let mut bytes = image.bytes();
        let headers =
            usize::try_from(u64::from_le_bytes(bytes[40..48].try_into().unwrap())).unwrap();
        // 100 MB of constants, 250 MB of symbols, 140 MB of their names.
        let places = [(1 << 20, 100 << 20), (110 << 20, 250 << 20), (360 << 20, 140 << 20)];
        for (i, (start, size)) in places.into_iter().enumerate() {
            let section = headers + (i + 1) * 64;
            overwrite(&mut bytes, section + 24, start, 8);
            overwrite(&mut bytes, section + 32, size, 8);
        }
        let path = scratch.file("huge", &bytes);
        let file = File::options().write(true).open(&path).unwrap();
        file.set_len(HUGE).unwrap();
        file.write_all_at(marker, at).unwrap();
        path
    };
    assert_eq!(bounded(&build(b"nothing", 1 << 20)), "generic");
    assert_eq!(bounded(&build(b"library/std/src/", 2 << 20)), "rust");
    assert_eq!(bounded(&build(b"library/std/src/", 100 << 20)), "rust");
    assert_eq!(bounded(&build(b"N10__cxxabiv1", 100 << 20)), "cpp");
    assert_eq!(bounded(&build(b"__gxx_personality_v0", 361 << 20)), "cpp");
    // What lies in the middle of that much is not looked for.
    assert_eq!(bounded(&build(b"library/std/src/", 50 << 20)), "generic");
}
