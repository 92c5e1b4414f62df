//! What is hashed into the ledger: contracts, amendments, outcomes and defaults, in fixed layouts.
//!
//! Little-endian, no padding, first a kind and a version. `docs/settlement.md` has the tables. No
//! leaf holds the time of the machine that wrote it.

use types::{
    DeliverySlot, Digest, Energy, MarketId, MeterId, Money, OrderId, PlatformId, Price, RetailerId,
    Seq, Side, SlotKey, Timestamp, TradeId, UtilityId,
};

use crate::{
    books::Due,
    capture::{Contract, ContractSide},
    mechanism::Settled,
    outcome::{Excess, Outcome, State},
};

/// First byte of a contract leaf.
pub const KIND_CONTRACT: u8 = 1;

/// First byte of an outcome leaf.
pub const KIND_OUTCOME: u8 = 2;

/// First byte of an amendment leaf.
pub const KIND_AMENDMENT: u8 = 3;

/// First byte of a default leaf.
pub const KIND_DEFAULT: u8 = 4;

/// Second byte of an amendment that moved the contract: the layout of the others, then start minute and
/// minutes of its slot from now on.
pub const VERSION_MOVED: u8 = 2;

/// Second byte of all but provisional outcomes and amendments that moved a contract.
pub const VERSION: u8 = 1;

/// Second byte of a provisional outcome: the same layout, of which a verifier knows that it will be
/// superseded when the missing readings come.
pub const VERSION_PROVISIONAL: u8 = 2;

/// Bytes of a contract leaf.
pub const CONTRACT_BYTES: usize = 90;

/// Bytes of an outcome leaf.
pub const OUTCOME_BYTES: usize = 200;

/// Bytes of an amendment leaf.
pub const AMENDMENT_BYTES: usize = 72;

/// Bytes of the leaf of an amendment that moved the contract.
pub const AMENDMENT_MOVED_BYTES: usize = AMENDMENT_BYTES + 6;

/// Second byte of a default leaf that begins or ends a disconnection: the layout of the others, then which
/// of the three, and the document that decided it, or 0.
pub const VERSION_DISCONNECTION: u8 = 2;

/// The enforcement level at which new orders are refused; open trades settle.
pub const LEVEL_SUSPENDED: u8 = 3;

/// The enforcement level at which the retailer has given notice of disconnection.
pub const LEVEL_DISCONNECTION: u8 = 4;

/// Bytes of a default leaf.
pub const DEFAULT_BYTES: usize = 39;

/// Bytes of a default leaf that begins or ends a disconnection.
pub const DEFAULT_DISCONNECTION_BYTES: usize = DEFAULT_BYTES + 9;

/// A contract was changed or cancelled before delivery. It hashes the leaf it supersedes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AmendmentRecord {
    /// The contract.
    pub contract: TradeId,
    /// Its version from now on.
    pub version: u32,
    /// Index of the leaf this one supersedes.
    pub previous: u64,
    /// Hash of that leaf.
    pub previous_hash: Digest,
    /// Who asked for it; nobody, when it was not funded or the exchange undid the trade.
    pub requester: Option<Side>,
    /// What is contracted from now on.
    pub energy: Energy,
    /// When it is delivered from now on, if that changed.
    pub moved_to: Option<DeliverySlot>,
    /// What the requester pays the other party, in minor units.
    pub penalty: i64,
    /// Where the contract stands.
    pub state: State,
}

/// A party did not pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DefaultRecord {
    /// Under which contract.
    pub contract: TradeId,
    /// Who.
    pub debtor: MeterId,
    /// The enforcement level reached, from 1.
    pub level: u8,
    /// When it was reached, in minutes since 1970.
    pub minute: i64,
    /// What was open then, without fines, in minor units.
    pub open: i64,
    /// The fine imposed at this level, in minor units.
    pub fine: i64,
    /// Whether a disconnection begins or ends with it.
    pub step: Option<DisconnectionStep>,
}

/// How a disconnection begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisconnectionStep {
    /// The retailer gave notice, in this document.
    Notice {
        /// Its number in document leaves.
        document: u64,
    },
    /// The retailer took the notice back, in this document.
    Withdrawn {
        /// Its number in document leaves.
        document: u64,
    },
    /// What the notice was given for was paid.
    Paid,
}

impl DisconnectionStep {
    /// The step with this code and document, if there is one.
    #[must_use]
    pub const fn from_parts(code: u8, document: u64) -> Option<Self> {
        match (code, document) {
            (1, document) => Some(Self::Notice { document }),
            (2, document) => Some(Self::Withdrawn { document }),
            (3, 0) => Some(Self::Paid),
            _ => None,
        }
    }

    /// The code in leaves.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Notice { .. } => 1,
            Self::Withdrawn { .. } => 2,
            Self::Paid => 3,
        }
    }

    /// The document that decided it.
    #[must_use]
    pub const fn document(self) -> Option<u64> {
        match self {
            Self::Notice { document } | Self::Withdrawn { document } => Some(document),
            Self::Paid => None,
        }
    }

    /// The word in output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Notice { .. } => "notice",
            Self::Withdrawn { .. } => "withdrawn",
            Self::Paid => "paid",
        }
    }
}

/// What became of a contract in one settlement run. Each run supersedes the leaf `previous`; the
/// first supersedes the contract's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutcomeRecord {
    /// The contract.
    pub contract: TradeId,
    /// The settlement run of this contract, from 1 upwards.
    pub run: u16,
    /// Index of the leaf this one supersedes.
    pub previous: u64,
    /// How the energy was spread ([`crate::policy::Method::code`]).
    pub method: u8,
    /// Version of that method.
    pub method_version: u8,
    /// Of the buyer's meter under this contract.
    pub buyer_allocated: Energy,
    /// Of the seller's meter under this contract.
    pub seller_allocated: Energy,
    /// What was decided.
    pub outcome: Outcome,
    /// It rests on an estimated reading, or on a rule in place of a missing one.
    pub provisional: bool,
    /// Memo energy.
    pub excess: Excess,
    /// What each leg came to.
    pub due: Due,
    /// How it was met.
    pub settled: Settled,
}

impl OutcomeRecord {
    /// Whether `other` says the same about energy and amounts due, apart from run and payments.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        let facts =
            |record: &Self| Self { run: 0, previous: 0, settled: Settled::default(), ..*record };
        facts(self) == facts(other)
    }
}

/// The leaf of a contract.
#[must_use]
pub fn encode_contract(contract: &Contract) -> Vec<u8> {
    let mut out = Writer::new(KIND_CONTRACT, CONTRACT_BYTES);
    out.u64(contract.id.get());
    out.u64(contract.seq.get());
    out.u32(contract.index);
    out.i64(contract.traded.ns());
    out.u16(contract.key.market.get());
    out.u32(contract.key.slot.start_minute());
    out.u16(contract.key.slot.minutes());
    out.i64(contract.price.micros());
    out.u64(contract.energy.wh());
    for side in [&contract.buy, &contract.sell] {
        out.u32(side.meter.get());
        out.u16(side.platform.get());
        out.u16(side.retailer.get());
        out.u16(side.utility.get());
        out.u64(side.order.get());
    }
    out.bytes
}

/// Reads [`encode_contract`] back, or `None` if the bytes are something else.
#[must_use]
pub fn decode_contract(bytes: &[u8]) -> Option<Contract> {
    let mut from = Reader::new(bytes, KIND_CONTRACT)?;
    let id = TradeId::new(from.u64()?);
    let seq = Seq::new(from.u64()?);
    let index = from.u32()?;
    let traded = Timestamp::from_ns(from.i64()?);
    let market = MarketId::new(from.u16()?);
    let (start, minutes) = (from.u32()?, from.u16()?);
    let slot = DeliverySlot::new(start, minutes).ok()?;
    let price = Price::from_micros(from.i64()?);
    let energy = Energy::from_wh(from.u64()?);
    let mut side = || {
        Some(ContractSide {
            meter: MeterId::new(from.u32()?),
            platform: PlatformId::new(from.u16()?),
            retailer: RetailerId::new(from.u16()?),
            utility: UtilityId::new(from.u16()?),
            order: OrderId::new(from.u64()?),
        })
    };
    let (buy, sell) = (side()?, side()?);
    let key = SlotKey { market, slot };
    from.end()?;
    Some(Contract { id, seq, index, traded, key, price, energy, buy, sell })
}

/// The leaf of an outcome.
#[must_use]
pub fn encode_outcome(record: &OutcomeRecord) -> Vec<u8> {
    let version = if record.provisional { VERSION_PROVISIONAL } else { VERSION };
    let mut out = Writer::of_version(KIND_OUTCOME, version, OUTCOME_BYTES);
    out.u64(record.contract.get());
    out.u16(record.run);
    out.u64(record.previous);
    out.u8(record.method);
    out.u8(record.method_version);
    out.u8(record.outcome.state.code());
    out.u8(u8::from(record.outcome.breach));
    for energy in [
        record.buyer_allocated,
        record.seller_allocated,
        record.outcome.settled,
        record.outcome.shortfall,
        record.outcome.excused,
        record.outcome.take_or_pay,
        record.excess.injected,
        record.excess.withdrawn,
    ] {
        out.u64(energy.wh());
    }
    let due = &record.due;
    for money in [
        due.energy,
        due.take_or_pay,
        due.penalty,
        due.charge_buyer,
        due.charge_seller,
        due.feed_in,
        due.retail,
    ] {
        out.i64(money.minor());
    }
    let settled = &record.settled;
    for minor in [
        settled.energy_paid,
        settled.energy_owed,
        settled.take_or_pay_paid,
        settled.take_or_pay_owed,
        settled.refund,
        settled.penalty_paid,
        settled.penalty_owed,
    ] {
        out.i64(minor);
    }
    out.bytes
}

/// Reads [`encode_outcome`] back, or `None` if the bytes are something else.
#[must_use]
pub fn decode_outcome(bytes: &[u8]) -> Option<OutcomeRecord> {
    let provisional = bytes.get(1) == Some(&VERSION_PROVISIONAL);
    let version = if provisional { VERSION_PROVISIONAL } else { VERSION };
    let mut from = Reader::of_version(bytes, KIND_OUTCOME, version)?;
    let contract = TradeId::new(from.u64()?);
    let run = from.u16()?;
    let previous = from.u64()?;
    let (method, method_version) = (from.u8()?, from.u8()?);
    let state = State::from_code(from.u8()?)?;
    let breach = match from.u8()? {
        0 => false,
        1 => true,
        _ => return None,
    };
    let mut energy = || from.u64().map(Energy::from_wh);
    let (buyer_allocated, seller_allocated) = (energy()?, energy()?);
    let (settled, shortfall, excused, take_or_pay) = (energy()?, energy()?, energy()?, energy()?);
    let excess = Excess { injected: energy()?, withdrawn: energy()? };
    let mut money = || from.i64().map(Money::from_minor);
    let due = Due {
        energy: money()?,
        take_or_pay: money()?,
        penalty: money()?,
        charge_buyer: money()?,
        charge_seller: money()?,
        feed_in: money()?,
        retail: money()?,
    };
    let paid = Settled {
        energy_paid: from.i64()?,
        energy_owed: from.i64()?,
        take_or_pay_paid: from.i64()?,
        take_or_pay_owed: from.i64()?,
        refund: from.i64()?,
        penalty_paid: from.i64()?,
        penalty_owed: from.i64()?,
    };
    from.end()?;
    Some(OutcomeRecord {
        contract,
        run,
        previous,
        method,
        method_version,
        buyer_allocated,
        seller_allocated,
        outcome: Outcome { state, settled, shortfall, excused, take_or_pay, breach },
        provisional,
        excess,
        due,
        settled: paid,
    })
}

/// The leaf of an amendment.
#[must_use]
pub fn encode_amendment(record: &AmendmentRecord) -> Vec<u8> {
    let (version, length) = match record.moved_to {
        None => (VERSION, AMENDMENT_BYTES),
        Some(_) => (VERSION_MOVED, AMENDMENT_MOVED_BYTES),
    };
    let mut out = Writer::of_version(KIND_AMENDMENT, version, length);
    out.u64(record.contract.get());
    out.u32(record.version);
    out.u64(record.previous);
    out.bytes.extend_from_slice(record.previous_hash.as_bytes());
    out.u8(record.requester.map_or(0, |side| side.code().saturating_add(1)));
    out.u64(record.energy.wh());
    out.i64(record.penalty);
    out.u8(record.state.code());
    if let Some(slot) = record.moved_to {
        out.u32(slot.start_minute());
        out.u16(slot.minutes());
    }
    out.bytes
}

/// The leaf of a default.
#[must_use]
pub fn encode_default(record: &DefaultRecord) -> Vec<u8> {
    let (version, length) = match record.step {
        None => (VERSION, DEFAULT_BYTES),
        Some(_) => (VERSION_DISCONNECTION, DEFAULT_DISCONNECTION_BYTES),
    };
    let mut out = Writer::of_version(KIND_DEFAULT, version, length);
    out.u64(record.contract.get());
    out.u32(record.debtor.get());
    out.u8(record.level);
    out.i64(record.minute);
    out.i64(record.open);
    out.i64(record.fine);
    if let Some(step) = record.step {
        out.u8(step.code());
        out.u64(step.document().unwrap_or(0));
    }
    out.bytes
}

/// Writes a leaf's fields.
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn new(kind: u8, capacity: usize) -> Self {
        Self::of_version(kind, VERSION, capacity)
    }

    pub(super) fn of_version(kind: u8, version: u8, capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(capacity);
        bytes.extend_from_slice(&[kind, version]);
        Self { bytes }
    }

    pub(super) fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn i64(&mut self, value: i64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }
}

/// Reads a leaf's fields.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8], kind: u8) -> Option<Self> {
        Self::of_version(bytes, kind, VERSION)
    }

    pub(super) fn of_version(bytes: &'a [u8], kind: u8, version: u8) -> Option<Self> {
        let bytes = bytes.strip_prefix(&[kind, version])?;
        Some(Self { bytes })
    }

    pub(super) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.bytes.split_first_chunk::<N>()?;
        self.bytes = tail;
        Some(*head)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.take().map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    pub(super) fn i64(&mut self) -> Option<i64> {
        self.take().map(i64::from_le_bytes)
    }

    pub(super) fn end(&self) -> Option<()> {
        self.bytes.is_empty().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_have_their_published_sizes_and_read_back() {
        let side = |n: u16| ContractSide {
            meter: MeterId::new(u32::from(n)),
            platform: PlatformId::new(n),
            retailer: RetailerId::new(n),
            utility: UtilityId::new(n),
            order: OrderId::new(u64::from(n)),
        };
        let slot = DeliverySlot::new(29_000_000, 15).unwrap();
        let contract = Contract {
            id: TradeId::new(1),
            seq: Seq::new(2),
            index: 3,
            traded: Timestamp::from_ns(4),
            key: SlotKey { market: MarketId::new(5), slot },
            price: Price::from_micros(-6),
            energy: Energy::from_wh(7),
            buy: side(8),
            sell: side(9),
        };
        let bytes = encode_contract(&contract);
        assert_eq!(bytes.len(), CONTRACT_BYTES);
        assert_eq!(decode_contract(&bytes), Some(contract));
    }

    #[test]
    fn outcomes_read_back_and_a_provisional_one_is_marked() {
        let energy = Energy::from_wh;
        let money = Money::from_minor;
        let record = OutcomeRecord {
            contract: TradeId::new(1),
            run: 2,
            previous: 3,
            method: 1,
            method_version: 1,
            buyer_allocated: energy(4),
            seller_allocated: energy(5),
            outcome: Outcome {
                state: State::Partial,
                settled: energy(6),
                shortfall: energy(7),
                excused: energy(8),
                take_or_pay: energy(9),
                breach: true,
            },
            provisional: false,
            excess: Excess { injected: energy(10), withdrawn: energy(11) },
            due: Due {
                energy: money(-12),
                take_or_pay: money(13),
                penalty: money(14),
                charge_buyer: money(15),
                charge_seller: money(16),
                feed_in: money(-17),
                retail: money(18),
            },
            settled: Settled {
                energy_paid: 19,
                energy_owed: 20,
                take_or_pay_paid: 21,
                take_or_pay_owed: 22,
                refund: 23,
                penalty_paid: 24,
                penalty_owed: 25,
            },
        };
        let bytes = encode_outcome(&record);
        assert_eq!(bytes.len(), OUTCOME_BYTES);
        assert_eq!(decode_outcome(&bytes), Some(record));
        let provisional = OutcomeRecord { provisional: true, ..record };
        let marked = encode_outcome(&provisional);
        assert_eq!((marked[1], &marked[2..]), (VERSION_PROVISIONAL, &bytes[2..]));
        assert_eq!(decode_outcome(&marked), Some(provisional));
        assert!(!provisional.says_the_same(&record));
        for cut in 0..bytes.len() {
            assert_eq!(decode_outcome(&bytes[..cut]), None);
        }
        assert_eq!(decode_contract(&bytes), None);
    }
}
