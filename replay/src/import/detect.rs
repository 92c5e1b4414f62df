//! Which format a file has, from its first bytes.

use std::{fs::File, io::Read, path::Path};

/// What a log can be read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A journal directory, or a data directory with one.
    Journal,
    /// Commands as `replay export --what commands --format ndjson` writes them.
    Commands,
    /// Comma-separated values with a header.
    Csv,
    /// One JSON object a line.
    Ndjson,
    /// A flow file.
    Flow,
    /// A message file of LOBSTER.
    Lobster,
    /// NASDAQ TotalView-ITCH 5.0.
    Itch,
    /// Databento DBN with MBO records; builds without the feature `dbn` do not read it.
    Dbn,
}

/// Bytes that are looked at.
const HEAD_BYTES: u64 = 4_096;

/// The format of a file or directory, as far as its first bytes tell; CSV when nothing else fits.
///
/// # Errors
/// When it cannot be read.
pub fn detect(path: &Path) -> std::io::Result<Format> {
    if path.is_dir() {
        return Ok(Format::Journal);
    }
    let mut head = Vec::new();
    File::open(path)?.take(HEAD_BYTES).read_to_end(&mut head)?;
    if head.starts_with(b"EOLBOOK1") {
        return Ok(Format::Flow);
    }
    if head.starts_with(b"DBN") {
        return Ok(Format::Dbn);
    }
    // The first message of a day is a system event: 12 bytes of type S.
    if head.starts_with(&[0, 12, b'S']) || matches!(head.get(..3), Some([0, 39, b'R'])) {
        return Ok(Format::Itch);
    }
    let text = String::from_utf8_lossy(&head);
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    if line.trim_start().starts_with('{') {
        let is_command = line.contains("\"command\":") && line.contains("\"seq\":");
        return Ok(if is_command { Format::Commands } else { Format::Ndjson });
    }
    let cells: Vec<&str> = line.split(',').collect();
    let is_lobster = (6..=7).contains(&cells.len())
        && cells.iter().take(6).all(|cell| super::decimal(cell.trim()).is_some());
    Ok(if is_lobster { Format::Lobster } else { Format::Csv })
}
