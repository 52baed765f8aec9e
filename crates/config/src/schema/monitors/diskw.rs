//! diskw: reads from a disk (clp-conf.md sections 12 and 17).

use crate::section;
use crate::value::{Code, Count, Text};

section! {
    /// Parameters of a disk monitor.
    pub struct Diskw {
        /// 0 TUR, 1 dummy read, 2 read (O_DIRECT), 3 read (raw), 4 read (vxvm).
        method: Code, path "parameters/method", default "2", range 0..=4, apply SuspendMonitor;
        /// Device or file.
        object: Text, path "parameters/object", default "", range 0..=1023, apply SuspendMonitor;
        /// Name of the raw device, read as the block device it stands for.
        rawdevice: Text, path "parameters/rawdevice", default "", range 0..=1023, apply SuspendMonitor;
        /// Bytes read at each check.
        size: Count, path "parameters/size", default "512", range 1..=99999999, apply SuspendMonitor;
    }
}
