//! Work on the project itself: `check`, `generate`, `rows`.

mod generate;
mod licences;
mod rows;

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Work on the project itself")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Format, lints, documentation, licences, generated files
    Check,
    /// Write the generated files
    Generate,
    /// Join row ids at tests with the passed tests of a log
    Rows {
        /// What `cargo test` printed
        log: PathBuf,
    },
}

fn main() -> Result<()> {
    match Arguments::parse().task {
        Task::Check => check(),
        Task::Generate => generate::write(),
        Task::Rows { log } => rows::print(&log),
    }
}

/// The top of the checkout.
pub fn top() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn check() -> Result<()> {
    step("format", &["cargo", "fmt", "--all", "--check"])?;
    step("lints", &["cargo", "clippy", "-q", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    step("documentation", &["cargo", "doc", "-q", "--workspace", "--no-deps", "--document-private-items"])?;
    licences::check()?;
    println!("licences: ok");
    generate::check()?;
    println!("generated files: ok");
    Ok(())
}

fn step(name: &str, argv: &[&str]) -> Result<()> {
    let status = Command::new(argv[0])
        .args(&argv[1..])
        .env("RUSTDOCFLAGS", "-D warnings")
        .current_dir(top())
        .status()
        .with_context(|| format!("running {}", argv.join(" ")))?;
    if !status.success() {
        bail!("{name}: {} failed", argv.join(" "));
    }
    println!("{name}: ok");
    Ok(())
}
