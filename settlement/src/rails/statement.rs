//! What went into and out of the exchange's account at a rail on one day, as CSV and as ISO 20022
//! camt.053.

use quick_xml::{
    Reader, Writer,
    events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event as Xml},
};
use types::{Currency, Timestamp};

use super::{bill, message::instant};

/// Seconds of a day.
const DAY_S: i64 = 86_400;

/// Most lines of a statement.
pub const LINES_MAX: usize = 1_000_000;

/// Largest statement that is read, in bytes.
pub const STATEMENT_BYTES_MAX: u64 = 256 << 20;

/// Longest name of an account in the XML form.
const ACCOUNT_CHARS_MAX: usize = 34;

/// Header of the CSV form.
const HEADER: &str = "reference,value_time,amount_minor,currency";

/// Namespace of the XML form.
pub const NAMESPACE: &str = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08";

/// One movement.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StatementLine {
    /// The instruction's number, or `deposit-N`, or `recovered-N`.
    pub reference: String,
    /// When it happened, by the rail.
    pub at: Timestamp,
    /// Minor units; above zero what came in.
    pub minor: i64,
}

/// A day's movements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The day, counted from 1970, UTC.
    pub day: i64,
    /// What was in the account before.
    pub opening: i64,
    /// By reference.
    pub lines: Vec<StatementLine>,
}

/// Why a statement cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// A line of the CSV form.
    #[error("line {line} of the statement is no movement: {why}")]
    Line {
        /// From 1.
        line: usize,
        /// Why.
        why: &'static str,
    },
    /// The XML form.
    #[error("the statement is no camt.053 document: {0}")]
    Xml(String),
    /// Too many movements.
    #[error("the statement has more than {LINES_MAX} movements")]
    TooLong,
}

/// The day of an instant, counted from 1970, UTC.
#[must_use]
pub const fn day_of(at: Timestamp) -> i64 {
    at.ns().div_euclid(1_000_000_000 * DAY_S)
}

/// A day as ISO 8601 writes it.
#[must_use]
pub fn date(day: i64) -> String {
    Timestamp::from_seconds(day.saturating_mul(DAY_S)).to_string().chars().take(10).collect()
}

/// A day from ISO 8601.
#[must_use]
pub fn day(text: &str) -> Option<i64> {
    (text.len() == 10).then(|| instant(&format!("{text}T00:00:00Z"))).flatten().map(day_of)
}

impl Statement {
    /// What is in the account afterwards.
    #[must_use]
    pub fn closing(&self) -> i64 {
        self.lines.iter().map(|line| line.minor).fold(self.opening, i64::saturating_add)
    }

    /// As CSV. Of the opening balance it says nothing.
    #[must_use]
    pub fn to_csv(&self, currency: Currency) -> String {
        let mut text = format!("{HEADER}\n");
        for line in &self.lines {
            let (reference, at, minor) = (&line.reference, line.at, line.minor);
            text.push_str(&format!("{reference},{at},{minor},{}\n", currency.code()));
        }
        text
    }

    /// Reads either form; XML begins with `<`.
    ///
    /// # Errors
    /// When it is neither, or of another currency.
    pub fn read(day: i64, text: &str, currency: Currency) -> Result<Self, StatementError> {
        let (opening, mut lines) = if text.trim_start_matches('\u{feff}').starts_with('<') {
            read_xml(text, currency)?
        } else {
            (0, read_csv(text, currency)?)
        };
        lines.sort();
        Ok(Self { day, opening, lines })
    }

    /// As camt.053: one account, the balances before and after, and an entry for each movement.
    ///
    /// # Errors
    /// When the text cannot be written, which memory alone could cause.
    pub fn to_camt053(&self, account: &str, currency: Currency) -> std::io::Result<String> {
        let mut xml = Writer::new_with_indent(Vec::new(), b' ', 1);
        xml.write_event(Xml::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        let mut document = BytesStart::new("Document");
        document.push_attribute(("xmlns", NAMESPACE));
        xml.write_event(Xml::Start(document))?;
        let mut page = Page { xml, currency };
        page.open("BkToCstmrStmt")?;
        let (date, end) = (date(self.day), Timestamp::from_seconds((self.day + 1) * DAY_S));
        page.open("GrpHdr")?;
        page.text("MsgId", &format!("gridcross-{date}"))?;
        page.text("CreDtTm", &end.to_string())?;
        page.close("GrpHdr")?;
        page.open("Stmt")?;
        page.text("Id", &format!("gridcross-{date}"))?;
        page.text("CreDtTm", &end.to_string())?;
        page.open("FrToDt")?;
        page.text("FrDtTm", &Timestamp::from_seconds(self.day * DAY_S).to_string())?;
        page.text("ToDtTm", &end.to_string())?;
        page.close("FrToDt")?;
        let account: String = account.chars().take(ACCOUNT_CHARS_MAX).collect();
        page.account(&account)?;
        page.balance("OPBD", self.opening, &date)?;
        page.balance("CLBD", self.closing(), &date)?;
        page.summary(&self.lines)?;
        for line in &self.lines {
            page.entry(line)?;
        }
        page.close("Stmt")?;
        page.close("BkToCstmrStmt")?;
        page.close("Document")?;
        String::from_utf8(page.xml.into_inner()).map_err(std::io::Error::other)
    }
}

struct Page {
    xml: Writer<Vec<u8>>,
    currency: Currency,
}

impl Page {
    fn open(&mut self, name: &str) -> std::io::Result<()> {
        self.xml.write_event(Xml::Start(BytesStart::new(name)))
    }

    fn close(&mut self, name: &str) -> std::io::Result<()> {
        self.xml.write_event(Xml::End(BytesEnd::new(name)))
    }

    fn text(&mut self, name: &str, text: &str) -> std::io::Result<()> {
        self.open(name)?;
        self.xml.write_event(Xml::Text(BytesText::new(text)))?;
        self.close(name)
    }

    /// Amounts have no sign: what they do to the balance is told apart.
    fn amount(&mut self, minor: i64) -> std::io::Result<()> {
        let mut start = BytesStart::new("Amt");
        start.push_attribute(("Ccy", self.currency.code()));
        self.xml.write_event(Xml::Start(start))?;
        let text = bill::decimal(minor.saturating_abs(), self.currency);
        self.xml.write_event(Xml::Text(BytesText::new(&text)))?;
        self.close("Amt")?;
        self.text("CdtDbtInd", if minor < 0 { "DBIT" } else { "CRDT" })
    }

    fn account(&mut self, account: &str) -> std::io::Result<()> {
        let code = self.currency.code().to_owned();
        self.open("Acct")?;
        self.open("Id")?;
        self.open("Othr")?;
        self.text("Id", account)?;
        self.close("Othr")?;
        self.close("Id")?;
        self.text("Ccy", &code)?;
        self.close("Acct")
    }

    fn balance(&mut self, kind: &str, minor: i64, date: &str) -> std::io::Result<()> {
        self.open("Bal")?;
        self.open("Tp")?;
        self.open("CdOrPrtry")?;
        self.text("Cd", kind)?;
        self.close("CdOrPrtry")?;
        self.close("Tp")?;
        self.amount(minor)?;
        self.open("Dt")?;
        self.text("Dt", date)?;
        self.close("Dt")?;
        self.close("Bal")
    }

    fn summary(&mut self, lines: &[StatementLine]) -> std::io::Result<()> {
        self.open("TxsSummry")?;
        for (name, sign) in [("TtlCdtNtries", 1), ("TtlDbtNtries", -1)] {
            let of = lines.iter().filter(|line| line.minor.signum() == sign);
            let sum =
                of.clone().map(|line| line.minor.saturating_abs()).fold(0, i64::saturating_add);
            self.open(name)?;
            self.text("NbOfNtries", &of.count().to_string())?;
            self.text("Sum", &bill::decimal(sum, self.currency))?;
            self.close(name)?;
        }
        self.close("TxsSummry")
    }

    fn entry(&mut self, line: &StatementLine) -> std::io::Result<()> {
        self.open("Ntry")?;
        self.text("NtryRef", &line.reference)?;
        self.amount(line.minor)?;
        self.open("Sts")?;
        self.text("Cd", "BOOK")?;
        self.close("Sts")?;
        for name in ["BookgDt", "ValDt"] {
            self.open(name)?;
            self.text("DtTm", &line.at.to_string())?;
            self.close(name)?;
        }
        self.open("BkTxCd")?;
        self.open("Prtry")?;
        self.text("Cd", if line.minor < 0 { "OUT" } else { "IN" })?;
        self.close("Prtry")?;
        self.close("BkTxCd")?;
        self.close("Ntry")
    }
}

fn read_csv(text: &str, currency: Currency) -> Result<Vec<StatementLine>, StatementError> {
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index.saturating_add(1);
        let bad = |why| StatementError::Line { line: number, why };
        if index == 0 {
            if line.trim_start_matches('\u{feff}') != HEADER {
                return Err(bad("the header is another"));
            }
            continue;
        }
        if line.is_empty() {
            continue;
        }
        let fields: Vec<&str> = line.split(',').collect();
        let [reference, at, minor, code] = fields.as_slice() else {
            return Err(bad("it has not four fields"));
        };
        if *code != currency.code() {
            return Err(bad("another currency"));
        }
        lines.push(StatementLine {
            reference: (*reference).to_owned(),
            at: instant(at).ok_or(bad("no time"))?,
            minor: minor.parse().map_err(|_| bad("no amount"))?,
        });
        if lines.len() > LINES_MAX {
            return Err(StatementError::TooLong);
        }
    }
    Ok(lines)
}

/// An entry or a balance while it is read.
#[derive(Default)]
struct Draft {
    reference: String,
    amount: String,
    is_debit: bool,
    at: String,
    code: String,
}

impl Draft {
    fn minor(&self, currency: Currency) -> Result<i64, StatementError> {
        let minor = bill::minor(&self.amount, currency).filter(|minor| *minor >= 0);
        let minor =
            minor.ok_or_else(|| StatementError::Xml(format!("amount `{}`", self.amount)))?;
        Ok(if self.is_debit { minor.saturating_neg() } else { minor })
    }
}

fn read_xml(text: &str, currency: Currency) -> Result<(i64, Vec<StatementLine>), StatementError> {
    let unreadable = |error: &dyn core::fmt::Display| StatementError::Xml(error.to_string());
    let mut reader = Reader::from_str(text);
    reader.config_mut().trim_text(true);
    let (mut path, mut draft) = (Vec::<String>::new(), Draft::default());
    let (mut opening, mut lines) = (0, Vec::new());
    loop {
        match reader.read_event().map_err(|error| unreadable(&error))? {
            Xml::Start(start) => {
                let name = start.local_name().as_ref().to_owned();
                if name == "Ntry" || name == "Bal" {
                    draft = Draft::default();
                }
                let code = format!("Ccy=\"{}\"", currency.code());
                if name == "Amt" && start.attributes_raw().trim() != code {
                    return Err(StatementError::Xml("another currency".to_owned()));
                }
                path.push(name);
            }
            Xml::Text(found) => {
                fill(&mut draft, &path, &found);
            }
            Xml::End(_) => {
                let name = path.pop();
                if name.as_deref() == Some("Ntry") {
                    let at = instant(&draft.at)
                        .ok_or_else(|| StatementError::Xml(format!("time `{}`", draft.at)))?;
                    let minor = draft.minor(currency)?;
                    let reference = core::mem::take(&mut draft.reference);
                    lines.push(StatementLine { reference, at, minor });
                } else if name.as_deref() == Some("Bal") && draft.code == "OPBD" {
                    opening = draft.minor(currency)?;
                }
                if lines.len() > LINES_MAX {
                    return Err(StatementError::TooLong);
                }
            }
            Xml::DocType(_) => return Err(StatementError::Xml("a document type".to_owned())),
            Xml::Eof if path.is_empty() => return Ok((opening, lines)),
            Xml::Eof => return Err(StatementError::Xml("it breaks off".to_owned())),
            Xml::Empty(_)
            | Xml::CData(_)
            | Xml::Comment(_)
            | Xml::Decl(_)
            | Xml::PI(_)
            | Xml::GeneralRef(_) => {}
        }
    }
}

fn fill(draft: &mut Draft, path: &[String], found: &str) {
    let [.., above, name] = path else { return };
    let field = match (above.as_str(), name.as_str()) {
        ("Ntry", "NtryRef") => &mut draft.reference,
        ("Ntry" | "Bal", "Amt") => &mut draft.amount,
        ("ValDt", "DtTm") => &mut draft.at,
        ("CdOrPrtry", "Cd") => &mut draft.code,
        ("Ntry" | "Bal", "CdtDbtInd") => {
            draft.is_debit = found == "DBIT";
            return;
        }
        _ => return,
    };
    found.clone_into(field);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rupee() -> Currency {
        Currency::from_iso("INR").unwrap()
    }

    fn statement() -> Statement {
        let line = |reference: &str, seconds, minor| StatementLine {
            reference: reference.to_owned(),
            at: Timestamp::from_seconds(20_544 * DAY_S + seconds),
            minor,
        };
        let lines = vec![line("0000000001000102", 5, 2_200), line("deposit-9", 7, 3_000)];
        let lines = lines.into_iter().chain([line("fffffffffffff805", 9, -4_150)]).collect();
        Statement { day: 20_544, opening: 1_000, lines }
    }

    #[test]
    fn days_are_told_by_their_date() {
        assert_eq!((date(0), day("1970-01-01")), ("1970-01-01".to_owned(), Some(0)));
        assert_eq!((date(20_544), day("2026-04-01")), ("2026-04-01".to_owned(), Some(20_544)));
        assert_eq!((day("2026-4-1"), day("2026-02-30"), day("")), (None, None, None));
    }

    #[test]
    fn both_forms_are_read_back() {
        let whole = statement();
        let csv = Statement::read(20_544, &whole.to_csv(rupee()), rupee()).unwrap();
        assert_eq!(csv, Statement { opening: 0, ..whole.clone() });
        let xml = whole.to_camt053("gridcross", rupee()).unwrap();
        assert_eq!(Statement::read(20_544, &xml, rupee()).unwrap(), whole);
        let euro = Currency::from_iso("EUR").unwrap();
        for text in [whole.to_csv(rupee()), xml.clone()] {
            assert!(Statement::read(20_544, &text, euro).is_err());
        }
        for broken in [&xml[..xml.len() / 2], &xml.replace("22.00", "22.005"), "<a", "x,y"] {
            assert!(Statement::read(20_544, broken, rupee()).is_err());
        }
    }

    #[test]
    fn camt_has_the_schema_s_order_and_its_sums() {
        let xml = statement().to_camt053("gridcross", rupee()).unwrap();
        let order = |text: &str, names: &[&str]| {
            let mut from = 0;
            for name in names {
                let found =
                    text[from..].find(&format!("<{name}")).unwrap_or_else(|| panic!("{name}"));
                from += found + 1;
            }
        };
        order(
            &xml,
            &[
                "Document",
                "BkToCstmrStmt",
                "GrpHdr",
                "MsgId",
                "CreDtTm",
                "Stmt",
                "Id",
                "CreDtTm",
                "FrToDt",
                "Acct",
                "Bal",
                "Bal",
                "TxsSummry",
                "TtlCdtNtries",
                "TtlDbtNtries",
                "Ntry",
            ],
        );
        let (_, entry) = xml.split_once("<Ntry>").unwrap();
        order(
            entry,
            &["NtryRef", "Amt Ccy=\"INR\"", "CdtDbtInd", "Sts", "BookgDt", "ValDt", "BkTxCd"],
        );
        for figure in ["10.00", "20.50", "52.00", "41.50", "<NbOfNtries>2<", "<NbOfNtries>1<"] {
            assert!(xml.contains(figure), "{figure}");
        }
    }
}
