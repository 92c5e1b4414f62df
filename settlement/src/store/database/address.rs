//! Where a database is: a file, or a server by its address.

use core::{fmt, str::FromStr};
use std::path::{Path, PathBuf};

use tokio_postgres::{
    Config,
    config::{Host, SslMode},
};

/// Where the rows are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Store {
    /// In an `SQLite` file.
    File(PathBuf),
    /// On a `PostgreSQL` server.
    Server(Address),
}

impl Store {
    /// The file, where it is one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Server(_) => None,
        }
    }
}

impl From<&Path> for Store {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

impl From<&PathBuf> for Store {
    fn from(path: &PathBuf) -> Self {
        Self::File(path.clone())
    }
}

impl From<&Self> for Store {
    fn from(store: &Self) -> Self {
        store.clone()
    }
}

/// The address of a server: `postgres://user:password@host:port/database`. It is shown without the
/// password.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    config: Box<Config>,
}

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It does not begin as one.
    #[error("the address of a store begins with `postgres://` or `postgresql://`")]
    Scheme,
    /// It cannot be read. The text is not repeated, for it may hold a password.
    #[error("the address of the store cannot be read")]
    Unreadable,
    /// It asks for encryption, which this program leaves to a tunnel or a socket.
    #[error(
        "connections to the store are not encrypted by this program: `sslmode=require` cannot be had"
    )]
    Encryption,
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if !["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme)) {
            return Err(AddressError::Scheme);
        }
        let mut config: Config = text.parse().map_err(|_| AddressError::Unreadable)?;
        if config.get_ssl_mode() == SslMode::Require {
            return Err(AddressError::Encryption);
        }
        if config.get_application_name().is_none() {
            config.application_name("gridcross settlement");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(core::time::Duration::from_secs(10));
        }
        Ok(Self { config: Box::new(config) })
    }
}

impl Address {
    pub(super) fn config(&self) -> Config {
        Config::clone(&self.config)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "postgres://")?;
        if let Some(user) = self.config.get_user() {
            write!(f, "{user}@")?;
        }
        match self.config.get_hosts().first() {
            Some(Host::Tcp(host)) => write!(f, "{host}")?,
            Some(Host::Unix(path)) => write!(f, "{}", path.display())?,
            None => write!(f, "localhost")?,
        }
        if let Some(port) = self.config.get_ports().first() {
            write!(f, ":{port}")?;
        }
        write!(f, "/{}", self.config.get_dbname().unwrap_or_default())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        let address: Address = "postgres://books:secret@db.example:5433/grid".parse().unwrap();
        assert_eq!(address.to_string(), "postgres://books@db.example:5433/grid");
        assert!(!format!("{address:?}").contains("secret"));
    }

    #[test]
    fn other_addresses_are_refused() {
        let refused = |text: &str| text.parse::<Address>().unwrap_err();
        assert_eq!(refused("mysql://a/b"), AddressError::Scheme);
        assert_eq!(refused("postgres://a:secret@b:port/c"), AddressError::Unreadable);
        assert_eq!(refused("postgres://a@b/c?sslmode=require"), AddressError::Encryption);
    }
}
