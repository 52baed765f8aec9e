//! The `clp*` commands; everything is in the library.

fn main() -> std::process::ExitCode {
    clp_cli::main()
}
