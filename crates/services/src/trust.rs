//! Keys and certificates: one authority a cluster, one certificate a server (its name), one key for heartbeats.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// Make the trust of a new cluster: `ca.pem`, `ca.key`, `cluster.key`, and `NAME.pem`, `NAME.key` for each server.
///
/// # Errors
/// What could not be made or written; existing files are not overwritten.
pub fn make(directory: &Path, servers: &[String]) -> Result<(), String> {
    std::fs::create_dir_all(directory).map_err(|cause| format!("cannot create {}: {cause}", directory.display()))?;
    let failed = |cause: rcgen::Error| format!("certificates cannot be made: {cause}");
    let ca_key = KeyPair::generate().map_err(failed)?;
    let mut ca = CertificateParams::new(Vec::<String>::new()).map_err(failed)?;
    ca.distinguished_name.push(DnType::CommonName, "Mainstay cluster authority");
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca_pem = ca.self_signed(&ca_key).map_err(failed)?.pem();
    let issuer = Issuer::new(ca, ca_key);
    write_new(directory, "ca.pem", ca_pem.as_bytes())?;
    write_new(directory, "ca.key", issuer.key().serialize_pem().as_bytes())?;
    for server in servers {
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = CertificateParams::new(vec![server.clone()]).map_err(failed)?;
        params.distinguished_name.push(DnType::CommonName, server.as_str());
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &issuer).map_err(failed)?;
        write_new(directory, &format!("{server}.pem"), certificate.pem().as_bytes())?;
        write_new(directory, &format!("{server}.key"), key.serialize_pem().as_bytes())?;
    }
    let mut cluster = [0u8; 32];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut random| std::io::Read::read_exact(&mut random, &mut cluster))
        .map_err(|cause| format!("cannot read random numbers: {cause}"))?;
    write_new(directory, "cluster.key", hex(&cluster).as_bytes())
}

fn write_new(directory: &Path, name: &str, bytes: &[u8]) -> Result<(), String> {
    let path = directory.join(name);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    file.and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .map_err(|cause| format!("cannot write {}: {cause}", path.display()))
}

/// The heartbeats' key from the bytes of `cluster.key`.
///
/// # Errors
/// It is not 64 hexadecimal digits.
pub fn read_cluster_key(text: &[u8]) -> Result<[u8; 32], String> {
    let text = String::from_utf8_lossy(text);
    let bytes = unhex(text.trim()).ok_or("it is not hexadecimal")?;
    bytes.try_into().map_err(|_| "it is not 32 bytes long".to_string())
}

/// Bytes in base 16.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Bytes from base 16.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    // The number parser takes a sign, too.
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}
