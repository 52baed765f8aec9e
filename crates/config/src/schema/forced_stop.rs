//! Forced stop (clp-conf.md section 17): how lost servers are switched off, and by which controller each.

use crate::section;
use crate::value::{Flag, Millis, Port, Secret, Text};

section! {
    /// How lost servers are switched off.
    pub struct ForcedStop {
        /// 1: a lost server is switched off, and read back off, before anything of it is taken over.
        used: Flag, path "mainstay/forcestop/use", default "0", range 0..=1, apply SuspendCluster;
        /// By what: ipmi (each server's BMC) or script.
        method: Text, path "mainstay/forcestop/type", default "ipmi", range 0..=15, apply SuspendCluster;
        /// Time in which one attempt must have read the power back off.
        timeout: Millis, path "mainstay/forcestop/timeout", default "30000", range 1000..=999000, apply SuspendCluster;
        /// Time between two looks whether a forced stop would work.
        interval: Millis, path "mainstay/forcestop/interval", default "60000", range 1000..=3600000, apply SuspendCluster;
        /// Script of the type script; a bare name lies in scripts/.
        script: Text, path "mainstay/forcestop/path", default "forcestop.sh", range 0..=1023, apply SuspendCluster;
        /// 1: exit code 0 of the script proves that the server is off; 0: its power is read back from its BMC besides.
        script_proves: Flag, path "mainstay/forcestop/proves", default "0", range 0..=1, apply SuspendCluster;
    }
}

section! {
    /// The controller of a server's power (BMC).
    pub struct Bmc {
        /// Its address, as the other servers reach it.
        address: Text, path "mainstay/bmc/address", default "", range 0..=45, apply UploadOnly;
        /// UDP port at which it answers IPMI.
        port: Port, path "mainstay/bmc/port", default "623", range 1..=65535, apply UploadOnly;
        /// Its user; chassis control needs the privilege operator.
        user: Text, path "mainstay/bmc/user", default "", range 0..=16, apply UploadOnly;
        /// Password of that user; better in a file of its own.
        password: Secret, path "mainstay/bmc/password", default "", range 0..=20, apply UploadOnly;
        /// File with the password in its first line, on every server: root's, mode 0600.
        password_file: Text, path "mainstay/bmc/passwordfile", default "", range 0..=1023, apply UploadOnly;
        /// Privilege that is asked for: operator or administrator.
        privilege: Text, path "mainstay/bmc/privilege", default "operator", range 0..=15, apply UploadOnly;
        /// Protocol: lanplus (IPMI 2.0) or lan (IPMI 1.5, for old BMCs only).
        interface: Text, path "mainstay/bmc/interface", default "lanplus", range 0..=15, apply UploadOnly;
        /// Cipher suite of lanplus; empty: 17, and where the BMC has none of it 3.
        cipher: Text, path "mainstay/bmc/cipher", default "", range 0..=2, apply UploadOnly;
    }
}
