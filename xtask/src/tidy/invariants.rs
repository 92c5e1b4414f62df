//! `docs/ARCHITECTURE.md` stays short, its table of crates is the one that holds, and each of its invariants is kept:
//! by words that do not stand in the code, or by tests that exist.

use super::layers::{self, Allowed};
use super::{Violation, contains_word, numbered};
use crate::repository::Tree;

const DOCUMENT: &str = "docs/ARCHITECTURE.md";
/// Fewer lines than this.
const LINES_END: usize = 300;
const CRATES: &str = "## Crates";
const INVARIANTS: &str = "## Invariants";

/// What keeps an invariant.
enum Guard {
    Absent(Absent),
    /// These tests, which must exist.
    Tests(&'static [&'static str]),
    /// Another check of the tree.
    Checked,
}

/// Words that do not stand in these folders, but for some places; comments and tests are not looked at.
struct Absent {
    words: &'static [&'static str],
    folders: &'static [&'static str],
    except: &'static [&'static str],
}

const CORE: [&str; 5] =
    ["types/src/", "wire/src/", "engine/src/", "journal/src/", "settlement/src/"];

/// How each invariant begins, and what keeps it, in the order of the document.
const GUARDS: [(&str, Guard); 14] = [
    (
        "No clock, socket, file, thread, random source or hash-map order",
        Guard::Absent(Absent {
            words: &[
                "SystemTime",
                "Instant",
                "fs",
                "TcpStream",
                "UdpSocket",
                "thread",
                "HashMap",
                "HashSet",
                "getrandom",
                "rand",
            ],
            folders: &["types/src/", "wire/src/", "engine/src/", "settlement/src/"],
            except: &[
                "settlement/src/pipeline",
                "settlement/src/store",
                "settlement/src/tlog/tiles.rs",
            ],
        }),
    ),
    (
        "No mutex of ours on an order's path",
        Guard::Absent(Absent {
            words: &["Mutex", "RwLock", "Condvar"],
            folders: &[
                "types/src/",
                "wire/src/",
                "engine/src/",
                "journal/src/",
                "market_view/src/",
                "gateway/src/session",
                "gateway/src/verifier",
                "gateway/src/ingress",
                "exchange/src/core_loop.rs",
                "exchange/src/sequencer.rs",
            ],
            except: &[],
        }),
    ),
    (
        "Nobody is told before it is durable",
        Guard::Tests(&["a_killed_exchange_loses_no_acknowledged_order_and_repeats_none"]),
    ),
    ("A failed sync is never retried", Guard::Tests(&["a_failed_sync_poisons_the_writer"])),
    ("One writer", Guard::Tests(&["a_second_writer_is_locked_out"])),
    (
        "Nothing between shards",
        Guard::Tests(&["a_shard_is_what_one_engine_makes_of_its_part_of_the_commands"]),
    ),
    (
        "No trust in bytes",
        Guard::Absent(Absent { words: &["access_unchecked"], folders: &[""], except: &["xtask/"] }),
    ),
    ("No float", Guard::Absent(Absent { words: &["f64", "f32"], folders: &CORE, except: &[] })),
    (
        "No 0-RTT, no TLS below 1.3, no connection without a certificate",
        Guard::Tests(&[
            "early_data_is_not_taken",
            "nobody_without_a_certificate_and_nobody_too_often",
        ]),
    ),
    ("No plain `verify`", Guard::Tests(&["a_weak_key_verifies_nothing"])),
    ("Unsafe code where a decision names the file", Guard::Checked),
    (
        "Nothing is edited",
        Guard::Tests(&[
            "golden_journals_are_never_changed",
            "s61_transfers_cannot_be_edited_and_a_database_keeps_to_its_ledger",
        ]),
    ),
    (
        "Everything has a limit",
        Guard::Tests(&[
            "nothing_is_allocated_after_the_start",
            "a_full_ring_gives_the_command_back",
        ]),
    ),
    (
        "Energy and money are conserved",
        Guard::Tests(&["s60_money_is_conserved_and_delivering_twice_changes_nothing"]),
    ),
];

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let Some(text) = tree.texts.get(DOCUMENT) else { return Vec::new() };
    let mut violations = Vec::new();
    let lines = text.lines().count();
    if lines >= LINES_END {
        let message = format!("has {lines} lines, not fewer than {LINES_END}");
        violations.push(Violation::new(DOCUMENT, lines, message));
    }
    check_crates(text, &mut violations);
    let stated: Vec<_> = section(text, INVARIANTS)
        .filter_map(|(line, content)| Some((line, content.strip_prefix("- **")?)))
        .collect();
    for (line, title) in &stated {
        if !GUARDS.iter().any(|(beginning, _)| title.starts_with(beginning)) {
            let message = format!("nothing checks this: {title}");
            violations.push(Violation::new(DOCUMENT, *line, message));
        }
    }
    for (beginning, guard) in &GUARDS {
        if !stated.iter().any(|(_, title)| title.starts_with(beginning)) {
            let message = format!("does not state what is checked: {beginning}");
            violations.push(Violation::new(DOCUMENT, 1, message));
        }
        check_guard(tree, beginning, guard, &mut violations);
    }
    violations
}

/// The lines of a section.
fn section<'a>(text: &'a str, heading: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    numbered(text)
        .skip_while(move |(_, line)| *line != heading)
        .skip(1)
        .take_while(|(_, line)| !line.starts_with("## "))
}

/// Each row of the table of crates says what `layers` allows.
fn check_crates(text: &str, violations: &mut Vec<Violation>) {
    for (name, allowed) in &layers::LAYERS {
        let code = format!("`{name}`");
        let row = section(text, CRATES).find_map(|(line, content)| {
            let cells: Vec<&str> = content.split('|').map(str::trim).collect();
            let [_, _, names, uses, ..] = cells.as_slice() else { return None };
            names.split(", ").any(|one| one == code).then_some((line, (*uses).to_owned()))
        });
        let Some((line, uses)) = row else {
            violations.push(Violation::new(DOCUMENT, 1, format!("no row for crate {code}")));
            continue;
        };
        let expected = match allowed {
            Allowed::Anything => "anything".to_owned(),
            Allowed::Only([]) if *name == "types" => "–".to_owned(),
            Allowed::Only([]) => "nothing of ours".to_owned(),
            // All below is what the rows above say.
            Allowed::Only(_) if uses.starts_with("all below") => continue,
            Allowed::Only(names) => {
                names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
            }
        };
        if uses != expected {
            let message = format!("{code} may use {expected}, not {uses}");
            violations.push(Violation::new(DOCUMENT, line, message));
        }
    }
}

fn check_guard(tree: &Tree, beginning: &str, guard: &Guard, violations: &mut Vec<Violation>) {
    match guard {
        Guard::Checked => {}
        Guard::Absent(absent) => {
            for (path, text) in tree.texts_with_extension("rs") {
                violations.extend(absent.found_in(path, text).map(|(line, word)| {
                    Violation::new(path, line, format!("`{word}` here, against: {beginning}"))
                }));
            }
        }
        Guard::Tests(names) => {
            for name in *names {
                let declared = format!("fn {name}(");
                if !tree.texts_with_extension("rs").any(|(_, text)| text.contains(&declared)) {
                    let message = format!("no test `{name}`, which keeps: {beginning}");
                    violations.push(Violation::new(DOCUMENT, 1, message));
                }
            }
        }
    }
}

impl Absent {
    /// Words that do stand in a file, with their lines.
    fn found_in<'a>(
        &self,
        path: &str,
        text: &'a str,
    ) -> impl Iterator<Item = (usize, &'static str)> {
        let starts = |places: &[&str]| places.iter().any(|place| path.starts_with(place));
        let looked_at = starts(self.folders) && !starts(self.except) && !is_of_tests(path);
        let code = move |line: &&'a str| looked_at && *line != "#[cfg(test)]";
        let lines = text.lines().take_while(code).zip(1..);
        let code = lines.filter(|(line, _)| !line.trim_start().starts_with("//"));
        code.flat_map(|(line, number)| {
            self.words
                .iter()
                .filter(|word| contains_word(line, word))
                .map(move |word| (number, *word))
        })
        .collect::<Vec<_>>()
        .into_iter()
    }
}

fn is_of_tests(path: &str) -> bool {
    path.contains("tests/") || path.ends_with("tests.rs")
}

#[cfg(test)]
mod tests {
    use super::super::tests::lines;
    use super::*;

    #[test]
    fn words_are_looked_for_in_code_of_their_folders() {
        let absent = Absent { words: &["Mutex"], folders: &["a/src/"], except: &["a/src/b"] };
        let text =
            "// Mutex\nlet m = Mutex::new(1);\nlet n = MutexLike;\n#[cfg(test)]\nlet m = Mutex;\n";
        let found = |path| absent.found_in(path, text).collect::<Vec<_>>();
        assert_eq!(found("a/src/x.rs"), [(2, "Mutex")]);
        assert_eq!(found("a/src/b/x.rs"), []);
        assert_eq!(found("a/src/tests.rs"), []);
        assert_eq!(found("c/src/x.rs"), []);
    }

    #[test]
    fn every_invariant_is_stated_and_kept() {
        let document = "## Crates\n\n| 0 | `types` | `wire` | x |\n\n## Invariants\n\n- **One writer.**\n- **No rain.**\n";
        let mut tree = Tree::default();
        tree.texts.insert(DOCUMENT.to_owned(), document.to_owned());
        let said = lines(&check(&tree));
        assert!(said.contains("ARCHITECTURE.md:3: `types` may use –, not `wire`"), "{said}");
        assert!(said.contains("no row for crate `engine`"), "{said}");
        assert!(said.contains("ARCHITECTURE.md:8: nothing checks this: No rain.**"), "{said}");
        assert!(said.contains("does not state what is checked: No float"), "{said}");
        assert!(said.contains("no test `a_second_writer_is_locked_out`"), "{said}");
        assert!(!said.contains("does not state what is checked: One writer"), "{said}");
    }
}
