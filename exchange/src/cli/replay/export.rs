//! `gridcross replay export`: a journal as a table.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::PathBuf,
};

use ::replay::{
    export::{ExportError, Format, Span, What, export},
    shards,
};
use clap::{Args, ValueEnum};
use types::Timestamp;

use crate::exit::{Failure, Kind};

/// Options of `replay export`.
#[derive(Debug, Args)]
pub struct Options {
    /// A data directory, or the journal directory inside it
    dir: PathBuf,
    /// In which format
    #[arg(long, value_enum)]
    format: FormatName,
    /// What is exported
    #[arg(long, value_enum, default_value = "orders")]
    what: WhatName,
    /// Not before this time, RFC 3339
    #[arg(long, value_parser = super::instant)]
    from: Option<Timestamp>,
    /// Before this time, RFC 3339
    #[arg(long, value_parser = super::instant)]
    to: Option<Timestamp>,
    /// Write into this file, and not to stdout
    #[arg(long)]
    file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FormatName {
    /// Comma-separated values with a header
    Csv,
    /// One JSON object a line
    Ndjson,
    /// Apache Parquet (in builds with the feature `parquet`)
    Parquet,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum WhatName {
    /// Orders that were accepted
    Orders,
    /// Trades
    Trades,
    /// Every event
    Events,
    /// Every command; `replay run` reads them as NDJSON
    Commands,
}

/// Exports.
///
/// # Errors
/// See [`super::run`].
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let journals: Vec<_> = shards(&options.dir).into_iter().map(|shard| shard.journal).collect();
    let [journal] = journals.as_slice() else {
        return Err(Failure::usage(format!(
            "`{}` holds {} journals; name one of them",
            options.dir.display(),
            journals.len()
        )));
    };
    let what = match options.what {
        WhatName::Orders => What::Orders,
        WhatName::Trades => What::Trades,
        WhatName::Events => What::Events,
        WhatName::Commands => What::Commands,
    };
    let format = match options.format {
        FormatName::Csv => Format::Csv,
        FormatName::Ndjson => Format::Ndjson,
        FormatName::Parquet => Format::Parquet,
    };
    // Before a file is made.
    format.check().map_err(failure)?;
    let span = Span { from: options.from, to: options.to };
    let mut out: Box<dyn Write + Send> = match &options.file {
        Some(path) => Box::new(BufWriter::new(File::create(path).map_err(|source| {
            Failure::usage(format!("cannot write `{}`: {source}", path.display()))
        })?)),
        None => Box::new(BufWriter::new(io::stdout())),
    };
    let exported = export(journal, what, format, span, &mut *out)
        .and_then(|()| out.flush().map_err(ExportError::from));
    match exported {
        Err(ExportError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(failure),
    }
}

fn failure(error: ExportError) -> Failure {
    match error {
        ExportError::Journal(error) => Failure::journal(&error),
        missing @ ExportError::NotBuilt { .. } => Failure::new(Kind::Usage, &missing),
        error @ ExportError::Write(_) => Failure::runtime(error),
    }
}
