//! `make demo`: a real two-server cluster on this machine, the guide's verification steps by commands, then a power failure
//! under a client that writes through the floating address.
//!
//! With `--batch` it needs no terminal and exits 0 only if every step held; its last line is for machines.

use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Parser;
use clp_testbed::{FileSystem, Lab, Options, Phase};

#[derive(Parser)]
#[command(about = "A two-server cluster on this machine that fails over")]
struct Arguments {
    /// No terminal: take the lab down at the end and exit 0 only if all held
    #[arg(long)]
    batch: bool,
}

/// Longest wait for a step; generous, since machines differ.
const PATIENCE: Duration = Duration::from_secs(60);

struct Walk {
    lab: Lab,
    steps: u32,
    step: String,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if !rustix::process::geteuid().is_root() {
        eprintln!("demo: it makes network namespaces and loop devices: run it as root");
        return ExitCode::FAILURE;
    }
    let mut step = "up".to_string();
    match run(arguments.batch, &mut step) {
        Ok((steps, failover)) => {
            println!("DEMO ok steps={steps} lost_writes=0 failover_ms={failover}");
            ExitCode::SUCCESS
        }
        Err(reason) => {
            eprintln!("demo: {reason:#}");
            println!("DEMO failed step={step}");
            ExitCode::FAILURE
        }
    }
}

fn run(batch: bool, current: &mut String) -> Result<(u32, u128)> {
    let conf = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../samples/two-node-disk");
    println!("Bringing up server1 and server2 from samples/two-node-disk (chapter 5 of the guide) …");
    let begin = Instant::now();
    let options = Options { conf: Some(conf), file_system: FileSystem::Ext3, ..Options::default() };
    let lab = Lab::up(options)?;
    let mut walk = Walk { lab, steps: 0, step: String::new() };
    let result = walk.all(begin);
    current.clone_from(&walk.step);
    if result.is_err() {
        walk.print_logs();
    }
    let outcome = result.map(|failover| (walk.steps, failover));
    if batch {
        walk.lab.down()?;
    } else if outcome.is_ok() {
        let name = walk.lab.name().to_string();
        let testbed = std::env::current_exe()?.with_file_name("testbed");
        let testbed = testbed.display();
        println!(
            "\nThe lab goes on. By hand:\n  {testbed} shell server2 --name {name}        then clpstat, clpstat --why failover1, clpgrp -m failover1\n  {testbed} power-off server2 --name {name}\n  {testbed} down --name {name}"
        );
        walk.lab.keep()?;
    }
    outcome
}

impl Walk {
    fn all(&mut self, begin: Instant) -> Result<u128> {
        self.wait("S-VER-HB", "servers online, heartbeats normal", begin, |walk| {
            let text = walk.clpstat("server1")?;
            Ok(text.matches(": Online  ").count() >= 2 && !text.contains("Offline") && !text.contains("Caution"))
        })?;
        self.wait("S-VER-MON", "monitors normal", Instant::now(), |walk| {
            let text = walk.clpstat("server1")?;
            let monitors = text.split("<monitor>").nth(1).unwrap_or_default().to_string();
            Ok(["diskw1", "miiw1", "miiw2", "userw"]
                .iter()
                .all(|m| monitors.lines().any(|l| l.contains(m) && l.contains("Normal"))))
        })?;
        self.command("S-VER-GSTOP", "server1", &["clpgrp", "-t", "failover1"])?;
        self.active_on("")?;
        self.command("S-VER-GSTART", "server1", &["clpgrp", "-s", "failover1"])?;
        self.active_on("server1")?;
        self.command("S-VER-DISK", "server1", &["ls", "/mnt/sdb2"])?;
        self.client("S-VER-FIP", &["ping", "-c", "1", "-W", "2", "10.0.0.12"])?;
        self.wait("S-VER-EXEC", "the application answers", Instant::now(), |walk| Ok(walk.answers_from("server1")))?;
        self.command("S-VER-GMOVE", "server1", &["clpgrp", "-m", "failover1"])?;
        self.active_on("server2")?;
        self.command("S-VER-GMOVE", "server1", &["clpgrp", "-m", "failover1"])?;
        self.active_on("server1")?;
        self.command("S-VER-FAILOVER", "server1", &["clpdown"])?;
        self.wait("S-VER-FAILOVER", "server2 took over after the shutdown of server1", Instant::now(), |walk| {
            Ok(walk.answers_from("server2"))
        })?;
        self.wait("S-VER-FAILOVER", "server1 is down", Instant::now(), |walk| Ok(walk.is_off("server1")))?;
        self.lab.power_on("server1")?;
        self.wait("S-VER-FAILBACK", "server1 is back", Instant::now(), |walk| {
            Ok(walk.clpstat("server2")?.lines().any(|line| line.contains("server1 ") && line.contains("Online")))
        })?;
        self.command("S-VER-FAILBACK", "server2", &["clpgrp", "-m", "failover1", "-a", "server1"])?;
        self.active_on("server1")?;
        let failover = self.power_failure()?;
        let text = self.clpstat("server2")?;
        println!("\n$ clpstat\n{text}");
        let why = self.lab.exec("server2", &["clpstat", "--why", "failover1"])?.stdout;
        println!("$ clpstat --why failover1   (the end of it)");
        for line in why.lines().rev().take(4).collect::<Vec<_>>().into_iter().rev() {
            println!("{line}");
        }
        println!();
        self.checker_is_checked()?;
        self.shutdown_of_all()?;
        Ok(failover)
    }

    fn begin(&mut self, row: &str) {
        self.steps += 1;
        self.step = row.to_string();
    }

    fn wait(&mut self, row: &str, words: &str, begin: Instant, condition: impl Fn(&Walk) -> Result<bool>) -> Result<()> {
        self.begin(row);
        let until = begin + PATIENCE;
        while !condition(self)? {
            if Instant::now() > until {
                bail!("{row}: not within {} s: {words}\n{}", PATIENCE.as_secs(), self.clpstat("server1").unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        println!("  {row:15} {:6} ms  {words}", begin.elapsed().as_millis());
        Ok(())
    }

    fn command(&mut self, row: &str, server: &str, argv: &[&str]) -> Result<()> {
        self.begin(row);
        let begin = Instant::now();
        let output = self.lab.exec(server, argv)?;
        if !output.is_ok() {
            bail!("{row}: {} on {server}: {}{}", argv.join(" "), output.stdout, output.stderr);
        }
        println!("  {row:15} {:6} ms  {server}$ {}", begin.elapsed().as_millis(), argv.join(" "));
        Ok(())
    }

    fn client(&mut self, row: &str, argv: &[&str]) -> Result<()> {
        self.begin(row);
        let begin = Instant::now();
        let output = self.lab.client(argv)?;
        if !output.is_ok() {
            bail!("{row}: {} on the client: {}{}", argv.join(" "), output.stdout, output.stderr);
        }
        println!("  {row:15} {:6} ms  client$ {}", begin.elapsed().as_millis(), argv.join(" "));
        Ok(())
    }

    fn is_off(&self, server: &str) -> bool {
        self.lab.server_status(server).is_ok_and(|status| status.phase == Phase::Off)
    }

    /// The end of each server's log, for whoever wants to know why a step failed.
    fn print_logs(&self) {
        for server in self.lab.servers() {
            let log = self.lab.directory().join(&server).join("opt/mainstay/log/clusterpro.log.cur");
            let text = std::fs::read_to_string(log).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            eprintln!("--- {server}: end of its log");
            for line in &lines[lines.len().saturating_sub(30)..] {
                eprintln!("{line}");
            }
        }
    }

    fn clpstat(&self, server: &str) -> Result<String> {
        Ok(self.lab.exec(server, &["clpstat"])?.stdout)
    }

    fn active_on(&self, server: &str) -> Result<()> {
        let asked = if server == "server1" { "server2" } else { "server1" };
        let found = self.lab.exec(asked, &["clpgrp", "-n", "failover1"])?.stdout;
        if found.trim() != server {
            bail!("failover1 should be active on {server:?}, clpgrp -n says {:?}", found.trim());
        }
        Ok(())
    }

    fn counter(&self) -> Result<String> {
        let path = std::env::current_exe()?.with_file_name("counter");
        Ok(path.to_string_lossy().into_owned())
    }

    fn answers_from(&self, server: &str) -> bool {
        let Ok(counter) = self.counter() else { return false };
        let argv = [counter.as_str(), "client", "--server", "10.0.0.12:8080", "--client", "look", "--seconds", "0"];
        self.lab.client(&argv).is_ok_and(|output| output.stdout.contains(&format!("answered_by={server}")))
    }

    /// server1 loses power while a client writes; no acknowledged write may be lost.
    fn power_failure(&mut self) -> Result<u128> {
        self.begin("power-off");
        println!("  power-off              server1 loses power while a client writes through 10.0.0.12 …");
        let counter = self.counter()?;
        let argv = [counter.as_str(), "client", "--server", "10.0.0.12:8080", "--client", "writer", "--seconds", "8"];
        let client = self.lab.client_command(&argv)?.stdout(Stdio::piped()).spawn().context("starting the writing client")?;
        // Some writes before, so that there is something to lose.
        std::thread::sleep(Duration::from_secs(2));
        self.lab.power_off("server1")?;
        let output = client.wait_with_output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        print!("  {:15}            {text}", "");
        if !output.status.success() || figure(&text, "lost") != Some(0) || !text.contains("answered_by=server2") {
            bail!("after the power failure: {text}");
        }
        figure(&text, "longest_gap_ms").context("the client printed no gap")
    }

    /// The same client against a server that acknowledges without writing must find the loss.
    fn checker_is_checked(&mut self) -> Result<()> {
        self.begin("checker");
        let counter = self.counter()?;
        let data = self.lab.directory().join("liar.db");
        let data = data.to_string_lossy().into_owned();
        let serve = [counter.as_str(), "serve", "--listen", "10.0.0.100:8081", "--data", &data, "--lie-every", "7"];
        let mut liar = self.lab.client_command(&serve)?.stdout(Stdio::null()).spawn().context("starting the lying server")?;
        let ask = [counter.as_str(), "client", "--server", "10.0.0.100:8081", "--client", "check", "--seconds", "2"];
        let output = self.lab.client(&ask);
        let _ = liar.kill();
        let _ = liar.wait();
        let output = output?;
        // A client that failed for another reason has found nothing.
        if output.is_ok() || figure(&output.stdout, "lost").is_none_or(|lost| lost == 0) {
            bail!("the checking client does not find writes that were dropped on purpose: {}{}", output.stdout, output.stderr);
        }
        println!("  checker                    a server that drops writes on purpose is found out: {}", output.stdout.trim());
        Ok(())
    }

    fn shutdown_of_all(&mut self) -> Result<()> {
        self.lab.power_on("server1")?;
        self.wait("S-VER-SHUTDOWN", "server1 is back", Instant::now(), |walk| {
            Ok(walk.clpstat("server2")?.lines().any(|line| line.contains("server1 ") && line.contains("Online")))
        })?;
        self.command("S-VER-SHUTDOWN", "server2", &["clpstdn"])?;
        let off = |walk: &Walk, server: &str| walk.lab.server_status(server).is_ok_and(|status| status.phase == Phase::Off);
        self.wait("S-VER-SHUTDOWN", "both servers are down", Instant::now(), |walk| {
            Ok(off(walk, "server1") && off(walk, "server2"))
        })?;
        self.lab.power_on("server1")?;
        self.lab.power_on("server2")?;
        self.wait("S-VER-ALL", "the cluster is up again", Instant::now(), |walk| {
            Ok(walk.answers_from("server1") || walk.answers_from("server2"))
        })
    }
}

/// A figure of the client's line.
fn figure(line: &str, name: &str) -> Option<u128> {
    line.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_read_by_its_whole_name_or_not_at_all() {
        let line = "acknowledged=118 lost=16 longest_gap_ms=32 answered_by=server2\n";
        assert_eq!([figure(line, "lost"), figure(line, "longest_gap_ms")], [Some(16), Some(32)]);
        assert_eq!([figure(line, "gap"), figure("counter: does not answer", "lost"), figure("lost=", "lost")], [None; 3]);
    }
}
