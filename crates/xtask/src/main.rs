//! Work on the project itself: `check`, `generate`, `rows`.

mod generate;
mod licences;
mod rows;
mod tree;

use std::path::{Path, PathBuf};
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
    /// Format, lints, documentation, licences, generated files, rows, the tree
    Check,
    /// Write the generated files
    Generate,
    /// Join row ids at tests with the passed tests of a log
    Rows {
        /// What `cargo test` printed with --show-output; default: test.log in the build directory
        log: Option<PathBuf>,
        /// Only what is not proven, with titles
        #[arg(long)]
        missing: bool,
        /// Only this area
        #[arg(long)]
        area: Option<String>,
    },
}

fn main() -> Result<()> {
    match Arguments::parse().task {
        Task::Check => check(),
        Task::Generate => generate::write(),
        Task::Rows { log, missing, area } => {
            let log = log.map_or_else(|| Ok(build_directory()?.join("test.log")), anyhow::Ok)?;
            rows::print(&log, rows::Shown { missing, area: area.as_deref() })
        }
    }
}

/// The top of the checkout.
pub fn top() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Where cargo builds: `CARGO_TARGET_DIR`, a setting, or `target`.
fn build_directory() -> Result<PathBuf> {
    let output = Command::new("cargo")
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(top())
        .output()
        .context("cargo metadata")?;
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).context("reading cargo metadata")?;
    let directory = metadata["target_directory"].as_str().context("cargo metadata names no target directory")?;
    Ok(Path::new(directory).to_path_buf())
}

fn check() -> Result<()> {
    // The quick ones first: they fail in a second.
    rows::check()?;
    println!("rows: ok");
    tree::check()?;
    println!("tree: ok");
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
