//! The books of an exchange, as commands open them: beside a program that writes them.

use std::{
    convert::Infallible,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use clap::Args;
use settlement::{Pipeline, store::database::Store};

use crate::{
    config::{self, Config, ConfigError, store},
    exit::Failure,
    node::{self, Layout},
};

/// An exchange's directory, and where its books are.
#[derive(Debug, Args)]
pub struct BooksOptions {
    /// The directory of the exchange
    #[arg(long)]
    pub(super) data_dir: PathBuf,
    /// Where its books are
    #[command(flatten)]
    pub(super) store: StoreOptions,
}

/// Where the books are, if not where the configuration says.
#[derive(Debug, Clone, Default, Args)]
pub struct StoreOptions {
    /// Where the books are, such as postgres://user@host/database, whatever `settlement.store` says. An
    /// address with a password is better said in GRIDCROSS_STORE, which `ps` does not show
    #[arg(long, value_name = "URL")]
    store: Option<StoreText>,
}

/// An address that is not read yet. It is shown nowhere, for it may hold a password.
#[derive(Clone)]
struct StoreText(String);

impl fmt::Debug for StoreText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreText")
    }
}

impl FromStr for StoreText {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl StoreOptions {
    /// The configuration in a file, with the books where they are.
    ///
    /// # Errors
    /// Code 3 where the file cannot be used, or the address of the books.
    pub(crate) fn load(&self, file: &Path) -> Result<Config, Failure> {
        store::load_for_books(file, self.text()).map_err(Failure::config)
    }

    /// Where the books of a directory are, which may be a copy without a configuration.
    ///
    /// # Errors
    /// As [`StoreOptions::load`].
    pub(super) fn of_copy(&self, layout: &Layout) -> Result<Store, Failure> {
        match store::load_for_books(&layout.root().join(config::FILE_NAME), self.text()) {
            Ok(config) => Ok(layout.store(&config)),
            Err(ConfigError::Read { .. }) => {
                let elsewhere = store::elsewhere(self.text()).map_err(Failure::config)?;
                Ok(elsewhere.map_or_else(|| Store::File(layout.settlement()), Store::Server))
            }
            Err(error) => Err(Failure::config(error)),
        }
    }

    fn text(&self) -> Option<&str> {
        self.store.as_ref().map(|StoreText(text)| text.as_str())
    }
}

impl BooksOptions {
    /// The books, to read.
    ///
    /// # Errors
    /// When configuration or database cannot be read.
    pub(super) fn open(&self) -> Result<(Layout, Config, Pipeline), Failure> {
        open(&self.data_dir, &self.store)
    }
}

/// The books of a directory, to read.
///
/// # Errors
/// When configuration or database cannot be read.
pub(super) fn open(
    data_dir: &Path,
    store: &StoreOptions,
) -> Result<(Layout, Config, Pipeline), Failure> {
    let layout = Layout::new(data_dir);
    let config = store.load(&data_dir.join(config::FILE_NAME))?;
    let settings = node::settlement_settings(&layout, &config).map_err(Failure::config)?;
    let pipeline = Pipeline::open_for_questions(layout.store(&config), settings)
        .map_err(|error| Failure::settlement(&error))?;
    Ok((layout, config, pipeline))
}
