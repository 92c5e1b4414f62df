//! Commands of the operator and the schedule.

use types::{
    Action, BustTrade, Command, CreditLimit, CreditRelease, Energy, FreezeSlot, Lead,
    MarketControls, MarketDefinition, MarketId, MeterId, Money, NewMarket, Operation, OwnerId,
    Phase, PlatformId, Price, PublicKey, Remark, RetailerId, Role, Scope, SessionId, Signature,
    SignedOperation, SlotAction, SlotKey, TradeId, TradingControl, TradingState, UtilityId,
};

use super::{History, setup};

impl History {
    /// Ends a call: freezes it first where its market wants that.
    pub(super) fn uncross(&mut self) -> Command {
        let time = self.time.plus_ns(2);
        let few = self.random.once_in(5);
        let orders = usize::from(if few { 2 } else { 4 + self.random.small(8) });
        let open: Vec<SlotKey> = self
            .known
            .iter()
            .filter(|known| known.open)
            .map(|known| known.signed.order.key)
            .collect();
        let has_orders = |key| open.iter().filter(|&&other| other == key).count() >= orders;
        let key = self.open_key_where(|slot| match slot.phase {
            Phase::Call => has_orders(slot.key),
            Phase::Frozen => slot.uncross_at <= time,
            Phase::PreOpen | Phase::Continuous | Phase::Closed => false,
        });
        let freezes = self.controls.get(&key.market).is_some_and(|known| known.freeze_max_s > 0);
        let freeze = freezes && self.phase(key) == Phase::Call;
        if freeze != self.random.once_in(12) {
            let seed = if self.random.once_in(3) { 4 } else { u64::MAX };
            return Command::FreezeSlot(FreezeSlot { key, seed: self.random.below(seed) });
        }
        Command::UncrossSlot(key)
    }

    /// Closes a slot whose gate is past; any slot now and then.
    pub(super) fn close(&mut self) -> Command {
        let past = self.slots.iter().find(|slot| !self.is_before_gate(slot.key));
        match past.map(|slot| slot.key) {
            Some(key) => Command::CloseSlot(key),
            None if self.random.once_in(8) => Command::CloseSlot(self.open_key()),
            None => self.new_order(),
        }
    }

    fn any_market(&mut self) -> MarketDefinition {
        let markets = self.markets.clone();
        self.random.one_of(&markets)
    }

    pub(super) fn set_controls(&mut self) -> Command {
        let market = self.any_market();
        let mut controls = setup::controls(&mut self.random, &market);
        match self.random.below(12) {
            0 => controls.market = MarketId::new(9),
            1 => controls.collar = Price::from_micros(-1),
            2 => controls.freeze_min_s = controls.freeze_max_s + 1,
            3 => controls = MarketControls::standard(market.market),
            _ => {}
        }
        Command::SetControls(controls)
    }

    /// What is halted may trade again before long.
    pub(super) fn trading(&mut self) -> TradingControl {
        let halted = self.halted.clone();
        if let Some(scope) = self.random.pick(&halted)
            && !self.random.once_in(6)
        {
            return TradingControl { scope, state: TradingState::Active };
        }
        let scope = match self.random.below(12) {
            0 => Scope::All,
            1..3 => Scope::Platform(PlatformId::new(1 + self.random.small(3))),
            6 => Scope::Market(MarketId::new(1 + self.random.small(4))),
            3..5 => Scope::Retailer(RetailerId::new(1 + self.random.small(3))),
            5 => Scope::Session(SessionId::new(1)),
            _ => Scope::Meter(MeterId::new(1 + u32::from(self.random.small(9)))),
        };
        let states = [TradingState::Suspended, TradingState::Suspended, TradingState::Killed];
        let state = self.random.one_of(&states);
        TradingControl { scope, state }
    }

    /// An operator's order; what needs two is proposed, and agreed on now and then.
    pub(super) fn operation(&mut self) -> Command {
        let proposed = self.proposed.clone();
        let operation = match self.random.pick(&proposed) {
            Some(operation) if self.random.once_in(2) => operation,
            _ => self.new_operation(),
        };
        let own = !proposed.contains(&operation) || self.random.once_in(6);
        if own && operation.action.needs_two() {
            self.proposed.push(operation);
        }
        if self.proposed.len() > 6 {
            self.proposed.remove(0);
        }
        let signer = if own { operation.operator } else { 3 - operation.operator.min(2) };
        let signature = Signature::new([0; 64]);
        let signed = SignedOperation { operation, signer, signature };
        if let Action::Define(new) = operation.action {
            return self.define(new, Command::Operate(signed));
        }
        let Action::Bust(trade) = operation.action else { return Command::Operate(signed) };
        let made = self.made.iter().find(|(known, _)| *known == trade);
        // The edge vouches for what is on record; of a trade that is not, it brings nothing.
        let bust = made.and_then(|(_, made)| BustTrade::new(&signed, made));
        bust.map_or(Command::Operate(signed), Command::BustTrade)
    }

    /// A market and the operation that defines it, which mostly follows directly.
    fn define(&mut self, new: NewMarket, operation: Command) -> Command {
        if self.random.once_in(8) {
            return operation;
        }
        let market = setup::market(new.market.get());
        let definition = match self.random.below(6) {
            0 => MarketDefinition { lot: Energy::ZERO, ..market },
            1 => setup::market(1),
            _ => market,
        };
        self.ordered = Some(operation);
        Command::DraftMarket(definition)
    }

    fn new_market(&mut self) -> NewMarket {
        NewMarket {
            market: MarketId::new(1 + self.random.small(7)),
            uncross_lead: Lead::from_minutes(if self.random.once_in(8) { 30 } else { 31 }),
            call_extension_minutes: self.random.small(9),
        }
    }

    fn new_operation(&mut self) -> Operation {
        self.operations += if self.random.once_in(12) { 0 } else { 1 };
        let key = self.open_key();
        let traded: Vec<_> = self.traded.iter().rev().take(8).map(|known| known.trade).collect();
        let trade = self.random.pick(&traded).unwrap_or(TradeId::new(9_999_999));
        let action = match self.random.below(17) {
            0 | 1 => Action::Slot(SlotAction::ExtendCall, key),
            2 => Action::Slot(SlotAction::CancelAuction, key),
            3 => Action::Slot(SlotAction::Close, key),
            4 | 5 => Action::Slot(SlotAction::RunAuction, key),
            6 => Action::Slot(SlotAction::Call, key),
            7..=10 => Action::Bust(trade),
            11..=13 => Action::Define(self.new_market()),
            _ => Action::SetTrading(self.trading()),
        };
        let lead = if self.random.once_in(8) { -1 } else { 21_600_000_000_000 };
        Operation {
            operator: if self.random.once_in(12) { 7 } else { 1 + self.random.small(2) },
            number: self.operations,
            action,
            valid_until: self.time.plus_ns(lead),
            reason: Remark::new("a history of orders").expect("it is short"),
        }
    }

    fn credit_row(&mut self) -> (PlatformId, MarketId) {
        let platform = if self.random.once_in(12) { 7 } else { 1 + self.random.small(2) };
        let market = if self.random.once_in(12) { 9 } else { 1 + self.random.small(3) };
        (PlatformId::new(platform), MarketId::new(market))
    }

    pub(super) fn credit(&mut self) -> Command {
        let (platform, market) = self.credit_row();
        let limit = match self.random.below(12) {
            0 => -1,
            1 => i64::MAX,
            _ => 100 * i64::from(self.random.small(40)),
        };
        Command::SetCredit(CreditLimit { platform, market, limit: Money::from_minor(limit) })
    }

    pub(super) fn release(&mut self) -> Command {
        let (platform, market) = self.credit_row();
        let amount = match self.random.below(12) {
            0 => -1,
            1 => i64::MAX,
            _ => i64::from(self.random.small(400)),
        };
        let amount = Money::from_minor(amount);
        Command::ReleaseCredit(CreditRelease { platform, market, amount })
    }

    pub(super) fn odd_market(&mut self) -> Command {
        let market = if self.random.once_in(3) {
            setup::market(4 + self.random.small(2))
        } else {
            self.any_market()
        };
        Command::DefineMarket(match self.random.below(4) {
            0 => MarketDefinition { tick: Price::from_micros(0), ..market },
            1 => MarketDefinition { lot: Energy::from_wh(1), ..market },
            _ => market,
        })
    }

    pub(super) fn odd_party(&mut self) -> Command {
        let role = self.random.one_of(&[Role::Platform, Role::Retailer, Role::Settlement]);
        let mut party = setup::party(role, 1 + self.random.small(4));
        if self.random.once_in(3) {
            party.key = PublicKey::new([1; 32]);
        }
        Command::RegisterParty(party)
    }

    pub(super) fn odd_meter(&mut self) -> Command {
        let number = if self.random.once_in(3) { setup::METERS } else { 12 };
        let mut meter = setup::meter(u32::from(self.random.small(12)).min(number));
        match self.random.below(6) {
            0 => meter.utility = UtilityId::new(77),
            1 => meter.owner = OwnerId::new(setup::METERS + 1),
            2 => meter.owner = OwnerId::new(setup::METERS),
            _ => {}
        }
        Command::RegisterMeter(meter)
    }
}
