//! An etcd that asks for certificates: it is asked with the right ones, and no other one is believed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::ground::{Ground, ask, until};
use clp_core::arbiter::Answer;
use clp_drivers::partition::Keeper;
use clp_drivers::partition::etcd::Etcd;
use clp_drivers::partition::tls::Files;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::path::Path;

/// Two authorities; certificates of the first for etcd and for a server, and of the second for a server. Until when is that of etcd valid?
fn make(directory: &Path, year: i32) {
    for (authority, names) in [("authority", &["etcd", "server"][..]), ("stranger", &["other"])] {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, authority);
        let key = KeyPair::generate().unwrap();
        let write = |name: &str, text: String| std::fs::write(directory.join(name), text).unwrap();
        write(&format!("{authority}.pem"), params.self_signed(&key).unwrap().pem());
        let issuer = Issuer::new(params, key);
        for name in names {
            let mut params = CertificateParams::new(["127.0.0.1".to_string()]).unwrap();
            params.distinguished_name.push(rcgen::DnType::CommonName, *name);
            if *name == "etcd" {
                (params.not_before, params.not_after) = (rcgen::date_time_ymd(1990, 1, 1), rcgen::date_time_ymd(year, 1, 1));
            }
            let key = KeyPair::generate().unwrap();
            write(&format!("{name}.pem"), params.signed_by(&key, &issuer).unwrap().pem());
            write(&format!("{name}.key"), key.serialize_pem());
        }
    }
}

fn keeper(ground: &Ground, authority: &str, own: Option<&str>) -> Keeper<Etcd> {
    let path = |name: String| ground.directory.path().join(name);
    let own = own.map(|name| (path(format!("{name}.pem")), path(format!("{name}.key"))));
    let files = Files { authority: path(format!("{authority}.pem")), own };
    Keeper::new(ground.register(0, &ground.addresses()).with_tls(files), vec!["server1".into(), "server2".into()])
}

/// How many questions it took until etcd had started.
fn goes_on(server: &mut Keeper<Etcd>) -> u64 {
    let mut number = 0;
    until("it goes on", || {
        number += 1;
        let reply = ask(server, 0, &[0], number);
        assert!(reply.answer == Answer::Yes || !reply.words.contains("certificate"), "{}", reply.words);
        reply.answer == Answer::Yes
    });
    number
}

#[test]
fn a_certificate_that_is_over_is_taken_as_no_clock_is_trusted() {
    let Some(ground) = Ground::start_tls(false, |directory| make(directory, 1995)) else { return };
    goes_on(&mut keeper(&ground, "authority", None));
}

#[test]
fn an_etcd_that_asks_for_certificates_is_asked_with_them_and_a_stranger_is_not_believed() {
    let Some(ground) = Ground::start_tls(true, |directory| make(directory, 2200)) else { return };
    let keeper = |authority: &str, own: Option<&str>| keeper(&ground, authority, own);
    let mut server = keeper("authority", Some("server"));
    let number = goes_on(&mut server);
    for next in 1..4 {
        assert_eq!(ask(&mut server, 0, &[0], number + next).answer, Answer::Yes);
    }
    let table = [
        ("stranger", Some("server"), "invalid peer certificate: UnknownIssuer"),
        ("authority", Some("other"), "alert"),
        ("authority", None, "alert"),
        ("nothing", None, "nothing.pem: "),
        ("etcd", Some("nothing"), "nothing.key: "),
    ];
    for (authority, own, wanted) in table {
        let reply = ask(&mut keeper(authority, own), 0, &[0], number + 9);
        assert!(reply.answer == Answer::Wait && reply.words.contains(wanted), "{wanted}: {}", reply.words);
    }
    let mut plain = Keeper::new(ground.register(0, &ground.addresses()), Vec::new());
    assert_eq!(ask(&mut plain, 0, &[0], number + 10).answer, Answer::Wait);
}
