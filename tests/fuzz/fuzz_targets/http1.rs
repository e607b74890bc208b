//! Conversations on one connection; the input's form is in `tests/support/fuzz.rs`.
#![no_main]

#[path = "../../support"]
mod support {
    pub(crate) mod drive;
    pub(crate) mod fuzz;
    pub(crate) mod story;
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| support::fuzz::run(input));
