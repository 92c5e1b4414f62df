//! Capture: trades become contracts, holds and leaves.

use std::collections::BTreeSet;

use types::{
    Action, Event, MarketDefinition, Operated, Seq, ShardId, Side, SlotKey, Trade, TradeId,
};
use wire::FeedItem;

use super::{Pipeline, Work, outbox::GridAnswer};
use crate::{
    books::{
        accounts::{Account, AccountKind},
        posting::Folio,
    },
    capture::{self, Contract},
    error::{Doing as _, SettlementError},
    mechanism::{self, Cover, clearing_house},
    outcome::State,
    policy::{Mechanism, Origin, Terms},
    registry::{Market, Meter, Signer},
    store::database::{Connection, params},
    store::{self, signed},
    tlog::leaf,
};

/// What a batch of the feed became.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Captured {
    /// Contracts made.
    pub contracts: u64,
    /// Items seen before, or saying nothing to settlement.
    pub ignored: u64,
    /// Everything of the feed's shard up to here is captured now.
    pub cursor: Seq,
}

impl Pipeline {
    /// [`Pipeline::capture_from`] the first shard, which is the only one of most exchanges.
    ///
    /// # Errors
    /// As there.
    pub fn capture(
        &mut self,
        through: Seq,
        items: &[FeedItem],
    ) -> Result<Captured, SettlementError> {
        self.capture_from(ShardId::FIRST, through, items)
    }

    /// Captures everything the feed of a shard says up to `through`, in one transaction with the
    /// shard's cursor. Items at or before the cursor are ignored, so a batch may be delivered any
    /// number of times. Feeds of different shards may be captured in any order: a slot, and so all
    /// that is decided together, is of one shard; only who gets the last of a payer's money depends
    /// on it.
    ///
    /// The caller promises that `items` is everything relevant between the cursor and `through`.
    ///
    /// # Errors
    /// When the feed contradicts itself or the database refuses. Nothing is captured then.
    pub fn capture_from(
        &mut self,
        shard: ShardId,
        through: Seq,
        items: &[FeedItem],
    ) -> Result<Captured, SettlementError> {
        let cursor = self.cursor_of(shard);
        if through <= cursor {
            let ignored = u64::try_from(items.len()).unwrap_or(u64::MAX);
            return Ok(Captured { contracts: 0, ignored, cursor });
        }
        let new = capture::in_order(cursor, through, items)?;
        self.transact(|work| {
            let contracts = work.capture_items(shard, &new)?;
            work.cursors.insert(shard, through);
            let seen = u64::try_from(items.len()).unwrap_or(u64::MAX);
            let used = new.iter().filter(|item| is_relevant(&item.event)).count();
            let used = u64::try_from(used).unwrap_or(u64::MAX);
            Ok(Captured { contracts, ignored: seen.saturating_sub(used), cursor: through })
        })
    }
}

/// Whether settlement keeps something of this event.
const fn is_relevant(event: &Event) -> bool {
    match event {
        Event::MarketDefined(_)
        | Event::PartyRegistered(_)
        | Event::MeterRegistered(_)
        | Event::PlaceNoted(_)
        | Event::GridLimitSet(_)
        | Event::GridRefused(_)
        | Event::Operated(_)
        | Event::Trade(_)
        | Event::AuctionUncrossed(_)
        | Event::ContractAmended(_)
        | Event::TradeBusted(_) => true,
        // Settlement asks when a slot's delivery ended, not when its gate closed; the feed does not
        // carry most of the others.
        Event::SlotPhaseChanged(_)
        | Event::ControlsSet(_)
        | Event::SlotFrozen(_)
        | Event::CallExtended(_)
        | Event::OrderAccepted(_)
        | Event::OrderRestated(_)
        | Event::OrderValidated(_)
        | Event::OrderReplaced(_)
        | Event::OrderCancelled(_)
        | Event::OrderHibernated(_)
        | Event::OrderActivated(_)
        | Event::MassCancelled(_)
        | Event::OrderRejected(_)
        | Event::TradingChanged(_)
        | Event::CreditSet(_)
        | Event::CreditReleased(_)
        | Event::MeterDelegated(_)
        | Event::DelegationRevoked(_)
        | Event::ContractOffered(_)
        | Event::ContractAgreed(_)
        | Event::ContractEnded(_)
        | Event::ContractRestated(_)
        | Event::AmendmentOffered(_)
        | Event::MembersListed(_)
        | Event::MemberRefused(_)
        | Event::CommandRejected(_) => false,
    }
}

/// Contracts of a batch, until they are written together: in the order in which they are stored, which is
/// by slot and by meter, and not the order in which they were traded.
#[derive(Debug, Default)]
struct NewContracts {
    /// Start of the slot, market, minutes, trade, price, energy, buyer, seller, escrowed, uncovered, holds, leaf,
    /// mechanism.
    rows: Vec<[i64; 13]>,
    /// Meter, start of the slot, trade, side.
    sides: Vec<[i64; 4]>,
}

impl NewContracts {
    fn add(
        &mut self,
        contract: &Contract,
        mechanism: Mechanism,
        (escrowed, uncovered): (i64, i64),
        leaf: u64,
    ) -> Result<(), SettlementError> {
        let trade = signed(contract.id.get())?;
        let slot = contract.key.slot;
        let start = i64::from(slot.start_minute());
        let [buyer, seller] =
            [contract.buy.meter, contract.sell.meter].map(|meter| i64::from(meter.get()));
        self.rows.push([
            start,
            contract.key.market.get().into(),
            slot.minutes().into(),
            trade,
            contract.price.micros(),
            signed(contract.energy.wh())?,
            buyer,
            seller,
            escrowed,
            uncovered,
            i64::from(escrowed > 0),
            signed(leaf)?,
            mechanism.code().into(),
        ]);
        self.sides.push([buyer, start, trade, Side::Buy.code().into()]);
        self.sides.push([seller, start, trade, Side::Sell.code().into()]);
        Ok(())
    }

    fn write(&mut self, connection: &Connection) -> Result<(), SettlementError> {
        self.rows.sort_unstable();
        self.sides.sort_unstable();
        let mut insert = connection
            .prepare_cached(
                "INSERT INTO contracts (start_minute, market, minutes, trade, price, energy, buyer,
                 seller, escrowed, uncovered, holds, state, run, posted_run, settled, leaf,
                 newest_leaf, folio, mechanism)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 0, 0, 0, 0, ?12, ?12, ?1, ?13)",
            )
            .doing("write a contract")?;
        for row in self.rows.drain(..) {
            insert.write(row).doing("write a contract")?;
        }
        let mut insert = connection
            .prepare_cached(
                "INSERT INTO meter_contracts (meter, start_minute, trade, side)
                 VALUES (?1, ?2, ?3, ?4)",
            )
            .doing("write a contract's meters")?;
        for row in self.sides.drain(..) {
            insert.write(row).doing("write a contract's meters")?;
        }
        Ok(())
    }
}

/// Stands where no document is the cause. Documents are numbered from 1.
const NO_DOCUMENT: i64 = 0;

impl Work<'_> {
    fn capture_items(
        &mut self,
        shard: ShardId,
        items: &[FeedItem],
    ) -> Result<u64, SettlementError> {
        self.check_unknown(items)?;
        self.read_payers(items)?;
        let mut slots = BTreeSet::new();
        let mut new = NewContracts::default();
        let mut contracts = 0_u64;
        // The last operation that defined a market: what it signed is in the leaf that follows, too.
        let mut defining = None;
        for item in items {
            match &item.event {
                Event::MarketDefined(definition) => {
                    self.capture_market(definition, defining == Some(item.seq))?;
                }
                Event::PartyRegistered(registration) => self.add_signer(registration.into())?,
                Event::MeterRegistered(registration) => self.add_meter(registration.into())?,
                Event::Trade(trade) => {
                    self.capture_trade(shard, item, trade, &mut new)?;
                    slots.insert(trade.key);
                    contracts = contracts.saturating_add(1);
                }
                Event::ContractAmended(amended) => {
                    new.write(self.connection)?;
                    self.capture_amendment(item, amended)?;
                }
                Event::TradeBusted(busted) => {
                    new.write(self.connection)?;
                    self.capture_bust(item, busted)?;
                }
                Event::PlaceNoted(_) | Event::GridLimitSet(_) | Event::GridRefused(_) => {
                    self.capture_grid_answer(shard, item)?;
                }
                Event::AuctionUncrossed(result) => {
                    store::queries::put_auction(self.connection, (shard, item), result)?;
                }
                Event::Operated(operated) => {
                    self.capture_operation(operated)?;
                    let action = operated.signed.operation.action;
                    defining = matches!(action, Action::Define(_)).then_some(item.seq);
                }
                Event::SlotPhaseChanged(_)
                | Event::ControlsSet(_)
                | Event::SlotFrozen(_)
                | Event::CallExtended(_)
                | Event::OrderAccepted(_)
                | Event::OrderRestated(_)
                | Event::OrderValidated(_)
                | Event::OrderReplaced(_)
                | Event::OrderCancelled(_)
                | Event::OrderHibernated(_)
                | Event::OrderActivated(_)
                | Event::MassCancelled(_)
                | Event::OrderRejected(_)
                | Event::TradingChanged(_)
                | Event::CreditSet(_)
                | Event::CreditReleased(_)
                | Event::MeterDelegated(_)
                | Event::DelegationRevoked(_)
                | Event::ContractOffered(_)
                | Event::ContractAgreed(_)
                | Event::ContractEnded(_)
                | Event::ContractRestated(_)
                | Event::AmendmentOffered(_)
                | Event::MembersListed(_)
                | Event::MemberRefused(_)
                | Event::CommandRejected(_) => {}
            }
        }
        new.write(self.connection)?;
        for key in slots {
            self.touch_slot(key)?;
        }
        Ok(contracts)
    }

    /// Numbers of trades are given once.
    fn check_unknown(&self, items: &[FeedItem]) -> Result<(), SettlementError> {
        let mut new = BTreeSet::new();
        for item in items {
            if let Event::Trade(trade) = &item.event
                && !new.insert(trade.trade)
            {
                return Err(SettlementError::TradeTwice(trade.trade));
            }
        }
        let (Some(first), Some(last)) = (new.first(), new.last()) else { return Ok(()) };
        let known: Vec<i64> = self
            .connection
            .prepare_cached("SELECT trade FROM contracts WHERE trade >= ?1 AND trade <= ?2")
            .and_then(|mut select| {
                let range = [first, last].map(|trade| signed(trade.get()).unwrap_or(i64::MAX));
                select.query_map(range, |row| row.get(0))?.collect()
            })
            .doing("look for a contract")?;
        let known = known.into_iter().filter_map(|trade| u64::try_from(trade).ok());
        match known.map(TradeId::new).find(|trade| new.contains(trade)) {
            Some(twice) => Err(SettlementError::TradeTwice(twice)),
            None => Ok(()),
        }
    }

    /// Reads the balances that trades may hold money of.
    fn read_payers(&mut self, items: &[FeedItem]) -> Result<(), SettlementError> {
        let payers = items.iter().filter_map(|item| {
            let Event::Trade(trade) = &item.event else { return None };
            let payer = if trade.price.micros() < 0 { trade.sell } else { trade.buy };
            Some(payer.meter)
        });
        let kinds = [AccountKind::Available, AccountKind::Escrow];
        self.posting
            .read_ahead(payers.flat_map(|payer| kinds.map(|kind| Account::of_meter(payer, kind))))
    }

    /// A shard answers what it was told of the grid.
    fn capture_grid_answer(
        &mut self,
        shard: ShardId,
        item: &FeedItem,
    ) -> Result<(), SettlementError> {
        let (number, answer) = if let Event::PlaceNoted(noted) = &item.event {
            (noted.note.number, GridAnswer::of_place(noted))
        } else if let Event::GridLimitSet(set) = &item.event {
            (set.limit.number, GridAnswer::of_limit(item.seq, set))
        } else if let Event::GridRefused(refused) = &item.event {
            (refused.number, GridAnswer::Refused(refused.reason))
        } else {
            return Ok(());
        };
        self.answered((shard, number), &answer)
    }

    /// A market; one that an operator signed becomes a leaf behind the operation.
    fn capture_market(
        &mut self,
        definition: &MarketDefinition,
        is_signed: bool,
    ) -> Result<(), SettlementError> {
        self.add_market(definition)?;
        if is_signed {
            self.ledger.append(&crate::tlog::facts::encode_market(definition))?;
        }
        Ok(())
    }

    fn capture_operation(&mut self, operated: &Operated) -> Result<(), SettlementError> {
        self.ledger.append(&crate::tlog::facts::encode_operation(operated))?;
        Ok(())
    }

    fn add_market(&mut self, definition: &MarketDefinition) -> Result<(), SettlementError> {
        if definition.currency != self.policy.currency {
            return Err(SettlementError::OtherCurrency {
                market: definition.market,
                got: definition.currency.code().to_owned(),
                expected: self.policy.currency.code().to_owned(),
            });
        }
        let market = Market::from(definition);
        store::put_market(self.connection, &market)?;
        store::statements::put_area(self.connection, definition)?;
        self.registry.add_market(market);
        Ok(())
    }

    fn add_signer(&mut self, signer: Signer) -> Result<(), SettlementError> {
        store::put_signer(self.connection, &signer)?;
        self.registry.add_signer(signer);
        Ok(())
    }

    fn add_meter(&mut self, meter: Meter) -> Result<(), SettlementError> {
        store::put_meter(self.connection, &meter)?;
        self.registry.add_meter(meter);
        Ok(())
    }

    fn capture_trade(
        &mut self,
        shard: ShardId,
        item: &FeedItem,
        trade: &Trade,
        new: &mut NewContracts,
    ) -> Result<(), SettlementError> {
        let contract = capture::contract(shard, item, trade, self.registry)?;
        let mechanism = self.policy.mechanism_of(&terms(&contract, trade));
        let due = match mechanism::rail(mechanism).cover() {
            Cover::AtTrade => capture::hold_due(&contract, self.policy)?,
            Cover::ByRail | Cover::Never => 0,
        };
        let payer = contract.parties().payer();
        let available = self.posting.balance(Account::of_meter(payer, AccountKind::Available))?;
        let escrowed = due.min(available);
        if escrowed > 0 {
            let minute = contract.key.slot.start_minute();
            let folio = Folio { contract: contract.id, minute };
            self.posting.post(folio, 0, &clearing_house::hold(payer, escrowed))?;
        }
        let leaf = self.ledger.append(&leaf::encode_contract(&contract))?;
        let uncovered = due.saturating_sub(escrowed);
        new.add(&contract, mechanism, (escrowed, uncovered), leaf)?;
        self.ask_cover(&contract, mechanism, uncovered)?;
        self.count(State::AwaitingMeterData, 1, 0);
        let meters = (contract.buy.meter, contract.sell.meter);
        let wh = signed(contract.energy.wh())?;
        self.schedule_contract(meters, contract.key.slot, wh, 1);
        if trade.is_negotiated() {
            let all = (Side::Sell, contract.energy);
            store::grid::put_notice(self.connection, contract.id, all, NO_DOCUMENT)?;
        }
        Ok(())
    }

    /// A slot has something to verify, and contracts that are not settled.
    pub(super) fn touch_slot(&mut self, key: SlotKey) -> Result<(), SettlementError> {
        let slot = key.slot;
        let end = slot.start_minute().saturating_add(u32::from(slot.minutes()));
        let row = params![slot.start_minute(), key.market.get(), slot.minutes(), end];
        self.connection
            .prepare_cached(
                "INSERT INTO slots (start_minute, market, minutes, end_minute, dirty, open)
                 VALUES (?1, ?2, ?3, ?4, 1, 1)
                 ON CONFLICT (start_minute, market, minutes) DO UPDATE SET dirty = 1, open = 1",
            )
            .and_then(|mut put| put.write(row))
            .doing("write a slot")?;
        Ok(())
    }
}

/// What decides the mechanism of a contract.
fn terms(contract: &Contract, trade: &Trade) -> Terms {
    Terms {
        market: contract.key.market,
        origin: if trade.is_negotiated() { Origin::Negotiated } else { Origin::Book },
        seller_platform: contract.sell.platform,
        buyer_retailer: contract.buy.retailer,
    }
}
