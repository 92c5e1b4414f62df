//! The meaning of codes, taken from the doc comments where they are declared, so that the document and
//! the code say the same.

use std::{fs, path::PathBuf};

/// A file of the repository.
pub(super) fn read(path: &str) -> String {
    let path = repository().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(super) fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// One variant of an enum with codes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Variant {
    pub(super) name: String,
    pub(super) code: u16,
    /// Its doc comment on one line.
    pub(super) meaning: String,
}

/// The variants `/// Meaning.` `Name = 7,` between the line that begins with `begin` and the next line
/// that closes a brace.
pub(super) fn variants(text: &str, begin: &str) -> Vec<Variant> {
    let body = text.lines().map(str::trim).skip_while(|line| !line.starts_with(begin)).skip(1);
    let mut variants = Vec::new();
    let mut meaning: Vec<&str> = Vec::new();
    for line in body.take_while(|line| *line != "}") {
        if let Some(doc) = line.strip_prefix("///") {
            meaning.push(doc.trim());
        } else if let Some((name, rest)) = line.split_once(" = ") {
            let code = rest.split([',', ';']).next().unwrap().parse().unwrap();
            let meaning = std::mem::take(&mut meaning).join(" ");
            variants.push(Variant { name: name.to_owned(), code, meaning });
        }
    }
    variants
}

#[test]
fn variants_are_found_with_their_meaning() {
    let text = "enum Other {\n A = 1,\n}\nenum Side {\n    /// In two\n    /// lines.\n    Buy = 0,\n\n    \
                /// One.\n    Sell = 1, \"sell\", true;\n}\nA = 2\n";
    let variant = |name: &str, code, meaning: &str| Variant {
        name: name.to_owned(),
        code,
        meaning: meaning.to_owned(),
    };
    assert_eq!(
        variants(text, "enum Side {"),
        [variant("Buy", 0, "In two lines."), variant("Sell", 1, "One.")]
    );
}
