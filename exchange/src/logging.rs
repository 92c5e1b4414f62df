//! Logs: to stderr, one event a line, as text or as JSON. No line has a key, a secret or a meter's name.

use std::{
    borrow::Cow,
    io::{self, IsTerminal as _, Write},
};

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// What is logged unless `RUST_LOG` says otherwise.
const FILTER: &str = "info,quinn=warn";

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// One JSON object an event
    Json,
}

/// Begins to log, for the whole process.
pub fn start(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(FILTER));
    let log = tracing_subscriber::fmt()
        .with_writer(|| Lines(io::stderr()))
        .with_env_filter(filter)
        .with_target(false);
    match format {
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().flatten_event(true).with_span_list(false).init(),
    }
}

/// Takes each event whole and keeps it to one line, whatever others have put into it.
struct Lines<W>(W);

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.0.write_all(&in_one_line(event))?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Ends of lines within an event become `\n`, as in a string.
fn in_one_line(event: &[u8]) -> Cow<'_, [u8]> {
    let body = event.strip_suffix(b"\n").unwrap_or(event);
    if !body.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return Cow::Borrowed(event);
    }
    let mut line = Vec::with_capacity(event.len().saturating_add(8));
    for &byte in body {
        match byte {
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            other => line.push(other),
        }
    }
    line.extend_from_slice(event.get(body.len()..).unwrap_or_default());
    Cow::Owned(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_puts_a_line_of_their_own_into_the_log() {
        let mut written = Vec::new();
        let mut lines = Lines(&mut written);
        lines.write_all(b"INFO closed\n").unwrap();
        lines.write_all(b"INFO reason: no\r\nERROR all is lost\n").unwrap();
        let text = String::from_utf8(written).unwrap();
        assert_eq!(text, "INFO closed\nINFO reason: no\\r\\nERROR all is lost\n");
    }
}
