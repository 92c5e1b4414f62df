//! Changes of trades before their gates: offers that amend a trade, and what trades have become.
//!
//! An offer of a change is one of the offers in [`crate::contracts`] and ends as they do, at the gate of
//! either slot too. The engine does not remember the trades of its books: that a trade is what an offer
//! says was checked by the edge, and by every replay, as signatures are. From the first change on it knows
//! the trade, and exactly the current version can be changed, until neither the slot in which it was made
//! nor the one in which it is now is open. So what a trade holds is given back once.

use std::collections::{BTreeMap, BTreeSet};

use types::{
    AcceptAmendment, AmendmentOffered, AmendmentTerms, ClientOrderId, ContractAmended, Energy,
    Event, FIRST_VERSION, KnownTrade, MeterId, OfferAmendment, OfferState, OfferTerms, Price,
    RejectReason, Request, Side, Timestamp, TradeBusted, TradeId,
};

use crate::{
    admission::check_size_at,
    contracts::{Name, Offer, Party, Refusal},
    credit::{amount, exposure},
    engine::Engine,
    index::{NONE, at},
    limits::NUMBERS_MAX,
    matching::rejected,
};

/// What a trade holds of the capacity of both meters in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holding {
    /// Index of the slot, open or not.
    pub(crate) slot: u32,
    /// In Wh.
    pub(crate) wh: u32,
}

/// A trade that was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Amended {
    pub(crate) version: u32,
    pub(crate) buyer: MeterId,
    pub(crate) seller: MeterId,
    pub(crate) price: Price,
    /// As it was made.
    pub(crate) made: Holding,
    /// As it is.
    pub(crate) now: Holding,
}

/// Trades that were changed, while one of their slots is open.
#[derive(Debug, Default)]
pub(crate) struct Amendments {
    trades: BTreeMap<TradeId, Amended>,
    /// By index of the slot in which they were made, or are.
    by_slot: BTreeSet<(u32, TradeId)>,
}

impl Amendments {
    /// Every changed trade, by number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (TradeId, &Amended)> {
        self.trades.iter().map(|(&trade, amended)| (trade, amended))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.trades.is_empty()
    }

    /// What a trade is now.
    pub(crate) fn put(&mut self, trade: TradeId, amended: Amended) {
        if let Some(before) = self.trades.insert(trade, amended) {
            self.by_slot.remove(&(before.now.slot, trade));
        }
        self.by_slot.extend([(amended.made.slot, trade), (amended.now.slot, trade)]);
    }

    /// A slot closes: trades of it go whose other slot is not open.
    pub(crate) fn close(&mut self, slot: u32, is_open: impl Fn(u32) -> bool) {
        let first = TradeId::new(0);
        let of_slot = self.by_slot.range((slot, first)..=(slot, TradeId::new(u64::MAX)));
        let trades: Vec<TradeId> = of_slot.map(|&(_, trade)| trade).collect();
        for trade in trades {
            let Some(amended) = self.trades.get(&trade) else { continue };
            let slots = [amended.made.slot, amended.now.slot];
            if !slots.into_iter().any(|own| own != slot && is_open(own)) {
                for own in slots {
                    self.by_slot.remove(&(own, trade));
                }
                self.trades.remove(&trade);
            }
        }
    }
}

/// A change that was admitted: where the trade goes, and what that does to who.
struct Change {
    /// What is given back.
    from: Holding,
    /// What is taken.
    to: Holding,
}

impl Engine {
    /// An offer of a change: entered, answered again, or refused.
    pub(crate) fn offer_amendment(
        &mut self,
        time: Timestamp,
        request: &OfferAmendment,
        events: &mut Vec<Event>,
    ) {
        let OfferAmendment { origin, client_order, terms, offered_by, signature } = *request;
        let admitted = self
            .admit_amendment(time, request)
            .map(|(change, other)| ([change.from.slot, change.to.slot], other.row.platform));
        let (slots, invited) = match admitted {
            Ok(admitted) => admitted,
            Err(Refusal::Restate(number)) => {
                return events.push(self.restate((origin, client_order), offered_by, number));
            }
            Err(Refusal::Reject(reason)) => {
                return events.push(rejected(origin, client_order, Request::Offer, reason));
            }
        };
        let offer = self.enter_offer(Offer {
            terms: OfferTerms::Amendment(terms),
            slots,
            offered_by,
            offerer: origin.platform,
            offered_as: client_order,
            invited,
            signature,
            state: OfferState::Open,
            trade: TradeId::new(0),
        });
        events.push(Event::AmendmentOffered(AmendmentOffered {
            origin,
            client_order,
            offer,
            terms,
            offered_by,
            invited,
        }));
    }

    /// The acceptance of a change: the trade's next version, the same answer again, or a refusal.
    pub(crate) fn accept_amendment(
        &mut self,
        time: Timestamp,
        request: &AcceptAmendment,
        events: &mut Vec<Event>,
    ) {
        let AcceptAmendment { origin, client_order, offer, terms, accepted_by, .. } = *request;
        let (number, change) = match self.admit_agreement(time, request) {
            Ok(admitted) => admitted,
            Err(Refusal::Restate(number)) => {
                return events.push(self.restate((origin, client_order), accepted_by, number));
            }
            Err(Refusal::Reject(reason)) => {
                return events.push(rejected(origin, client_order, Request::Accept, reason));
            }
        };
        let agreed = self.contracts.agree(number, terms.trade);
        self.move_holdings([terms.buyer, terms.seller], terms.price, &change);
        let made = self.amended.trades.get(&terms.trade).map_or(change.from, |known| known.made);
        let AmendmentTerms { trade, buyer, seller, price, .. } = terms;
        let version = terms.new_version();
        let amended = Amended { version, buyer, seller, price, made, now: change.to };
        self.amended.put(trade, amended);
        events.push(Event::ContractAmended(ContractAmended {
            origin,
            client_order,
            offer,
            offerer: agreed.offerer,
            offered_as: agreed.offered_as,
            offered_by: agreed.offered_by,
            terms,
        }));
    }

    /// Checks an offer of a change, for its sender: what it does, and the other side.
    /// Rule T-114.
    fn admit_amendment(
        &self,
        time: Timestamp,
        request: &OfferAmendment,
    ) -> Result<(Change, Party<'_>), Refusal> {
        let OfferAmendment { origin, terms, offered_by, .. } = request;
        let own = self.party(terms.meter(*offered_by), *offered_by)?;
        let other_side = offered_by.opposite();
        let other = self.party(terms.meter(other_side), other_side)?;
        if own.row.platform != origin.platform {
            return Err(RejectReason::NotAuthorised.into());
        }
        let named = self.contracts.find(Name::Amendment(terms.trade, terms.reference));
        self.check_repeated(named, &OfferTerms::Amendment(*terms), *offered_by)?;
        if time > terms.expires {
            return Err(RejectReason::SignatureExpired.into());
        }
        self.check_trading(own, terms.key.market)?;
        let change = self.check_change(time, terms)?;
        if named.is_some() {
            return Err(RejectReason::ReferenceTaken.into());
        }
        if self.contracts.is_amending(terms.trade) {
            return Err(RejectReason::AmendmentOpen.into());
        }
        self.check_changed_party(own, terms, &change)?;
        self.check_offers_room(origin.platform)?;
        if self.amended.trades.len() >= at(self.limits.offers_max)
            && !self.amended.trades.contains_key(&terms.trade)
        {
            return Err(RejectReason::OrderLimitReached.into());
        }
        Ok((change, other))
    }

    /// Checks the acceptance of a change, for both sides: the number of its offer, and what it does.
    fn admit_agreement(
        &self,
        time: Timestamp,
        request: &AcceptAmendment,
    ) -> Result<(u64, Change), Refusal> {
        let AcceptAmendment { origin, offer, terms, accepted_by, .. } = request;
        let signed = OfferTerms::Amendment(*terms);
        let number = self.open_for(*origin, *offer, &signed, *accepted_by)?;
        let parties = self.both_parties([terms.buyer, terms.seller])?;
        for party in parties {
            self.check_trading(party, terms.key.market)?;
        }
        let change = self.check_change(time, terms)?;
        for party in parties {
            self.check_changed_party(party, terms, &change)?;
        }
        Ok((number, change))
    }

    /// Checks gates, the trade's current version, and what it is to become.
    /// Rule T-112.
    fn check_change(
        &self,
        time: Timestamp,
        terms: &AmendmentTerms,
    ) -> Result<Change, RejectReason> {
        let from = self.trading_slot(terms.key, time)?;
        let to = self.trading_slot(terms.new_key(), time)?;
        self.check_base(terms)?;
        // Rule T-113.
        if terms.quantity.is_zero() || terms.changes_nothing() {
            return Err(RejectReason::NothingToChange);
        }
        let market = self.registry.market(self.slots.slot(from).market);
        // No trade is of more.
        let wh = u32::try_from(terms.quantity.wh());
        let given_back = wh.map_err(|_| RejectReason::TermsDiffer)?;
        let cancels = terms.new_quantity == Energy::ZERO && from == to;
        let taken = if cancels { 0 } else { market.check_quantity(terms.new_quantity.wh())? };
        if !cancels {
            check_size_at(market, terms.price, taken)?;
        }
        Ok(Change {
            from: Holding { slot: from, wh: given_back },
            to: Holding { slot: to, wh: taken },
        })
    }

    /// Whether a trade is as an offer says: one that was changed, exactly.
    fn check_base(&self, terms: &AmendmentTerms) -> Result<(), RejectReason> {
        self.check_made(terms.trade)?;
        let Some(known) = self.amended.trades.get(&terms.trade) else {
            return if terms.version == FIRST_VERSION {
                Ok(())
            } else {
                Err(RejectReason::StaleVersion)
            };
        };
        if terms.version != known.version {
            return Err(RejectReason::StaleVersion);
        }
        let said = (terms.buyer, terms.seller, terms.price, terms.key, terms.quantity.wh());
        let key = self.slots.slot(known.now.slot).key;
        let Amended { buyer, seller, price, .. } = *known;
        if said != (buyer, seller, price, key, u64::from(known.now.wh)) {
            return Err(RejectReason::TermsDiffer);
        }
        Ok(())
    }

    /// Whether the shard made a trade of this number.
    fn check_made(&self, trade: TradeId) -> Result<(), RejectReason> {
        // What is below the shard's numbers wraps to far above them.
        let number = trade.get().wrapping_sub(self.limits.numbers_from());
        let is_made = number != 0 && number <= self.trades.min(NUMBERS_MAX);
        if is_made { Ok(()) } else { Err(RejectReason::UnknownTrade) }
    }

    /// A trade as it is, if it can be busted: it was made here, is not cancelled, its slot's gate is open, and
    /// both meters hold it. What is on record of it is only asked for where nothing changed it since.
    /// Rule T-124.
    pub(crate) fn bustable(
        &self,
        time: Timestamp,
        trade: TradeId,
        made: Option<&KnownTrade>,
    ) -> Result<Amended, RejectReason> {
        self.check_made(trade)?;
        let known = match (self.amended.trades.get(&trade), made) {
            (Some(known), _) => *known,
            (None, Some(made)) => {
                let slot = self.trading_slot(made.key, time)?;
                // No trade is of more.
                let wh = u32::try_from(made.quantity.wh());
                let now = Holding { slot, wh: wh.map_err(|_| RejectReason::TermsDiffer)? };
                let KnownTrade { buyer, seller, price, .. } = *made;
                Amended { version: FIRST_VERSION, buyer, seller, price, made: now, now }
            }
            (None, None) => return Err(RejectReason::UnknownTrade),
        };
        if known.now.wh == 0 {
            return Err(RejectReason::NothingToChange);
        }
        self.trading_slot(self.slots.slot(known.now.slot).key, time)?;
        let book = self.slots.book(self.slots.slot(known.now.slot).book);
        for (meter, side) in [(known.buyer, Side::Buy), (known.seller, Side::Sell)] {
            if self.registry.meter(meter).is_none() {
                return Err(RejectReason::UnknownMeter);
            }
            if book.used(meter, side) < known.now.wh {
                return Err(RejectReason::TermsDiffer);
            }
        }
        // Changes that platforms agree on leave as much room for busts as they may take themselves.
        let is_known = self.amended.trades.contains_key(&trade);
        if !is_known && self.amended.trades.len() >= at(self.limits.offers_max) * 2 {
            return Err(RejectReason::OrderLimitReached);
        }
        Ok(known)
    }

    /// Undoes a trade, as a cancellation that both sides signed would, and ends an offer to change it.
    /// Rule T-123.
    pub(crate) fn bust(
        &mut self,
        time: Timestamp,
        trade: TradeId,
        made: Option<&KnownTrade>,
        events: &mut Vec<Event>,
    ) -> Result<(), RejectReason> {
        let busted = self.bustable(time, trade, made)?;
        if let Some(offer) = self.contracts.amending(trade) {
            self.end_offer(offer, OfferState::Killed, ClientOrderId::new(0), events);
        }
        let Amended { version, buyer, seller, price, now, .. } = busted;
        let change = Change { from: now, to: Holding { wh: 0, ..now } };
        self.move_holdings([buyer, seller], price, &change);
        let version_after = version.saturating_add(1);
        self.amended.put(trade, Amended { version: version_after, now: change.to, ..busted });
        let platform = |meter| self.registry.meter(meter).map(|row| row.platform);
        events.push(Event::TradeBusted(TradeBusted {
            trade,
            version,
            key: self.slots.slot(now.slot).key,
            buyer,
            seller,
            price,
            quantity: Energy::from_wh(now.wh.into()),
            buyer_platform: platform(buyer).unwrap_or_default(),
            seller_platform: platform(seller).unwrap_or_default(),
        }));
        Ok(())
    }

    /// Whether there is room for what a party comes to hold, and it holds what it gives back.
    fn check_changed_party(
        &self,
        party: Party<'_>,
        terms: &AmendmentTerms,
        change: &Change,
    ) -> Result<(), RejectReason> {
        let Change { from, to } = *change;
        let slot = self.slots.slot(from.slot);
        if self.slots.book(slot.book).used(party.meter, party.side) < from.wh {
            return Err(RejectReason::TermsDiffer);
        }
        let more = if from.slot == to.slot { to.wh.saturating_sub(from.wh) } else { to.wh };
        let entered = self.slots.slot(to.slot);
        self.check_capacity(entered, party.row, party.meter, party.side, more)?;
        let owes = owes_more(party.side, terms.price, change);
        let (market, platform) = (slot.market, party.row.platform);
        if owes > 0 {
            return self.check_credit(market, platform, owes);
        }
        let owed = self.credit.account(market, platform).map_or(0, |account| account.owed);
        // What was paid already is not owed, and cannot be owed less.
        if owed + owes < 0 { Err(RejectReason::InvalidCredit) } else { Ok(()) }
    }

    /// Moves what a trade holds: capacity of both meters, buyer and seller, and what their platforms owe. What
    /// was paid already is not owed, and nobody is owed for it.
    /// Rule T-111.
    fn move_holdings(&mut self, meters: [MeterId; 2], price: Price, change: &Change) {
        for (meter, side) in meters.into_iter().zip([Side::Buy, Side::Sell]) {
            let Change { from, to } = *change;
            self.desk(from.slot).use_less(meter, side, from.wh);
            self.desk(to.slot).use_more(meter, side, to.wh);
            let owes = owes_more(side, price, change);
            let platform = self.registry.meter(meter).map(|row| row.platform);
            if let Some(platform) = platform
                && owes != 0
            {
                let market = self.slots.slot(from.slot).market;
                let account = self.credit.account_mut(market, platform);
                account.owed = (account.owed + owes).max(0);
            }
        }
    }

    /// A slot closes: what is known of its trades goes with it.
    pub(crate) fn close_amended(&mut self, slot: u32) {
        let slots = &self.slots;
        self.amended.close(slot, |other| slots.slot(other).book != NONE);
    }

    /// How changed trades differ from the trades as they were made, in slots that are open: index of the
    /// slot, meter, side, Wh less and Wh more.
    pub(crate) fn amended_holdings(
        &self,
    ) -> impl Iterator<Item = (u32, MeterId, Side, u64, u64)> + '_ {
        let holdings = self.amended.iter().flat_map(|(_, amended)| {
            let Amended { buyer, seller, made, now, .. } = *amended;
            let parties = [(buyer, Side::Buy), (seller, Side::Sell)];
            parties.into_iter().flat_map(move |(meter, side)| {
                let less = (made.slot, meter, side, u64::from(made.wh), 0);
                [less, (now.slot, meter, side, 0, u64::from(now.wh))]
            })
        });
        holdings.filter(|&(slot, ..)| self.slots.slot(slot).book != NONE)
    }

    /// Offers of changes that are remembered, by number.
    pub(crate) fn offered_changes(&self) -> impl Iterator<Item = (u64, &Offer, &AmendmentTerms)> {
        self.contracts.iter().filter_map(|(number, offer)| match &offer.terms {
            OfferTerms::Amendment(terms) => Some((number, offer, terms)),
            OfferTerms::Contract(_) => None,
        })
    }

    /// Whether an offer of a change is remembered or a changed trade known.
    pub(crate) fn knows_changes(&self) -> bool {
        !self.amended.is_empty() || self.offered_changes().next().is_some()
    }

    /// Whether the tables of changed trades agree with each other.
    ///
    /// # Panics
    /// When they do not.
    pub(crate) fn check_amended(&self) {
        let mut by_slot = BTreeSet::new();
        for (trade, amended) in self.amended.iter() {
            let slots = [amended.made.slot, amended.now.slot];
            by_slot.extend(slots.map(|slot| (slot, trade)));
            let is_open = |slot| self.slots.slot(slot).book != NONE;
            assert!(slots.into_iter().any(is_open), "a changed trade outlives its slots");
            assert!(amended.version > FIRST_VERSION, "a trade was not changed");
        }
        assert!(self.amended.by_slot == by_slot, "the changed trades of a slot are wrong");
    }
}

/// What a side comes to owe more for a trade, in nano-currency; less is negative.
fn owes_more(side: Side, price: Price, change: &Change) -> i128 {
    let per_wh = exposure(side, price);
    amount(per_wh, change.to.wh) - amount(per_wh, change.from.wh)
}
