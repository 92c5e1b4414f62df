//! Modifications: one party asks, the other answers, and the new version hashes the old one.

use types::{
    ContractAmended, DeliverySlot, Energy, MeterId, Price, Side, Timestamp, TradeBusted, TradeId,
};
use wire::FeedItem;

use super::{Pipeline, Work, agreement::Agreement, blocking};
use crate::{
    books::{
        self,
        accounts::{Account, AccountKind},
    },
    capture::{self, ENERGY_WH_MAX},
    error::{Doing as _, SettlementError},
    mechanism::{self, Cover, Leg, LegKind, clearing_house},
    outcome::State,
    store::database::params,
    store::{
        self,
        debts::{self, Debt, Known},
        intake, signed,
    },
    tlog::{
        hash_leaf,
        leaf::{self, AmendmentRecord},
    },
};

/// Kind of instruction in rows.
const AMENDMENT: u8 = 3;

/// Stands as the document of a notice that a change had no effect. That of a change which had is its
/// version, negative: at most −2.
pub(super) const AMENDED_IN_VAIN: i64 = -1;

/// Stands as the document of a notice that the exchange undid the trade. No version is so high.
pub(super) const BUSTED: i64 = i64::MIN;

/// What the other party says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It agrees.
    Accept,
    /// It does not; the contract stands as it is.
    Reject,
}

/// A request to change a contract before delivery, with its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amendment {
    /// Which contract.
    pub contract: TradeId,
    /// Who asks.
    pub by: Side,
    /// The version the request is about.
    pub version: u32,
    /// What is to be contracted; nothing cancels it.
    pub energy: Energy,
    /// The answer.
    pub answer: Answer,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AmendmentOutcome {
    /// The contract is changed.
    Amended,
    /// The other party did not agree.
    Rejected,
    /// The same request under the same reference was answered before. Nothing changed.
    Exists,
    /// Another request under the same reference was answered before. Nothing changed.
    Conflict,
    /// There is no such contract.
    UnknownContract,
    /// The contract is settled or cancelled.
    NotOpen,
    /// Delivery has begun.
    GateClosed,
    /// The contract has another version by now.
    StaleVersion,
    /// The energy is larger than any contract's.
    OutOfRange,
}

impl AmendmentOutcome {
    /// The name in machine-readable output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Amended => "amended",
            Self::Rejected => "rejected",
            Self::Exists => "exists",
            Self::Conflict => "conflict",
            Self::UnknownContract => "unknown_contract",
            Self::NotOpen => "not_open",
            Self::GateClosed => "gate_closed",
            Self::StaleVersion => "stale_version",
            Self::OutOfRange => "out_of_range",
        }
    }

    /// Whether the request was answered, now or before.
    #[must_use]
    pub const fn is_answered(self) -> bool {
        matches!(self, Self::Amended | Self::Rejected | Self::Exists)
    }
}

/// What becomes of a contract.
struct Change {
    /// Who asked.
    by: Side,
    /// What is contracted from now on; nothing cancels it.
    energy: Energy,
    /// When it is delivered from now on, if that changes.
    moved_to: Option<DeliverySlot>,
}

impl Pipeline {
    /// Changes a contract, if the other party agreed.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn amend(
        &mut self,
        reference: u64,
        request: &Amendment,
        now: Timestamp,
    ) -> Result<AmendmentOutcome, SettlementError> {
        self.transact(|work| work.request_amendment(reference, request, now))
    }
}

impl Work<'_> {
    fn request_amendment(
        &mut self,
        reference: u64,
        request: &Amendment,
        now: Timestamp,
    ) -> Result<AmendmentOutcome, SettlementError> {
        let reference = signed(reference)?;
        let content = content_of(request);
        match debts::instruction(self.connection, AMENDMENT, reference, &content)? {
            Known::Same => return Ok(AmendmentOutcome::Exists),
            Known::Other => return Ok(AmendmentOutcome::Conflict),
            Known::No => {}
        }
        let Some(agreement) = self.agreement(request.contract)? else {
            return Ok(AmendmentOutcome::UnknownContract);
        };
        if let Some(refusal) = refusal(&agreement, request, now) {
            return Ok(refusal);
        }
        debts::put_instruction(self.connection, AMENDMENT, reference, &content)?;
        match request.answer {
            Answer::Reject => Ok(AmendmentOutcome::Rejected),
            Answer::Accept => {
                let change = Change { by: request.by, energy: request.energy, moved_to: None };
                self.change(&agreement, &change, now)?;
                Ok(AmendmentOutcome::Amended)
            }
        }
    }

    /// A change that both sides signed and the exchange sequenced. One of a contract that was settled or
    /// cancelled meanwhile has no effect, which both sides are told.
    /// Rule S-50.
    pub(super) fn capture_amendment(
        &mut self,
        item: &FeedItem,
        amended: &ContractAmended,
    ) -> Result<(), SettlementError> {
        let terms = &amended.terms;
        let contract = terms.trade;
        let unknown = || SettlementError::AmendedUnknown { contract, seq: item.seq };
        let agreement = self.agreement(contract)?.ok_or_else(unknown)?;
        let told = (amended.offered_by, terms.new_quantity);
        if !agreement.is_open() || agreement.version != terms.version {
            return store::grid::put_notice(self.connection, contract, told, AMENDED_IN_VAIN);
        }
        let moved = terms.new_key() != agreement.key;
        let change = Change {
            by: amended.offered_by,
            energy: terms.new_quantity,
            moved_to: moved.then_some(terms.new_slot),
        };
        self.change(&agreement, &change, item.time)?;
        if moved {
            self.touch_slot(terms.new_key())?;
        }
        let version = i64::from(terms.new_version()).saturating_neg();
        store::grid::put_notice(self.connection, contract, told, version)
    }

    /// The exchange undid a trade: nothing of its contract is held, owed or billed, and nobody pays a penalty.
    /// One that was settled or cancelled meanwhile stays as it is, which both sides are told.
    /// Rule S-51.
    pub(super) fn capture_bust(
        &mut self,
        item: &FeedItem,
        busted: &TradeBusted,
    ) -> Result<(), SettlementError> {
        let contract = busted.trade;
        let unknown = || SettlementError::AmendedUnknown { contract, seq: item.seq };
        let agreement = self.agreement(contract)?.ok_or_else(unknown)?;
        // The exchange has no side: the notice goes to both by the buyer's.
        let told = (Side::Buy, Energy::ZERO);
        if !agreement.is_open() {
            return store::grid::put_notice(self.connection, contract, told, AMENDED_IN_VAIN);
        }
        let payer = self.parties_of(&agreement)?.payer();
        self.adjust_hold(&agreement, Energy::ZERO, payer)?;
        self.cancel(&agreement, State::CancelledBusted)?;
        self.free_block((contract, payer), agreement.escrowed, item.time)?;
        self.cover(payer)?;
        store::grid::put_notice(self.connection, contract, told, BUSTED)
    }

    /// Makes the next version of a contract.
    fn change(
        &mut self,
        agreement: &Agreement,
        change: &Change,
        now: Timestamp,
    ) -> Result<(), SettlementError> {
        let out_of_range = |what| SettlementError::OutOfRange { what, contract: agreement.id };
        let (before, after) = (agreement.energy.wh(), change.energy.wh());
        // All of what is moved leaves its slot.
        let changed =
            if change.moved_to.is_some() { before.max(after) } else { before.abs_diff(after) };
        let value = exact_value(agreement.price, Energy::from_wh(changed));
        let penalty =
            books::fraction_of_nanos(value, self.policy.modification_penalty, self.policy)
                .ok_or_else(|| out_of_range("the penalty of a modification"))?;
        let payer = self.parties_of(agreement)?.payer();
        self.adjust_hold(agreement, change.energy, payer)?;
        self.charge_requester(agreement, change.by, penalty, now)?;
        let is_cancelled = change.energy.is_zero();
        let record = AmendmentRecord {
            contract: agreement.id,
            version: agreement.version.saturating_add(1),
            previous: agreement.newest_leaf,
            previous_hash: self.leaf_hash(agreement.newest_leaf)?,
            requester: Some(change.by),
            energy: change.energy,
            moved_to: change.moved_to,
            penalty,
            state: if is_cancelled { State::Cancelled } else { agreement.state },
        };
        self.amend(agreement, &record)?;
        if is_cancelled {
            self.free_block((agreement.id, payer), agreement.escrowed, now)?;
        }
        self.cover(payer)
    }

    /// Holds what the new version needs: more, as far as there is money, or less.
    /// Rule S-48.
    fn adjust_hold(
        &mut self,
        agreement: &Agreement,
        energy: Energy,
        payer: MeterId,
    ) -> Result<(), SettlementError> {
        let of = |kind| Account::of_meter(payer, kind);
        let held = agreement.escrowed;
        match mechanism::rail(agreement.mechanism).cover() {
            Cover::AtTrade => {
                let what = "the amount";
                let needed = capture::value(agreement.price, energy, self.policy)
                    .ok_or(SettlementError::OutOfRange { what, contract: agreement.id })?;
                let back = held.saturating_sub(needed);
                if back > 0 {
                    let (from, to) = (of(AccountKind::Escrow), of(AccountKind::Available));
                    self.post_once(agreement.id, &[Leg::new(LegKind::Release, from, to, back)])?;
                    return self.set_hold(agreement.id, needed, 0);
                }
                let missing = needed.saturating_sub(held);
                let free = self.posting.balance(of(AccountKind::Available))?;
                let more = missing.min(free);
                if more > 0 {
                    self.post_once(agreement.id, &[clearing_house::hold(payer, more)])?;
                }
                let uncovered = missing.saturating_sub(more);
                self.set_hold(agreement.id, held.saturating_add(more), uncovered)
            }
            // A rail cannot change a block. One that is too large is captured in part.
            Cover::ByRail if energy.is_zero() && held > 0 => {
                let block = debts::block(self.connection, agreement.id)?;
                let to =
                    blocking::source(block.is_some_and(|b| b.is_deposited), payer, self.policy);
                let leg = Leg::new(LegKind::BlockRelease, of(AccountKind::Escrow), to, held);
                self.post_once(agreement.id, &[leg])?;
                self.set_hold(agreement.id, 0, 0)
            }
            Cover::ByRail | Cover::Never => Ok(()),
        }
    }

    /// The requester's penalty: from free money, and the rest as a debt.
    /// Rule S-49.
    fn charge_requester(
        &mut self,
        agreement: &Agreement,
        by: Side,
        penalty: i64,
        now: Timestamp,
    ) -> Result<(), SettlementError> {
        let (requester, other) = match by {
            Side::Buy => (agreement.buyer, agreement.seller),
            Side::Sell => (agreement.seller, agreement.buyer),
        };
        let from = Account::of_meter(requester, AccountKind::Available);
        let paid = penalty.min(self.posting.balance(from)?);
        let owed = penalty.saturating_sub(paid);
        let mut legs = Vec::new();
        if paid > 0 {
            let to = Account::of_meter(other, AccountKind::Earned);
            legs.push(Leg::new(LegKind::ModificationPenalty, from, to, paid));
        }
        let creditor = Account::of_meter(other, AccountKind::Owed);
        if owed > 0 {
            let owes = Account::of_meter(requester, AccountKind::Owes);
            legs.push(Leg::new(LegKind::ModificationOwed, owes, creditor, owed));
        }
        self.post_once(agreement.id, &legs)?;
        if owed == 0 {
            return Ok(());
        }
        // Debts of earlier versions by the other party would need a row of their own: they are
        // netted into one debt only between the same two.
        let known = debts::open(self.connection, debts::Of::Contract(agreement.id))?
            .into_iter()
            .find(|debt| debt.leg == LegKind::ModificationOwed && debt.debtor == requester);
        let open = known.map_or(0, |debt| debt.open).saturating_add(owed);
        let leg = LegKind::ModificationOwed;
        let debt = Debt { contract: agreement.id, leg, debtor: requester, creditor, open };
        debts::put(self.connection, &debt)?;
        self.note_arrears(agreement.id, requester, Some(now))
    }

    /// Ends a contract that neither side asked to change: its version stays, and nothing is due for it.
    pub(super) fn cancel(
        &mut self,
        agreement: &Agreement,
        state: State,
    ) -> Result<(), SettlementError> {
        let record = AmendmentRecord {
            contract: agreement.id,
            version: agreement.version,
            previous: agreement.newest_leaf,
            previous_hash: self.leaf_hash(agreement.newest_leaf)?,
            requester: None,
            energy: Energy::ZERO,
            moved_to: None,
            penalty: 0,
            state,
        };
        self.amend(agreement, &record)
    }

    /// Appends an amendment and makes it the contract's state.
    fn amend(
        &mut self,
        agreement: &Agreement,
        record: &AmendmentRecord,
    ) -> Result<(), SettlementError> {
        let leaf = self.ledger.append(&leaf::encode_amendment(record))?;
        let slot = record.moved_to.unwrap_or(agreement.key.slot);
        let row = params![
            signed(record.contract.get())?,
            signed(record.energy.wh())?,
            record.version,
            record.state.code(),
            signed(leaf)?,
            slot.start_minute(),
            slot.minutes()
        ];
        self.connection
            .prepare_cached(
                "UPDATE contracts SET energy = ?2, version = ?3, state = ?4, newest_leaf = ?5,
                 start_minute = ?6, minutes = ?7 WHERE trade = ?1",
            )
            .and_then(|mut update| update.write(row))
            .doing("amend a contract")?;
        if slot != agreement.key.slot {
            self.connection
                .prepare_cached(
                    "UPDATE meter_contracts SET start_minute = ?4
                     WHERE meter IN (?1, ?2) AND start_minute = ?5 AND trade = ?3",
                )
                .and_then(|mut update| {
                    let (buyer, seller) = (agreement.buyer.get(), agreement.seller.get());
                    let trade = signed(record.contract.get()).unwrap_or(-1);
                    let (from, to) = (agreement.key.slot.start_minute(), slot.start_minute());
                    update.write(params![buyer, seller, trade, to, from])
                })
                .doing("move a contract")?;
        }
        self.count(agreement.state, -1, 0);
        self.count(record.state, 1, 0);
        self.reschedule(agreement, record, slot)?;
        intake::touch_slots(self.connection, agreement.key.slot)
    }

    /// Takes a contract off the schedule as it was, and puts it there as it is.
    fn reschedule(
        &mut self,
        agreement: &Agreement,
        record: &AmendmentRecord,
        slot: DeliverySlot,
    ) -> Result<(), SettlementError> {
        let meters = (agreement.buyer, agreement.seller);
        let before = signed(agreement.energy.wh())?;
        let (after, contracts): (i64, i64) =
            if record.state.is_cancelled() { (0, 0) } else { (signed(record.energy.wh())?, 1) };
        if slot == agreement.key.slot {
            let (change, fewer) = (after.saturating_sub(before), contracts.saturating_sub(1));
            self.schedule_contract(meters, slot, change, fewer);
        } else {
            self.schedule_contract(meters, agreement.key.slot, before.saturating_neg(), -1);
            self.schedule_contract(meters, slot, after, contracts);
        }
        Ok(())
    }

    /// The hash of a leaf that is there.
    pub(super) fn leaf_hash(&self, index: u64) -> Result<types::Digest, SettlementError> {
        store::ledger::leaf(self.connection, index)?
            .map(|bytes| hash_leaf(&bytes))
            .ok_or_else(|| SettlementError::Damaged(format!("leaf {index} is missing")))
    }
}

/// Why a request cannot be answered.
fn refusal(agreement: &Agreement, request: &Amendment, now: Timestamp) -> Option<AmendmentOutcome> {
    if !agreement.is_open() {
        Some(AmendmentOutcome::NotOpen)
    } else if now >= agreement.key.slot.start() {
        Some(AmendmentOutcome::GateClosed)
    } else if request.version != agreement.version {
        Some(AmendmentOutcome::StaleVersion)
    } else if request.energy.wh() > ENERGY_WH_MAX {
        Some(AmendmentOutcome::OutOfRange)
    } else {
        None
    }
}

/// What an energy is worth, whatever the price's sign, in nano-currency.
fn exact_value(price: Price, energy: Energy) -> i128 {
    price.notional(energy).nanos().saturating_abs()
}

fn content_of(request: &Amendment) -> Vec<u8> {
    let mut content = request.contract.get().to_le_bytes().to_vec();
    content.push(request.by.code());
    content.extend(request.version.to_le_bytes());
    content.extend(request.energy.wh().to_le_bytes());
    content.push(u8::from(request.answer == Answer::Accept));
    content
}
