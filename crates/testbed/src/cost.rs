//! What the processes of a program cost: their proportional memory and their share of a processor.

use anyhow::{Context, Result, bail};
use std::{fs, path::Path, time::Duration};

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Proportional set size of all processes at the end, in MB (10^6 bytes).
    pub memory_mb: f64,
    /// Processor time of the processes and of the children that they waited for, in percent of one processor.
    pub processor_percent: f64,
}

/// What all processes whose program's name begins with `name` cost within `time`, seen from this process's `/proc`.
///
/// # Errors
/// There is no such process, or one came or went meanwhile.
pub fn measure(name: &str, time: Duration) -> Result<Cost> {
    let processes = processes(name)?;
    if processes.is_empty() {
        bail!("no process runs a program whose name begins with {name}");
    }
    let ticks = |processes: &[u32]| processes.iter().map(|process| ticks(*process)).sum::<Result<u64>>();
    let before = ticks(&processes)?;
    std::thread::sleep(time);
    if self::processes(name)? != processes {
        bail!("processes of {name} came or went while they were measured");
    }
    let used = ticks(&processes)? - before;
    let memory: u64 = processes.iter().map(|process| memory_kib(*process)).sum::<Result<u64>>()?;
    let per_second = rustix::param::clock_ticks_per_second() as f64;
    let processor_percent = used as f64 / per_second / time.as_secs_f64() * 100.0;
    Ok(Cost { memory_mb: memory as f64 * 1024.0 / 1e6, processor_percent })
}

fn processes(name: &str) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").context("cannot read /proc")?.flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|text| text.parse().ok()) else { continue };
        let Ok(command) = fs::read(entry.path().join("cmdline")) else { continue };
        let program = command.split(|byte| *byte == 0).next().unwrap_or_default();
        let program = String::from_utf8_lossy(program).into_owned();
        if Path::new(&program).file_name().is_some_and(|file| file.to_string_lossy().starts_with(name)) {
            found.push(process);
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn ticks(process: u32) -> Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).with_context(|| format!("process {process} has ended"))?;
    // The name in brackets may hold anything; utime, stime, cutime and cstime are fields 14 to 17 (proc(5)).
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().skip(11).take(4);
    Ok(fields.filter_map(|field| field.parse::<u64>().ok()).sum())
}

fn memory_kib(process: u32) -> Result<u64> {
    let file = format!("/proc/{process}/smaps_rollup");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).with_context(|| format!("{file} has no Pss"))?;
    line.split_whitespace().next().and_then(|word| word.parse().ok()).with_context(|| format!("{file} says {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_busy_process_costs_a_processor_and_a_missing_one_is_an_error() {
        let directory = tempfile::tempdir().expect("directory");
        let program = directory.path().join("costly-shell");
        fs::copy("/bin/sh", &program).expect("copied");
        let mut child = Command::new(&program).args(["-c", "while :; do :; done"]).spawn().expect("started");
        let cost = measure("costly-shell", Duration::from_millis(500));
        child.kill().expect("killed");
        child.wait().expect("reaped");
        let cost = cost.expect("measured");
        assert!(cost.processor_percent > 5.0 && cost.processor_percent < 150.0, "{cost:?}");
        assert!(cost.memory_mb > 0.05 && cost.memory_mb < 50.0, "{cost:?}");
        assert!(measure("costly-shell", Duration::ZERO).is_err());
    }
}
