//! `gridcross init`: a commented configuration and a development authority, never overwriting.

use std::{fs, io, path::Path};

use ed25519_dalek::SigningKey;
use gateway::{
    Authority, AuthorityError, IdentityError,
    authority::{Holder, KeySource, Purpose, Validity},
    identity,
};
use sha2::{Digest as _, Sha256};
use types::{
    Code, CodeError, MeterId, MeterRegistration, OwnerId, Party, PartyRegistration, PlatformId,
    Power, PublicKey, RetailerId, Role, UtilityId,
};

use crate::{
    config,
    node::{Layout, SETTLEMENT},
    registry::{self, Registry, RegistryError},
    seeds,
};

/// The configuration that `init` writes and the demo runs on.
pub const CONFIG_TEMPLATE: &str = include_str!("init.toml");

/// Why a data directory cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// There is something in it.
    #[error("`{}` is not empty; choose another directory or remove what is there", path.display())]
    NotEmpty {
        /// Which.
        path: std::path::PathBuf,
    },
    /// It cannot be made or written.
    #[error("cannot write in `{}`", path.display())]
    Write {
        /// Which.
        path: std::path::PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// The authority.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// A key.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A key cannot be encoded.
    #[error("cannot encode a key")]
    Key(#[from] ed25519_dalek::pkcs8::Error),
    /// The registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A name is no code.
    #[error("a name is not usable: {0}")]
    Code(#[from] CodeError),
}

/// Makes the directory if needed, and refuses one that holds anything.
///
/// # Errors
/// When it cannot be made or is not empty. Nothing is written then.
pub fn claim_directory(path: &Path) -> Result<(), InitError> {
    let write = |source| InitError::Write { path: path.to_owned(), source };
    fs::create_dir_all(path).map_err(write)?;
    if fs::read_dir(path).map_err(write)?.next().is_some() {
        return Err(InitError::NotEmpty { path: path.to_owned() });
    }
    Ok(())
}

/// Writes the configuration, the authority with the server's and settlement's certificates, the
/// ledger's key, and for every party of `registry` a certificate. `ledger_key` signs checkpoints.
///
/// # Errors
/// When a file exists or cannot be written.
pub fn write_directory(
    layout: &Layout,
    registry: &Registry,
    config_text: &str,
    ledger_key: &SigningKey,
) -> Result<(), InitError> {
    let config_path = layout.root().join(config::FILE_NAME);
    fs::write(&config_path, config_text)
        .map_err(|source| InitError::Write { path: config_path, source })?;
    let validity = Validity::development();
    let mut authority = Authority::create(&layout.keys(), validity)?;
    authority.issue_server(&["localhost"], validity)?;
    let registered: Vec<Party> = registry.parties.iter().map(|line| line.party).collect();
    // An operator that is not registered may look, and order nothing.
    let own = [SETTLEMENT, Party { role: Role::Operator, number: 1 }];
    let own = own.into_iter().filter(|party| !registered.contains(party));
    for party in own.chain(registered.iter().copied()) {
        let holder = Holder::Party(party);
        authority.issue(holder, Purpose::Transport, KeySource::New, validity)?;
    }
    identity::write_key_file(&layout.ledger_key(), &identity::signing_key_pem(ledger_key)?)?;
    registry.save(&layout.root().join(registry::FILE_NAME))?;
    Ok(())
}

/// `gridcross init DIR`: everything to start with, and four meters to try orders for.
///
/// # Errors
/// When the directory is not empty or cannot be written.
pub fn run(dir: &Path) -> Result<Layout, InitError> {
    claim_directory(dir)?;
    let layout = Layout::new(dir);
    // A development secret of this directory, different in each.
    let secret = fresh_secret()?;
    let key = |name: &str| derive_key(&secret, name);
    let registry = development_registry(&key)?;
    write_directory(&layout, &registry, CONFIG_TEMPLATE, &key("ledger"))?;
    for line in &registry.parties {
        let name = format!("{}-{}.signing", line.party.role.name(), line.party.number);
        write_signing_key(&layout, &name, &key(line.code.as_str()))?;
    }
    for line in &registry.meters {
        write_signing_key(&layout, &format!("{}.signing", line.code), &key(line.code.as_str()))?;
    }
    Ok(layout)
}

fn write_signing_key(layout: &Layout, name: &str, key: &SigningKey) -> Result<(), InitError> {
    let path = layout.keys().join(format!("{name}.key"));
    Ok(identity::write_key_file(&path, &identity::signing_key_pem(key)?)?)
}

/// A key that a secret and a name decide.
#[must_use]
pub fn derive_key(secret: &[u8; 32], name: &str) -> SigningKey {
    let mut hash = Sha256::new();
    hash.update(b"gridcross key v1\0");
    hash.update(secret);
    hash.update(name.as_bytes());
    SigningKey::from_bytes(&hash.finalize().into())
}

/// The public half, as it stands in a registry.
#[must_use]
pub fn public_key(key: &SigningKey) -> PublicKey {
    PublicKey::new(key.verifying_key().to_bytes())
}

fn fresh_secret() -> Result<[u8; 32], InitError> {
    let source = Path::new(seeds::SYSTEM);
    let mut secret = [0; 32];
    fs::File::open(source)
        .and_then(|mut file| io::Read::read_exact(&mut file, &mut secret))
        .map_err(|cause| InitError::Write { path: source.to_owned(), source: cause })?;
    Ok(secret)
}

/// Two platforms, two retailers, two utilities, two operators, and a producer and a consumer at each retailer.
fn development_registry(key: &dyn Fn(&str) -> SigningKey) -> Result<Registry, CodeError> {
    let mut registry = Registry::default();
    for role in [Role::Platform, Role::Retailer, Role::Utility, Role::Operator] {
        for number in 1..=2 {
            let party = Party { role, number };
            let code = Code::new(&format!("{}-{number}", role.name().to_uppercase()))?;
            let key = public_key(&key(code.as_str()));
            registry.parties.push(PartyRegistration { party, code, key });
        }
    }
    for (number, served_by) in (1..=4_u32).zip([1, 2, 1, 2]) {
        let code = Code::new(&format!("METER-{number}"))?;
        registry.meters.push(MeterRegistration {
            meter: MeterId::new(number),
            code,
            platform: PlatformId::new(served_by),
            retailer: RetailerId::new(served_by),
            utility: UtilityId::new(served_by),
            owner: OwnerId::default(),
            key: public_key(&key(code.as_str())),
            injection_max: Power::from_w(10_000),
            withdrawal_max: Power::from_w(15_000),
        });
    }
    Ok(registry)
}
