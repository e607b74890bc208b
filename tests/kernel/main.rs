//! The programs in the running kernel: they load, within their instruction budgets.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test panics when it cannot go on, reads the environment, and reports"
)]

use std::collections::BTreeMap;

use obi::model::selector::Numbers;
use obi::stages::loader::{self, Features, FrontEnd, LoadConfig, Loaded};

fn config(front_end: FrontEnd) -> LoadConfig {
    LoadConfig {
        front_end: Some(front_end),
        features: Features::ALL,
        ring_bytes: 1 << 20,
        judge_exec: true,
        ports: Numbers::new(vec![(8080, 8080)]),
        pending_budget: 64,
    }
}

/// Loads a front end. `None` = this kernel refuses it, which `doctor` tells, too.
fn loaded(front_end: FrontEnd) -> Option<Loaded> {
    match loader::load(&config(front_end)) {
        Ok(loaded) => Some(loaded),
        Err(error) => {
            eprintln!("    {front_end}: {error:#}");
            None
        }
    }
}

/// Whether tests that need the kernel may be left out here.
fn required() -> bool {
    std::env::var("REQUIRE_KERNEL").as_deref() == Ok("1")
}

/// Largest number of instructions the verifier may look at, by program.
fn budgets() -> BTreeMap<String, u32> {
    let text = std::fs::read_to_string("tests/kernel/budgets.toml").unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let (program, budget) = line.split_once(" = ").unwrap();
            (program.to_owned(), budget.parse().unwrap())
        })
        .collect()
}

#[test]
fn every_program_loads_within_its_instruction_budget() {
    let budgets = budgets();
    let mut over = Vec::new();
    let mut measured = 0;
    for front_end in FrontEnd::LADDER {
        let Some(loaded) = loaded(front_end) else { continue };
        measured += 1;
        for (program, instructions) in loaded.verified_instructions().unwrap() {
            eprintln!("    {front_end} {program} {instructions}");
            if budgets.get(&program).is_none_or(|budget| instructions > *budget) {
                over.push((program, instructions));
            }
        }
    }
    assert_eq!(over, [], "over the budget, or without a line in tests/kernel/budgets.toml");
    assert!(measured > 0 || !required(), "no front end loads on this kernel");
}

#[test]
fn a_front_end_that_is_taken_away_leaves_nothing_behind() {
    // Another agent may be at work here.
    let programs = || loader::programs_of_every_agent().unwrap().len();
    let before = programs();
    let Some(loaded) = FrontEnd::LADDER.into_iter().find_map(loaded) else {
        assert!(!required(), "no front end loads on this kernel");
        eprintln!("SKIP a_front_end_that_is_taken_away_leaves_nothing_behind: no front end");
        return;
    };
    assert!(programs() > before);
    drop(loaded);
    // The kernel frees programs and maps a moment after their last descriptor is closed.
    for _ in 0..100 {
        if programs() <= before {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("left behind: {:?}", loader::programs_of_every_agent().unwrap());
}
