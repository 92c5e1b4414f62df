//! A statement as a file: one record a line, one spelling, signed by the exchange.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{
    ContractLine, Head, RetailerStatement, VERSION,
    sums::{ChargeSum, MeterSum, RetailerSum, Sums, Total},
};
use crate::tlog::note;

/// What a signature begins with, so that it is one of nothing else: 24 bytes.
const SIGNED_AS: &[u8; 24] = b"gridcross statement v1\0\0";

/// A line of the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Record {
    Head(Head),
    Contract(Box<ContractLine>),
    Meter(MeterSum),
    Charge(ChargeSum),
    Retailer(RetailerSum),
    Total(Total),
    Signature(Sealed),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    /// The ledger's key, as verifiers have it.
    key: String,
    /// Base64.
    ed25519: String,
}

/// Why a file is no statement of the exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StatementFault {
    /// It cannot be read.
    #[error("the file is no statement")]
    Malformed,
    /// Another version of the program wrote it.
    #[error("version {0} of the statement is not known")]
    UnknownVersion(u8),
    /// It says that somebody else signed it.
    #[error("the statement is signed with another key")]
    OtherKey,
    /// It was changed after it was signed, or never was.
    #[error("the signature of the exchange does not verify")]
    NotSigned,
    /// Its sums are not those of its lines, or it is spelled in another way than statements are.
    #[error("the sums of the statement are not those of its lines")]
    Inconsistent,
}

impl RetailerStatement {
    /// The sums of its lines.
    #[must_use]
    pub fn sums(&self) -> Sums {
        Sums::of(&self.lines)
    }

    /// The file without its last line.
    fn body(&self) -> String {
        let Sums { meters, charges, retailers, total } = self.sums();
        let mut text = String::new();
        write(&mut text, &Record::Head(self.head.clone()));
        for line in &self.lines {
            write(&mut text, &Record::Contract(Box::new(line.clone())));
        }
        meters.into_iter().for_each(|sum| write(&mut text, &Record::Meter(sum)));
        charges.into_iter().for_each(|sum| write(&mut text, &Record::Charge(sum)));
        retailers.into_iter().for_each(|sum| write(&mut text, &Record::Retailer(sum)));
        write(&mut text, &Record::Total(total));
        text
    }
}

fn write(text: &mut String, record: &Record) {
    // Numbers and text always have a JSON form.
    if let Ok(line) = serde_json::to_string(record) {
        text.push_str(&line);
        text.push('\n');
    }
}

/// The bytes that are signed.
fn signed(body: &str) -> Vec<u8> {
    let mut bytes = SIGNED_AS.to_vec();
    bytes.extend_from_slice(&Sha256::digest(body.as_bytes()));
    bytes
}

/// The file of a statement. Ed25519 draws nothing, so the same statement has the same bytes.
#[must_use]
pub fn seal(statement: &RetailerStatement, key: &SigningKey) -> String {
    let mut text = statement.body();
    let signature = key.sign(&signed(&text));
    let sealed = Sealed {
        key: note::verifier_key(&statement.head.ledger, &key.verifying_key()),
        ed25519: STANDARD.encode(signature.to_bytes()),
    };
    write(&mut text, &Record::Signature(sealed));
    text
}

/// Reads a statement, and checks its signature and its sums.
///
/// # Errors
/// With the first thing that is not as it should be.
pub fn verify(text: &str, key: &VerifyingKey) -> Result<RetailerStatement, StatementFault> {
    let malformed = StatementFault::Malformed;
    let inner = text.strip_suffix('\n').ok_or(malformed)?;
    let (body, last) = inner.rsplit_once('\n').ok_or(malformed)?;
    let body = text.get(..body.len().saturating_add(1)).ok_or(malformed)?;
    let Ok(Record::Signature(sealed)) = serde_json::from_str(last) else { return Err(malformed) };
    let mut records = body.lines().map(serde_json::from_str::<Record>);
    let Some(Ok(Record::Head(head))) = records.next() else { return Err(malformed) };
    if head.version != VERSION {
        return Err(StatementFault::UnknownVersion(head.version));
    }
    if sealed.key != note::verifier_key(&head.ledger, key) {
        return Err(StatementFault::OtherKey);
    }
    let signature = STANDARD.decode(&sealed.ed25519).ok();
    let signature = signature.and_then(|bytes| Signature::from_slice(&bytes).ok());
    let signature = signature.ok_or(malformed)?;
    key.verify_strict(&signed(body), &signature).map_err(|_| StatementFault::NotSigned)?;
    let mut lines = Vec::new();
    for record in records {
        match record.map_err(|_| malformed)? {
            Record::Contract(line) => lines.push(*line),
            Record::Meter(_) | Record::Charge(_) | Record::Retailer(_) | Record::Total(_) => {}
            Record::Head(_) | Record::Signature(_) => return Err(malformed),
        }
    }
    let statement = RetailerStatement { head, lines };
    if statement.body() == body { Ok(statement) } else { Err(StatementFault::Inconsistent) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_that_are_not_those_of_the_lines_are_found_though_signed() {
        let key = SigningKey::from_bytes(&[3; 32]);
        let head = Head {
            version: VERSION,
            ledger: "test".to_owned(),
            retailer: 1,
            month: "2026-06".to_owned(),
            utc_offset_minutes: 330,
            revision: 1,
            leaves: 0,
            root: String::new(),
            currency: "INR".to_owned(),
        };
        let statement = RetailerStatement { head, lines: Vec::new() };
        let text = seal(&statement, &key);
        assert_eq!(verify(&text, &key.verifying_key()), Ok(statement.clone()));
        let body = statement.body();
        for wrong in [
            body.replace("\"bought_wh\":0", "\"bought_wh\":1"),
            body.replace("\"revision\":1", "\"revision\": 1"),
        ] {
            assert_ne!(wrong, body);
            let mut text = wrong;
            let ed25519 = STANDARD.encode(key.sign(&signed(&text)).to_bytes());
            let key_text = note::verifier_key("test", &key.verifying_key());
            write(&mut text, &Record::Signature(Sealed { key: key_text, ed25519 }));
            let found = verify(&text, &key.verifying_key());
            assert_eq!(found, Err(StatementFault::Inconsistent));
        }
    }
}
