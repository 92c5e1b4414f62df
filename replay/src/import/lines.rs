//! Lines of a text file, one at a time, of bounded length.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use super::{BadRow, RowError};

/// Longest line. The longest export of a command is 700 bytes.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Lines {
    path: PathBuf,
    file: BufReader<File>,
    /// Number of the line in `text`, from 1.
    number: u64,
    text: String,
    bytes: Vec<u8>,
    is_over: bool,
}

impl Lines {
    pub(crate) fn open(path: &Path) -> Result<Self, RowError> {
        let file =
            File::open(path).map_err(|source| RowError::Read { path: path.to_owned(), source })?;
        Ok(Self {
            path: path.to_owned(),
            file: BufReader::with_capacity(1 << 20, file),
            number: 0,
            text: String::new(),
            bytes: Vec::new(),
            is_over: false,
        })
    }

    /// Number of the line last read.
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    /// The next line that is not blank, without its end; `None` at the end of the file.
    pub(crate) fn next(&mut self) -> Option<Result<&str, RowError>> {
        loop {
            if self.is_over {
                return None;
            }
            self.bytes.clear();
            let read = self.file.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut self.bytes);
            self.number = self.number.saturating_add(1);
            match read {
                Ok(0) => self.is_over = true,
                Ok(_) if self.bytes.iter().all(u8::is_ascii_whitespace) => {}
                Ok(read) => return Some(self.line(u64::try_from(read).unwrap_or(u64::MAX))),
                Err(source) => {
                    self.is_over = true;
                    return Some(Err(RowError::Read { path: self.path.clone(), source }));
                }
            }
        }
    }

    fn line(&mut self, read: u64) -> Result<&str, RowError> {
        let bad = |value: String, expected: &str| BadRow {
            place: format!("line {}", self.number),
            column: "line".into(),
            value,
            expected: expected.to_owned(),
        };
        if read == LINE_BYTES_MAX && self.bytes.last() != Some(&b'\n') {
            self.is_over = true;
            return Err(RowError::Broken(bad("longer".to_owned(), "64 KiB at most")));
        }
        match std::str::from_utf8(&self.bytes) {
            Ok(text) => {
                self.text.clear();
                self.text.push_str(text.trim_end_matches(['\n', '\r']));
                Ok(&self.text)
            }
            Err(_) => Err(bad(self.bytes.escape_ascii().to_string(), "UTF-8").into()),
        }
    }
}
