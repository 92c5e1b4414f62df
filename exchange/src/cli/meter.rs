//! `gridcross meter`: meter files are inspected, signed and sent.

use std::{
    fs::{self, File},
    io::{self, BufReader},
    path::{Path, PathBuf},
};

use clap::Subcommand;
use ed25519_dalek::SigningKey;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize, de::IgnoredAny};
use settlement::{
    DocumentReject, FileHead,
    metering::formats::{self, FormatError, Series},
    seal, seal_file,
};
use types::{Party, Timestamp};
use wire::data::{Receipt, RequestKind, SinceQuery};

use super::{
    OutputOptions,
    data_port::{self, Access},
};
use crate::{
    clock::Clock,
    exit::Failure,
    output,
    pull::PullRow,
    questions::{DocumentRow, MissingRow},
};

/// Bytes read at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// What can be done with meter files.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read files of any supported format and sum them up, one line per meter and channel
    Inspect {
        /// NEM12, Green Button XML, interval profiles or our signed documents, told apart by content
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// How it is printed
        #[command(flatten)]
        output: OutputOptions,
    },
    /// Sign files with the party's key and send them; one line per file
    Push {
        /// As whom
        #[command(flatten)]
        access: Access,
        /// NEM12, Green Button XML, interval profiles, our documents (readings, meter_points,
        /// meter_codes…), or envelopes that are signed already
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Which version of the readings files of other systems are, from 1 upwards
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        revision: u32,
        /// How it is printed
        #[command(flatten)]
        output: OutputOptions,
    },
    /// Which documents of the party are kept, or which readings are missing
    Status {
        /// As whom
        #[command(flatten)]
        access: Access,
        /// The readings that verification waits for
        #[arg(long)]
        missing: bool,
        /// When and how the exchange last asked the party for readings, with what result
        #[arg(long, conflicts_with = "missing")]
        pulls: bool,
        /// Only documents with a larger number
        #[arg(long, default_value_t = 0)]
        after: u64,
        /// With --missing: wait so many seconds for the first one
        #[arg(long, default_value_t = 0)]
        wait: u16,
        /// How it is printed
        #[command(flatten)]
        output: OutputOptions,
    },
}

#[derive(Debug, Serialize)]
struct Line {
    file: String,
    meter: String,
    channel: String,
    intervals: usize,
    sum: String,
    unit: String,
    first_start: String,
    last_end: String,
    quality: String,
}

/// Carries the command out.
///
/// # Errors
/// With code 2 when a file cannot be read or is wrong; the message names file, line, field, value
/// and reason. Nothing is printed then.
pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Inspect { files, output } => {
            // Only to tell which readings are in the future.
            let now = Clock::System.now();
            let mut lines = Vec::new();
            for file in files {
                lines.extend(inspect(file, now)?);
            }
            output::print_rows(&lines, output.output)
        }
        Command::Push { access, files, revision, output } => {
            let key = access.signing_key()?;
            let mut documents = Vec::new();
            for file in files {
                documents.push((file, sealed(file, access.party()?, &key, *revision)?));
            }
            push(access, &documents, output.output)
        }
        Command::Status { access, missing, pulls, after, wait, output } => {
            let query = SinceQuery { after: *after, wait_seconds: *wait, ..SinceQuery::default() };
            if *missing {
                let rows: Vec<MissingRow> = access.since(RequestKind::MissingReadings, query)?;
                output::print_rows(&rows, output.output)
            } else if *pulls {
                let rows: Vec<PullRow> = access.since(RequestKind::Pulls, query)?;
                output::print_rows(&rows, output.output)
            } else {
                let rows: Vec<DocumentRow> = access.since(RequestKind::Documents, query)?;
                output::print_rows(&rows, output.output)
            }
        }
    }
}

/// What became of a document.
#[derive(Debug, Serialize)]
pub(super) struct PushLine {
    file: String,
    bytes: usize,
    accepted: u32,
    result: &'static str,
    digest: String,
}

impl PushLine {
    pub(super) fn new(file: &str, bytes: usize, receipt: &Receipt) -> Self {
        let refused = DocumentReject::from_code(receipt.reason);
        Self {
            file: file.to_owned(),
            bytes,
            accepted: receipt.accepted,
            result: refused.map_or("taken", DocumentReject::name),
            digest: receipt.digest.to_string(),
        }
    }
}

/// The end of a command whose document was refused.
pub(super) fn refused(name: &str, reason: DocumentReject) -> Failure {
    let why = format!("`{name}` was refused: {}", reason.name());
    Failure::refused(why)
        .hint("`docs/reference.md`, \"Refused documents\", says what the codes mean")
}

/// Sends every document, whatever becomes of those before it.
fn push(
    access: &Access,
    documents: &[(&PathBuf, Vec<u8>)],
    format: output::Format,
) -> Result<(), Failure> {
    let receipts = access.run(async |client| {
        let mut receipts = Vec::new();
        for (_, document) in documents {
            receipts.push(client.submit(document).await.map_err(data_port::failure)?);
        }
        Ok(receipts)
    })?;
    let name =
        |path: &Path| path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let lines: Vec<PushLine> = documents
        .iter()
        .zip(&receipts)
        .map(|((path, document), receipt)| PushLine::new(&name(path), document.len(), receipt))
        .collect();
    output::print_rows(&lines, format)?;
    for ((path, _), receipt) in documents.iter().zip(&receipts) {
        if let Some(reason) = DocumentReject::from_code(receipt.reason) {
            return Err(refused(&name(path), reason));
        }
    }
    Ok(())
}

/// A file in its envelope; one that has an envelope goes as it is.
fn sealed(path: &Path, party: Party, key: &SigningKey, revision: u32) -> Result<Vec<u8>, Failure> {
    #[derive(Deserialize)]
    struct Keys {
        signer: Option<IgnoredAny>,
        #[serde(rename = "type")]
        kind: Option<IgnoredAny>,
    }
    let bytes = fs::read(path)
        .map_err(|error| Failure::usage(format!("cannot read `{}`: {error}", path.display())))?;
    // A list would be read as the fields of a struct.
    let object = if bytes.trim_ascii_start().starts_with(b"{") { bytes.as_slice() } else { b"" };
    match serde_json::from_slice(object) {
        Ok(Keys { signer: Some(_), .. }) => return Ok(bytes),
        Ok(Keys { kind: Some(_), .. }) => return Ok(seal(party, key, &bytes)),
        Ok(_) | Err(_) => {}
    }
    // The exchange decides what is in the future.
    let read = formats::read(&mut bytes.as_slice(), Timestamp::from_ns(i64::MAX));
    let format =
        read.map_err(|error| Failure::usage(format!("`{}` {error}", path.display())))?.format;
    Ok(seal_file(party, key, FileHead { format, revision }, &bytes))
}

fn inspect(path: &Path, now: Timestamp) -> Result<Vec<Line>, Failure> {
    let unreadable =
        |error: io::Error| Failure::usage(format!("cannot read `{}`: {error}", path.display()));
    let opened = File::open(path).map_err(unreadable)?;
    if opened.metadata().map_err(unreadable)?.is_dir() {
        return Err(unreadable(io::Error::from(io::ErrorKind::IsADirectory)));
    }
    let mut input = BufReader::with_capacity(BUFFER_BYTES, opened);
    let data = formats::read(&mut input, now)
        .map_err(|error: FormatError| Failure::usage(format!("`{}` {error}", path.display())))?;
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    Ok(data.series.iter().map(|series| line(&name, series)).collect())
}

fn line(file: &str, series: &Series) -> Line {
    let summary = series.summary();
    Line {
        file: file.to_owned(),
        meter: series.meter.clone(),
        channel: series.channel.clone(),
        intervals: summary.intervals,
        sum: decimal(summary.sum),
        unit: series.unit_name.clone(),
        first_start: summary.first_start,
        last_end: summary.last_end,
        quality: summary.quality,
    }
}

/// Without trailing zeros, and with one decimal at least.
fn decimal(sum: Decimal) -> String {
    let mut shortest = sum.normalize();
    if shortest.scale() == 0 {
        shortest.rescale(1);
    }
    shortest.to_string()
}
