//! Short names of fixed size: meter codes, area names, time zones.

use core::fmt;

/// Up to `N` printable ASCII bytes without spaces, padded with zero bytes.
///
/// Codes are names for people and other systems; inside, everything is a number (see
/// [`crate::ids`]).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code<const N: usize>([u8; N]);

/// Why a text or a byte field is not a [`Code`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeError {
    /// Empty.
    Empty,
    /// More than the allowed number of bytes.
    TooLong {
        /// Largest number of bytes.
        max: usize,
        /// What was given.
        got: usize,
    },
    /// A byte outside `!`..=`~`, or a byte after the padding began.
    BadByte {
        /// Index of the byte.
        at: usize,
    },
}

impl fmt::Display for CodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("code is empty"),
            Self::TooLong { max, got } => write!(f, "code has {got} bytes, at most {max} fit"),
            Self::BadByte { at } => write!(f, "code has an unprintable byte at index {at}"),
        }
    }
}

impl core::error::Error for CodeError {}

impl<const N: usize> Code<N> {
    /// Checks and pads `text`.
    ///
    /// # Errors
    /// When it is empty, longer than `N` bytes, or has a byte outside printable ASCII.
    pub fn new(text: &str) -> Result<Self, CodeError> {
        if text.is_empty() {
            return Err(CodeError::Empty);
        }
        let mut padded = [0; N];
        let Some(head) = padded.get_mut(..text.len()) else {
            return Err(CodeError::TooLong { max: N, got: text.len() });
        };
        head.copy_from_slice(text.as_bytes());
        Self::from_padded(padded)
    }

    /// Checks a zero-padded field as it stands in a message or record.
    ///
    /// # Errors
    /// When it is empty or not printable ASCII followed by zero bytes only.
    pub fn from_padded(padded: [u8; N]) -> Result<Self, CodeError> {
        let used = padded.iter().position(|&byte| byte == 0).unwrap_or(N);
        if used == 0 {
            return Err(CodeError::Empty);
        }
        for (at, &byte) in padded.iter().enumerate() {
            let fits = if at < used { byte.is_ascii_graphic() } else { byte == 0 };
            if !fits {
                return Err(CodeError::BadByte { at });
            }
        }
        Ok(Self(padded))
    }

    /// The zero-padded bytes.
    #[must_use]
    pub const fn padded(&self) -> &[u8; N] {
        &self.0
    }

    /// The text without padding.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let used = self.0.iter().position(|&byte| byte == 0).unwrap_or(N);
        self.0.get(..used).and_then(|bytes| core::str::from_utf8(bytes).ok()).unwrap_or("")
    }
}

impl<const N: usize> fmt::Display for Code<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<const N: usize> fmt::Debug for Code<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl<const N: usize> core::str::FromStr for Code<N> {
    type Err = CodeError;

    fn from_str(text: &str) -> Result<Self, CodeError> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_hold_printable_ascii_only() {
        assert_eq!(Code::<8>::new("LV1-7").unwrap().as_str(), "LV1-7");
        assert_eq!(Code::<8>::new("12345678").unwrap().as_str(), "12345678");
        assert_eq!(Code::<8>::new("123456789"), Err(CodeError::TooLong { max: 8, got: 9 }));
        assert_eq!(Code::<8>::new(""), Err(CodeError::Empty));
        assert_eq!(Code::<8>::new("a b"), Err(CodeError::BadByte { at: 1 }));
        assert_eq!(Code::<4>::from_padded(*b"a\0b\0"), Err(CodeError::BadByte { at: 2 }));
    }
}
