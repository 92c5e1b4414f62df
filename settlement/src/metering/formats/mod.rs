//! Meter files as the field writes them: every format becomes series of exact readings.
//!
//! [`read`] looks at the content, never at the file's name, and reads one of: NEM12
//! ([`nem12`]), Green Button ([`green_button`]), the India Energy Stack's interval profile
//! ([`interval_profile`]), and our own signed document ([`signed`]). Nothing is unpacked, nothing
//! outside the file is fetched, and every buffer has a limit. What is read here proves nothing
//! about who wrote it: only a signed envelope does.

mod amount;
pub mod green_button;
pub mod interval_profile;
mod line_source;
pub mod nem12;
mod problem;
mod series;
pub mod signed;

use std::io::BufRead;

use types::Timestamp;

use super::Quality;

pub use problem::{FormatError, Problem};
pub use series::{Clock, Direction, Reading, Series, SeriesSummary, Unit};

use line_source::LineSource;

/// Most readings in one file: 2,000,000 × 48 bytes is 96 MB. A year of 15-minute readings of 28
/// meters with two channels fits.
pub const READINGS_MAX: usize = 2_000_000;

/// Longest JSON file, which is read whole: 64 MiB, about four million compact readings.
pub const JSON_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Which format a file is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The Australian interval meter data file.
    Nem12,
    /// A Green Button feed (ESPI, in Atom).
    GreenButton,
    /// The India Energy Stack's interval profile.
    IntervalProfile,
    /// Our own readings, in their signed envelope or bare.
    Signed,
}

impl Format {
    /// The name in output and in signed files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nem12 => "nem12",
            Self::GreenButton => "green_button",
            Self::IntervalProfile => "interval_profile",
            Self::Signed => "signed",
        }
    }

    /// The format with this name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Nem12, Self::GreenButton, Self::IntervalProfile, Self::Signed]
            .into_iter()
            .find(|format| format.name() == name)
    }
}

/// What a file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeterData {
    /// In which format it says it.
    pub format: Format,
    /// One per meter and channel, in the order of the file; the readings of each in order of time.
    pub series: Vec<Series>,
}

/// What a quality of a format means for settlement; `None` if the meter did not count.
///
/// NEM12: `A` (actual) and `F` (final substitute) stand, `S` and `E` may still be replaced, `N` is no
/// data. Green Button: the codes of ESPI that say estimated (8, 9), questionable (10), projected (12),
/// mixed (13), normalised (15) or other (16). Interval profile: everything but the words for
/// metered. A file that says nothing means what it counted.
#[must_use]
pub fn quality_of(format: Format, name: &str) -> Option<Quality> {
    const PROFILE_MEASURED: [&str; 6] =
        ["", series::UNSTATED, "ACTUAL", "VALID", "VALIDATED", "VERIFIED"];
    let is_estimated = match format {
        Format::Nem12 if name.starts_with('N') => return None,
        Format::Nem12 => !name.starts_with(['A', 'F']),
        Format::GreenButton => matches!(name, "8" | "9" | "10" | "12" | "13" | "15" | "16"),
        Format::IntervalProfile if name == "MISSING" => return None,
        Format::IntervalProfile => !PROFILE_MEASURED.contains(&name),
        Format::Signed => name == Quality::Estimated.name(),
    };
    Some(if is_estimated { Quality::Estimated } else { Quality::Measured })
}

/// Reads a file of any supported format. `now` decides which readings are in the future.
///
/// # Errors
/// The first thing that is wrong, and where.
pub fn read(input: &mut dyn BufRead, now: Timestamp) -> Result<MeterData, FormatError> {
    let mut source = LineSource::new(input);
    let format = detect(&mut source)?;
    let mut series = match format {
        Format::Nem12 => nem12::read(&mut source)?,
        Format::GreenButton => green_button::read(&mut source)?,
        Format::IntervalProfile => {
            return json(&mut source, now);
        }
        Format::Signed => return json(&mut source, now),
    };
    series::settle(&mut series, now)?;
    Ok(MeterData { format, series })
}

/// The format by the first bytes. JSON is told apart later, by its keys.
fn detect(source: &mut LineSource<'_>) -> Result<Format, FormatError> {
    const GZIP: &[u8] = &[0x1f, 0x8b];
    const BYTE_ORDER_MARK: &[u8] = &[0xef, 0xbb, 0xbf];
    let head = source.peek()?;
    let compressed = [GZIP, b"PK", b"BZh", &[0xfd, b'7', b'z'], &[0x28, 0xb5, 0x2f, 0xfd]];
    let (problem, why) = if head.is_empty() {
        (Problem::Empty, "the file is empty")
    } else if compressed.iter().any(|magic| head.starts_with(magic)) {
        (Problem::Compressed, "a compressed file is never unpacked here; unpack it first")
    } else if head.starts_with(BYTE_ORDER_MARK) {
        (Problem::NotText, "the file begins with a byte order mark; save it as plain UTF-8")
    } else {
        match head.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'<') => return Ok(Format::GreenButton),
            Some(b'{' | b'[') => return Ok(Format::IntervalProfile),
            Some(b'0'..=b'9') => return Ok(Format::Nem12),
            None => (Problem::Empty, "there is only white space in the file"),
            Some(_) => (
                Problem::UnknownFormat,
                "expected NEM12, Green Button XML, an interval profile or a signed document",
            ),
        }
    };
    let start = head.get(..head.len().min(8)).unwrap_or_default();
    Err(FormatError::new(problem, Some(1), "file", &start.escape_ascii().to_string(), why))
}

fn json(source: &mut LineSource<'_>, now: Timestamp) -> Result<MeterData, FormatError> {
    let bytes = source.rest(JSON_BYTES_MAX)?;
    if signed::is_signed(&bytes) {
        signed::read(&bytes, now)
    } else {
        let mut series = interval_profile::read(&bytes)?;
        series::settle(&mut series, now)?;
        Ok(MeterData { format: Format::IntervalProfile, series })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(bytes: &[u8]) -> Problem {
        read(&mut &*bytes, Timestamp::from_seconds(2_000_000_000)).unwrap_err().problem
    }

    #[test]
    fn content_decides_and_nothing_is_unpacked() {
        assert_eq!(problem(b""), Problem::Empty);
        assert_eq!(problem(b" \n\r\n"), Problem::Empty);
        assert_eq!(problem(&[0x1f, 0x8b, 8, 0]), Problem::Compressed);
        assert_eq!(problem(b"PK\x03\x04rest"), Problem::Compressed);
        assert_eq!(problem(b"\xef\xbb\xbf100,NEM12"), Problem::NotText);
        assert_eq!(problem(b"meter;value"), Problem::UnknownFormat);
        assert_eq!(problem(b"\0\0\0"), Problem::UnknownFormat);
    }
}
