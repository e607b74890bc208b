//! Raw records; the input's form is in `tests/support/records.rs`.
#![no_main]

#[path = "../../support/records.rs"]
mod records;

libfuzzer_sys::fuzz_target!(|input: &[u8]| records::run(input));
