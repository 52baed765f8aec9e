//! Which record of an arbiter is trusted: its name stands in a file of this server, and how far it had come is known while the engine
//! lives. A record that was begun anew and one that went back have forgotten who may go on; neither is believed.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A write of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sign {
    /// Names the record itself: one that was begun anew has another name.
    pub record: String,
    /// Writes so far.
    pub count: u64,
    /// Differs between two writes with the same count.
    pub tag: u64,
}

/// Which record is trusted.
pub(super) struct Memory {
    path: PathBuf,
    /// What helps when an old copy was put back.
    remedy: String,
    /// By this life, and whether the file says the same.
    trusted: Option<(String, bool)>,
    /// The newest write that was read.
    newest: Option<Sign>,
    /// This life replaced it.
    wrote: bool,
}

impl Memory {
    /// `path`: the file; it need not be there.
    pub fn new(path: PathBuf, remedy: String) -> Memory {
        Memory { path, remedy, trusted: None, newest: None, wrote: false }
    }

    /// The record that was read (None: there is none): may it be believed? If none was known before, this one is from now on.
    pub fn check(&mut self, sign: Option<&Sign>) -> Result<(), String> {
        self.trust(sign.map(|sign| sign.record.as_str()))?;
        let Some(sign) = sign else { return Ok(()) };
        if let Some(newest) = self.newest.as_ref().filter(|newest| newest.record == sign.record) {
            let least = newest.count + u64::from(self.wrote);
            if sign.count < least || (sign.count == newest.count && sign.tag != newest.tag) {
                return Err(format!(
                    "its record went back from write {least} to {}: an old copy of its state was put back; {}",
                    sign.count, self.remedy
                ));
            }
        }
        (self.newest, self.wrote) = (Some(sign.clone()), false);
        Ok(())
    }

    /// The write was replaced by another one of this server.
    pub fn wrote(&mut self, sign: Sign) {
        (self.newest, self.wrote) = (Some(sign), true);
    }

    fn trust(&mut self, record: Option<&str>) -> Result<(), String> {
        let trusted = self.trusted.as_ref().map(|(trusted, kept)| (trusted.as_str(), *kept));
        if record.is_some_and(|record| trusted == Some((record, true))) {
            return Ok(());
        }
        let forgot = || {
            let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let what = if record.is_some() { "was begun anew" } else { "is gone" };
            format!(
                "its record {what}, so it has forgotten who may go on; when every server is online or switched off, say clpwitness --accept {name} on each"
            )
        };
        match std::fs::read_to_string(&self.path) {
            Ok(text) if record == Some(text.trim()) => {}
            Ok(_) => return Err(forgot()),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                // What could not be remembered on the disk is remembered by this life all the same.
                if trusted.is_some_and(|(trusted, kept)| record != Some(trusted) && !kept) {
                    return Err(forgot());
                }
                self.trusted = record.map(|record| (record.to_string(), keep(&self.path, record).is_ok()));
                return Ok(());
            }
            Err(cause) => return Err(format!("{} cannot be read: {cause}", self.path.display())),
        }
        self.trusted = record.map(|record| (record.to_string(), true));
        Ok(())
    }
}

/// Write the file, so that it is there whole or not at all.
fn keep(path: &Path, text: &str) -> io::Result<()> {
    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(directory)?;
    let fresh = path.with_extension("new");
    let mut file = std::fs::File::create(&fresh)?;
    file.write_all(format!("{text}\n").as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)?;
    std::fs::File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(record: u8, count: u64, tag: u64) -> Sign {
        Sign { record: format!("{record:02x}"), count, tag }
    }

    fn see(memory: &mut Memory, record: u8, count: u64, tag: u64) -> Result<(), String> {
        memory.check(Some(&sign(record, count, tag)))
    }

    fn memory(path: PathBuf) -> Memory {
        Memory::new(path, "remove it".into())
    }

    #[test]
    fn a_record_that_was_begun_anew_is_trusted_when_that_is_said_and_by_no_restart() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("witness/httpnp1");
        let mut first = memory(path.clone());
        assert_eq!(first.check(None), Ok(()), "there was none before");
        assert_eq!(see(&mut first, 1, 5, 5), Ok(()));
        for life in [&mut first, &mut memory(path.clone())] {
            let refused = see(life, 2, 0, 0).expect_err("forgotten");
            assert!(refused.contains("was begun anew") && refused.contains("clpwitness --accept httpnp1"), "{refused}");
            let refused = life.check(None).expect_err("gone");
            assert!(refused.contains("is gone") && refused.contains("clpwitness --accept httpnp1"), "{refused}");
            assert_eq!(see(life, 1, 6, 6), Ok(()), "the one before is still trusted");
        }
        std::fs::remove_file(&path).expect("there");
        assert_eq!(first.check(None), Ok(()));
        assert_eq!(see(&mut first, 2, 0, 0), Ok(()));
        assert!(see(&mut first, 1, 7, 7).is_err());
        assert_eq!(see(&mut memory(path), 2, 1, 1), Ok(()), "it is remembered");
    }

    #[test]
    fn a_record_that_went_back_is_not_believed() {
        let directory = tempfile::tempdir().expect("directory");
        let mut memory = memory(directory.path().join("httpnp1"));
        assert_eq!(see(&mut memory, 1, 5, 55), Ok(()));
        assert_eq!(see(&mut memory, 1, 5, 55), Ok(()));
        let refused = see(&mut memory, 1, 4, 44).expect_err("old");
        assert!(refused.contains("from write 5 to 4") && refused.ends_with("remove it"), "{refused}");
        assert!(see(&mut memory, 1, 5, 56).is_err(), "the same number of another write");
        assert_eq!(see(&mut memory, 1, 6, 66), Ok(()));
        memory.wrote(sign(1, 6, 66));
        assert!(see(&mut memory, 1, 6, 66).expect_err("its own write is gone").contains("from write 7 to 6"));
        assert_eq!(see(&mut memory, 1, 7, 77), Ok(()));
    }

    #[test]
    fn what_cannot_be_remembered_on_the_disk_is_remembered_by_this_life() {
        let directory = tempfile::tempdir().expect("directory");
        let file = directory.path().join("file");
        std::fs::write(&file, "").expect("written");
        // A file where a directory would have to be: not a directory is not the same as not there. Then nothing is believed.
        let refused = see(&mut memory(file.join("httpnp1")), 1, 0, 0);
        assert!(refused.is_err(), "{refused:?}");
        let folder = directory.path().join("folder");
        let mut memory = Memory { trusted: Some(("01".into(), false)), ..memory(folder.join("httpnp1")) };
        assert!(see(&mut memory, 2, 0, 0).is_err() && memory.check(None).is_err());
        assert_eq!(see(&mut memory, 1, 0, 0), Ok(()));
        assert!(folder.join("httpnp1").exists(), "it is tried again");
    }
}
