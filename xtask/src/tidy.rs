//! Rules about the source tree that no compiler checks: layers, file sizes and names, the stops of an
//! order's life, the invariants, decision records, the rulebook, unsafe code, links.

mod decisions;
mod invariants;
mod layers;
mod links;
mod rules;
mod sources;
mod stops;
mod unsafe_code;

use std::fmt;
use std::process::ExitCode;

use crate::repository::Repository;

/// Prints every violation; fails if there is one.
pub(crate) fn run(repository: &Repository) -> ExitCode {
    match check(repository) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints every violation to standard output.
///
/// # Errors
///
/// The number of violations, or why the tree could not be read.
pub(crate) fn check(repository: &Repository) -> Result<(), String> {
    let tree = repository.tree()?;
    let members = layers::members(&repository.metadata()?)?;
    let mut violations = layers::check(&members, &tree);
    violations.extend(sources::check(&tree));
    violations.extend(stops::check(&tree));
    violations.extend(invariants::check(&tree));
    violations.extend(decisions::check(&tree));
    violations.extend(rules::check(&tree));
    violations.extend(unsafe_code::check(&tree));
    violations.extend(links::check(&tree));
    violations.sort();
    for violation in &violations {
        println!("{violation}");
    }
    match violations.len() {
        0 => Ok(()),
        1 => Err("1 violation".to_owned()),
        count => Err(format!("{count} violations")),
    }
}

/// One broken rule at one place.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    path: String,
    /// Counted from 1.
    line: usize,
    message: String,
}

impl Violation {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// Lines with their number, counted from 1.
fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines())
}

/// Whether `word` occurs in `text` with no letter, digit or underscore on either side.
fn contains_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(start, _)| {
        let before = text.get(..start).and_then(|s| s.chars().next_back());
        let after = text.get(start.saturating_add(word.len())..).and_then(|s| s.chars().next());
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One violation per line, as `tidy` prints them.
    pub(super) fn lines(violations: &[Violation]) -> String {
        violations.iter().map(|violation| format!("{violation}\n")).collect()
    }

    #[test]
    fn a_word_ends_where_no_name_goes_on() {
        assert!(contains_word("Stop 1 of", "Stop 1"));
        assert!(!contains_word("Stop 12 of", "Stop 1"));
        assert!(!contains_word("unStop 1", "Stop 1"));
        assert!(contains_word("Stop 12, Stop 1.", "Stop 1"));
    }

    #[test]
    fn a_violation_names_its_place() {
        assert_eq!(Violation::new("a/b.rs", 3, "too long").to_string(), "a/b.rs:3: too long");
    }
}
