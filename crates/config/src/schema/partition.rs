//! Network partition resolution (clp-conf.md sections 7 and 17).

use crate::section;
use crate::value::{Count, Millis, Port, Text};

section! {
    /// Times of a ping resolution.
    pub struct PingTimes {
        /// Time between two looks at the targets for their status.
        interval: Millis, path "interval", default "5000", range 10..=999000, apply SuspendCluster;
        /// Wait for an answer.
        timeout: Millis, path "timeout", default "3000", range 10..=999000, apply SuspendCluster;
        /// Tries without an answer before a target counts as dead.
        retry: Count, path "retry", default "3", range 1..=999, apply SuspendCluster;
    }
}

section! {
    /// A witness (clpwitness) that is asked.
    pub struct Witness {
        /// Its address, as the servers reach it; a server that reaches it elsewhere has that address in its device (extend).
        host: Text, path "host", default "", range 0..=45, apply SuspendCluster;
        /// Its TCP port.
        port: Port, path "port", default "29020", range 1..=65535, apply SuspendCluster;
        /// Time between two looks at it for its status.
        interval: Millis, path "interval", default "5000", range 100..=60000, apply SuspendCluster;
    }
}

section! {
    /// An etcd that is asked.
    pub struct Etcd {
        /// Addresses and ports of its members, with commas between; a server that reaches them elsewhere has those in its device (extend).
        endpoints: Text, path "endpoints", default "", range 0..=400, apply SuspendCluster;
        /// What the key of the cluster's record begins with; its name follows.
        prefix: Text, path "prefix", default "/mainstay/", range 0..=255, apply SuspendCluster;
        /// Whole path of the certificates of its authority in PEM; empty: it is asked without TLS.
        authority: Text, path "tls/authority", default "", range 0..=1023, apply SuspendCluster;
        /// Whole path of the certificate that a server shows; empty: none.
        certificate: Text, path "tls/certificate", default "", range 0..=1023, apply SuspendCluster;
        /// Whole path of the key of that certificate.
        key: Text, path "tls/key", default "", range 0..=1023, apply SuspendCluster;
        /// Time between two looks at it for its status.
        interval: Millis, path "interval", default "5000", range 100..=60000, apply SuspendCluster;
    }
}
