//! Unsafe code: forbidden in most of the core, and elsewhere only in files that a decision record names.

use super::{Violation, contains_word, numbered};
use crate::repository::Tree;

/// Crates that must forbid it.
const CORE: [&str; 3] = ["types", "wire", "settlement"];
const FORBID: &str = concat!("#![forbid(", "unsafe_code)]");

/// Files that may hold it; a decision record names each.
const FILES_ALLOWED: [&str; 4] = [
    "engine/src/prefetch.rs",
    "journal/src/bus_error.rs",
    "journal/src/mapping.rs",
    "journal/src/ring.rs",
];

// Put together so that this file does not contain what it looks for.
const KEYWORD: &str = concat!("un", "safe");

/// What follows the keyword where it opens unsafe code, as opposed to the word in a lint's name.
const FORMS: [&str; 5] = ["{", "fn", "impl", "extern", "trait"];

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for krate in CORE {
        let path = format!("{krate}/src/lib.rs");
        let text = tree.texts.get(&path).map_or("", String::as_str);
        if !text.lines().any(|line| line.trim() == FORBID) {
            violations.push(Violation::new(&path, 1, format!("lacks `{FORBID}`")));
        }
    }
    for (path, text) in tree.texts_with_extension("rs") {
        let places: Vec<usize> =
            numbered(text).filter(|(_, line)| opens_unsafe(line)).map(|(line, _)| line).collect();
        let Some(first) = places.first() else { continue };
        if !FILES_ALLOWED.contains(&path) {
            let message = "unsafe code outside the files that may hold it";
            violations.extend(places.iter().map(|line| Violation::new(path, *line, message)));
        } else if !is_in_a_decision(tree, path) {
            let message = "unsafe code in a file that no decision record names";
            violations.push(Violation::new(path, *first, message));
        }
    }
    violations
}

fn is_in_a_decision(tree: &Tree, path: &str) -> bool {
    tree.texts_with_extension("md")
        .any(|(document, text)| document.starts_with("docs/decisions/") && text.contains(path))
}

fn opens_unsafe(line: &str) -> bool {
    let code = line.split_once("//").map_or(line, |(code, _)| code);
    FORMS.iter().any(|form| {
        let opening = format!("{KEYWORD} {form}");
        if *form == "{" { code.contains(&opening) } else { contains_word(code, &opening) }
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::lines;
    use super::*;

    #[test]
    fn the_keyword_is_told_from_the_word() {
        for tail in ["{ f() }", "fn f()", "impl Send for A {}", "extern \"C\" {}", "trait T {}"] {
            assert!(opens_unsafe(&format!("let a = {KEYWORD} {tail}")), "{tail}");
        }
        for tail in ["_code = 1", " function", "", " implies"] {
            assert!(!opens_unsafe(&format!("{KEYWORD}{tail}")), "{tail}");
        }
        assert!(!opens_unsafe(&format!("// {KEYWORD} {{")));
    }

    #[test]
    fn unsafe_code_needs_a_decision_and_the_core_forbids_it() {
        let code = format!("fn f() {{\n    {KEYWORD} {{}}\n}}\n");
        let mut tree = Tree::of(&[
            ("types/src/lib.rs", "//! Types.\n#![forbid(unsafe_code)]\n"),
            ("wire/src/lib.rs", "#![forbid(unsafe_code)]\n"),
            ("settlement/src/lib.rs", "//! `#![forbid(unsafe_code)]`\n"),
            ("journal/src/mapping.rs", &code),
            ("gateway/src/ring.rs", &code),
        ]);
        assert_eq!(
            lines(&check(&tree)),
            "settlement/src/lib.rs:1: lacks `#![forbid(unsafe_code)]`\n\
             gateway/src/ring.rs:2: unsafe code outside the files that may hold it\n\
             journal/src/mapping.rs:2: unsafe code in a file that no decision record names\n"
        );
        tree.insert("docs/decisions/0001-map.md", "in `journal/src/mapping.rs` only".to_owned());
        assert_eq!(check(&tree).len(), 2);
    }
}
