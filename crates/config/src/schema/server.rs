//! Servers (clp-conf.md section 6); their devices are a list.

use crate::section;
use crate::value::Flag;

section! {
    /// Parameters of a server besides its priority, comment and devices.
    pub struct ServerCommon {
        /// 1: its copy of a group that is found active on two servers stays, unless the copies share data.
        survive: Flag, path "survive", default "0", range 0..=1, apply UploadOnly;
    }
}
