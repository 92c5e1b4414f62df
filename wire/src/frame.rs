//! Frames: a header and up to 256 messages, in both directions.

use crate::{
    field::{DecodeError, Field, Zero, take_array},
    layout,
};

/// `GX` in ASCII, little-endian.
pub const MAGIC: u16 = u16::from_le_bytes(*b"GX");
/// Version of every layout in this crate.
pub const VERSION: u8 = 1;
/// Bytes of a frame's header.
pub const FRAME_HEADER_BYTES: usize = 24;
/// Bytes of a message's head: kind, zero, length, four zeros.
pub const MESSAGE_HEAD_BYTES: usize = 8;
/// Most messages in a frame.
pub const FRAME_MESSAGES_MAX: u16 = 256;
/// Most bytes of a message, its head included.
pub const MESSAGE_BYTES_MAX: u16 = 256;
/// Most bytes after a frame's header: 256 messages of at most 256 bytes.
pub const FRAME_PAYLOAD_BYTES_MAX: u32 = 65_536;

/// What precedes the messages of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// Number of the frame in its direction, from 1 without gaps.
    pub number: u64,
    /// Bytes that follow the header.
    pub payload_bytes: u32,
    /// Messages that follow the header, at least one.
    pub messages: u16,
}

const _: () = assert!(FrameHeader::SIZE == FRAME_HEADER_BYTES);

impl Field for FrameHeader {
    const SIZE: usize = 24;
    const NAME: &'static str = "frame header";
    fn parts(_: &'static str) -> Vec<layout::Row> {
        [
            ("magic `GX`", 2, "u16"),
            ("version = 1", 1, "u8"),
            ("(zero)", 1, "zero"),
            ("payload_bytes", 4, "u32"),
            ("number", 8, "u64"),
            ("messages", 2, "u16"),
            ("(zero)", 6, "zero"),
        ]
        .map(|(name, size, kind)| (name.to_owned(), size, kind))
        .to_vec()
    }
    fn put(&self, out: &mut Vec<u8>) {
        MAGIC.put(out);
        VERSION.put(out);
        Zero::<1>.put(out);
        self.payload_bytes.put(out);
        self.number.put(out);
        self.messages.put(out);
        Zero::<6>.put(out);
    }
    fn take(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        if u16::take(bytes)? != MAGIC {
            return Err(DecodeError::BadField("magic"));
        }
        if u8::take(bytes)? != VERSION {
            return Err(DecodeError::BadField("version"));
        }
        Zero::<1>::take(bytes)?;
        let payload_bytes = u32::take(bytes)?;
        let number = u64::take(bytes)?;
        let messages = u16::take(bytes)?;
        Zero::<6>::take(bytes)?;
        Ok(Self { number, payload_bytes, messages })
    }
}

/// Why bytes are not a frame. After one of these, nothing more on the stream can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// The first bytes are not [`MAGIC`].
    BadMagic,
    /// Another version of the protocol.
    UnsupportedVersion(u8),
    /// Reserved bytes are not zero.
    BadHeader,
    /// More payload than [`FRAME_PAYLOAD_BYTES_MAX`].
    TooManyBytes(u32),
    /// No message, or more than [`FRAME_MESSAGES_MAX`].
    BadMessageCount(u16),
}

impl core::fmt::Display for FrameError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::BadMagic => f.write_str("bytes are not a frame"),
            Self::UnsupportedVersion(got) => {
                write!(f, "frame has version {got}, this side speaks {VERSION}")
            }
            Self::BadHeader => f.write_str("reserved bytes of the frame header are not zero"),
            Self::TooManyBytes(got) => {
                write!(f, "frame of {got} bytes, at most {FRAME_PAYLOAD_BYTES_MAX} are allowed")
            }
            Self::BadMessageCount(got) => {
                write!(f, "frame of {got} messages, 1 to {FRAME_MESSAGES_MAX} are allowed")
            }
        }
    }
}

impl core::error::Error for FrameError {}

impl FrameHeader {
    /// Reads and checks a header.
    ///
    /// # Errors
    /// When the bytes cannot begin a frame of this version.
    pub fn decode(bytes: &[u8; FRAME_HEADER_BYTES]) -> Result<Self, FrameError> {
        let mut rest = bytes.as_slice();
        if take_array(&mut rest).map(u16::from_le_bytes) != Ok(MAGIC) {
            return Err(FrameError::BadMagic);
        }
        match u8::take(&mut rest) {
            Ok(VERSION) => {}
            Ok(other) => return Err(FrameError::UnsupportedVersion(other)),
            Err(_) => return Err(FrameError::BadHeader),
        }
        let header = Self::take(&mut bytes.as_slice()).map_err(|_| FrameError::BadHeader)?;
        if header.payload_bytes > FRAME_PAYLOAD_BYTES_MAX {
            return Err(FrameError::TooManyBytes(header.payload_bytes));
        }
        if header.messages == 0 || header.messages > FRAME_MESSAGES_MAX {
            return Err(FrameError::BadMessageCount(header.messages));
        }
        Ok(header)
    }
}

/// A whole frame as it came off a stream. Its messages are not decoded yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its header.
    pub header: FrameHeader,
    /// The bytes of its messages.
    pub payload: Vec<u8>,
}

/// Cuts a stream of bytes into frames, however the bytes arrive.
///
/// Holds what was pushed and not yet taken: where [`FrameDecoder::next_frame`] is called until it has
/// nothing, less than one frame stays between pushes. After an error nothing is held.
#[derive(Debug, Default)]
pub struct FrameDecoder {
    buffer: Vec<u8>,
    /// Bytes of `buffer` that are already handed out.
    used: usize,
    /// Why the stream is of no use any more.
    failed: Option<FrameError>,
}

impl FrameDecoder {
    /// Takes bytes as they arrive; ignores them once the stream has failed.
    pub fn extend(&mut self, bytes: &[u8]) {
        if self.failed.is_some() {
            return;
        }
        if self.used > 0 {
            self.buffer.drain(..self.used);
            self.used = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame, or `None` until more bytes arrive.
    ///
    /// # Errors
    /// When the bytes cannot begin a frame; from then on always the same error.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let next = self.cut_frame();
        if let Err(error) = next {
            *self = Self { failed: Some(error), ..Self::default() };
        }
        next
    }

    fn cut_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let unread = self.buffer.get(self.used..).unwrap_or_default();
        let Some((head, rest)) = unread.split_first_chunk::<FRAME_HEADER_BYTES>() else {
            return Ok(None);
        };
        let header = FrameHeader::decode(head)?;
        let payload_bytes =
            usize::try_from(header.payload_bytes).map_err(|_| FrameError::BadHeader)?;
        let Some(payload) = rest.get(..payload_bytes) else {
            return Ok(None);
        };
        let payload = payload.to_vec();
        self.used = self.used.saturating_add(FRAME_HEADER_BYTES).saturating_add(payload_bytes);
        Ok(Some(Frame { header, payload }))
    }

    /// Whether a frame has begun and not ended. A stream that ends like this was cut short.
    #[must_use]
    pub fn is_mid_frame(&self) -> bool {
        self.buffer.len() > self.used
    }
}

/// Collects encoded messages and seals them as numbered frames.
#[derive(Debug, Default)]
pub struct FrameBuilder {
    payload: Vec<u8>,
    messages: u16,
}

impl FrameBuilder {
    /// Appends a message through its `encode` function.
    ///
    /// # Panics
    /// When the frame is full: ask [`FrameBuilder::is_full`] first.
    pub fn push(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        assert!(!self.is_full(), "frame is full");
        encode(&mut self.payload);
        self.messages = self.messages.saturating_add(1);
    }

    /// Whether no further message fits.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.messages >= FRAME_MESSAGES_MAX
    }

    /// Whether there is no message yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// Messages so far.
    #[must_use]
    pub const fn messages(&self) -> u16 {
        self.messages
    }

    /// Writes the frame with its number to `out` and begins the next one.
    ///
    /// # Panics
    /// When the frame is empty: a frame without a message is none, and its number would be a gap.
    pub fn seal(&mut self, number: u64, out: &mut Vec<u8>) {
        assert!(!self.is_empty(), "frame has no message");
        let payload_bytes = u32::try_from(self.payload.len()).unwrap_or(u32::MAX);
        assert!(payload_bytes <= FRAME_PAYLOAD_BYTES_MAX, "frame has too many bytes");
        FrameHeader { number, payload_bytes, messages: self.messages }.put(out);
        out.extend_from_slice(&self.payload);
        self.payload.clear();
        self.messages = 0;
    }
}

#[cfg(test)]
mod tests;
