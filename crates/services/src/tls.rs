//! Mutual TLS 1.3 between the servers of one cluster: whoever has no certificate of its authority is not talked to.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

struct Own {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    roots: Arc<RootCertStore>,
}

fn own(trust: &Path) -> Result<Own, String> {
    let read = |name: &str| {
        let path = trust.join(name);
        std::fs::read(&path)
            .map_err(|cause| format!("cannot read {}: {cause}; the trust is made by clusterpro_trn --make-trust", path.display()))
    };
    let failed = |name: &str, cause: &dyn std::fmt::Display| format!("{}: {cause}", trust.join(name).display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&read("ca.pem")?) {
        let certificate = certificate.map_err(|cause| failed("ca.pem", &cause))?;
        roots.add(certificate).map_err(|cause| failed("ca.pem", &cause))?;
    }
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read("server.pem")?).collect();
    let chain = chain.map_err(|cause| failed("server.pem", &cause))?;
    let key = PrivateKeyDer::from_pem_slice(&read("server.key")?).map_err(|cause| failed("server.key", &cause))?;
    Ok(Own { chain, key, roots: Arc::new(roots) })
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// A moment at which every certificate of `trust::make` is valid (1975 to 4096): May 2033.
const VALID_AT: Duration = Duration::from_secs(2_000_000_000);

/// The time that certificates are checked against: always the same. A server whose wall clock is years off (an empty battery, a
/// mistyped date) must still be started, stopped and configured by the others, and what the authority signed is trusted as long as
/// the authority itself: until the trust is made anew.
#[derive(Debug)]
struct NoClock;

impl TimeProvider for NoClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(VALID_AT))
    }
}

/// For accepting other servers.
pub fn server(trust: &Path) -> Result<Arc<ServerConfig>, String> {
    let own = own(trust)?;
    let text = |cause: &dyn std::fmt::Display| cause.to_string();
    let verifier = WebPkiClientVerifier::builder_with_provider(own.roots, provider()).build().map_err(|cause| text(&cause))?;
    let config = ServerConfig::builder_with_details(provider(), Arc::new(NoClock))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|cause| text(&cause))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(own.chain, own.key)
        .map_err(|cause| text(&cause))?;
    Ok(Arc::new(config))
}

/// For asking another server; its name must stand in its certificate.
pub fn client(trust: &Path) -> Result<Arc<ClientConfig>, String> {
    let own = own(trust)?;
    let text = |cause: &dyn std::fmt::Display| cause.to_string();
    let config = ClientConfig::builder_with_details(provider(), Arc::new(NoClock))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|cause| text(&cause))?
        .with_root_certificates(own.roots)
        .with_client_auth_cert(own.chain, own.key)
        .map_err(|cause| text(&cause))?;
    Ok(Arc::new(config))
}

/// Is a certificate, which the handshake has verified, for one of these servers?
pub fn is_for_one_of<'a>(certificate: &CertificateDer<'_>, mut names: impl Iterator<Item = &'a str>) -> bool {
    let Ok(parsed) = ParsedCertificate::try_from(certificate) else { return false };
    names.any(|name| ServerName::try_from(name).is_ok_and(|name| verify_server_name(&parsed, &name).is_ok()))
}
