//! The stops of an order's life: the table in `docs/ARCHITECTURE.md` against the headers of the files.

use super::{Violation, contains_word, numbered};
use crate::repository::Tree;

const DOCUMENT: &str = "docs/ARCHITECTURE.md";
const SECTION: &str = "Life of an order";
const STOPS: u32 = 18;

/// A stop is announced within this many lines of its file.
const HEADER_LINES: usize = 30;

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let Some(text) = tree.texts.get(DOCUMENT) else {
        return vec![Violation::new(DOCUMENT, 1, "is missing")];
    };
    let rows = rows(text);
    let mut violations = Vec::new();
    let mut next = 1;
    for row in &rows {
        if row.number != next {
            let message = format!("stop {} stands where stop {next} should", row.number);
            violations.push(Violation::new(DOCUMENT, row.line, message));
        }
        next = row.number.saturating_add(1);
        if row.paths.is_empty() {
            let message = format!("stop {} names no file", row.number);
            violations.push(Violation::new(DOCUMENT, row.line, message));
        }
        violations.extend(row.paths.iter().filter_map(|path| check_path(tree, row, path)));
    }
    if next <= STOPS {
        let message = format!("\"{SECTION}\" has no row for stop {next} (of {STOPS})");
        let line = rows.last().map_or(1, |row| row.line);
        violations.push(Violation::new(DOCUMENT, line, message));
    } else if next > STOPS.saturating_add(1) {
        let message = format!("\"{SECTION}\" has more than {STOPS} stops");
        violations.push(Violation::new(DOCUMENT, rows.last().map_or(1, |row| row.line), message));
    }
    violations
}

/// One row of the table.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    line: usize,
    number: u32,
    paths: Vec<String>,
}

fn rows(document: &str) -> Vec<Row> {
    let section = numbered(document)
        .skip_while(|(_, line)| !(line.starts_with('#') && line.contains(SECTION)))
        .skip(1)
        .take_while(|(_, line)| !line.starts_with('#'));
    section.filter_map(|(line, content)| row(line, content)).collect()
}

/// A row is `| number | where | … |`; anything else is not one.
fn row(line: usize, content: &str) -> Option<Row> {
    let mut cells = content.trim().strip_prefix('|')?.split('|');
    let number = cells.next()?.trim().parse().ok()?;
    Some(Row { line, number, paths: paths(cells.next()?) })
}

/// The paths among the code spans of a cell: those with a `/` or ending in `.rs`. A bare file name lies
/// beside the path before it.
fn paths(cell: &str) -> Vec<String> {
    let mut paths: Vec<String> = Vec::new();
    for span in cell.split('`').skip(1).step_by(2) {
        if span.contains('/') {
            paths.push(span.to_owned());
        } else if span.ends_with(".rs") {
            let folder = paths.last().and_then(|path| path.rsplit_once('/'));
            paths.push(folder.map_or(span.to_owned(), |(folder, _)| format!("{folder}/{span}")));
        }
    }
    paths
}

fn check_path(tree: &Tree, row: &Row, path: &str) -> Option<Violation> {
    let path = path.trim_end_matches('/');
    let number = row.number;
    if !tree.exists(path) {
        let message = format!("stop {number}: `{path}` does not exist");
        return Some(Violation::new(DOCUMENT, row.line, message));
    }
    let file = if path.ends_with(".rs") { path.to_owned() } else { format!("{path}/mod.rs") };
    let Some(text) = tree.texts.get(&file) else {
        let message = format!("stop {number}: `{file}` does not exist");
        return Some(Violation::new(DOCUMENT, row.line, message));
    };
    let stop = format!("Stop {number}");
    let is_announced = text.lines().take(HEADER_LINES).any(|line| contains_word(line, &stop));
    let message = format!("lacks `//! {stop} of an order's life` in its header");
    (!is_announced).then(|| Violation::new(&file, 1, message))
}

#[cfg(test)]
mod tests {
    use super::super::tests::lines;
    use super::*;

    #[test]
    fn paths_are_told_from_other_code() {
        assert_eq!(paths(" `exchange/src/core_loop.rs` `turn` "), ["exchange/src/core_loop.rs"]);
        assert_eq!(
            paths("`engine/src/admission.rs`, `matching.rs`, `auction.rs`"),
            ["engine/src/admission.rs", "engine/src/matching.rs", "engine/src/auction.rs"]
        );
        assert_eq!(paths("`wire` `Inbound::decode`"), [""; 0]);
    }

    #[test]
    fn only_rows_of_the_section_count() {
        let document = "# A\n| 7 | `x/y.rs` |\n## Life of an order\n| # | where |\n|---|---|\n\
                        | 1 | `a/b.rs` | in | out |\n## Next\n| 2 | `c/d.rs` |\n";
        let expected = Row { line: 6, number: 1, paths: vec!["a/b.rs".to_owned()] };
        assert_eq!(rows(document), [expected]);
    }

    /// A tree whose table names `file-N.rs` in every row, each file with its header.
    fn complete() -> Tree {
        let mut tree = Tree::default();
        let mut document = "## Life of an order (headers follow it)\n".to_owned();
        for stop in 1..=STOPS {
            document.push_str(&format!("| {stop} | `a/{stop}.rs` | |\n"));
            tree.insert(&format!("a/{stop}.rs"), format!("//! A.\n//! Stop {stop} of a life.\n"));
        }
        tree.insert(DOCUMENT, document);
        tree
    }

    fn check_with(edit: impl FnOnce(&str) -> String) -> String {
        let mut tree = complete();
        let document = edit(&tree.texts[DOCUMENT]);
        tree.insert(DOCUMENT, document);
        lines(&check(&tree))
    }

    #[test]
    fn a_complete_table_passes() {
        assert_eq!(lines(&check(&complete())), "");
        assert_eq!(lines(&check(&Tree::default())), "docs/ARCHITECTURE.md:1: is missing\n");
    }

    #[test]
    fn gaps_and_ends_are_found() {
        assert_eq!(
            check_with(|text| text.replace("| 3 | `a/3.rs` | |\n", "")),
            "docs/ARCHITECTURE.md:4: stop 4 stands where stop 3 should\n"
        );
        assert_eq!(
            check_with(|text| text.replace("| 18 | `a/18.rs` | |\n", "")),
            "docs/ARCHITECTURE.md:18: \"Life of an order\" has no row for stop 18 (of 18)\n"
        );
        assert_eq!(
            check_with(|text| text.replace("`a/2.rs`", "`wire`")),
            "docs/ARCHITECTURE.md:3: stop 2 names no file\n"
        );
    }

    #[test]
    fn files_exist_and_announce_their_stop() {
        let mut tree = complete();
        tree.insert("a/1.rs", "//! Stop 12 of a life.\n".to_owned());
        tree.insert("a/2.rs", format!("{}//! Stop 2\n", "\n".repeat(HEADER_LINES)));
        let document = tree.texts[DOCUMENT].replace("`a/3.rs`", "`b/`").replace("a/4.rs", "a/x.rs");
        tree.insert(DOCUMENT, document);
        tree.insert("b/other.rs", String::new());
        assert_eq!(
            lines(&check(&tree)),
            "a/1.rs:1: lacks `//! Stop 1 of an order's life` in its header\n\
             a/2.rs:1: lacks `//! Stop 2 of an order's life` in its header\n\
             docs/ARCHITECTURE.md:4: stop 3: `b/mod.rs` does not exist\n\
             docs/ARCHITECTURE.md:5: stop 4: `a/x.rs` does not exist\n"
        );
        tree.insert("b/mod.rs", "//! Stop 3 of a life.\n".to_owned());
        assert_eq!(check(&tree).len(), 3);
    }
}
