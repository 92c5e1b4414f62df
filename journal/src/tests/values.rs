//! Arbitrary values from a seed, corners included.

use types::{
    AcceptAmendment, AcceptContract, AggregateOrder, Allocation, AmendmentOffered, AmendmentTerms,
    AuctionResult, CallExtended, CancelReason, ClientOrderId, Code, Command, CommandRejected,
    Conditions, ContractAgreed, ContractAmended, ContractEnded, ContractOffered, ContractRestated,
    ContractTerms, CreditLimit, CreditRelease, Currency, DelegateMeter, DelegatedOrder,
    DelegatedReplace, Delegation, DelegationRevoked, DeliverySlot, Digest, Energy, Event,
    FreezeSlot, KeyId, Lead, ListKind, MarketControls, MarketDefinition, MarketId, MassCancel,
    MassCancelled, Member, MemberRefused, MembersListed, MembersPage, MeterDelegated, MeterId,
    MeterRegistration, Money, NewAggregateOrder, NewOrder, OfferAmendment, OfferContract, OfferId,
    OfferRequest, OfferState, OrderAccepted, OrderCancelled, OrderId, OrderKind, OrderList,
    OrderMoved, OrderRejected, OrderReplaced, OrderRequest, OrderRestated, OrderValidated, Origin,
    OwnerId, PAGE_MEMBERS_MAX, Party, PartyRegistration, Phase, PlatformId, Power, Price,
    PriceRule, PublicKey, ReduceOrder, RejectReason, ReplaceOrder, Request, RetailerId,
    RevokeDelegation, Role, Scope, SelfTradeAction, SelfTradeScope, Seq, Sequenced, SessionId,
    Side, Sides, Signature, SignedFrame, SignedNewOrder, SignedReplaceOrder, SlotFrozen, SlotKey,
    SlotPhaseChanged, TimeInForce, Timestamp, Trade, TradeId, TradeSide, TradingControl,
    TradingState, UtilityId,
};

use crate::Entry;

pub(super) const COMMAND_KINDS: u64 = 39;
pub(super) const EVENT_KINDS: u64 = 37;

/// `SplitMix64`: every seed gives another, fixed sequence.
#[derive(Debug)]
pub(super) struct Source(pub(super) u64);

impl Source {
    pub(super) fn u64(&mut self) -> u64 {
        match self.below(8) {
            0 => 0,
            1 => u64::MAX,
            2 => 1 << 63,
            _ => self.raw(),
        }
    }

    fn raw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.raw() % bound
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.fill_with(|| self.u64().to_le_bytes()[0]);
        bytes
    }

    fn i64(&mut self) -> i64 {
        self.u64().cast_signed()
    }

    pub(super) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.bytes())
    }

    pub(super) fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.bytes())
    }

    pub(super) fn bool(&mut self) -> bool {
        self.below(2) == 1
    }

    pub(super) fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        let at = self.below(u64::try_from(all.len()).unwrap());
        all[usize::try_from(at).unwrap()]
    }

    pub(super) fn code<const N: usize>(&mut self) -> Code<N> {
        let length = usize::try_from(self.below(u64::try_from(N).unwrap()) + 1).unwrap();
        let text: String =
            (0..length).map(|_| char::from(u8::try_from(33 + self.below(94)).unwrap())).collect();
        Code::new(&text).unwrap()
    }

    pub(super) fn price(&mut self) -> Price {
        Price::from_micros(self.i64())
    }

    fn optional_price(&mut self) -> Option<Price> {
        self.bool().then(|| self.price())
    }

    pub(super) fn energy(&mut self) -> Energy {
        Energy::from_wh(self.u64())
    }

    fn time(&mut self) -> Timestamp {
        Timestamp::from_ns(self.i64())
    }

    pub(super) fn side(&mut self) -> Side {
        self.pick(&[Side::Buy, Side::Sell])
    }

    fn origin(&mut self) -> Origin {
        Origin { platform: PlatformId::new(self.u16()), session: SessionId::new(self.u32()) }
    }

    pub(super) fn key(&mut self) -> SlotKey {
        let minutes = self.pick(&[5, 15, 30, 60, 1_440]);
        let start = self.u32() % 153_000_001;
        SlotKey {
            market: MarketId::new(self.u16()),
            slot: DeliverySlot::new(start, minutes).unwrap(),
        }
    }

    fn market(&mut self) -> MarketDefinition {
        let currency = self.pick(&["INR", "EUR", "JPY", "KWD"]);
        MarketDefinition {
            market: MarketId::new(self.u16()),
            area: self.code(),
            time_zone: self.code(),
            currency: Currency::from_iso(currency).unwrap(),
            slot_minutes: self.u16(),
            price_min: self.price(),
            price_max: self.price(),
            tick: self.price(),
            lot: self.energy(),
            quantity_max: self.energy(),
            opening_lead: Lead::from_minutes(self.u32()),
            gate_lead: Lead::from_minutes(self.u32()),
            price_rule: PriceRule::T7Clamp,
        }
    }

    fn party(&mut self) -> PartyRegistration {
        let roles =
            [Role::Platform, Role::Retailer, Role::Utility, Role::Operator, Role::Settlement];
        PartyRegistration {
            party: Party { role: self.pick(&roles), number: self.u16() },
            code: self.code(),
            key: PublicKey::new(self.bytes()),
        }
    }

    fn meter(&mut self) -> MeterRegistration {
        MeterRegistration {
            meter: MeterId::new(self.u32()),
            code: self.code(),
            platform: PlatformId::new(self.u16()),
            retailer: RetailerId::new(self.u16()),
            utility: UtilityId::new(self.u16()),
            owner: OwnerId::new(self.u32()),
            key: PublicKey::new(self.bytes()),
            injection_max: Power::from_w(self.u32()),
            withdrawal_max: Power::from_w(self.u32()),
        }
    }

    fn new_order(&mut self) -> SignedNewOrder {
        let order = NewOrder {
            client_order: ClientOrderId::new(self.u64()),
            meter: MeterId::new(self.u32()),
            key: self.key(),
            side: self.side(),
            kind: self.pick(&[OrderKind::Limit, OrderKind::Market]),
            time_in_force: self.pick(&[
                TimeInForce::UntilGate,
                TimeInForce::ImmediateOrCancel,
                TimeInForce::UntilTime,
                TimeInForce::FillOrKill,
            ]),
            limit: self.price(),
            quantity: self.energy(),
            valid_until: self.time(),
            conditions: Conditions {
                post_only: self.bool(),
                all_or_none: self.bool(),
                display: self.energy(),
                minimum: self.energy(),
                expires: self.time(),
            },
            list: OrderList {
                kind: self.pick(&[ListKind::Single, ListKind::Block, ListKind::Basket]),
                orders: u8::from_le_bytes(self.bytes()),
                number: ClientOrderId::new(self.u64()),
            },
        };
        SignedNewOrder { origin: self.origin(), order, signature: Signature::new(self.bytes()) }
    }

    fn replace_order(&mut self) -> SignedReplaceOrder {
        let replace = ReplaceOrder {
            client_order: ClientOrderId::new(self.u64()),
            order: OrderId::new(self.u64()),
            meter: MeterId::new(self.u32()),
            limit: self.price(),
            quantity: self.energy(),
            valid_until: self.time(),
        };
        SignedReplaceOrder {
            origin: self.origin(),
            replace,
            signature: Signature::new(self.bytes()),
        }
    }

    fn delegation(&mut self) -> Delegation {
        Delegation {
            number: self.u64(),
            meter: MeterId::new(self.u32()),
            platform: PlatformId::new(self.u16()),
            market: MarketId::new(self.u16()),
            sides: self.pick(&[Sides::Buy, Sides::Sell, Sides::Both]),
            quantity_max: self.energy(),
            buy_limit: self.price(),
            sell_limit: self.price(),
            valid_from: self.time(),
            valid_until: self.time(),
            key: KeyId::new(self.u64()),
        }
    }

    fn order_request(&mut self) -> OrderRequest {
        OrderRequest {
            origin: self.origin(),
            client_order: ClientOrderId::new(self.u64()),
            order: OrderId::new(self.u64()),
        }
    }

    fn scope(&mut self) -> Scope {
        match self.below(5) {
            0 => Scope::All,
            1 => Scope::Platform(PlatformId::new(self.u16())),
            2 => Scope::Retailer(RetailerId::new(self.u16())),
            3 => Scope::Meter(MeterId::new(self.u32())),
            _ => Scope::Session(SessionId::new(self.u32())),
        }
    }

    fn mass_cancel(&mut self) -> MassCancel {
        MassCancel {
            origin: self.bool().then(|| self.origin()),
            client_order: ClientOrderId::new(self.u64()),
            scope: self.scope(),
            slot: self.bool().then(|| self.key()),
        }
    }

    fn controls(&mut self) -> MarketControls {
        MarketControls {
            market: MarketId::new(self.u16()),
            self_trade_scope: self.pick(SelfTradeScope::ALL),
            self_trade: self.pick(SelfTradeAction::ALL),
            allocation: self.pick(Allocation::ALL),
            quantity_min: self.energy(),
            value_max: self.money(),
            collar: self.price(),
            dynamic_band: self.price(),
            executions_max: self.u32(),
            freeze_min_s: self.u16(),
            freeze_max_s: self.u16(),
        }
    }

    fn money(&mut self) -> Money {
        Money::from_minor(self.i64())
    }

    pub(super) fn trading(&mut self) -> TradingControl {
        TradingControl { scope: self.scope(), state: self.pick(TradingState::ALL) }
    }

    fn credit(&mut self) -> CreditLimit {
        CreditLimit {
            platform: PlatformId::new(self.u16()),
            market: MarketId::new(self.u16()),
            limit: self.money(),
        }
    }

    fn release(&mut self) -> CreditRelease {
        CreditRelease {
            platform: PlatformId::new(self.u16()),
            market: MarketId::new(self.u16()),
            amount: self.money(),
        }
    }

    fn contract_terms(&mut self) -> ContractTerms {
        ContractTerms {
            key: self.key(),
            buyer: MeterId::new(self.u32()),
            seller: MeterId::new(self.u32()),
            price: self.price(),
            quantity: self.energy(),
            reference: self.u64(),
            expires: self.time(),
        }
    }

    fn amendment_terms(&mut self) -> AmendmentTerms {
        AmendmentTerms {
            trade: TradeId::new(self.u64()),
            version: self.u32(),
            key: self.key(),
            buyer: MeterId::new(self.u32()),
            seller: MeterId::new(self.u32()),
            price: self.price(),
            quantity: self.energy(),
            new_slot: self.key().slot,
            new_quantity: self.energy(),
            reference: self.u64(),
            expires: self.time(),
        }
    }

    fn offer_request(&mut self) -> OfferRequest {
        OfferRequest {
            origin: self.origin(),
            client_order: ClientOrderId::new(self.u64()),
            offer: OfferId::new(self.u64()),
        }
    }

    fn members(&mut self) -> [Member; PAGE_MEMBERS_MAX] {
        std::array::from_fn(|_| Member::new(MeterId::new(self.u32()), self.u32()))
    }

    fn aggregate_command(&mut self, kind: u64) -> Command {
        if kind == 32 {
            return Command::AggregateMembers(MembersPage {
                origin: self.origin(),
                client_order: ClientOrderId::new(self.u64()),
                page: self.u16(),
                members: self.members(),
            });
        }
        Command::NewAggregateOrder(NewAggregateOrder {
            origin: self.origin(),
            order: AggregateOrder {
                client_order: ClientOrderId::new(self.u64()),
                key: self.key(),
                side: self.side(),
                time_in_force: self.pick(&[
                    TimeInForce::UntilGate,
                    TimeInForce::ImmediateOrCancel,
                    TimeInForce::UntilTime,
                ]),
                limit: self.price(),
                quantity: self.energy(),
                valid_until: self.time(),
                members: self.u16(),
                list: Digest::new(self.bytes()),
            },
            signature: Signature::new(self.bytes()),
        })
    }

    fn contract_command(&mut self, kind: u64) -> Command {
        match kind {
            24 => Command::OfferContract(OfferContract {
                origin: self.origin(),
                client_order: ClientOrderId::new(self.u64()),
                terms: self.contract_terms(),
                offered_by: self.side(),
                signature: Signature::new(self.bytes()),
            }),
            25 => Command::AcceptContract(AcceptContract {
                origin: self.origin(),
                client_order: ClientOrderId::new(self.u64()),
                offer: OfferId::new(self.u64()),
                terms: self.contract_terms(),
                accepted_by: self.side(),
                signature: Signature::new(self.bytes()),
            }),
            26 => Command::DeclineContract(self.offer_request()),
            30 => Command::OfferAmendment(OfferAmendment {
                origin: self.origin(),
                client_order: ClientOrderId::new(self.u64()),
                terms: self.amendment_terms(),
                offered_by: self.side(),
                signature: Signature::new(self.bytes()),
            }),
            31 => Command::AcceptAmendment(AcceptAmendment {
                origin: self.origin(),
                client_order: ClientOrderId::new(self.u64()),
                offer: OfferId::new(self.u64()),
                terms: self.amendment_terms(),
                accepted_by: self.side(),
                signature: Signature::new(self.bytes()),
            }),
            _ => Command::WithdrawContract(self.offer_request()),
        }
    }

    /// A command of the kind with this number, below [`COMMAND_KINDS`].
    pub(super) fn command(&mut self, kind: u64) -> Command {
        match kind {
            0 => Command::DefineMarket(self.market()),
            1 => Command::RegisterParty(self.party()),
            2 => Command::RegisterMeter(self.meter()),
            3 => Command::OpenSlot(self.key()),
            4 => Command::UncrossSlot(self.key()),
            5 => Command::CloseSlot(self.key()),
            6 => Command::NewOrder(self.new_order()),
            7 => Command::CancelOrder(self.order_request()),
            8 => Command::ReplaceOrder(self.replace_order()),
            9 => Command::SetControls(self.controls()),
            10 => Command::FreezeSlot(FreezeSlot { key: self.key(), seed: self.u64() }),
            11 => Command::ReduceOrder(ReduceOrder {
                origin: self.origin(),
                client_order: ClientOrderId::new(self.u64()),
                order: OrderId::new(self.u64()),
                by: self.energy(),
            }),
            12 => Command::HibernateOrder(self.order_request()),
            13 => Command::ActivateOrder(self.order_request()),
            14 => Command::MassCancel(self.mass_cancel()),
            15 => Command::SetTrading(self.trading()),
            16 => Command::SetCredit(self.credit()),
            17 => Command::ReleaseCredit(self.release()),
            18 => Command::PassTime,
            19 => Command::DelegateMeter(DelegateMeter {
                origin: self.origin(),
                client_order: ClientOrderId::new(self.u64()),
                delegation: self.delegation(),
                signature: Signature::new(self.bytes()),
            }),
            20 => Command::RevokeDelegation(RevokeDelegation {
                origin: self.origin(),
                client_order: ClientOrderId::new(self.u64()),
                meter: MeterId::new(self.u32()),
                number: self.u64(),
                signature: self.bool().then(|| Signature::new([1; 64])),
            }),
            21 => Command::SignedFrame(SignedFrame {
                origin: self.origin(),
                frame: self.u64(),
                orders: self.u16(),
                key: KeyId::new(self.u64()),
                signature: Signature::new(self.bytes()),
            }),
            22 => Command::DelegatedOrder({
                let SignedNewOrder { origin, order, .. } = self.new_order();
                DelegatedOrder { origin, order }
            }),
            23 => Command::DelegatedReplace({
                let SignedReplaceOrder { origin, replace, .. } = self.replace_order();
                DelegatedReplace { origin, replace }
            }),
            28 => Command::ValidateOrder(self.new_order()),
            29 => Command::AskOrder(self.order_request()),
            32 | 33 => self.aggregate_command(kind),
            34 | 35 => self.grid_command(kind),
            36 => Command::Operate(self.operation()),
            37 => Command::BustTrade(self.bust()),
            38 => Command::DraftMarket(self.market()),
            _ => self.contract_command(kind),
        }
    }

    fn accepted(&mut self) -> OrderAccepted {
        OrderAccepted {
            origin: self.origin(),
            client_order: ClientOrderId::new(self.u64()),
            order: OrderId::new(self.u64()),
            meter: MeterId::new(self.u32()),
            key: self.key(),
            side: self.side(),
            limit: self.price(),
            quantity: self.energy(),
        }
    }

    fn auction(&mut self) -> AuctionResult {
        AuctionResult {
            key: self.key(),
            rule: PriceRule::T7Clamp,
            price: self.optional_price(),
            volume: self.energy(),
            surplus_wh: self.i64(),
            reference: self.optional_price(),
            candidates: self.u32(),
            clamped: self.bool(),
            book: Digest::new(self.bytes()),
        }
    }

    fn trade_side(&mut self) -> TradeSide {
        TradeSide {
            order: OrderId::new(self.u64()),
            client_order: ClientOrderId::new(self.u64()),
            meter: MeterId::new(self.u32()),
            platform: PlatformId::new(self.u16()),
            leaves: self.energy(),
        }
    }

    fn trade(&mut self) -> Trade {
        Trade {
            trade: TradeId::new(self.u64()),
            key: self.key(),
            price: self.price(),
            quantity: self.energy(),
            buy: self.trade_side(),
            sell: self.trade_side(),
            maker: self.pick(&[None, Some(Side::Buy), Some(Side::Sell)]),
        }
    }

    fn cancelled(&mut self) -> OrderCancelled {
        OrderCancelled {
            platform: PlatformId::new(self.u16()),
            client_order: ClientOrderId::new(self.u64()),
            order: OrderId::new(self.u64()),
            leaves: self.energy(),
            reason: self.pick(&[
                CancelReason::Requested,
                CancelReason::ImmediateOrCancel,
                CancelReason::SelfTrade,
                CancelReason::GateClosed,
                CancelReason::Expired,
                CancelReason::FillOrKill,
                CancelReason::MassCancel,
                CancelReason::Killed,
                CancelReason::NoLiquidity,
                CancelReason::List,
                CancelReason::GridLimit,
                CancelReason::TradeLimit,
            ]),
        }
    }

    fn moved(&mut self) -> OrderMoved {
        OrderMoved {
            origin: self.origin(),
            client_order: ClientOrderId::new(self.u64()),
            order: OrderId::new(self.u64()),
            leaves: self.energy(),
        }
    }

    fn mass_cancelled(&mut self) -> MassCancelled {
        MassCancelled {
            origin: self.bool().then(|| self.origin()),
            client_order: ClientOrderId::new(self.u64()),
            scope: self.scope(),
            cancelled: self.u32(),
            complete: self.bool(),
        }
    }

    fn rejected(&mut self) -> OrderRejected {
        OrderRejected {
            origin: self.origin(),
            client_order: ClientOrderId::new(self.u64()),
            request: self.pick(&[
                Request::New,
                Request::Cancel,
                Request::Replace,
                Request::Reduce,
                Request::Hibernate,
                Request::Activate,
                Request::MassCancel,
                Request::Delegate,
                Request::Revoke,
                Request::Validate,
                Request::Ask,
                Request::Offer,
                Request::Accept,
                Request::Decline,
                Request::Withdraw,
                Request::ListMembers,
            ]),
            reason: self.pick(RejectReason::ALL),
        }
    }

    fn contract_event(&mut self, kind: u64) -> Event {
        match kind {
            30 => Event::MembersListed(MembersListed {
                origin: self.origin(),
                client_order: ClientOrderId::new(self.u64()),
                page: self.u16(),
                members: self.u16(),
            }),
            31 => Event::MemberRefused(MemberRefused {
                origin: self.origin(),
                client_order: ClientOrderId::new(self.u64()),
                meter: MeterId::new(self.u32()),
            }),
            23 => Event::ContractOffered(ContractOffered {
                origin: self.origin(),
                client_order: ClientOrderId::new(self.u64()),
                offer: OfferId::new(self.u64()),
                terms: self.contract_terms(),
                offered_by: self.side(),
                invited: PlatformId::new(self.u16()),
            }),
            24 => Event::ContractAgreed(ContractAgreed {
                origin: self.origin(),
                client_order: ClientOrderId::new(self.u64()),
                offer: OfferId::new(self.u64()),
                trade: TradeId::new(self.u64()),
                offerer: PlatformId::new(self.u16()),
                offered_as: ClientOrderId::new(self.u64()),
                offered_by: self.side(),
            }),
            25 => Event::ContractEnded(ContractEnded {
                offer: OfferId::new(self.u64()),
                offerer: PlatformId::new(self.u16()),
                offered_as: ClientOrderId::new(self.u64()),
                offered_by: self.side(),
                invited: PlatformId::new(self.u16()),
                client_order: ClientOrderId::new(self.u64()),
                state: self.pick(&OfferState::ALL),
            }),
            28 => Event::AmendmentOffered(AmendmentOffered {
                origin: self.origin(),
                client_order: ClientOrderId::new(self.u64()),
                offer: OfferId::new(self.u64()),
                terms: self.amendment_terms(),
                offered_by: self.side(),
                invited: PlatformId::new(self.u16()),
            }),
            29 => Event::ContractAmended(ContractAmended {
                origin: self.origin(),
                client_order: ClientOrderId::new(self.u64()),
                offer: OfferId::new(self.u64()),
                offerer: PlatformId::new(self.u16()),
                offered_as: ClientOrderId::new(self.u64()),
                offered_by: self.side(),
                terms: self.amendment_terms(),
            }),
            _ => Event::ContractRestated(ContractRestated {
                origin: self.origin(),
                client_order: ClientOrderId::new(self.u64()),
                offer: OfferId::new(self.u64()),
                state: self.pick(&OfferState::ALL),
                trade: TradeId::new(self.u64()),
                side: self.side(),
            }),
        }
    }

    /// An event of the kind with this number, below [`EVENT_KINDS`].
    pub(super) fn event(&mut self, kind: u64) -> Event {
        match kind {
            0 => Event::MarketDefined(self.market()),
            1 => Event::PartyRegistered(self.party()),
            2 => Event::MeterRegistered(self.meter()),
            3 => Event::SlotPhaseChanged(SlotPhaseChanged {
                key: self.key(),
                phase: self.pick(&[
                    Phase::PreOpen,
                    Phase::Call,
                    Phase::Continuous,
                    Phase::Closed,
                    Phase::Frozen,
                ]),
            }),
            4 => Event::AuctionUncrossed(self.auction()),
            5 => Event::OrderAccepted(self.accepted()),
            6 => Event::OrderRestated(OrderRestated {
                origin: self.origin(),
                client_order: ClientOrderId::new(self.u64()),
                order: OrderId::new(self.u64()),
                filled: self.energy(),
                leaves: self.energy(),
            }),
            7 => Event::OrderReplaced(OrderReplaced {
                origin: self.origin(),
                client_order: ClientOrderId::new(self.u64()),
                order: OrderId::new(self.u64()),
                limit: self.price(),
                leaves: self.energy(),
                kept_place: self.bool(),
            }),
            8 => Event::OrderCancelled(self.cancelled()),
            9 => Event::OrderRejected(self.rejected()),
            10 => Event::Trade(self.trade()),
            11 => Event::CommandRejected(CommandRejected { reason: self.pick(RejectReason::ALL) }),
            12 => Event::ControlsSet(self.controls()),
            13 => Event::SlotFrozen(SlotFrozen { key: self.key(), uncross_at: self.time() }),
            14 => Event::CallExtended(CallExtended {
                key: self.key(),
                price: self.price(),
                reference: self.price(),
            }),
            15 => Event::OrderHibernated(self.moved()),
            16 => Event::OrderActivated(self.moved()),
            17 => Event::MassCancelled(self.mass_cancelled()),
            18 => Event::TradingChanged(self.trading()),
            19 => Event::CreditSet(self.credit()),
            20 => Event::CreditReleased(self.release()),
            21 => Event::MeterDelegated(MeterDelegated {
                origin: self.origin(),
                client_order: ClientOrderId::new(self.u64()),
                delegation: self.delegation(),
                before: self.bool().then(|| PlatformId::new(self.u16())),
            }),
            22 => Event::DelegationRevoked(DelegationRevoked {
                origin: self.origin(),
                client_order: ClientOrderId::new(self.u64()),
                meter: MeterId::new(self.u32()),
                number: self.u64(),
                holder: self.bool().then(|| PlatformId::new(self.u16())),
            }),
            27 => Event::OrderValidated(OrderValidated {
                origin: self.origin(),
                client_order: ClientOrderId::new(self.u64()),
            }),
            32..=34 => self.grid_event(kind),
            35 => Event::Operated(self.operated()),
            36 => Event::TradeBusted(self.busted()),
            _ => self.contract_event(kind),
        }
    }
}

/// Entries from sequence `first` on: commands in turn of kind, each with up to three events.
pub(super) fn entries(seed: u64, first: u64, count: u64) -> Vec<Entry> {
    let mut source = Source(seed);
    (0..count)
        .map(|at| {
            let value = source.command(at % COMMAND_KINDS);
            let events = (0..source.below(4))
                .map(|_| {
                    let kind = source.below(EVENT_KINDS);
                    source.event(kind)
                })
                .collect();
            let seq = Seq::new(first + at);
            let time = Timestamp::from_ns(i64::try_from(first + at).unwrap() * 1_000);
            Entry { command: Sequenced { seq, time, value }, events }
        })
        .collect()
}

/// Entries that each hold a new order and its acceptance, all of one size.
pub(super) fn orders(first: u64, count: u64) -> Vec<Entry> {
    let mut source = Source(first);
    (first..first + count)
        .map(|seq| {
            let value = source.command(6);
            let time = Timestamp::from_ns(i64::try_from(seq).unwrap() * 1_000);
            let command = Sequenced { seq: Seq::new(seq), time, value };
            Entry { command, events: vec![source.event(5)] }
        })
        .collect()
}
