//! The program `clpwitness`; everything is in the library beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    clp_witness::main()
}
