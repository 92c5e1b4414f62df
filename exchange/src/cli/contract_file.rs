//! `gridcross contract show` and `verify`: a contract's evidence, out of the journal and away from it.

use std::{fs, path::PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Args;
use ed25519_dalek::{Signer as _, VerifyingKey};
use gateway::identity;
use replay::contract::{
    self, ContractError, GatherError, LIST_BYTES_MAX, VERSION, VERSION_CHANGED, Verified, Version,
};
use serde::{Deserialize, Serialize};
use types::{ShardId, Signature, TradeId};

use super::connect::{instant_text, price_text, slot_text};
use crate::{
    exit::Failure,
    node::Layout,
    output::{self, Format},
};

/// Options of `contract show`.
#[derive(Debug, Args)]
pub struct ShowOptions {
    /// The number of the contract, which is that of its trade
    contract: u64,
    /// The exchange's directory
    #[arg(long)]
    data_dir: PathBuf,
    /// Write the evidence to this file, signed with the exchange's key
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// How it is printed
    #[arg(long, value_enum, default_value = "human")]
    output: Format,
}

/// Options of `contract verify`.
#[derive(Debug, Args)]
pub struct VerifyOptions {
    /// The file that `contract show` wrote
    file: PathBuf,
    /// Whose signature
    #[command(flatten)]
    key: KeyOptions,
    /// How it is printed
    #[arg(long, value_enum, default_value = "human")]
    output: Format,
}

/// With which key something is checked that the exchange signed.
#[derive(Debug, Args)]
pub(super) struct KeyOptions {
    /// The exchange's public key: 64 hexadecimal digits, or the key of its ledger (NAME+ID+KEY)
    #[arg(long, required_unless_present = "data_dir", conflicts_with = "data_dir")]
    key: Option<String>,
    /// Take the key from the exchange's directory
    #[arg(long)]
    data_dir: Option<PathBuf>,
}

impl KeyOptions {
    /// The key.
    ///
    /// # Errors
    /// Code 2 for a key that is none, 3 where the directory has none.
    pub(super) fn key(&self) -> Result<VerifyingKey, Failure> {
        match (&self.key, &self.data_dir) {
            (Some(text), _) => public_key(text)
                .ok_or_else(|| Failure::usage(format!("`{text}` is no public key of an exchange"))),
            (None, Some(dir)) => Ok(identity::load_signing_key(&Layout::new(dir).ledger_key())
                .map_err(Failure::config)?
                .verifying_key()),
            (None, None) => Err(Failure::usage("--key or --data-dir says whose signature")),
        }
    }
}

/// The evidence as it stands in a file: one line, the only spelling that is accepted.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Of the list and of what is signed of it.
    version: u8,
    /// The list of messages, in hexadecimal.
    messages: String,
    /// The exchange's public key, in hexadecimal.
    key: String,
    /// By that key, in hexadecimal.
    signature: String,
}

/// A version of a contract whose evidence is whole.
#[derive(Debug, Serialize)]
struct Row {
    contract: u64,
    version: u32,
    origin: &'static str,
    market: u16,
    slot_start: String,
    minutes: u16,
    price: String,
    quantity_wh: u64,
    buyer: u32,
    seller: u32,
    buyer_platform: u16,
    seller_platform: u16,
    seq: u64,
    traded: String,
    /// Of all versions.
    signatures: usize,
    /// Which side asked for the version.
    asked_by: Option<&'static str>,
    /// Of this version and all before it.
    hash: String,
    exchange_key: String,
}

/// Finds a contract in the journal, checks its evidence and prints it.
///
/// # Errors
/// Code 1 where the journal does not hold it, 3 without the exchange's key, 4 where its evidence does not
/// hold.
pub(super) fn show(options: &ShowOptions) -> Result<(), Failure> {
    let layout = Layout::new(&options.data_dir);
    let contract = TradeId::new(options.contract);
    let shard = ShardId::of_number(contract.get())
        .filter(|_| contract.get() > 0)
        .ok_or_else(|| Failure::usage(format!("{contract} is no number of a contract")))?;
    let messages = contract::gather(&layout.journal_of(shard), contract).map_err(gather_failure)?;
    let verified = contract::verify(&messages).map_err(|error| mismatch(&error))?;
    let signing = identity::load_signing_key(&layout.ledger_key()).map_err(Failure::config)?;
    let key = signing.verifying_key();
    if let Some(path) = &options.file {
        let signature = signing.sign(&contract::signed_bytes(verified.list_version(), &messages));
        let file = File {
            version: verified.list_version(),
            messages: hex(&messages),
            key: hex(key.as_bytes()),
            signature: hex(&signature.to_bytes()),
        };
        fs::write(path, file.text()?).map_err(|error| {
            Failure::refused(format!("cannot write `{}`: {error}", path.display()))
        })?;
    }
    output::print_rows(&rows(&verified, &key), options.output)
}

/// Checks a file of evidence and prints the contract.
///
/// # Errors
/// Code 2 for a key that is none, 4 where the evidence does not hold.
pub(super) fn verify(options: &VerifyOptions) -> Result<(), Failure> {
    let key = options.key.key()?;
    let bytes = fs::read(&options.file).map_err(|error| {
        Failure::usage(format!("cannot read `{}`: {error}", options.file.display()))
    })?;
    let verified = check(&bytes, &key)?;
    output::print_rows(&rows(&verified, &key), options.output)
}

/// A file's contract, if everything about it holds.
fn check(bytes: &[u8], key: &VerifyingKey) -> Result<Verified, Failure> {
    let malformed = || Failure::mismatch("the file is not evidence of a contract");
    let file: File = serde_json::from_slice(bytes).map_err(|_| malformed())?;
    if ![VERSION, VERSION_CHANGED].contains(&file.version) {
        let version = file.version;
        return Err(Failure::mismatch(format!("version {version} of the evidence is not known")));
    }
    if file.text()?.as_bytes() != bytes || file.messages.len() > 2 * LIST_BYTES_MAX {
        return Err(malformed());
    }
    let messages = from_hex(&file.messages).ok_or_else(malformed)?;
    let signature: [u8; 64] =
        from_hex(&file.signature).and_then(|bytes| bytes.try_into().ok()).ok_or_else(malformed)?;
    if file.key != hex(key.as_bytes()) {
        return Err(Failure::mismatch("the evidence is signed with another key")
            .hint("--key is the public key of the exchange that the contract was made at"));
    }
    if !contract::is_signed(key, file.version, &messages, &Signature::new(signature)) {
        return Err(Failure::mismatch("the signature of the exchange does not verify"));
    }
    let verified = contract::verify(&messages).map_err(|error| mismatch(&error))?;
    if verified.list_version() == file.version { Ok(verified) } else { Err(malformed()) }
}

impl File {
    fn text(&self) -> Result<String, Failure> {
        let mut text = serde_json::to_string(self).map_err(Failure::runtime)?;
        text.push('\n');
        Ok(text)
    }
}

/// A row for each version.
fn rows(verified: &Verified, key: &VerifyingKey) -> Vec<Row> {
    verified.versions.iter().map(|version| row(verified, version, key)).collect()
}

fn row(verified: &Verified, version: &Version, key: &VerifyingKey) -> Row {
    let Verified { origin, trade, signatures, .. } = verified;
    Row {
        contract: trade.trade.get(),
        version: version.number,
        origin: origin.name(),
        market: version.key.market.get(),
        slot_start: slot_text(version.key),
        minutes: version.key.slot.minutes(),
        price: price_text(trade.price),
        quantity_wh: version.quantity.wh(),
        buyer: trade.buy.meter.get(),
        seller: trade.sell.meter.get(),
        buyer_platform: trade.buy.platform.get(),
        seller_platform: trade.sell.platform.get(),
        seq: version.place.seq.get(),
        traded: instant_text(version.place.time),
        signatures: *signatures,
        asked_by: version.asked_by.map(types::Side::name),
        hash: hex(version.hash.as_bytes()),
        exchange_key: hex(key.as_bytes()),
    }
}

/// A key as people are given it.
fn public_key(text: &str) -> Option<VerifyingKey> {
    let bytes = match text.rsplit_once('+') {
        // One byte says that it is an Ed25519 key; the base64 may hold plus signs itself.
        Some(_) => {
            let encoded = text.splitn(3, '+').nth(2)?;
            STANDARD.decode(encoded).ok()?.strip_prefix(&[1])?.to_vec()
        }
        None => from_hex(text)?,
    };
    VerifyingKey::from_bytes(&bytes.try_into().ok()?).ok()
}

fn gather_failure(error: GatherError) -> Failure {
    match error {
        GatherError::Journal(error) => Failure::journal(&error),
        GatherError::NoContract(_) | GatherError::Incomplete(_) => {
            Failure::refused(error.to_string())
        }
    }
}

fn mismatch(error: &ContractError) -> Failure {
    Failure::mismatch(error.to_string())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xF)]).collect()
}

/// Of lower-case digits only, so that bytes have one spelling.
pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |character: u8| {
        char::from(character).to_digit(16).filter(|_| !character.is_ascii_uppercase())
    };
    let byte = |&[high, low]: &[u8; 2]| {
        u8::try_from(digit(high)?.checked_mul(16)?.checked_add(digit(low)?)?).ok()
    };
    if !rest.is_empty() { None } else { pairs.iter().map(byte).collect() }
}
