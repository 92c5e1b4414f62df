//! `gridcross ca`: who may connect and sign.

use std::{fs, path::PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use gateway::{
    Authority, AuthorityError,
    authority::{Holder, Issued, KeySource, Purpose, Reason, Revoked, Validity},
};
use jiff::Timestamp as Instant;
use serde::Serialize;

use super::OutputOptions;
use crate::{clock::Clock, exit::Failure, output};

const EXAMPLES: &str = "\
Examples:
  gridcross ca init keys
  gridcross ca issue --dir keys server --host localhost --host exchange.example
  gridcross ca issue --dir keys platform/7
  gridcross ca issue --dir keys platform/7 --csr platform-7.csr   (the platform keeps its key)
  gridcross ca issue --dir keys meter/17 --signing
  gridcross ca revoke --dir keys platform/7 --reason key-compromise
  gridcross ca list --dir keys --expiring 30 --output csv

A running exchange takes up new revocation lists from its keys/crl.pem within five seconds. When the
lists expire nobody can connect: run `gridcross ca crl` in time.";

/// What an authority does.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Command {
    /// Make a root, a branch for each kind of holder, and empty revocation lists
    Init {
        /// The directory; made if it is not there
        dir: PathBuf,
        /// How long the root and its branches are valid
        #[arg(long, default_value_t = 3_650)]
        days: u32,
        /// How long the first revocation lists are valid
        #[arg(long, default_value_t = 30)]
        list_days: u32,
    },
    /// Issue a certificate, with a new key or for a signing request
    Issue {
        /// Whom it is for
        #[command(flatten)]
        of: Of,
        /// A certificate signing request (PKCS#10, PEM, Ed25519): its names are ignored
        #[arg(long)]
        csr: Option<PathBuf>,
        /// A host name of the server
        #[arg(long = "host")]
        hosts: Vec<String>,
        /// How long it is valid
        #[arg(long, default_value_t = 365)]
        days: u32,
    },
    /// Issue the same certificate for the same key once more; the old one stays valid until it ends
    Renew {
        /// Whose
        #[command(flatten)]
        of: Of,
        /// How long it is valid
        #[arg(long, default_value_t = 365)]
        days: u32,
    },
    /// Take a holder's certificates back; open connections with them end within five seconds
    Revoke {
        /// Whose
        #[command(flatten)]
        of: Of,
        /// Why
        #[arg(long, value_enum, default_value = "unspecified")]
        reason: ReasonName,
        /// How long the new revocation lists are valid
        #[arg(long, default_value_t = 30)]
        list_days: u32,
    },
    /// List what was issued
    List {
        /// The authority's directory
        #[arg(long)]
        dir: PathBuf,
        /// Only what is valid now and ends within so many days
        #[arg(long)]
        expiring: Option<u32>,
        /// How it is printed
        #[command(flatten)]
        output: OutputOptions,
    },
    /// Write the revocation lists anew, before the old ones expire
    Crl {
        /// The authority's directory
        #[arg(long)]
        dir: PathBuf,
        /// How long they are valid
        #[arg(long, default_value_t = 30)]
        days: u32,
    },
}

/// Whose certificate, and which.
#[derive(Debug, Args)]
pub struct Of {
    /// The authority's directory
    #[arg(long)]
    dir: PathBuf,
    /// platform/7, retailer/1, utility/1, operator/1, settlement/1, meter/17 or server
    holder: Holder,
    /// The certificate to sign with, not the one to connect with
    #[arg(long)]
    signing: bool,
}

impl Of {
    const fn purpose(&self) -> Purpose {
        if self.signing { Purpose::Signing } else { Purpose::Transport }
    }
}

/// Reasons as they are written on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ReasonName {
    /// No reason is given
    Unspecified,
    /// The private key is known to others
    KeyCompromise,
    /// The holder has another certificate now
    Superseded,
    /// The holder takes part no more
    CessationOfOperation,
    /// The holder may not take part any more
    PrivilegeWithdrawn,
}

impl From<ReasonName> for Reason {
    fn from(name: ReasonName) -> Self {
        match name {
            ReasonName::Unspecified => Self::Unspecified,
            ReasonName::KeyCompromise => Self::KeyCompromise,
            ReasonName::Superseded => Self::Superseded,
            ReasonName::CessationOfOperation => Self::CessationOfOperation,
            ReasonName::PrivilegeWithdrawn => Self::PrivilegeWithdrawn,
        }
    }
}

#[derive(Debug, Serialize)]
struct Line {
    serial: String,
    holder: String,
    purpose: &'static str,
    not_before: String,
    not_after: String,
    state: &'static str,
    revoked: Option<String>,
    reason: Option<Reason>,
}

/// Carries the command out.
///
/// # Errors
/// With code 3 when the authority's files cannot be used, 2 when what is asked for does not fit.
pub fn run(command: &Command) -> Result<(), Failure> {
    let now =
        Instant::from_nanosecond(Clock::System.now().ns().into()).map_err(Failure::runtime)?;
    match command {
        Command::Init { dir, days, list_days } => {
            let mut authority =
                Authority::create(dir, Validity::days(now, *days)).map_err(Failure::config)?;
            authority.write_lists(Validity::days(now, *list_days)).map_err(Failure::config)?;
            output::print(&format!(
                "{} holds the root (ca.crt, ca.key), its branches and crl.pem\n\
                 keep ca.key elsewhere: only new branches and their revocation need it\n",
                dir.display()
            ))
        }
        Command::Issue { of, csr, hosts, days } => {
            let mut authority = open(of)?;
            let issued =
                issue(&mut authority, of, csr.as_deref(), hosts, Validity::days(now, *days));
            tell(of, &issued.map_err(failure)?)
        }
        Command::Renew { of, days } => {
            let validity = Validity::days(now, *days);
            let renewed = open(of)?.renew(of.holder, of.purpose(), validity);
            tell(of, &renewed.map_err(failure)?)
        }
        Command::Revoke { of, reason, list_days } => {
            let revoked = Revoked { at: now, reason: (*reason).into() };
            let lists = Validity::days(now, *list_days);
            let count =
                open(of)?.revoke(of.holder, of.purpose(), revoked, lists).map_err(failure)?;
            output::print(&format!("{} of {} revoked; crl.pem is new\n", count, of.holder))
        }
        Command::List { dir, expiring, output } => {
            let authority = Authority::open(dir).map_err(Failure::config)?;
            let until = expiring.map(|days| Validity::days(now, days).until);
            let ends = |issued: &&Issued| {
                until.is_none_or(|until| issued.is_valid_at(now) && issued.not_after <= until)
            };
            let lines: Vec<_> =
                authority.certificates().iter().filter(ends).map(|one| line(one, now)).collect();
            output::print_rows(&lines, output.output)
        }
        Command::Crl { dir, days } => {
            let validity = Validity::days(now, *days);
            let mut authority = Authority::open(dir).map_err(Failure::config)?;
            authority.write_lists(validity).map_err(Failure::config)?;
            output::print(&format!("crl.pem is valid until {}\n", validity.until))
        }
    }
}

fn open(of: &Of) -> Result<Authority, Failure> {
    Authority::open(&of.dir).map_err(Failure::config)
}

fn issue(
    authority: &mut Authority,
    of: &Of,
    csr: Option<&std::path::Path>,
    hosts: &[String],
    validity: Validity,
) -> Result<Issued, AuthorityError> {
    if of.holder == Holder::Server {
        let hosts: Vec<_> = hosts.iter().map(String::as_str).collect();
        let hosts = if hosts.is_empty() { &["localhost"] } else { hosts.as_slice() };
        return authority.issue_server(hosts, validity);
    }
    let request = csr.map(fs::read_to_string).transpose().map_err(|source| {
        let why = format!("it cannot be read: {source}");
        AuthorityError::BadRequest { holder: of.holder, why }
    })?;
    let key = request.as_deref().map_or(KeySource::New, KeySource::Request);
    authority.issue(of.holder, of.purpose(), key, validity)
}

fn tell(of: &Of, issued: &Issued) -> Result<(), Failure> {
    let path = of.dir.join(format!("{}.crt", of.purpose().file_name(of.holder)));
    output::print(&format!(
        "{}\nserial {}, valid until {}\n",
        path.display(),
        issued.serial,
        issued.not_after
    ))
}

fn line(issued: &Issued, now: Instant) -> Line {
    let state = match issued.revoked {
        Some(_) => "revoked",
        None if issued.is_valid_at(now) => "valid",
        None if issued.not_after < now => "expired",
        None => "not yet valid",
    };
    Line {
        serial: issued.serial.clone(),
        holder: issued.holder.to_string(),
        purpose: issued.purpose.name(),
        not_before: issued.not_before.to_string(),
        not_after: issued.not_after.to_string(),
        state,
        revoked: issued.revoked.map(|revoked| revoked.at.to_string()),
        reason: issued.revoked.map(|revoked| revoked.reason),
    }
}

fn failure(error: AuthorityError) -> Failure {
    match &error {
        AuthorityError::BadRequest { .. }
        | AuthorityError::AlreadyIssued { .. }
        | AuthorityError::NotIssued { .. }
        | AuthorityError::IsBranch { .. } => Failure::usage(error.to_string()),
        AuthorityError::CreateDir { .. }
        | AuthorityError::File(_)
        | AuthorityError::Register(_)
        | AuthorityError::Build { .. }
        | AuthorityError::Key { .. } => Failure::config(error),
    }
}
