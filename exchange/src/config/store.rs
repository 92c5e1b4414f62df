//! Where the books are: what the command line says, or else the environment, or else the configuration.

use std::{env, ffi::OsStr, path::Path};

use settlement::store::database::Address;

use super::{Config, ConfigError, Refused, SettlementTable, load};

/// The option of the command line.
pub const OPTION: &str = "--store";
/// The variable of the environment, which other users of the machine do not see.
pub const VARIABLE: &str = "GRIDCROSS_STORE";

/// As [`load`], for who opens the books: the address of an option counts before that of the environment,
/// and this before that of the file.
///
/// # Errors
/// As [`load`], and where what counts is no address.
pub fn load_for_books(path: &Path, option: Option<&str>) -> Result<Config, ConfigError> {
    let config = load(path)?;
    let store = chosen(option, env::var_os(VARIABLE).as_deref(), config.store)?;
    Ok(Config { store, ..config })
}

/// What the option or the environment says, where there is no file.
///
/// # Errors
/// Where what counts is no address.
pub fn elsewhere(option: Option<&str>) -> Result<Option<Address>, ConfigError> {
    chosen(option, env::var_os(VARIABLE).as_deref(), None)
}

/// What the file says.
pub(super) fn of(table: &SettlementTable) -> Result<Option<Address>, Refused> {
    let address = table.store.as_deref().map(str::parse::<Address>);
    address.transpose().map_err(|error| ("settlement.store", error.to_string()))
}

/// The one that counts. A variable that is empty is as good as none.
fn chosen(
    option: Option<&str>,
    variable: Option<&OsStr>,
    file: Option<Address>,
) -> Result<Option<Address>, ConfigError> {
    let variable = variable.filter(|text| !text.is_empty());
    let (text, place) = match (option, variable) {
        (Some(text), _) => (text, OPTION),
        // What is no text is no address either.
        (None, Some(text)) => (text.to_str().unwrap_or_default(), VARIABLE),
        (None, None) => return Ok(file),
    };
    text.parse().map(Some).map_err(|source| ConfigError::Store { place, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Failure;

    fn address(text: &str) -> Option<Address> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn the_command_line_counts_before_the_environment_and_this_before_the_file() {
        let [option, variable, file] =
            ["postgres://a@one/books", "postgres://b@two/books", "postgres://c@three/books"];
        let of = |option: Option<&str>, variable: Option<&str>, file: Option<&str>| {
            chosen(option, variable.map(OsStr::new), file.and_then(address)).unwrap()
        };
        assert_eq!(of(Some(option), Some(variable), Some(file)), address(option));
        assert_eq!(of(None, Some(variable), Some(file)), address(variable));
        assert_eq!(of(None, Some(""), Some(file)), address(file));
        assert_eq!(of(None, None, Some(file)), address(file));
        assert_eq!(of(Some(option), None, None), address(option));
        assert_eq!(of(None, None, None), None);
    }

    #[test]
    fn what_is_no_address_is_refused_without_its_password() {
        let refused = |option: Option<&str>, variable: Option<&str>| {
            let error = chosen(option, variable.map(OsStr::new), None).unwrap_err();
            let debug = format!("{error:?}");
            let said = format!("{} {debug}", Failure::config(error).message());
            assert!(!said.contains("secret"), "{said}");
            said
        };
        let said = refused(Some("mysql://a:secret@b/c"), None);
        assert!(said.contains("--store") && said.contains("postgres://"), "{said}");
        let said = refused(None, Some("postgres://a:secret@b:port/c"));
        assert!(said.contains("GRIDCROSS_STORE"), "{said}");
        refused(Some(""), Some("postgres://b@two/books"));
    }
}
