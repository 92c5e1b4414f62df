//! Leaves of money and documents, and every leaf read back: [`Leaf::decode`].
//!
//! A transfers leaf has the transfers of one contract and run (or of one deposit) in the order in which
//! they were posted, so that balances can be rebuilt from leaves alone. A document leaf has a salted
//! hash: what a document says of a household is not in the ledger, and when the salt is erased with
//! the document, nothing leads from the hash to it.

use sha2::{Digest as _, Sha256};
use types::{
    DeliverySlot, Digest, Energy, MarketDefinition, MeterId, Operated, Party, Role, Side, TradeId,
};

use wire::field::Field as _;

use super::leaf::{
    AmendmentRecord, DefaultRecord, DisconnectionStep, KIND_AMENDMENT, KIND_CONTRACT, KIND_DEFAULT,
    KIND_OUTCOME, OutcomeRecord, Reader, VERSION, VERSION_DISCONNECTION, VERSION_MOVED, Writer,
    decode_contract, decode_outcome,
};
use crate::{capture::Contract, outcome::State};

/// First byte of a transfers leaf.
pub const KIND_TRANSFERS: u8 = 32;

/// First byte of a document leaf.
pub const KIND_DOCUMENT: u8 = 33;

/// First byte of an operation leaf.
pub const KIND_OPERATION: u8 = 34;

/// Bytes of an operation leaf: kind and version, then the operation, its signer and signature as they were
/// sent, and whether it took effect.
pub const OPERATION_BYTES: usize = 162;

/// First byte of the leaf of a market that an operator defined.
pub const KIND_MARKET: u8 = 35;

/// Bytes of a market leaf: kind and version, then the definition as it was signed.
pub const MARKET_BYTES: usize = 114;

/// Bytes of a document leaf.
pub const DOCUMENT_BYTES: usize = 52;

/// Bytes of one transfer in a transfers leaf.
pub const TRANSFER_BYTES: usize = 32;

/// Most transfers in one leaf: 2 + 2,047 × 32 bytes fit into the two bytes of a leaf's length.
pub const TRANSFERS_MAX: usize = 2_047;

/// A transfer as it is posted: numbers as in the table `transfers`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// Its number ([`crate::books::posting::transfer_number`], or of a deposit below zero).
    pub id: i64,
    /// The account it is taken from.
    pub debit: i64,
    /// The account it goes to.
    pub credit: i64,
    /// Minor units, above zero.
    pub minor: i64,
}

impl Transfer {
    /// What belongs into one leaf: the same contract and run, or the same deposit.
    #[must_use]
    pub const fn group(&self) -> i64 {
        if self.id < 0 { self.id } else { self.id >> 8 }
    }
}

/// A signed document was taken, or kept as evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DocumentRecord {
    /// Its number among the documents of this exchange.
    pub document: u64,
    /// Who signed it.
    pub signer: Party,
    /// What it is ([`crate::DocumentKind::code`]).
    pub kind: u8,
    /// How many of its statements were new.
    pub accepted: u32,
    /// Why nothing of it was used ([`crate::DocumentReject::code`]); 0 where it was.
    pub reject: u16,
    /// [`commitment`] to its bytes.
    pub commitment: Digest,
}

/// SHA-256 of salt and document. Who has both can show that the document was taken.
#[must_use]
pub fn commitment(salt: &[u8; 32], document: &[u8]) -> Digest {
    let mut hasher = Sha256::new();
    hasher.update(salt);
    hasher.update(document);
    Digest::new(hasher.finalize().into())
}

/// The salt of a document, from what was drawn when the process began.
#[must_use]
pub fn salt(drawn: &[u8; 32], document: u64, digest: &Digest) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(b"gridcross salt v1\0");
    hasher.update(drawn);
    hasher.update(document.to_le_bytes());
    hasher.update(digest.as_bytes());
    hasher.finalize().into()
}

/// The leaf of transfers of one group; at most [`TRANSFERS_MAX`].
#[must_use]
pub fn encode_transfers(transfers: &[Transfer]) -> Vec<u8> {
    let size = transfers.len().saturating_mul(TRANSFER_BYTES).saturating_add(2);
    let mut out = Writer::new(KIND_TRANSFERS, size);
    for transfer in transfers {
        out.i64(transfer.id);
        out.i64(transfer.debit);
        out.i64(transfer.credit);
        out.i64(transfer.minor);
    }
    out.bytes
}

/// The leaf of a document.
#[must_use]
pub fn encode_document(record: &DocumentRecord) -> Vec<u8> {
    let mut out = Writer::new(KIND_DOCUMENT, DOCUMENT_BYTES);
    out.u64(record.document);
    out.u8(record.signer.role.code());
    out.u16(record.signer.number);
    out.u8(record.kind);
    out.u32(record.accepted);
    out.u16(record.reject);
    out.bytes.extend_from_slice(record.commitment.as_bytes());
    out.bytes
}

/// The leaf of an operator's order.
#[must_use]
pub fn encode_operation(operated: &Operated) -> Vec<u8> {
    let mut out = Writer::new(KIND_OPERATION, OPERATION_BYTES);
    operated.put(&mut out.bytes);
    out.bytes
}

/// The leaf of a market that an operator defined, behind that of the operation.
#[must_use]
pub fn encode_market(definition: &MarketDefinition) -> Vec<u8> {
    let mut out = Writer::new(KIND_MARKET, MARKET_BYTES);
    definition.put(&mut out.bytes);
    out.bytes
}

/// Any leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leaf {
    /// A contract as it was traded.
    Contract(Box<Contract>),
    /// What became of a contract in a settlement run.
    Outcome(Box<OutcomeRecord>),
    /// A contract was changed before delivery.
    Amendment(AmendmentRecord),
    /// Somebody did not pay in time.
    Default(DefaultRecord),
    /// Money moved.
    Transfers(Vec<Transfer>),
    /// A document was taken.
    Document(DocumentRecord),
    /// An operator ordered something.
    Operation(Box<Operated>),
    /// An operator defined a market.
    Market(Box<MarketDefinition>),
}

impl Leaf {
    /// Reads a leaf, or `None` if the bytes are none of a known kind and version.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        match *bytes.first()? {
            KIND_CONTRACT => decode_contract(bytes).map(|leaf| Self::Contract(Box::new(leaf))),
            KIND_OUTCOME => decode_outcome(bytes).map(|leaf| Self::Outcome(Box::new(leaf))),
            KIND_AMENDMENT => decode_amendment(bytes).map(Self::Amendment),
            KIND_DEFAULT => decode_default(bytes).map(Self::Default),
            KIND_TRANSFERS => decode_transfers(bytes).map(Self::Transfers),
            KIND_DOCUMENT => decode_document(bytes).map(Self::Document),
            KIND_OPERATION => decode_operation(bytes).map(|leaf| Self::Operation(Box::new(leaf))),
            KIND_MARKET => decode_market(bytes).map(|leaf| Self::Market(Box::new(leaf))),
            _ => None,
        }
    }

    /// The name of its kind in output.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Contract(_) => "contract",
            Self::Outcome(_) => "outcome",
            Self::Amendment(_) => "amendment",
            Self::Default(_) => "default",
            Self::Transfers(_) => "transfers",
            Self::Document(_) => "document",
            Self::Operation(_) => "operation",
            Self::Market(_) => "market",
        }
    }

    /// The contract it is about, if it is about one.
    #[must_use]
    pub fn contract(&self) -> Option<TradeId> {
        match self {
            Self::Contract(contract) => Some(contract.id),
            Self::Outcome(record) => Some(record.contract),
            Self::Amendment(record) => Some(record.contract),
            Self::Default(record) => Some(record.contract),
            Self::Transfers(transfers) => {
                transfers.first().and_then(|t| crate::books::posting::contract_of(t.id))
            }
            Self::Document(_) | Self::Operation(_) | Self::Market(_) => None,
        }
    }
}

fn decode_amendment(bytes: &[u8]) -> Option<AmendmentRecord> {
    let is_moved = bytes.get(1) == Some(&VERSION_MOVED);
    let version = if is_moved { VERSION_MOVED } else { VERSION };
    let mut from = Reader::of_version(bytes, KIND_AMENDMENT, version)?;
    let mut record = AmendmentRecord {
        contract: TradeId::new(from.u64()?),
        version: from.u32()?,
        previous: from.u64()?,
        previous_hash: Digest::new(from.take()?),
        requester: match from.u8()? {
            0 => None,
            code => {
                let sides = [Side::Buy, Side::Sell];
                let of = |side: &Side| side.code().checked_add(1) == Some(code);
                Some(sides.into_iter().find(of)?)
            }
        },
        energy: Energy::from_wh(from.u64()?),
        penalty: from.i64()?,
        state: State::from_code(from.u8()?)?,
        moved_to: None,
    };
    if is_moved {
        let (start_minute, minutes) = (from.u32()?, from.u16()?);
        record.moved_to = Some(DeliverySlot::new(start_minute, minutes).ok()?);
    }
    from.end()?;
    Some(record)
}

fn decode_default(bytes: &[u8]) -> Option<DefaultRecord> {
    let is_step = bytes.get(1) == Some(&VERSION_DISCONNECTION);
    let version = if is_step { VERSION_DISCONNECTION } else { VERSION };
    let mut from = Reader::of_version(bytes, KIND_DEFAULT, version)?;
    let mut record = DefaultRecord {
        contract: TradeId::new(from.u64()?),
        debtor: MeterId::new(from.u32()?),
        level: from.u8()?,
        minute: from.i64()?,
        open: from.i64()?,
        fine: from.i64()?,
        step: None,
    };
    if is_step {
        record.step = Some(DisconnectionStep::from_parts(from.u8()?, from.u64()?)?);
    }
    from.end()?;
    Some(record)
}

fn decode_transfers(bytes: &[u8]) -> Option<Vec<Transfer>> {
    let mut from = Reader::new(bytes, KIND_TRANSFERS)?;
    let mut transfers: Vec<Transfer> = Vec::new();
    while from.end().is_none() {
        let (id, debit, credit) = (from.i64()?, from.i64()?, from.i64()?);
        let transfer = Transfer { id, debit, credit, minor: from.i64()? };
        let is_of_group = transfers.first().is_none_or(|one| one.group() == transfer.group());
        if transfer.minor <= 0 || !is_of_group {
            return None;
        }
        transfers.push(transfer);
    }
    (!transfers.is_empty()).then_some(transfers)
}

fn decode_document(bytes: &[u8]) -> Option<DocumentRecord> {
    let mut from = Reader::new(bytes, KIND_DOCUMENT)?;
    let record = DocumentRecord {
        document: from.u64()?,
        signer: Party { role: Role::from_code(from.u8()?)?, number: from.u16()? },
        kind: from.u8()?,
        accepted: from.u32()?,
        reject: from.u16()?,
        commitment: Digest::new(from.take()?),
    };
    from.end()?;
    Some(record)
}

fn decode_operation(bytes: &[u8]) -> Option<Operated> {
    let mut rest = bytes.strip_prefix(&[KIND_OPERATION, VERSION])?;
    let operated = Operated::take(&mut rest).ok()?;
    rest.is_empty().then_some(operated)
}

fn decode_market(bytes: &[u8]) -> Option<MarketDefinition> {
    let mut rest = bytes.strip_prefix(&[KIND_MARKET, VERSION])?;
    let definition = MarketDefinition::take(&mut rest).ok()?;
    rest.is_empty().then_some(definition)
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{
        Action, Code, Currency, Energy, Lead, MarketId, Operation, Price, PriceRule, Remark,
        Signature, SignedOperation, SlotAction, SlotKey, Timestamp,
    };

    use crate::tlog::leaf::{DEFAULT_DISCONNECTION_BYTES, encode_amendment, encode_default};

    fn check(bytes: &[u8], expected: &Leaf) {
        assert_eq!(Leaf::decode(bytes).as_ref(), Some(expected));
        for cut in 0..bytes.len() {
            assert_ne!(Leaf::decode(&bytes[..cut]).as_ref(), Some(expected), "cut at {cut}");
        }
        assert_eq!(Leaf::decode(&[bytes, &[0]].concat()), None);
        let mut other = bytes.to_vec();
        other[1] = 99;
        assert_eq!(Leaf::decode(&other), None, "another version");
    }

    #[test]
    fn leaves_have_their_published_sizes_and_read_back() {
        let transfer = |leg: i64| Transfer { id: (7 << 24) + leg, debit: 1, credit: 2, minor: 3 };
        let transfers = vec![transfer(1), transfer(2)];
        let bytes = encode_transfers(&transfers);
        assert_eq!(bytes.len(), 2 + 2 * TRANSFER_BYTES);
        check(&bytes, &Leaf::Transfers(transfers));
        let mixed = encode_transfers(&[transfer(1), transfer(256)]);
        assert_eq!(Leaf::decode(&mixed), None, "of two runs");

        let document = DocumentRecord {
            document: 1,
            signer: Party { role: Role::Retailer, number: 2 },
            kind: 3,
            accepted: 4,
            reject: 5,
            commitment: commitment(&[6; 32], b"document"),
        };
        let bytes = encode_document(&document);
        assert_eq!(bytes.len(), DOCUMENT_BYTES);
        check(&bytes, &Leaf::Document(document));

        let slot = DeliverySlot::new(29_000_000, 15).unwrap();
        let operation = Operation {
            operator: 1,
            number: 2,
            action: Action::Slot(
                SlotAction::RunAuction,
                SlotKey { market: MarketId::new(3), slot },
            ),
            valid_until: Timestamp::from_ns(4),
            reason: Remark::new("the clock of the call was wrong").unwrap(),
        };
        let signed = SignedOperation { operation, signer: 5, signature: Signature::new([6; 64]) };
        let operated = Operated { signed, took_effect: true };
        let bytes = encode_operation(&operated);
        assert_eq!(bytes.len(), OPERATION_BYTES);
        check(&bytes, &Leaf::Operation(Box::new(operated)));

        let amendment = AmendmentRecord {
            contract: TradeId::new(1),
            version: 2,
            previous: 3,
            previous_hash: Digest::new([4; 32]),
            requester: Some(Side::Sell),
            energy: Energy::from_wh(5),
            penalty: 6,
            state: State::Cancelled,
            moved_to: None,
        };
        check(&encode_amendment(&amendment), &Leaf::Amendment(amendment));
        let moved_to = Some(DeliverySlot::new(29_000_000, 15).unwrap());
        let moved = AmendmentRecord { moved_to, ..amendment };
        check(&encode_amendment(&moved), &Leaf::Amendment(moved));
        let default = DefaultRecord {
            contract: TradeId::new(1),
            debtor: MeterId::new(2),
            level: 3,
            minute: 4,
            open: 5,
            fine: 6,
            step: None,
        };
        check(&encode_default(&default), &Leaf::Default(default));
        for step in [
            DisconnectionStep::Notice { document: 7 },
            DisconnectionStep::Withdrawn { document: 8 },
            DisconnectionStep::Paid,
        ] {
            let step = DefaultRecord { step: Some(step), ..default };
            let bytes = encode_default(&step);
            assert_eq!(bytes.len(), DEFAULT_DISCONNECTION_BYTES);
            check(&bytes, &Leaf::Default(step));
        }
    }

    #[test]
    fn a_market_that_an_operator_defined_reads_back() {
        let definition = MarketDefinition {
            market: MarketId::new(7),
            area: Code::new("AREA").unwrap(),
            time_zone: Code::new("Europe/Vienna").unwrap(),
            currency: Currency::from_iso("EUR").unwrap(),
            slot_minutes: 15,
            price_min: Price::from_micros(-1),
            price_max: Price::from_micros(2),
            tick: Price::from_micros(1),
            lot: Energy::from_wh(10),
            quantity_max: Energy::from_wh(100),
            opening_lead: Lead::from_minutes(60),
            gate_lead: Lead::from_minutes(15),
            price_rule: PriceRule::T7Clamp,
        };
        let bytes = encode_market(&definition);
        assert_eq!((bytes.len(), &bytes[..2]), (MARKET_BYTES, &[KIND_MARKET, VERSION][..]));
        check(&bytes, &Leaf::Market(Box::new(definition)));
    }

    #[test]
    fn without_the_salt_a_hash_leads_nowhere() {
        let digest = Digest::new([1; 32]);
        let one = salt(&[2; 32], 3, &digest);
        assert_ne!(one, salt(&[3; 32], 3, &digest));
        assert_ne!(one, salt(&[2; 32], 4, &digest));
        assert_ne!(commitment(&one, b"reading"), commitment(&[0; 32], b"reading"));
    }
}
