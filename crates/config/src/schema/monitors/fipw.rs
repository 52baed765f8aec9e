//! fipw: a floating address is here and nowhere else (clp-conf.md section 12).

use crate::section;
use crate::value::Flag;

section! {
    /// Parameters of a floating address monitor; the address is the target's.
    pub struct Fipw {
        /// Watch the link of the interface that has the address too.
        link: Flag, path "parameters/monmii", default "0", range 0..=1, apply SuspendMonitor;
    }
}
