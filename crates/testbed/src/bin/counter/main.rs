//! The demo's application: a small HTTP server that keeps numbers in SQLite on the shared disk, and the client that checks
//! that no acknowledged number is lost.
//!
//! `counter serve` answers a write only after the database committed it to the disk. `--lie-every N` acknowledges every
//! N-th write without doing it: the checker itself is checked with it.

mod client;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "A counter behind HTTP with its data in SQLite, and its checking client")]
struct Arguments {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Serve
    Serve {
        /// Address and port
        #[arg(long)]
        listen: String,
        /// Database file
        #[arg(long)]
        data: PathBuf,
        /// Acknowledge every N-th write without doing it
        #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
        lie_every: Option<u64>,
    },
    /// Write rising numbers, then check that all acknowledged ones are there
    Client {
        /// Address and port of the server
        #[arg(long)]
        server: String,
        /// A name of this run's own, of letters, digits, - and _
        #[arg(long)]
        client: String,
        /// How long to write
        #[arg(long, default_value_t = 10)]
        seconds: u64,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().role {
        Role::Serve { listen, data, lie_every } => serve::serve(&listen, &data, lie_every).map(|()| true),
        Role::Client { server, client, seconds } => client::run(&server, &client, seconds),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(reason) => {
            eprintln!("counter: {reason:#}");
            ExitCode::FAILURE
        }
    }
}

/// Says whether a client's name is one: it stands in an address of the server as it is.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 64 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}
