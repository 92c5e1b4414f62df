//! Why a document was refused.

/// Declares the reasons once: variant, code, and name in output.
macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $name:literal;)*) => {
        /// Why a signed document was refused. Variants are in the order they are checked; the first
        /// match wins. Codes are public: they are appended to, never renumbered.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum DocumentReject {
            $($(#[$doc])* $variant = $code,)*
        }

        impl DocumentReject {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The reason with this code, if there is one.
            #[must_use]
            pub const fn from_code(code: u16) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The code.
            #[must_use]
            pub const fn code(self) -> u16 {
                match self {
                    $(Self::$variant => $code,)*
                }
            }

            /// The name in logs and machine-readable output.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

reasons! {
    /// Longer than 16 MiB.
    TooLarge = 1, "too_large";
    /// Not an envelope, or not a document of a known kind inside.
    Malformed = 2, "malformed";
    /// The signer is not registered.
    UnknownSigner = 3, "unknown_signer";
    /// The signer's registered key is weak or no key at all; it verifies nothing.
    KeyUnusable = 4, "key_unusable";
    /// The signature does not verify under the signer's key.
    SignatureInvalid = 5, "signature_invalid";
    /// The signer's certificate to sign with had expired, or was revoked, when the document arrived.
    CertificateExpired = 26, "certificate_expired";
    /// A reading is missing, negative or not a whole number.
    NegativeOrMissing = 6, "negative_or_missing";
    /// A reading or cap is larger than any slot can be.
    OutOfRange = 7, "out_of_range";
    /// An interval does not lie on the grid of blocks, or does not fit the market's slots.
    Misaligned = 8, "misaligned";
    /// One meter occurs twice in one interval.
    RepeatedReading = 9, "repeated_reading";
    /// The market is not defined.
    UnknownMarket = 10, "unknown_market";
    /// A meter is not registered.
    UnknownMeter = 11, "unknown_meter";
    /// A meter is not served by this retailer, or does not hang on this utility's wires.
    WrongSigner = 12, "wrong_signer";
    /// The signer said something else before under the same key and revision. Kept as evidence;
    /// nothing moved.
    Equivocation = 13, "equivocation";
    /// Every statement in it is older than what is known. Kept as history; nothing moved.
    StaleRevision = 14, "stale_revision";
    /// The meter file inside cannot be read in its format.
    FileInvalid = 15, "file_invalid";
    /// The meter file inside is in another format than the signature says.
    FormatMismatch = 16, "format_mismatch";
    /// The meter file inside ends too early.
    Truncated = 17, "truncated";
    /// A quantity is in a unit that is no energy, or does not fit its channel.
    WrongUnit = 18, "wrong_unit";
    /// An interval has not ended when the document arrived.
    Future = 19, "future";
    /// A reading is beyond what the meter's certified capacity makes plausible.
    Implausible = 20, "implausible";
    /// A meter is named by a code that nobody registered for this signer.
    UnknownCode = 21, "unknown_code";
    /// A code is registered for another meter already.
    CodeTaken = 22, "code_taken";
    /// No meter of the signer lies in this zone or on this feeder.
    UnknownZone = 23, "unknown_zone";
    /// The meter has less free money than is asked for: the rest is held, reserved or owed.
    InsufficientFunds = 24, "insufficient_funds";
    /// Money does not leave over a payment rail here, or not in this currency.
    NoRail = 25, "no_rail";
    /// The meter is not suspended for what it owes, so there is nothing to disconnect it for.
    NotSuspended = 27, "not_suspended";
    /// No notice of disconnection is in force that could be withdrawn.
    NoNotice = 28, "no_notice";
}

impl DocumentReject {
    /// Whether the answer stands for ever. Others may change as parties and meters register.
    #[must_use]
    pub const fn is_kept(self) -> bool {
        matches!(self, Self::Equivocation | Self::StaleRevision)
    }
}
