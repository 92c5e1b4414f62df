//! How a command ends when it fails: an exit code and one sentence for people.

use std::{error::Error, fmt::Write as _, process::ExitCode};

use gateway::GatewayError;
use journal::JournalError;
use settlement::SettlementError;

use crate::{api::ApiError, node::NodeError, notices::WebhookError, rails::RailError};

/// What kind of failure; the value is the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Something went wrong while running.
    Runtime = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The configuration or a key file is wrong.
    Config = 3,
    /// A journal or ledger is not what it says.
    Mismatch = 4,
    /// A measured objective was missed.
    Objective = 5,
    /// The other side cannot be reached or did not accept who we are.
    Unreachable = 6,
}

/// A failed command.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    message: String,
    hint: Option<&'static str>,
}

impl Failure {
    /// Of any kind, from the error that caused it.
    #[must_use]
    pub fn new(kind: Kind, error: &dyn Error) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            // Writing to a string cannot fail.
            write!(message, ": {cause}").ok();
            source = cause.source();
        }
        Self { kind, message, hint: None }
    }

    /// While running.
    #[must_use]
    pub fn runtime<E: Error>(error: E) -> Self {
        Self::new(Kind::Runtime, &error)
    }

    /// In the configuration.
    #[must_use]
    pub fn config<E: Error>(error: E) -> Self {
        Self::new(Kind::Config, &error)
    }

    /// In the books: code 6 where their server cannot be reached.
    #[must_use]
    pub fn settlement(error: &SettlementError) -> Self {
        let kind = if error.is_unreachable() { Kind::Unreachable } else { Kind::Runtime };
        Self::new(kind, error)
    }

    /// A journal that cannot be read: code 4 where it is damaged.
    #[must_use]
    pub fn journal(error: &JournalError) -> Self {
        if let JournalError::Damaged { .. } = error {
            Self::new(Kind::Mismatch, error)
                .hint("restore the journal from a copy; what follows the damage cannot be trusted")
        } else {
            Self::new(Kind::Runtime, error)
        }
    }

    /// On the command line.
    #[must_use]
    pub fn usage(message: impl Into<String>) -> Self {
        Self { kind: Kind::Usage, message: message.into(), hint: None }
    }

    /// Something computed is not what it should be.
    #[must_use]
    pub fn mismatch(message: impl Into<String>) -> Self {
        Self { kind: Kind::Mismatch, message: message.into(), hint: None }
    }

    /// An objective that was missed.
    #[must_use]
    pub fn objective(message: impl Into<String>) -> Self {
        Self { kind: Kind::Objective, message: message.into(), hint: None }
    }

    /// The other side refused what it was sent.
    #[must_use]
    pub fn refused(message: impl Into<String>) -> Self {
        Self { kind: Kind::Runtime, message: message.into(), hint: None }
    }

    /// The other side is not there, or does not take us for who we are.
    #[must_use]
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self { kind: Kind::Unreachable, message: message.into(), hint: None }
    }

    /// With a sentence on how to mend it.
    #[must_use]
    pub const fn hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }

    /// What went wrong, with its causes.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// A node that cannot start or go on.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "fits `map_err`")]
    pub fn node(error: NodeError) -> Self {
        match &error {
            NodeError::Identity(_) => Self::new(Kind::Config, &error)
                .hint("`gridcross init DIR` makes keys and certificates"),
            NodeError::Tls(_) => Self::new(Kind::Config, &error)
                .hint("`gridcross ca crl --dir DIR/keys` writes new revocation lists"),
            NodeError::Gateway(GatewayError::Bind { .. }) => Self::new(Kind::Runtime, &error)
                .hint("choose another `listen` address in gridcross.toml, or stop what uses it"),
            NodeError::Settlement(error) => Self::settlement(error),
            NodeError::Replay(_) => Self::new(Kind::Mismatch, &error),
            NodeError::Contradiction { .. }
            | NodeError::UnknownPlatform { .. }
            | NodeError::OtherShards { .. }
            | NodeError::Calendar(_) => Self::new(Kind::Config, &error),
            NodeError::Rail(RailError::Bind { .. }) => Self::new(Kind::Runtime, &error)
                .hint("choose another `rails.listen` in gridcross.toml, or stop what uses it"),
            NodeError::Api(ApiError::Bind { .. }) | NodeError::Operations { .. } => {
                Self::new(Kind::Runtime, &error).hint(
                    "choose another `listen` in [api] or [operations] of gridcross.toml, or stop what uses it",
                )
            }
            NodeError::Api(ApiError::Tls(_) | ApiError::Identity(_))
            | NodeError::Webhooks(WebhookError::Target { .. })
            | NodeError::Rail(_) => Self::new(Kind::Config, &error),
            NodeError::Journal(JournalError::BatchTooLarge { .. }) => {
                Self::new(Kind::Runtime, &error)
                    .hint("raise `segment_mib` in gridcross.toml and start again")
            }
            NodeError::Journal(error) => Self::journal(error),
            NodeError::Worker(_) => {
                Self::new(Kind::Runtime, &error).hint("the last error in the log says why")
            }
            NodeError::Api(_)
            | NodeError::Webhooks(_)
            | NodeError::Gateway(_)
            | NodeError::Thread(_)
            | NodeError::MakeJournals { .. }
            | NodeError::ListSnapshots { .. }
            | NodeError::Seeds(_)
            | NodeError::CoreStopped => Self::new(Kind::Runtime, &error),
        }
    }

    /// Prints the sentence to stderr and gives the exit code.
    #[must_use]
    #[expect(clippy::print_stderr, reason = "this is where errors are told")]
    #[expect(clippy::as_conversions, reason = "the enum is repr(u8)")]
    pub fn report(&self) -> ExitCode {
        eprintln!("error: {}", self.message);
        if let Some(hint) = self.hint {
            eprintln!("hint: {hint}");
        }
        ExitCode::from(self.kind as u8)
    }
}
