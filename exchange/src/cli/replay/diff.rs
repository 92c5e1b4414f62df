//! `gridcross replay diff`: where two journals part.

use std::path::{Path, PathBuf};

use ::replay::{
    diff::{Comparison, Difference, diff},
    shards,
};
use clap::Args;
use serde::Serialize;
use serde_json::Value;

use crate::{
    cli::OutputOptions,
    exit::Failure,
    output::{self, Format},
};

/// Options of `replay diff`.
#[derive(Debug, Args)]
pub struct Options {
    /// A data directory, or the journal directory inside it
    left: PathBuf,
    /// Another one
    right: PathBuf,
    /// How it is printed
    #[command(flatten)]
    output: OutputOptions,
}

/// A shard's journals, compared.
#[derive(Debug, Serialize)]
struct Line {
    shard: u8,
    result: &'static str,
    entries_left: Option<u64>,
    entries_right: Option<u64>,
    seq: Option<u64>,
    event: Option<usize>,
    differing: Vec<String>,
    left: Value,
    right: Value,
}

/// One field, where people look at a difference.
#[derive(Debug, Serialize)]
struct FieldRow {
    differs: &'static str,
    field: String,
    left: Value,
    right: Value,
}

/// Compares and prints.
///
/// # Errors
/// With code 4 when they differ, or one is damaged.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let (left, right) = (shards(&options.left), shards(&options.right));
    if left.len() != right.len() {
        return Err(Failure::mismatch(format!(
            "`{}` holds {} journals, `{}` holds {}",
            options.left.display(),
            left.len(),
            options.right.display(),
            right.len()
        )));
    }
    let mut lines = Vec::new();
    let mut failure = None;
    for (left, right) in left.iter().zip(&right) {
        let compared =
            diff(&left.journal, &right.journal).map_err(|error| Failure::journal(&error))?;
        if options.output.output == Format::Human {
            print_difference(&compared)?;
        }
        failure = failure.or_else(|| refusal(&left.journal, &right.journal, &compared));
        lines.push(line(left.number, compared));
    }
    match options.output.output {
        Format::Human if failure.is_some() => {}
        Format::Human => output::print(&format!(
            "equal: {} entries\n",
            lines.iter().filter_map(|line| line.entries_left).sum::<u64>()
        ))?,
        format @ (Format::Json | Format::Ndjson | Format::Csv) => {
            output::print_rows(&lines, format)?;
        }
    }
    failure.map_or(Ok(()), Err)
}

fn line(shard: u8, compared: Comparison) -> Line {
    let blank = Line {
        shard,
        result: "equal",
        entries_left: None,
        entries_right: None,
        seq: None,
        event: None,
        differing: Vec::new(),
        left: Value::Null,
        right: Value::Null,
    };
    match compared {
        Comparison::Equal { entries } => {
            Line { entries_left: Some(entries), entries_right: Some(entries), ..blank }
        }
        Comparison::Prefix { left, right } => Line {
            result: if left < right { "left_is_prefix" } else { "right_is_prefix" },
            entries_left: Some(left),
            entries_right: Some(right),
            ..blank
        },
        Comparison::Different(difference) => Line {
            result: "different",
            seq: Some(difference.seq.get()),
            event: difference.event,
            differing: difference.fields().into_iter().map(|(name, _, _)| name).collect(),
            left: Value::Object(difference.left),
            right: Value::Object(difference.right),
            ..blank
        },
    }
}

/// The sentence that ends the command, if they are not equal.
fn refusal(left: &Path, right: &Path, compared: &Comparison) -> Option<Failure> {
    let (left_name, right_name) = (left.display(), right.display());
    match compared {
        Comparison::Equal { .. } => None,
        Comparison::Prefix { left, right } => {
            let (shorter, longer) =
                if left < right { (left_name, right_name) } else { (right_name, left_name) };
            Some(Failure::mismatch(format!(
                "`{shorter}` is the beginning of `{longer}`: {} entries of {}",
                left.min(right),
                left.max(right)
            )))
        }
        Comparison::Different(difference) => {
            let what = difference.event.map_or_else(
                || "the commands differ".to_owned(),
                |index| format!("the same command has another event {index}"),
            );
            let seq = difference.seq;
            let text = format!("`{left_name}` and `{right_name}` part at sequence {seq}: {what}");
            Some(Failure::mismatch(text))
        }
    }
}

/// Both sides, field by field.
fn print_difference(compared: &Comparison) -> Result<(), Failure> {
    let Comparison::Different(difference) = compared else { return Ok(()) };
    output::print_rows(&rows(difference), Format::Human)
}

fn rows(difference: &Difference) -> Vec<FieldRow> {
    let of = |side: &::replay::fields::Object, name: &str| side.get(name).cloned();
    let only_right = difference.right.keys().filter(|name| !difference.left.contains_key(*name));
    difference
        .left
        .keys()
        .chain(only_right)
        .map(|name| {
            let left = of(&difference.left, name).unwrap_or(Value::Null);
            let right = of(&difference.right, name).unwrap_or(Value::Null);
            let differs = if left == right { "" } else { "*" };
            FieldRow { differs, field: name.clone(), left, right }
        })
        .collect()
}
