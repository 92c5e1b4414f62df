//! `docs/reference.md`: its generated parts are what the code says. `UPDATE_EXPECT=1` writes them.

use std::{collections::BTreeMap, env, fs, path::PathBuf};

use exchange::{api, init::CONFIG_TEMPLATE};
use gateway::https;
use settlement::{DocumentReject, State};

use crate::notices;

const DOCUMENT: &str = "docs/reference.md";

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The text with what is between the markers of `name` replaced.
fn replaced(text: &str, name: &str, part: &str) -> String {
    let begin = format!("<!-- begin generated: {name} -->\n");
    let end = format!("<!-- end generated: {name} -->\n");
    let split = text.split_once(&begin).and_then(|(head, rest)| {
        let (_, tail) = rest.split_once(&end)?;
        Some((head, tail))
    });
    let (head, tail) = split.unwrap_or_else(|| panic!("{DOCUMENT} has no markers for {name}"));
    format!("{head}{begin}\n{}\n\n{end}{tail}", part.trim())
}

fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let line = |cells: [String; N]| format!("| {} |\n", cells.join(" | "));
    let rule = [const { String::new() }; N].map(|_| "---".to_owned());
    let mut text = line(head.map(str::to_owned)) + &line(rule).replace(' ', "");
    rows.into_iter().for_each(|cells| text += &line(cells));
    text
}

fn quoted(word: &str) -> String {
    format!("`{word}`")
}

/// The doc comments of the variants between a line and the next one that closes a brace, in one line each.
fn meanings(file: &str, begin: &str) -> Vec<(String, String)> {
    let text = read(file);
    let body = text.lines().map(str::trim).skip_while(|line| !line.starts_with(begin)).skip(1);
    let (mut found, mut meaning) = (Vec::new(), Vec::new());
    for line in body.take_while(|line| *line != "}") {
        if let Some(doc) = line.strip_prefix("///") {
            meaning.push(doc.trim().to_owned());
        } else if !line.starts_with("#[") && !line.is_empty() {
            let name = line.split([' ', ',']).next().unwrap().to_owned();
            found.push((name, std::mem::take(&mut meaning).join(" ")));
        }
    }
    assert!(!found.is_empty(), "{file} has no `{begin}`");
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reference_is_what_the_code_says() {
    let figures = notices::every_figure().await;
    let parts = [
        ("Messages", messages()),
        ("State", states()),
        ("DocumentReject", document_rejects()),
        ("ExitCode", exit_codes()),
        ("ApiProblem", api_problems()),
        ("SessionProblem", session_problems()),
        ("Figures", figures_of(&figures)),
        ("Configuration", configuration()),
    ];
    let text = read(DOCUMENT);
    let expected =
        parts.iter().fold(text.clone(), |text, (name, part)| replaced(&text, name, part));
    let markers = text.matches("<!-- begin generated: ").count();
    assert_eq!(markers, parts.len(), "{DOCUMENT} has markers that nothing fills");
    if env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(path(DOCUMENT), expected).unwrap();
        return;
    }
    let advice = "UPDATE_EXPECT=1 writes it";
    for (line, (is, should)) in (1..).zip(text.lines().zip(expected.lines())) {
        assert_eq!(is, should, "{DOCUMENT}:{line} is not what the code says; {advice}");
    }
    assert_eq!(text, expected, "{DOCUMENT} is not what the code says; {advice}");
}

/// The headings of the generated parts of `docs/protocol.md`, which its own test compares with the code.
fn messages() -> String {
    let text = read("docs/protocol.md");
    let mut rows = Vec::new();
    let (mut section, mut part) = ("", "");
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            (section, part) = (title, "");
        } else if let Some(title) = line.trim_start_matches('#').strip_prefix(' ')
            && line.starts_with("##")
        {
            let Some((name, rest)) = title.split_once(" (kind ") else {
                part = if title.starts_with("Messages ") { title } else { part };
                continue;
            };
            let (kind, bytes) = rest.trim_end_matches(" bytes)").split_once(", ").unwrap();
            let place = if part.is_empty() { section } else { part };
            rows.push([kind, name, bytes, place].map(str::to_owned));
        }
    }
    assert!(rows.len() > 60, "{rows:?}");
    table(["kind", "message", "bytes", "in"], rows)
}

fn states() -> String {
    let known = meanings("settlement/src/outcome.rs", "pub enum State {");
    let rows = State::ALL.into_iter().zip(known).map(|(state, (name, meaning))| {
        assert_eq!(format!("{state:?}"), name);
        [state.code().to_string(), quoted(state.name()), meaning]
    });
    table(["code", "state", "meaning"], rows)
}

fn document_rejects() -> String {
    let known: BTreeMap<_, _> =
        meanings("settlement/src/metering/reject.rs", "reasons! {").into_iter().collect();
    let mut all = DocumentReject::ALL.to_vec();
    all.sort_by_key(|reject| reject.code());
    let rows = all.into_iter().map(|reject| {
        let kept = if reject.is_kept() { "yes" } else { "no" };
        let meaning = known[&format!("{reject:?}")].clone();
        [reject.code().to_string(), quoted(reject.name()), kept.to_owned(), meaning]
    });
    table(["code", "name", "final", "meaning"], rows)
}

fn exit_codes() -> String {
    let done = ["0".to_owned(), "It did what it was asked.".to_owned()];
    let failed = (1_u8..).zip(meanings("exchange/src/exit.rs", "pub enum Kind {"));
    let failed = failed.map(|(code, (_, meaning))| [code.to_string(), meaning]);
    table(["code", "meaning"], [done].into_iter().chain(failed))
}

fn api_problems() -> String {
    let rows = api::ProblemCode::ALL.iter().map(|code| {
        let again = if code.is_retryable() { "yes" } else { "no" };
        let status = code.status().as_u16().to_string();
        [status, quoted(code.name()), again.to_owned(), code.meaning().to_owned()]
    });
    table(["status", "code", "again?", "meaning"], rows)
}

fn session_problems() -> String {
    let known = meanings("gateway/src/https/problem.rs", "pub enum ProblemCode {");
    let rows = https::ProblemCode::ALL.into_iter().zip(known).map(|(code, (name, meaning))| {
        assert_eq!(format!("{code:?}"), name);
        [code.status().as_u16().to_string(), quoted(code.name()), meaning]
    });
    let mut rows: Vec<_> = rows.collect();
    rows.sort();
    table(["status", "code", "meaning"], rows)
}

/// From the text of `/metrics`.
fn figures_of(text: &str) -> String {
    let said = |what: &str, name: &str| {
        let begin = format!("# {what} {name} ");
        text.lines().find_map(|line| line.strip_prefix(&begin)).unwrap_or_default().to_owned()
    };
    let kinds = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let rows = kinds.map(|(name, kind)| {
        let name_shown = match kind {
            "counter" => format!("{name}_total"),
            "info" => format!("{name}_info"),
            _ => name.to_owned(),
        };
        let is_of_it = |line: &&str| line.starts_with(&format!("{name_shown}{{"));
        let labels = text.lines().find(is_of_it).and_then(|line| line.split(['{', '}']).nth(1));
        let labels =
            labels.unwrap_or_default().split(',').filter_map(|label| label.split('=').next());
        let labels: Vec<_> = labels.filter(|label| !label.is_empty()).map(quoted).collect();
        let meaning = said("HELP", name);
        [quoted(&name_shown), kind.to_owned(), said("UNIT", name), labels.join(", "), meaning]
    });
    let rows: Vec<_> = rows.collect();
    assert!(rows.len() > 20, "{text}");
    table(["name", "type", "unit", "of each", "meaning"], rows)
}

/// A key of the template: its table, name and value, and what is said of it.
struct Key {
    table: String,
    name: String,
    value: String,
    meaning: String,
}

/// The keys of `exchange/src/init.toml`, in order.
fn keys() -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    let mut table = String::new();
    for shown in CONFIG_TEMPLATE.lines() {
        let line = shown.strip_prefix("# ").unwrap_or(shown);
        if let Some(name) = line.strip_prefix('[') {
            table = name.trim_start_matches('[').trim_end_matches(']').to_owned();
        } else if let Some((name, rest)) = line.split_once(" = ")
            && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        {
            let (value, meaning) = rest.split_once(" #").unwrap_or((rest, ""));
            let (value, meaning) = (value.trim().to_owned(), meaning.trim().to_owned());
            keys.push(Key { table: table.clone(), name: name.to_owned(), value, meaning });
        } else if let Some((_, more)) = shown.split_once("   # ")
            && shown.starts_with('#')
            && let Some(last) = keys.last_mut()
        {
            last.meaning = format!("{} {}", last.meaning, more.trim());
        }
    }
    keys
}

/// Whether a key is needed: how its field is declared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Needed,
    /// What the template shows is what it is without.
    Default,
    Optional,
}

/// The fields of a table of the configuration.
fn fields(file: &str, name: &str) -> Vec<(String, Need)> {
    let text = read(&format!("exchange/src/{file}"));
    let begin = format!("struct {name} {{");
    let place = text.find(&begin).unwrap_or_else(|| panic!("{file} has no {name}"));
    let before = text[..place].lines().rev().take_while(|line| !line.is_empty());
    let all_have =
        before.into_iter().any(|line| line.starts_with("#[serde(") && line.contains("default"));
    let (mut fields, mut has) = (Vec::new(), false);
    for line in text[place..].lines().skip(1).take_while(|line| *line != "}").map(str::trim) {
        let line = line.trim_start_matches("pub(super) ");
        if line.starts_with("#[serde(default") {
            has = true;
        } else if let Some((field, kind)) = line.split_once(": ") {
            // Controls that are not stated are standard, which is what the template shows.
            let need = if has || all_have || name == "ControlsTable" {
                Need::Default
            } else if kind.starts_with("Option<") {
                Need::Optional
            } else {
                Need::Needed
            };
            fields.push((field.to_owned(), need));
            has = false;
        }
    }
    fields
}

/// Tables of the configuration, and the declaration of each.
const TABLES: [(&str, &str, &str); 14] = [
    ("exchange", "config.rs", "ExchangeTable"),
    ("gateway", "config/gateway_limits.rs", "GatewayTable"),
    ("gateway.https", "config/gateway_limits.rs", "HttpsTable"),
    ("journal", "config.rs", "JournalTable"),
    ("markets", "config.rs", "MarketTable"),
    ("markets.auctions", "config/auctions.rs", "AuctionTable"),
    ("markets.controls", "config/controls.rs", "ControlsTable"),
    ("credit", "config/controls.rs", "CreditTable"),
    ("settlement", "config.rs", "SettlementTable"),
    ("pull", "config/pull.rs", "PullTable"),
    ("webhooks", "config/webhooks.rs", "WebhooksTable"),
    ("api", "config/api.rs", "ApiTable"),
    ("operations", "config/api.rs", "OperationsTable"),
    ("rails", "config/rails.rs", "RailsTable"),
];

fn configuration() -> String {
    let keys = keys();
    let is_table = |name: &str| TABLES.iter().any(|(known, ..)| *known == name);
    let others =
        keys.iter().filter(|key| !is_table(&key.table) && key.table != "settlement.policy");
    let others: Vec<_> = others.map(|key| format!("{}.{}", key.table, key.name)).collect();
    assert!(others.is_empty(), "the template has more: {others:?}");
    let mut text = String::new();
    for (title, file, name) in TABLES {
        let mut rows = Vec::new();
        for (field, need) in fields(file, name) {
            let nested = format!("{title}.{field}");
            if is_table(&nested) || nested == "settlement.policy" {
                continue;
            }
            let mut of_it = keys.iter().filter(|key| key.table == title && key.name == field);
            let key = of_it.next().unwrap_or_else(|| panic!("the template lacks `{nested}`"));
            let without = match need {
                Need::Needed => format!("needed, such as `{}`", key.value),
                Need::Default => quoted(&key.value),
                Need::Optional => format!("none; such as `{}`", key.value),
            };
            rows.push([quoted(&field), without, key.meaning.clone()]);
        }
        let shown = keys.iter().filter(|key| key.table == title);
        let shown: std::collections::BTreeSet<_> = shown.map(|key| &key.name).collect();
        assert_eq!(shown.len(), rows.len(), "the template has more in `{title}`: {shown:?}");
        let head = ["key", "without it", "meaning"];
        text += &format!("### `{title}`\n\n{}\n", table(head, rows));
    }
    text
}
