//! What is wrong with a meter file, and where.

use core::fmt;

/// Longest value repeated in an error.
const VALUE_CHARS_MAX: usize = 60;

/// What kind of thing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// The system could not read it.
    Unreadable,
    /// There is nothing in it.
    Empty,
    /// It is an archive or a compressed file.
    Compressed,
    /// It is none of the supported formats.
    UnknownFormat,
    /// It is not UTF-8 text.
    NotText,
    /// It, or a part of it, is larger than what is read.
    TooLarge,
    /// It is another version of the format.
    Version,
    /// It ends too early.
    Truncated,
    /// A record stands where it cannot.
    OutOfPlace,
    /// It breaks the grammar of its format.
    Malformed,
    /// A field is missing.
    Missing,
    /// A number is none, or has too many digits.
    Number,
    /// A quantity is below zero.
    Negative,
    /// A unit is unknown, is no energy, or does not fit the channel.
    Unit,
    /// The length of intervals is not one that meters report.
    IntervalLength,
    /// An interval does not begin on the grid.
    Misaligned,
    /// An interval of a channel is there twice, or overlaps another.
    Duplicate,
    /// An interval has not ended yet.
    Future,
    /// The qualities do not cover the intervals exactly.
    Quality,
    /// Something is referred to that is not there.
    Unresolved,
    /// There is no reading in it.
    NoReadings,
    /// It is a document of another kind.
    OtherDocument,
}

impl Problem {
    /// The code in machine-readable output.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Empty => "empty",
            Self::Compressed => "compressed",
            Self::UnknownFormat => "unknown_format",
            Self::NotText => "not_text",
            Self::TooLarge => "too_large",
            Self::Version => "version",
            Self::Truncated => "truncated",
            Self::OutOfPlace => "out_of_place",
            Self::Malformed => "malformed",
            Self::Missing => "missing",
            Self::Number => "number",
            Self::Negative => "negative",
            Self::Unit => "unit",
            Self::IntervalLength => "interval_length",
            Self::Misaligned => "misaligned",
            Self::Duplicate => "duplicate",
            Self::Future => "future",
            Self::Quality => "quality",
            Self::Unresolved => "unresolved",
            Self::NoReadings => "no_readings",
            Self::OtherDocument => "other_document",
        }
    }
}

/// The first thing that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatError {
    /// What kind of thing.
    pub problem: Problem,
    /// In which line, from 1, where lines mean something.
    pub line: Option<u64>,
    /// In which field.
    pub field: String,
    /// What stands there.
    pub value: String,
    /// Why that cannot be, and what could.
    pub why: String,
}

impl FormatError {
    /// An error; a long value is cut.
    pub(super) fn new(
        problem: Problem,
        line: Option<u64>,
        field: &str,
        value: &str,
        why: &str,
    ) -> Self {
        let mut shown: String = value.chars().take(VALUE_CHARS_MAX).collect();
        if shown.len() < value.len() {
            shown.push('…');
        }
        Self { problem, line, field: field.to_owned(), value: shown, why: why.to_owned() }
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}, ")?;
        }
        write!(f, "{}", self.field)?;
        if !self.value.is_empty() {
            write!(f, " `{}`", self.value.escape_debug())?;
        }
        write!(f, ": {} ({})", self.why, self.problem.code())
    }
}

impl core::error::Error for FormatError {}
