//! Declarations of every parameter, one file a kind.

pub mod cluster;
pub mod common;
pub mod forced_stop;
pub mod group;
pub mod monitors;
pub mod partition;
pub mod resources;
pub mod server;

use crate::value::Param;

/// Every section with its place in the file, for manual, help and checks.
pub const SECTIONS: &[(&str, &[Param])] = &[
    ("", cluster::Cluster::PARAMS),
    ("", cluster::Ports::PARAMS),
    ("", forced_stop::ForcedStop::PARAMS),
    ("server@NAME", server::ServerCommon::PARAMS),
    ("server@NAME", forced_stop::Bmc::PARAMS),
    ("group@NAME", group::GroupCommon::PARAMS),
    ("resource/TYPE@NAME", common::ResourceCommon::PARAMS),
    ("monitor/TYPE@NAME", common::MonitorCommon::PARAMS),
    ("networkpartition/pingnp@NAME", partition::PingTimes::PARAMS),
    ("networkpartition/httpnp@NAME", partition::Witness::PARAMS),
    ("networkpartition/etcdnp@NAME", partition::Etcd::PARAMS),
    ("resource/exec@NAME", resources::exec::Exec::PARAMS),
    ("resource/disk@NAME", resources::disk::Disk::PARAMS),
    ("resource/fip@NAME", resources::fip::Fip::PARAMS),
    ("monitor/userw@NAME", monitors::userw::Userw::PARAMS),
    ("monitor/diskw@NAME", monitors::diskw::Diskw::PARAMS),
    ("monitor/miiw@NAME", monitors::miiw::Miiw::PARAMS),
    ("monitor/genw@NAME", monitors::genw::Genw::PARAMS),
    ("monitor/arpw@NAME", monitors::arpw::Arpw::PARAMS),
    ("monitor/fipw@NAME", monitors::fipw::Fipw::PARAMS),
    ("monitor/psw@NAME", monitors::psw::Psw::PARAMS),
];
