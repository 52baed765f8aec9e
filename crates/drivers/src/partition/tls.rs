//! TLS to an arbiter: its certificate has to name its address and to be signed by the authority that the administrator chose, and this
//! server may show one of its own.
//!
//! The dates of certificates are not looked at: a wall clock that is wrong must not cut a server from what decides whether it goes on. The
//! files are read for every connection, so that renewed ones are used.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// More certificates no chain has.
const CHAIN_MAX: usize = 8;

/// Which files; all in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// Certificates of the authority.
    pub authority: PathBuf,
    /// This server's certificate, and its key.
    pub own: Option<(PathBuf, PathBuf)>,
}

impl Files {
    /// Read them.
    pub(super) fn read(&self) -> Result<Arc<ClientConfig>, String> {
        let at = |path: &Path, cause: &dyn std::fmt::Display| format!("{}: {cause}", path.display());
        let chain = |path: &Path| -> Result<Vec<CertificateDer<'static>>, String> {
            let read: Vec<_> =
                CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(|cause| at(path, &cause))?;
            if read.is_empty() { Err(at(path, &"it holds no certificate")) } else { Ok(read) }
        };
        let mut roots = RootCertStore::empty();
        for certificate in chain(&self.authority)? {
            roots.add(certificate).map_err(|cause| at(&self.authority, &cause))?;
        }
        let provider: Arc<CryptoProvider> = aws_lc_rs::default_provider().into();
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone()).build();
        let verifier = Undated(verifier.map_err(|cause| at(&self.authority, &cause))?);
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|cause| cause.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let Some((certificate, key)) = &self.own else { return Ok(builder.with_no_client_auth().into()) };
        let secret = PrivateKeyDer::from_pem_file(key).map_err(|cause| at(key, &cause))?;
        let config = builder.with_client_auth_cert(chain(certificate)?, secret).map_err(|cause| at(certificate, &cause))?;
        Ok(config.into())
    }
}

/// As the usual check, at a moment at which every certificate of the chain had begun to be valid.
#[derive(Debug)]
struct Undated(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for Undated {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let mut now = UnixTime::since_unix_epoch(Duration::ZERO);
        for _ in 0..CHAIN_MAX {
            match self.0.verify_server_cert(own, chain, name, ocsp, now) {
                Err(Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. })) => now = not_before,
                verified => return verified,
            }
        }
        Err(Error::InvalidCertificate(CertificateError::NotValidYet))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
