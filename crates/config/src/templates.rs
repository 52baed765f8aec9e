//! Scripts for those who make a new exec resource: written beside the configuration where the user brings none of his own.

/// File names and texts, in `scripts/GROUP/RESOURCE/` of a configuration; they shall be executable (0755). Administrators look for the
/// words of their branches in the userlog (environment.md section 2).
pub const EXEC_SCRIPTS: [(&str, &str); 2] = [
    ("start.sh", include_str!("../../../samples/scripts/start.sh")),
    ("stop.sh", include_str!("../../../samples/scripts/stop.sh")),
];
