//! The configurations that the figures are measured with.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

/// The floating address.
pub const FLOATING: &str = "10.0.0.12";

/// A directory for `testbed up --conf`: a group of one address and one process that answers at `port`.
pub fn write(directory: &Path, port: u16) -> Result<PathBuf> {
    let conf = directory.join("conf");
    let scripts = conf.join("scripts/web/exec1");
    fs::create_dir_all(&scripts)?;
    fs::write(conf.join("clp.conf"), OURS)?;
    let start = format!("#! /bin/sh\nsetsid \"$CLP_PATH/bin/testbed\" responder {FLOATING}:{port} >/dev/null 2>&1 &\n");
    fs::write(scripts.join("start.sh"), start)?;
    // The end of the group's processes is the product's work.
    fs::write(scripts.join("stop.sh"), "#! /bin/sh\nexit 0\n")?;
    Ok(conf)
}

const OURS: &str = r#"<?xml version="1.0" encoding="ASCII"?>
<root>
<all><charset>ASCII</charset><serveros>linux</serveros></all>
<cluster><name>bench</name><heartbeat><timeout>50</timeout><interval>10</interval></heartbeat></cluster>
<mainstay><bootwait>20000</bootwait></mainstay>
<server name="server1"><priority>0</priority>
<device id="0"><type>lan</type><info>192.168.0.1</info></device><device id="1"><type>lan</type><info>10.0.0.1</info></device>
<device id="10200"><type>ping</type><info>1</info></device></server>
<server name="server2"><priority>1</priority>
<device id="0"><type>lan</type><info>192.168.0.2</info></device><device id="1"><type>lan</type><info>10.0.0.2</info></device>
<device id="10200"><type>ping</type><info>1</info></device></server>
<heartbeat><lanhb name="lanhb1"><priority>0</priority><device>0</device></lanhb><lanhb name="lanhb2"><priority>1</priority><device>1</device></lanhb></heartbeat>
<networkpartition><pingnp name="pingnp1"><priority>0</priority><device>10200</device><grp id="0"><list id="0"><ip>192.168.0.254</ip></list></grp></pingnp></networkpartition>
<group name="web"><gid>0</gid><resource name="fip@fip1"/><resource name="exec@exec1"/></group>
<resource><fip name="fip1"><parameters><ip>10.0.0.12</ip></parameters></fip><exec name="exec1"><parameters/></exec></resource>
<monitor/>
</root>
"#;

/// keepalived with adverts every 50 ms (its time-out is three of them and a skew by priority).
pub fn keepalived(priority: u32) -> String {
    format!(
        "global_defs {{\n vrrp_version 3\n vrrp_garp_master_delay 0\n}}\nvrrp_instance V {{\n state BACKUP\n interface eth0\n \
         virtual_router_id 5\n priority {priority}\n advert_int 0.05\n virtual_ipaddress {{\n {FLOATING}/24\n }}\n}}\n"
    )
}
