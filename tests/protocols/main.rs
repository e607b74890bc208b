//! The protocols alone, on stories and on what the fuzzer makes of them.

mod fuzz;
mod stories;

#[path = "../support"]
mod support {
    pub(crate) mod drive;
    pub(crate) mod fuzz;
    pub(crate) mod story;
}
