//! Rust files: length, names, and words that must not stay.

use super::{Violation, contains_word, numbered};
use crate::repository::Tree;

/// A longer file is two ideas.
const LINES_MAX: usize = 800;

/// Names that say nothing about what is inside.
const NAMES_BANNED: [&str; 7] = ["utils", "util", "common", "helpers", "helper", "manager", "misc"];

// The needles are put together so that this file does not contain them.
const NOTES_BANNED: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")];
const MACROS_BANNED: [&str; 2] = [concat!("todo", "!"), concat!("unimplemented", "!")];
const IGNORE: &str = concat!("#[", "ignore");
const SLEEPS: [&str; 2] = [concat!("thread::", "sleep"), concat!("time::", "sleep")];

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, text) in tree.texts_with_extension("rs") {
        check_size_and_name(path, text, &mut violations);
        for (line, content) in numbered(text) {
            for message in complaints(path, content) {
                violations.push(Violation::new(path, line, message));
            }
        }
    }
    violations
}

fn check_size_and_name(path: &str, text: &str, violations: &mut Vec<Violation>) {
    let lines = text.lines().count();
    if lines > LINES_MAX {
        let message = format!("{lines} lines, more than {LINES_MAX}; split it by noun");
        violations.push(Violation::new(path, LINES_MAX.saturating_add(1), message));
    }
    let components = path.trim_end_matches(".rs").split('/');
    for name in components.filter(|name| NAMES_BANNED.contains(name)) {
        let message = format!("`{name}` says nothing; name the thing inside");
        violations.push(Violation::new(path, 1, message));
    }
}

fn complaints(path: &str, line: &str) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(name) = module_declared(line).filter(|name| NAMES_BANNED.contains(name)) {
        found.push(format!("module `{name}` says nothing; name the thing inside"));
    }
    for note in NOTES_BANNED.into_iter().filter(|note| is_noted(line, note)) {
        found.push(format!("`{note}` does not belong in committed code"));
    }
    for macro_name in MACROS_BANNED.into_iter().filter(|name| line.contains(name)) {
        found.push(format!("`{macro_name}` does not belong in committed code"));
    }
    if line.contains(IGNORE) {
        found.push("a test is run or removed, never ignored".to_owned());
    }
    let is_test = path.starts_with("tests/") || path.contains("/tests/");
    if is_test && SLEEPS.iter().any(|sleep| line.contains(sleep)) {
        found.push("tests do not sleep; make time an input".to_owned());
    }
    found
}

/// A string of nothing else is data, not a note: three X are also ISO 4217's code for no currency.
fn is_noted(line: &str, note: &str) -> bool {
    contains_word(&line.replace(&format!("\"{note}\""), ""), note)
}

/// The name in `mod name;` or `pub(crate) mod name {`.
fn module_declared(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let after_pub = match line.strip_prefix("pub") {
        None => line,
        Some(rest) if rest.starts_with('(') => rest.split_once(')')?.1,
        Some(rest) => rest,
    };
    let name = after_pub.trim_start().strip_prefix("mod ")?;
    name.split([' ', ';', '{']).next()
}

#[cfg(test)]
mod tests {
    use super::super::tests::lines;
    use super::*;

    fn check_file(path: &str, text: &str) -> String {
        lines(&check(&Tree::of(&[(path, text)])))
    }

    #[test]
    fn the_name_of_a_declared_module_is_found() {
        assert_eq!(module_declared("mod ladder;"), Some("ladder"));
        assert_eq!(module_declared("    pub mod books {"), Some("books"));
        assert_eq!(module_declared("pub(crate) mod tlog;"), Some("tlog"));
        assert_eq!(module_declared("pub fn modulo() {}"), None);
        assert_eq!(module_declared("// mod utils;"), None);
    }

    #[test]
    fn empty_names_are_refused_for_files_folders_and_modules() {
        let text = "pub mod helpers;\n";
        assert_eq!(
            check_file("wire/src/common/util.rs", text),
            "wire/src/common/util.rs:1: `common` says nothing; name the thing inside\n\
             wire/src/common/util.rs:1: `util` says nothing; name the thing inside\n\
             wire/src/common/util.rs:1: module `helpers` says nothing; name the thing inside\n"
        );
        assert_eq!(check_file("wire/src/commonality.rs", ""), "");
    }

    #[test]
    fn a_file_may_have_800_lines_and_no_more() {
        assert_eq!(check_file("a.rs", &"\n".repeat(800)), "");
        let expected = "a.rs:801: 801 lines, more than 800; split it by noun\n";
        assert_eq!(check_file("a.rs", &"\n".repeat(801)), expected);
    }

    #[test]
    fn leftovers_are_refused() {
        let text = [
            format!("// {} later", NOTES_BANNED[0]),
            format!("{}()", MACROS_BANNED[1]),
            format!("{}]", IGNORE),
            "let XXXL = 1;".to_owned(),
            format!("let none = \"{}\";", NOTES_BANNED[2]),
        ];
        let found = check_file("a.rs", &text.join("\n"));
        assert_eq!(found.lines().count(), 3, "{found}");
        for (line, start) in found.lines().zip(["a.rs:1: ", "a.rs:2: ", "a.rs:3: "]) {
            assert!(line.starts_with(start), "{line}");
        }
    }

    #[test]
    fn only_tests_are_kept_from_sleeping() {
        let text = format!("tokio::{}(pause).await;", SLEEPS[1]);
        assert_eq!(
            check_file("tests/it/feed.rs", &text),
            "tests/it/feed.rs:1: tests do not sleep; make time an input\n"
        );
        assert_eq!(check_file("exchange/src/feed.rs", &text), "");
    }
}
