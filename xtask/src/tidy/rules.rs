//! The rulebook: `docs/rulebook.md` numbers the rules of trading (`T-01`) and of settlement (`S-01`). Each
//! is cited by a comment at the code that implements it, and one test is named after it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Violation, contains_word, numbered};
use crate::repository::Tree;

const DOCUMENT: &str = "docs/rulebook.md";

/// What a rule says that no longer holds. Its number is not used again.
const WITHDRAWN: &str = "Withdrawn.";

/// This crate's own files are about rules and implement none.
const OWN: &str = "xtask/";

/// A series and a number in it: `T-07` is `('T', 7)`.
type Code = (char, u32);

struct Rule {
    line: usize,
    is_withdrawn: bool,
}

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let Some(document) = tree.texts.get(DOCUMENT) else { return Vec::new() };
    let mut violations = Vec::new();
    let rules = rules(document, &mut violations);
    let mut cited = BTreeSet::new();
    let mut tested = BTreeSet::new();
    for (path, text) in tree.texts_with_extension("rs").filter(|(path, _)| !path.starts_with(OWN)) {
        for (line, code) in citations(text) {
            check_known(&rules, code, (path, line), &mut violations);
            if !is_of_tests(path) {
                cited.insert(code);
            }
        }
        for (line, code) in tests(text) {
            check_known(&rules, code, (path, line), &mut violations);
            if !tested.insert(code) {
                let message = format!("a second test is named after rule {}", written(code));
                violations.push(Violation::new(path, line, message));
            }
        }
    }
    for (&code, rule) in rules.iter().filter(|(_, rule)| !rule.is_withdrawn) {
        let mut lacks = |is_there: bool, what: &str| {
            if !is_there {
                let message = format!("rule {} {what}", written(code));
                violations.push(Violation::new(DOCUMENT, rule.line, message));
            }
        };
        lacks(cited.contains(&code), "is cited by no code");
        lacks(tested.contains(&code), "has no test that is named after it");
    }
    violations
}

/// The rules of the rulebook. Numbers of a series begin with 1, have no gap and none is used twice; their
/// order is free.
fn rules(document: &str, violations: &mut Vec<Violation>) -> BTreeMap<Code, Rule> {
    let mut rules = BTreeMap::new();
    let lines = numbered(document).filter_map(|(line, content)| Some((line, rule_of(content)?)));
    for (line, (code, text)) in lines {
        let rule = Rule { line, is_withdrawn: text.trim() == WITHDRAWN };
        if rules.insert(code, rule).is_some() {
            let message = format!("the number {} is used twice", written(code));
            violations.push(Violation::new(DOCUMENT, line, message));
        }
    }
    let mut last: BTreeMap<char, u32> = BTreeMap::new();
    for (&(series, number), rule) in &rules {
        let before = last.insert(series, number).unwrap_or(0);
        if number != before.saturating_add(1) {
            let message = format!(
                "rule {} is missing; one that no longer holds says `{WITHDRAWN}`",
                written((series, before.saturating_add(1)))
            );
            violations.push(Violation::new(DOCUMENT, rule.line, message));
        }
    }
    rules
}

/// The number and the text of `- **T-07** Text.`
fn rule_of(line: &str) -> Option<(Code, &str)> {
    let (code, text) = line.strip_prefix("- **")?.split_once("**")?;
    let (code, rest) = code_at(code)?;
    rest.is_empty().then_some((code, text))
}

/// The number at the beginning of a text, and what follows it.
fn code_at(text: &str) -> Option<(Code, &str)> {
    let series = text.chars().next().filter(|series| ['T', 'S'].contains(series))?;
    let (number, rest) = number_at(text.get(1..)?.strip_prefix('-')?)?;
    Some(((series, number), rest))
}

/// A number of two digits or more, without a zero that is not needed for that.
fn number_at(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let number = digits.parse().ok()?;
    (digits == format!("{number:02}")).then_some((number, rest))
}

/// `Rule T-07`, `Rules T-07 and S-12` in comments, by line.
fn citations(text: &str) -> Vec<(usize, Code)> {
    let mut found = Vec::new();
    for (line, content) in numbered(text) {
        let content = content.trim_start();
        let names = |word| contains_word(content, word);
        if content.starts_with("//") && (names("Rule") || names("Rules")) {
            let words = content.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
            let codes = words.filter_map(code_at).filter(|(_, rest)| rest.is_empty());
            found.extend(codes.map(|(code, _)| (line, code)));
        }
    }
    found
}

/// Test functions whose name begins with a rule's number: `t07_…`, by line.
fn tests(text: &str) -> Vec<(usize, Code)> {
    let mut found = Vec::new();
    let mut is_test = false;
    for (line, content) in numbered(text) {
        let content = content.trim_start();
        if content.starts_with("#[test]") || content.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some((_, name)) = content.split_once("fn ") {
            if is_test {
                found.extend(code_of_name(name).map(|code| (line, code)));
            }
            is_test = false;
        }
    }
    found
}

fn code_of_name(name: &str) -> Option<Code> {
    let series = name.chars().next().filter(|series| ['t', 's'].contains(series))?;
    let (number, rest) = number_at(name.get(1..)?)?;
    rest.starts_with('_').then_some((series.to_ascii_uppercase(), number))
}

fn written((series, number): Code) -> String {
    format!("{series}-{number:02}")
}

/// Whether a file holds tests alone.
fn is_of_tests(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("tests.rs")
}

fn check_known(
    rules: &BTreeMap<Code, Rule>,
    code: Code,
    (path, line): (&str, usize),
    violations: &mut Vec<Violation>,
) {
    let message = match rules.get(&code) {
        None => format!("{DOCUMENT} has no rule {}", written(code)),
        Some(rule) if rule.is_withdrawn => format!("rule {} is withdrawn", written(code)),
        Some(_) => return,
    };
    violations.push(Violation::new(path, line, message));
}

#[cfg(test)]
mod tests {
    use super::super::tests::lines;
    use super::*;

    const RULES: &str = "# Rules\n\n- **T-01** Orders rest.\n- **S-01** Money moves.\n";
    const CODE: &str = "/// Rests. Rule T-01.\nfn rest() {}\n    // Rules S-01 and T-01: both.\n";
    const TESTS: &str =
        "#[test]\nfn t01_rests() {}\n#[test]\nfn s01_moves() {}\nfn t01_no_test() {}\n";

    fn check_texts(document: &str, code: &str, tests: &str) -> String {
        let files = [(DOCUMENT, document), ("a/code.rs", code), ("tests/it.rs", tests)];
        let mut violations = check(&Tree::of(&files));
        violations.sort();
        lines(&violations)
    }

    #[test]
    fn every_rule_has_code_and_one_test() {
        assert_eq!(check_texts(RULES, CODE, TESTS), "");
        assert_eq!(
            check_texts(RULES, "", ""),
            "docs/rulebook.md:3: rule T-01 has no test that is named after it\n\
             docs/rulebook.md:3: rule T-01 is cited by no code\n\
             docs/rulebook.md:4: rule S-01 has no test that is named after it\n\
             docs/rulebook.md:4: rule S-01 is cited by no code\n"
        );
        let twice = "#[test]\n// Why.\npub async fn t01_again() {}\n";
        assert_eq!(
            check_texts(RULES, CODE, &format!("{TESTS}{twice}")),
            "tests/it.rs:8: a second test is named after rule T-01\n"
        );
    }

    #[test]
    fn a_citation_in_a_test_is_none_of_code() {
        let cited = format!("{CODE}{TESTS}");
        assert_eq!(
            check_texts(RULES, "let text = \"Rule T-01\"; // T-01\n", &cited),
            "docs/rulebook.md:3: rule T-01 is cited by no code\n\
             docs/rulebook.md:4: rule S-01 is cited by no code\n"
        );
    }

    #[test]
    fn what_is_no_rule_is_neither_cited_nor_tested() {
        let code = format!("{CODE}// Rule T-02, Rule T-3, Rule T-001.\n");
        let tests = format!("{TESTS}#[test]\nfn s10_more() {{}}\n#[test]\nfn s1_less() {{}}\n");
        assert_eq!(
            check_texts(RULES, &code, &tests),
            "a/code.rs:4: docs/rulebook.md has no rule T-02\n\
             tests/it.rs:7: docs/rulebook.md has no rule S-10\n"
        );
    }

    #[test]
    fn numbers_are_used_once_and_stay() {
        let twice = format!("{RULES}- **T-01** Orders fill.\n");
        assert_eq!(
            check_texts(&twice, CODE, TESTS),
            "docs/rulebook.md:5: the number T-01 is used twice\n"
        );
        let gap = RULES.replace("T-01", "T-02");
        let all = |text: &str| text.replace("T-01", "T-02").replace("t01_rests", "t02_rests");
        assert_eq!(
            check_texts(&gap, &all(CODE), &all(TESTS)),
            "docs/rulebook.md:3: rule T-01 is missing; one that no longer holds says `Withdrawn.`\n"
        );
        let withdrawn = format!("{gap}- **T-01** Withdrawn.\n");
        assert_eq!(check_texts(&withdrawn, &all(CODE), &all(TESTS)), "");
        assert_eq!(
            check_texts(&withdrawn, &format!("{}// Rule T-01.\n", all(CODE)), &all(TESTS)),
            "a/code.rs:4: rule T-01 is withdrawn\n"
        );
    }
}
