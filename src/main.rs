//! The command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    obi::commands::main()
}
