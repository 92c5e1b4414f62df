//! Whom a certificate is for, and what for: its name inside, the branch of the authority that may
//! issue it, and its file.

use std::{fmt, str::FromStr};

use types::{MeterId, Party, Role};

/// Scheme of the names in certificates: `gridcross://platform/7`.
const NAME_PREFIX: &str = "gridcross://";

/// A branch of the authority: an intermediate that issues for one kind of holder, so that a stolen
/// branch key cannot speak for another kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Branch {
    /// The exchange's own servers.
    Server,
    /// Owners of meters.
    Prosumer,
    /// Parties of this role.
    Role(Role),
}

impl Branch {
    /// Every branch.
    pub const ALL: [Self; 7] = [
        Self::Server,
        Self::Prosumer,
        Self::Role(Role::Platform),
        Self::Role(Role::Retailer),
        Self::Role(Role::Utility),
        Self::Role(Role::Operator),
        Self::Role(Role::Settlement),
    ];

    /// Its word in names and files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Prosumer => "prosumer",
            Self::Role(role) => role.name(),
        }
    }

    /// The common name of its certificate. The root issues one of each, so the issuer's name in a
    /// verified certificate tells which branch issued it.
    #[must_use]
    pub fn common_name(self) -> String {
        format!("gridcross {} authority", self.name())
    }
}

/// Whom a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// A branch of the authority itself.
    Branch(Branch),
    /// The exchange's server.
    Server,
    /// A party.
    Party(Party),
    /// The owner of a meter.
    Meter(MeterId),
}

impl Holder {
    /// The URI in the certificate.
    #[must_use]
    pub fn uri(self) -> String {
        format!("{NAME_PREFIX}{self}")
    }

    /// The holder that a URI names. Every holder has one spelling: no leading zeros or signs.
    #[must_use]
    pub fn from_uri(uri: &str) -> Option<Self> {
        uri.strip_prefix(NAME_PREFIX)?.parse().ok()
    }

    /// Which branch issues for it; none for a branch, which the root issues for.
    #[must_use]
    pub const fn issued_by(self) -> Option<Branch> {
        match self {
            Self::Branch(_) => None,
            Self::Server => Some(Branch::Server),
            Self::Party(party) => Some(Branch::Role(party.role)),
            Self::Meter(_) => Some(Branch::Prosumer),
        }
    }

    /// Base name of its files: `platform-7`, `meter-17`, `server`, `platform-ca`.
    #[must_use]
    pub fn file_name(self) -> String {
        match self {
            Self::Branch(branch) => format!("{}-ca", branch.name()),
            Self::Server => "server".to_owned(),
            Self::Party(party) => format!("{}-{}", party.role.name(), party.number),
            Self::Meter(meter) => format!("meter-{meter}"),
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Branch(branch) => write!(f, "authority/{}", branch.name()),
            Self::Server => f.write_str("server"),
            Self::Party(party) => party.fmt(f),
            Self::Meter(meter) => write!(f, "meter/{meter}"),
        }
    }
}

/// A text names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "names nobody; write `ROLE/NUMBER` (platform, retailer, utility, operator, settlement), \
     `meter/NUMBER`, `server` or `authority/BRANCH`"
)]
pub struct UnknownHolder;

impl FromStr for Holder {
    type Err = UnknownHolder;

    fn from_str(text: &str) -> Result<Self, UnknownHolder> {
        let holder = match text.split_once('/') {
            None if text == "server" => Self::Server,
            None => return Err(UnknownHolder),
            Some(("authority", name)) => Branch::ALL
                .into_iter()
                .find(|branch| branch.name() == name)
                .map(Self::Branch)
                .ok_or(UnknownHolder)?,
            Some(("meter", number)) => {
                Self::Meter(MeterId::new(number.parse().map_err(|_| UnknownHolder)?))
            }
            Some((role, number)) => Self::Party(Party {
                role: Role::from_name(role).ok_or(UnknownHolder)?,
                number: number.parse().map_err(|_| UnknownHolder)?,
            }),
        };
        if holder.to_string() == text { Ok(holder) } else { Err(UnknownHolder) }
    }
}

/// What a certificate may be used for. One key never serves both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// To connect.
    Transport,
    /// To sign orders, documents and decisions. No connection accepts it.
    Signing,
}

impl Purpose {
    /// Its word in lists and files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Transport => "transport",
            Self::Signing => "signing",
        }
    }

    /// The purpose of this name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Transport, Self::Signing].into_iter().find(|purpose| purpose.name() == name)
    }

    /// Base name of a holder's files: `platform-7`, `platform-7.signing`.
    #[must_use]
    pub fn file_name(self, holder: Holder) -> String {
        match self {
            Self::Transport => holder.file_name(),
            Self::Signing => format!("{}.signing", holder.file_name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holders_have_one_spelling() {
        for text in ["platform/7", "meter/17", "server", "authority/prosumer", "operator/0"] {
            let holder: Holder = text.parse().unwrap();
            assert_eq!(holder.to_string(), text);
            assert_eq!(Holder::from_uri(&holder.uri()), Some(holder));
        }
        for text in
            ["platform/07", "platform/+7", "king/7", "meter/-1", "authority/root", "platform", ""]
        {
            assert_eq!(text.parse::<Holder>(), Err(UnknownHolder), "{text}");
        }
        assert_eq!(Holder::from_uri("https://platform/7"), None);
    }
}
