//! Network partition resolution (clp-conf.md sections 7 and 17).

use crate::section;
use crate::value::{Count, Millis, Text};

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
    /// Where a witness listens (`clpwitness`).
    pub struct WitnessPlace {
        /// Name or address.
        host: Text, path "host", default "", range 0..=255, apply SuspendCluster;
        /// TCP port.
        port: Count, path "port", default "29010", range 1..=65535, apply SuspendCluster;
        /// Wait for an answer.
        timeout: Millis, path "timeout", default "1000", range 10..=999000, apply SuspendCluster;
    }
}

section! {
    /// An etcd that keeps the record.
    pub struct EtcdPlace {
        /// Before the names of our keys; clusters that share an etcd differ in it.
        prefix: Text, path "prefix", default "/mainstay", range 1..=255, apply SuspendCluster;
        /// Wait for an answer.
        timeout: Millis, path "timeout", default "1000", range 10..=999000, apply SuspendCluster;
        /// File with the certificate of the authority that signed those of the endpoints.
        ca: Text, path "ca", default "", range 0..=1023, apply SuspendCluster;
        /// File with this cluster's certificate.
        cert: Text, path "cert", default "", range 0..=1023, apply SuspendCluster;
        /// File with its key.
        key: Text, path "key", default "", range 0..=1023, apply SuspendCluster;
    }
}
