//! `gridcross backup`: a directory from which an exchange starts again, taken while it runs.
//!
//! The order makes it whole. What is promised is copied before what backs it: the signed checkpoint before the
//! books, which hold its leaves, and the books before the journals, which hold what the books have
//! captured. A start refuses the other way round.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Serialize;
use settlement::{Pipeline, store::database::Connection};
use types::Seq;

use super::{OutputOptions, books::StoreOptions};
use crate::{
    config::{self, Config},
    exit::Failure,
    init,
    node::{self, Layout},
    output,
};

const EXAMPLES: &str = "\
Examples:
  gridcross backup --data-dir exchange --to /backup/2026-11-24
  gridcross replay verify /backup/2026-11-24
  cp -a /backup/2026-11-24 restored && gridcross serve --data-dir restored

The copy has the private keys too. Never start it while the exchange that it is of runs.";

/// What is copied, and where to.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// The exchange's directory
    #[arg(long)]
    data_dir: PathBuf,
    /// A new or empty directory outside of it
    #[arg(long)]
    to: PathBuf,
    /// How it is printed
    #[command(flatten)]
    output: OutputOptions,
}

/// A part of the copy.
#[derive(Debug, Serialize)]
struct Part {
    part: String,
    /// Of a journal its last sequence, of the books the last they have captured.
    through: Option<u64>,
    /// What was found when the copy was read.
    checked: String,
}

/// Carries the command out.
///
/// # Errors
/// Code 3 where configuration or keys cannot be used, 1 where something cannot be copied or the copy is not sound.
pub fn run(options: &Options) -> Result<(), Failure> {
    let from = Layout::new(&options.data_dir);
    let config = StoreOptions::default().load(&from.root().join(config::FILE_NAME))?;
    init::claim_directory(&options.to).map_err(Failure::runtime)?;
    if is_inside(&options.to, from.root()).map_err(Failure::runtime)? {
        return Err(Failure::usage("--to is inside of --data-dir, which it would be a part of"));
    }
    let to = Layout::new(&options.to);
    let failed = |error: io::Error| {
        Failure::refused(format!("cannot copy to `{}`: {error}", options.to.display()))
    };
    copy_rest(&from, &to, &config).map_err(failed)?;
    copy_ledger(&from.ledger(), &to.ledger()).map_err(failed)?;
    let mut parts = vec![part("configuration, registry, keys"), part("ledger")];
    let books = copy_books(&from, &to, &config)?;
    parts.push(books.part);
    for (shard, captured) in config.shards.iter().zip(books.captured) {
        let (journal, copy) = (from.journal_of(shard), to.journal_of(shard));
        let found = journal::copy(&journal, &copy, captured).map_err(|error| {
            Failure::journal(&error)
                .hint("where segments were removed meanwhile, another copy can do")
        })?;
        parts.push(Part {
            part: format!("journal of shard {shard}"),
            through: Some(found.last_seq.get()),
            checked: format!("{} entries, {} bytes torn", found.entries, found.torn_bytes),
        });
    }
    output::print_rows(&parts, options.output.output)
}

fn part(name: &str) -> Part {
    Part { part: name.to_owned(), through: None, checked: String::new() }
}

fn is_inside(path: &Path, directory: &Path) -> io::Result<bool> {
    Ok(fs::canonicalize(path)?.starts_with(fs::canonicalize(directory)?))
}

/// The copied books, and what they have captured of each shard.
struct Books {
    part: Part,
    captured: Vec<Seq>,
}

fn copy_books(from: &Layout, to: &Layout, config: &Config) -> Result<Books, Failure> {
    if config.store.is_some() {
        let mut part = part("books");
        "on a server: dump its database before this".clone_into(&mut part.checked);
        return Ok(Books { part, captured: vec![Seq::ZERO; config.shards.iter().count()] });
    }
    let copy = to.settlement();
    Connection::copy_file(&from.settlement(), &copy).map_err(Failure::runtime)?;
    let settings = node::settlement_settings(from, config).map_err(Failure::config)?;
    let opened = Pipeline::open_for_questions(copy.as_path(), settings);
    let pipeline = opened.map_err(|error| Failure::settlement(&error))?;
    let captured: Vec<_> = config.shards.iter().map(|shard| pipeline.cursor_of(shard)).collect();
    let (leaves, _) = pipeline.ledger_head();
    let part = Part {
        part: "books".to_owned(),
        through: captured.first().map(|seq| seq.get()),
        checked: format!("{leaves} leaves"),
    };
    Ok(Books { part, captured })
}

/// The checkpoint first. Tiles that are replaced meanwhile are narrow ones, which a start makes again.
fn copy_ledger(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    copy_if_there(&from.join("checkpoint"), &to.join("checkpoint"))?;
    copy_tree(&from.join("tile"), &to.join("tile"))
}

/// Everything that has no place of its own in a directory: whatever else is there is copied, too.
fn copy_rest(from: &Layout, to: &Layout, config: &Config) -> io::Result<()> {
    let books = from.settlement();
    let own: Vec<_> = config.shards.iter().map(|shard| from.journal_of(shard)).collect();
    for entry in fs::read_dir(from.root())? {
        let path = entry?.path();
        let is_books = path.to_string_lossy().starts_with(&*books.to_string_lossy());
        if is_books || path == from.ledger() || own.contains(&path) {
            continue;
        }
        let target = to.root().join(path.file_name().unwrap_or_default());
        if path.is_dir() { copy_tree(&path, &target)? } else { copy_if_there(&path, &target)? }
    }
    Ok(())
}

/// A directory as it is, with who may read it; nothing, where there is none.
fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    fs::create_dir_all(to)?;
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    for entry in entries {
        let path = entry?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() { copy_tree(&path, &target)? } else { copy_if_there(&path, &target)? }
    }
    File::open(to)?.sync_all()
}

/// A file with who may read it; nothing, where it has gone.
fn copy_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::copy(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        copied => copied.and_then(|_| File::open(to)?.sync_all()),
    }
}
