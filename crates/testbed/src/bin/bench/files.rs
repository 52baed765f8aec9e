//! P11: a group of file systems is stopped; beside the same file systems unmounted by hand, one after the other.

use std::fmt::Write as _;

use anyhow::{Result, bail};
use clp_testbed::Lab;

use crate::conf::{APART, Conf, partition};
use crate::figures::Figures;
use crate::ground::{lab_of, let_it_see, mounted, run, run_timed, wait};

/// File systems of the group.
const FILE_SYSTEMS: u32 = 10;
/// Stops by the product and by hand in one lab: making its disk takes longer than they do.
const PAIRS: usize = 2;

/// P11: from `clpgrp -t` to its answer, all ten verified unmounted; its floor is umount(8) of the ten, the cluster not asked.
pub fn stopped(figures: &mut Figures) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let lab = lab_of(&Conf { apart: FILE_SYSTEMS, ..Conf::usual() }, directory.path())?;
    for pair in 0..PAIRS {
        if pair > 0 {
            run(&lab, "server1", &["clpgrp", "-s", APART])?;
        }
        figures.add("P11", by_the_product(&lab)?);
        figures.add("P11floor", by_hand(&lab)?);
    }
    Ok(())
}

fn by_the_product(lab: &Lab) -> Result<f64> {
    wait_mounted(lab)?;
    let took = run_timed(lab, "server1", &["clpgrp", "-t", APART])?;
    verify_unmounted(lab)?;
    // What is off may not be written either.
    let flags = run(lab, "server1", &["sh", "-c", &each("blockdev --getro /dev/PARTITION")])?.stdout;
    if flags.split_whitespace().any(|flag| flag != "1") {
        bail!("a device can be written after the stop: {flags}");
    }
    Ok(took)
}

fn by_hand(lab: &Lab) -> Result<f64> {
    run(lab, "server1", &["sh", "-c", &each("blockdev --setrw /dev/PARTITION && mount -t ext4 /dev/PARTITION /mnt/PARTITION")])?;
    wait_mounted(lab)?;
    let points: Vec<String> = (0..FILE_SYSTEMS).map(|index| format!("/mnt/{}", partition(index))).collect();
    let command: Vec<&str> = std::iter::once("umount").chain(points.iter().map(String::as_str)).collect();
    let took = run_timed(lab, "server1", &command)?;
    verify_unmounted(lab)?;
    run(lab, "server1", &["sh", "-c", &each("blockdev --setro /dev/PARTITION")])?;
    Ok(took)
}

/// A shell's line for each partition, ended by the first that fails.
fn each(line: &str) -> String {
    (0..FILE_SYSTEMS).fold("set -e\n".to_string(), |mut lines, index| {
        let _ = writeln!(lines, "{}", line.replace("PARTITION", &partition(index)));
        lines
    })
}

/// All are mounted, and idle for as long as ever before they are unmounted.
fn wait_mounted(lab: &Lab) -> Result<()> {
    wait(lab, "the file systems are mounted", || mounted(lab, "server1").is_ok_and(|count| count == FILE_SYSTEMS as usize))?;
    let_it_see();
    Ok(())
}

fn verify_unmounted(lab: &Lab) -> Result<()> {
    match mounted(lab, "server1")? {
        0 => Ok(()),
        left => bail!("{left} file systems are still mounted"),
    }
}
