//! Makes the keys and certificates of one cluster: its CA, the API server's certificate, client
//! certificates, and the key pair that signs service account tokens. All PEM, in memory.

use anyhow::Context;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

/// A certificate (or a public key) and its private key.
pub(crate) struct Pair {
    pub(crate) public: String,
    pub(crate) private: String,
}

/// The authority that the API server trusts and is trusted by.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> anyhow::Result<Authority> {
        let mut params = named("dev-cluster");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer =
            CertifiedIssuer::self_signed(params, KeyPair::generate()?).context("making the cluster's CA")?;
        Ok(Authority { issuer })
    }

    pub(crate) fn certificate(&self) -> String {
        self.issuer.pem()
    }

    /// For a server that is reached as 127.0.0.1 or localhost.
    pub(crate) fn serving(&self) -> anyhow::Result<Pair> {
        let mut params = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        self.sign(params, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// For the user `name` in one group. (rcgen keeps one organization per certificate, so users
    /// with any number of groups are impersonated instead.)
    pub(crate) fn client(&self, name: &str, group: &str) -> anyhow::Result<Pair> {
        let mut params = named(name);
        params.distinguished_name.push(DnType::OrganizationName, group);
        self.sign(params, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn sign(&self, mut params: CertificateParams, usage: ExtendedKeyUsagePurpose) -> anyhow::Result<Pair> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate()?;
        Ok(Pair { public: params.signed_by(&key, &self.issuer)?.pem(), private: key.serialize_pem() })
    }
}

/// The pair that signs (PKCS #8) and verifies (PKIX) service account tokens.
pub(crate) fn token_keys() -> anyhow::Result<Pair> {
    let key = KeyPair::generate()?;
    Ok(Pair { public: key.public_key_pem(), private: key.serialize_pem() })
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
