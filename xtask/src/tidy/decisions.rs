//! Decision records: `docs/decisions/NNNN-title.md`, numbered from 0001 without a gap.

use super::Violation;
use crate::repository::Tree;

const FOLDER: &str = "docs/decisions/";
const DIGITS: usize = 4;

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut next = 1_u32;
    let records = tree.texts_with_extension("md").filter_map(|(path, _)| {
        path.strip_prefix(FOLDER).filter(|name| *name != "README.md").map(|name| (path, name))
    });
    for (path, name) in records {
        match number(name) {
            None => violations.push(Violation::new(path, 1, "is not called NNNN-title.md")),
            Some(number) => {
                if number != next {
                    let message = format!("decision {number:04} stands where {next:04} should");
                    violations.push(Violation::new(path, 1, message));
                }
                next = number.saturating_add(1);
            }
        }
    }
    violations
}

/// The number in `NNNN-title.md`.
fn number(name: &str) -> Option<u32> {
    let (digits, title) = name.strip_suffix(".md")?.split_once('-')?;
    let is_number = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_number && !title.is_empty() { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::super::tests::lines;
    use super::*;

    fn check_names(names: &[&str]) -> String {
        let mut tree = Tree::default();
        for name in names {
            tree.insert(&format!("{FOLDER}{name}"), String::new());
        }
        lines(&check(&tree))
    }

    #[test]
    fn numbers_follow_each_other() {
        assert_eq!(check_names(&[]), "");
        assert_eq!(check_names(&["0001-one.md", "0002-two.md", "README.md"]), "");
    }

    #[test]
    fn a_gap_a_double_and_a_missing_number_are_refused() {
        let names = ["0001-one.md", "0003-three.md", "0003-too.md", "0004-four.md", "notes.md"];
        assert_eq!(
            check_names(&names),
            "docs/decisions/0003-three.md:1: decision 0003 stands where 0002 should\n\
             docs/decisions/0003-too.md:1: decision 0003 stands where 0004 should\n\
             docs/decisions/notes.md:1: is not called NNNN-title.md\n"
        );
    }
}
