//! What an authority has issued and revoked: one file, replaced as a whole.

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use jiff::Timestamp as Instant;
use serde::{Deserialize, Serialize};

use super::{Holder, Purpose, holder::UnknownHolder};

/// Why the register cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// It cannot be read.
    #[error("cannot read `{}`; `gridcross ca init` makes an authority", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// It cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// It holds something else.
    #[error("`{}` is no register of certificates: {why}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

/// Why a certificate is revoked; the names and codes of RFC 5280, 5.3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// No reason is given.
    Unspecified,
    /// The private key is known to others.
    KeyCompromise,
    /// The holder has another certificate now.
    Superseded,
    /// The holder takes part no more.
    CessationOfOperation,
    /// The holder may not take part any more.
    PrivilegeWithdrawn,
}

/// A revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// Since when.
    pub at: Instant,
    /// Why.
    pub reason: Reason,
}

/// A certificate that was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// Its serial number, 16 bytes in hexadecimal.
    pub serial: String,
    /// Whom it is for.
    pub holder: Holder,
    /// What for.
    pub purpose: Purpose,
    /// Its first instant.
    pub not_before: Instant,
    /// Its last instant.
    pub not_after: Instant,
    /// Whether it was taken back.
    pub revoked: Option<Revoked>,
}

impl Issued {
    /// Whether it can be used at this instant.
    #[must_use]
    pub fn is_valid_at(&self, now: Instant) -> bool {
        self.revoked.is_none() && (self.not_before..=self.not_after).contains(&now)
    }
}

/// Everything an authority has issued.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Register {
    /// How often revocation lists were written.
    pub lists: u64,
    /// Certificates, oldest first.
    pub certificates: Vec<Issued>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    serial: String,
    holder: String,
    purpose: String,
    not_before: Instant,
    not_after: Instant,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revoked: Option<Revoked>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    revocation_lists: u64,
    certificates: Vec<Line>,
}

impl Register {
    /// Reads it.
    ///
    /// # Errors
    /// When the file is missing or holds something else.
    pub fn load(path: &Path) -> Result<Self, RegisterError> {
        let text = fs::read_to_string(path)
            .map_err(|source| RegisterError::Read { path: path.to_owned(), source })?;
        let malformed = |why: String| RegisterError::Malformed { path: path.to_owned(), why };
        let file: File =
            serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))?;
        let certificates = file
            .certificates
            .into_iter()
            .map(|line| {
                let holder = line.holder.parse().map_err(|error: UnknownHolder| {
                    malformed(format!("holder `{}` {error}", line.holder))
                })?;
                let purpose = Purpose::from_name(&line.purpose)
                    .ok_or_else(|| malformed(format!("unknown purpose `{}`", line.purpose)))?;
                let Line { serial, not_before, not_after, revoked, .. } = line;
                Ok(Issued { serial, holder, purpose, not_before, not_after, revoked })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { lists: file.revocation_lists, certificates })
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), RegisterError> {
        let line = |issued: &Issued| Line {
            serial: issued.serial.clone(),
            holder: issued.holder.to_string(),
            purpose: issued.purpose.name().to_owned(),
            not_before: issued.not_before,
            not_after: issued.not_after,
            revoked: issued.revoked,
        };
        let file = File {
            revocation_lists: self.lists,
            certificates: self.certificates.iter().map(line).collect(),
        };
        let write = |source| RegisterError::Write { path: path.to_owned(), source };
        let mut text = serde_json::to_vec_pretty(&file).map_err(|error| write(error.into()))?;
        text.push(b'\n');
        replace_file(path, &text).map_err(write)
    }
}

/// Replaces a file so that a reader finds the old or the new content, also after a power cut.
pub(super) fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = fs::File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    path.parent().map_or(Ok(()), |dir| fs::File::open(dir)?.sync_all())
}
