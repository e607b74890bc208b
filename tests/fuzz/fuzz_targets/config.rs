//! Configuration files; what must hold of each is in `tests/support/config.rs`.
#![no_main]

#[path = "../../support/config.rs"]
mod config;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    config::run(input);
});
