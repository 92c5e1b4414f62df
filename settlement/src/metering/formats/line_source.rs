//! Bytes of a file with the number of the line they stand in, in bounded pieces.

use std::io::{self, BufRead, Read};

use super::{FormatError, Problem};

/// Longest piece: a line of NEM12, or one tag, text or comment of XML. A day of 288 readings of 20
/// characters has 6 KiB; the rest is room for comments.
const PIECE_BYTES_MAX: usize = 1024 * 1024;

/// A reader that counts lines and refuses pieces that do not end.
pub(super) struct LineSource<'a> {
    input: &'a mut dyn BufRead,
    newlines: u64,
    piece_left: usize,
}

impl<'a> LineSource<'a> {
    pub(super) fn new(input: &'a mut dyn BufRead) -> Self {
        Self { input, newlines: 0, piece_left: PIECE_BYTES_MAX }
    }

    /// The line that is read next, from 1.
    pub(super) const fn line(&self) -> u64 {
        self.newlines.saturating_add(1)
    }

    /// Begins a new piece.
    pub(super) const fn begin_piece(&mut self) {
        self.piece_left = PIECE_BYTES_MAX;
    }

    /// What comes next, without taking it.
    pub(super) fn peek(&mut self) -> Result<&[u8], FormatError> {
        self.input.fill_buf().map_err(|error| unreadable(&error, None))
    }

    /// Reads one line without its end into `line`; false at the end of the file.
    pub(super) fn next_line(&mut self, line: &mut String) -> Result<bool, FormatError> {
        line.clear();
        self.begin_piece();
        let number = Some(self.line());
        let read = self.read_line(line).map_err(|error| unreadable(&error, number))?;
        let end = line.trim_end_matches(['\r', '\n']).len();
        line.truncate(end);
        Ok(read > 0)
    }

    /// Everything that is left, up to a limit.
    pub(super) fn rest(&mut self, bytes_max: usize) -> Result<Vec<u8>, FormatError> {
        let mut bytes = Vec::new();
        let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
        self.input.take(limit).read_to_end(&mut bytes).map_err(|error| unreadable(&error, None))?;
        if bytes.len() > bytes_max {
            let why = format!("longer than {bytes_max} bytes; split it");
            return Err(FormatError::new(Problem::TooLarge, None, "file", "", &why));
        }
        Ok(bytes)
    }
}

/// A failure of reading as what it means.
pub(super) fn unreadable(error: &io::Error, line: Option<u64>) -> FormatError {
    let kind = error.kind();
    let problem = if kind == io::ErrorKind::InvalidData {
        Problem::NotText
    } else if kind == io::ErrorKind::FileTooLarge {
        Problem::TooLarge
    } else {
        Problem::Unreadable
    };
    FormatError::new(problem, line, "file", "", &error.to_string())
}

impl Read for LineSource<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let taken = available.len().min(into.len());
        if let (Some(to), Some(from)) = (into.get_mut(..taken), available.get(..taken)) {
            to.copy_from_slice(from);
        }
        self.consume(taken);
        Ok(taken)
    }
}

impl BufRead for LineSource<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.piece_left == 0 {
            let text = format!("a line or tag is longer than {PIECE_BYTES_MAX} bytes");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
        }
        let buffer = self.input.fill_buf()?;
        Ok(buffer.get(..buffer.len().min(self.piece_left)).unwrap_or_default())
    }

    fn consume(&mut self, bytes: usize) {
        if let Ok(buffer) = self.input.fill_buf() {
            let taken = buffer.iter().take(bytes);
            let newlines = taken.filter(|byte| **byte == b'\n').count();
            self.newlines =
                self.newlines.saturating_add(u64::try_from(newlines).unwrap_or(u64::MAX));
        }
        self.piece_left = self.piece_left.saturating_sub(bytes);
        self.input.consume(bytes);
    }
}
