//! The registry file: which parties and meters take part. Read at start; what the journal does not
//! know yet becomes registration commands.

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use types::{
    Code, MeterId, MeterRegistration, OwnerId, Party, PartyRegistration, PlatformId, Power,
    PublicKey, RetailerId, Role, UtilityId,
};

use crate::{
    notices::{Webhook, target::WebhookUrl},
    pull::{Endpoint, Url},
};

/// Name of the file in a data directory.
pub const FILE_NAME: &str = "registry.toml";

/// Why a registry is refused.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The file cannot be read.
    #[error("cannot read the registry `{}`; `gridcross init` makes one", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write the registry `{}`", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// The file is not what it should be.
    #[error("`{}`: {message}", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What is wrong, and where.
        message: String,
    },
}

/// Everybody who takes part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registry {
    /// Platforms, retailers and utilities.
    pub parties: Vec<PartyRegistration>,
    /// Meters, numbered from 1 without gaps.
    pub meters: Vec<MeterRegistration>,
    /// Where retailers and utilities answer the exchange's questions for readings. They may change
    /// from one start to the next.
    pub endpoints: Vec<Endpoint>,
    /// Where platforms, retailers and utilities are told what happens. They may change likewise.
    pub webhooks: Vec<Webhook>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    parties: Vec<PartyLine>,
    #[serde(default)]
    meters: Vec<MeterLine>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PartyLine {
    role: String,
    number: u16,
    code: String,
    key: String,
    /// `https://host[:port][/path]`, where the exchange asks it for readings.
    endpoint: Option<String>,
    /// File with the certificate that the endpoint shows, or its authority's, from the data directory.
    endpoint_trust: Option<PathBuf>,
    /// `https://host[:port][/path]`, where it is told what happens; `http` on this machine.
    webhook: Option<String>,
    /// File with the certificate that the webhook shows, or its authority's, from the data directory.
    webhook_trust: Option<PathBuf>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MeterLine {
    number: u32,
    code: String,
    platform: u16,
    retailer: u16,
    utility: u16,
    /// Who benefits from it; 0 where nobody is stated.
    #[serde(default)]
    owner: u32,
    key: String,
    injection_max_w: u32,
    withdrawal_max_w: u32,
}

impl Registry {
    /// Reads and checks a registry file.
    ///
    /// # Errors
    /// Names the file and the entry.
    pub fn load(path: &Path) -> Result<Self, RegistryError> {
        let malformed = |message| RegistryError::Malformed { path: path.to_owned(), message };
        let text = fs::read_to_string(path)
            .map_err(|source| RegistryError::Read { path: path.to_owned(), source })?;
        let file: File = toml::from_str(&text).map_err(|error| malformed(error.to_string()))?;
        let mut registry = Self::default();
        for line in &file.parties {
            let party = party(line).ok_or_else(|| {
                malformed(format!("party `{}` has a bad role, code or key", line.code))
            })?;
            registry.parties.push(party);
            let own = endpoint(line, party.party).map_err(malformed)?;
            registry.endpoints.extend(own);
            registry.webhooks.extend(webhook(line, party.party).map_err(malformed)?);
        }
        for line in &file.meters {
            let meter = meter(line)
                .ok_or_else(|| malformed(format!("meter {} has a bad code or key", line.number)))?;
            registry.meters.push(meter);
        }
        Ok(registry)
    }

    /// Writes a new registry file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), RegistryError> {
        let mut text = String::from("# Who takes part. Keys are Ed25519, in hexadecimal.\n");
        // Writing to a string cannot fail.
        for party in &self.parties {
            let (role, number) = (party.party.role.name(), party.party.number);
            writeln!(
                text,
                "\n[[parties]]\nrole = \"{role}\"\nnumber = {number}\ncode = \"{}\"\nkey = \"{}\"",
                party.code, party.key
            )
            .ok();
            let own = self.endpoints.iter().find(|endpoint| endpoint.party == party.party);
            text.push_str(&own.map_or_else(String::new, endpoint_lines));
            let own = self.webhooks.iter().find(|webhook| webhook.party == party.party);
            text.push_str(&own.map_or_else(String::new, webhook_lines));
        }
        for meter in &self.meters {
            writeln!(
                text,
                "\n[[meters]]\nnumber = {}\ncode = \"{}\"\nplatform = {}\nretailer = {}\n\
                 utility = {}\n{}key = \"{}\"\ninjection_max_w = {}\nwithdrawal_max_w = {}",
                meter.meter,
                meter.code,
                meter.platform,
                meter.retailer,
                meter.utility,
                owner_line(meter.owner),
                meter.key,
                meter.injection_max.w(),
                meter.withdrawal_max.w()
            )
            .ok();
        }
        fs::write(path, text)
            .map_err(|source| RegistryError::Write { path: path.to_owned(), source })
    }
}

/// The line of a meter's owner, if there is one.
fn owner_line(owner: OwnerId) -> String {
    if owner == OwnerId::default() { String::new() } else { format!("owner = {owner}\n") }
}

fn party(line: &PartyLine) -> Option<PartyRegistration> {
    Some(PartyRegistration {
        party: Party { role: Role::from_name(&line.role)?, number: line.number },
        code: Code::new(&line.code).ok()?,
        key: key(&line.key)?,
    })
}

/// Where a party is asked for readings, if it is.
fn endpoint(line: &PartyLine, party: Party) -> Result<Option<Endpoint>, String> {
    let code = &line.code;
    let Some(url) = &line.endpoint else {
        return match line.endpoint_trust {
            None => Ok(None),
            Some(_) => Err(format!("party `{code}` has an `endpoint_trust` and no `endpoint`")),
        };
    };
    if !matches!(party.role, Role::Retailer | Role::Utility) {
        return Err(format!(
            "party `{code}` has an `endpoint`; only retailers and utilities have readings"
        ));
    }
    let url = Url::parse(url).ok_or_else(|| {
        format!("party `{code}`: `endpoint` is `{url}`, possible is https://HOST[:PORT][/PATH]")
    })?;
    Ok(Some(Endpoint { party, url, trust: line.endpoint_trust.clone() }))
}

/// Where a party is told what happens, if it is.
fn webhook(line: &PartyLine, party: Party) -> Result<Option<Webhook>, String> {
    let code = &line.code;
    let Some(url) = &line.webhook else {
        return match line.webhook_trust {
            None => Ok(None),
            Some(_) => Err(format!("party `{code}` has a `webhook_trust` and no `webhook`")),
        };
    };
    if !matches!(party.role, Role::Platform | Role::Retailer | Role::Utility) {
        return Err(format!(
            "party `{code}` has a `webhook`; only platforms, retailers and utilities are told"
        ));
    }
    let url = WebhookUrl::parse(url).ok_or_else(|| {
        format!(
            "party `{code}`: `webhook` is `{url}`, possible is https://HOST[:PORT][/PATH], or http on \
             this machine"
        )
    })?;
    Ok(Some(Webhook { party, url, trust: line.webhook_trust.clone() }))
}

/// The lines of an endpoint.
fn endpoint_lines(endpoint: &Endpoint) -> String {
    let trust = trust_line("endpoint_trust", endpoint.trust.as_deref());
    format!("endpoint = \"{}\"\n{trust}", endpoint.url)
}

/// The lines of a webhook.
fn webhook_lines(webhook: &Webhook) -> String {
    let trust = trust_line("webhook_trust", webhook.trust.as_deref());
    format!("webhook = \"{}\"\n{trust}", webhook.url)
}

fn trust_line(key: &str, file: Option<&Path>) -> String {
    file.map_or_else(String::new, |file| {
        format!("{key} = {}\n", toml::Value::from(file.to_string_lossy().into_owned()))
    })
}

fn meter(line: &MeterLine) -> Option<MeterRegistration> {
    Some(MeterRegistration {
        meter: MeterId::new(line.number),
        code: Code::new(&line.code).ok()?,
        platform: PlatformId::new(line.platform),
        retailer: RetailerId::new(line.retailer),
        utility: UtilityId::new(line.utility),
        owner: OwnerId::new(line.owner),
        key: key(&line.key)?,
        injection_max: Power::from_w(line.injection_max_w),
        withdrawal_max: Power::from_w(line.withdrawal_max_w),
    })
}

fn key(hex: &str) -> Option<PublicKey> {
    let mut bytes = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(PublicKey::new(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_survives_its_file() {
        let meter = MeterRegistration {
            meter: MeterId::new(1),
            code: Code::new("M-1").unwrap(),
            platform: PlatformId::new(1),
            retailer: RetailerId::new(2),
            utility: UtilityId::new(2),
            owner: OwnerId::default(),
            key: PublicKey::new([7; 32]),
            injection_max: Power::from_w(5_000),
            withdrawal_max: Power::from_w(14_000),
        };
        let owned =
            MeterRegistration { meter: MeterId::new(2), owner: OwnerId::new(70_000), ..meter };
        let registry = Registry {
            parties: vec![PartyRegistration {
                party: Party { role: Role::Utility, number: 2 },
                code: Code::new("U2").unwrap(),
                key: PublicKey::new([0xab; 32]),
            }],
            meters: vec![meter, owned],
            endpoints: vec![Endpoint {
                party: Party { role: Role::Utility, number: 2 },
                url: Url::parse("https://[::1]:8443/p2p").unwrap(),
                trust: Some(PathBuf::from("a \"b\".pem")),
            }],
            webhooks: vec![Webhook {
                party: Party { role: Role::Utility, number: 2 },
                url: WebhookUrl::parse("https://[::1]:8443/in").unwrap(),
                trust: Some(PathBuf::from("hooks.pem")),
            }],
        };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        registry.save(&path).unwrap();
        assert_eq!(Registry::load(&path).unwrap(), registry);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches("owner = ").count(), 1, "nobody is the default: {text}");
        fs::write(&path, "[[parties]]\nrole = \"king\"\nnumber=1\ncode=\"K\"\nkey=\"00\"").unwrap();
        assert!(Registry::load(&path).unwrap_err().to_string().contains("party `K`"));
        for (role, lines, mend) in [
            ("retailer", "endpoint = \"http://a\"", "https://HOST"),
            ("platform", "endpoint = \"https://a\"", "only retailers and utilities"),
            ("retailer", "endpoint_trust = \"a.pem\"", "no `endpoint`"),
            ("retailer", "webhook = \"http://a\"", "or http on this machine"),
            ("operator", "webhook = \"https://a\"", "only platforms, retailers and utilities"),
            ("platform", "webhook_trust = \"a.pem\"", "no `webhook`"),
            ("retailer", "endpint = \"https://a\"", "endpint"),
        ] {
            let key = "ab".repeat(32);
            let party = format!(
                "[[parties]]\nrole = \"{role}\"\nnumber = 1\ncode = \"P\"\nkey = \"{key}\"\n"
            );
            fs::write(&path, format!("{party}{lines}\n")).unwrap();
            let refused = Registry::load(&path).unwrap_err().to_string();
            assert!(refused.contains(mend), "{lines}: {refused}");
        }
    }
}
