//! What operators ordered.

use types::{
    Action, BustTrade, Energy, Lead, MarketId, MeterId, NewMarket, Operated, Operation, PlatformId,
    Price, Remark, Scope, Signature, SignedOperation, Timestamp, TradeBusted, TradeId,
    TradingControl, TradingState,
};

use super::{
    Archived, Stored,
    operator_layout::{BustLayout, BustedLayout, OperationLayout},
    slot_key, zero,
};

/// It took effect.
const TOOK_EFFECT: u8 = 1;

/// What an action is about, as it stands in a record.
#[derive(Default)]
struct Subject {
    scope: (u8, u32),
    state: u8,
    /// Minute of the start, minutes, market.
    slot: (u32, u16, u16),
}

impl Subject {
    fn of(action: &Action) -> Self {
        match action {
            Action::SetTrading(TradingControl { scope, state }) => {
                Self { scope: scope.parts(), state: state.code(), ..Self::default() }
            }
            Action::Slot(_, key) => Self {
                slot: (key.slot.start_minute(), key.slot.minutes(), key.market.get()),
                ..Self::default()
            },
            Action::Bust(trade) => {
                let [low, high] = halves(*trade);
                Self { scope: (0, low), slot: (high, 0, 0), ..Self::default() }
            }
            Action::Define(NewMarket { market, uncross_lead, call_extension_minutes }) => Self {
                scope: (0, uncross_lead.minutes()),
                slot: (0, *call_extension_minutes, market.get()),
                ..Self::default()
            },
        }
    }
}

/// The low and the high half of a trade's number.
fn halves(trade: TradeId) -> [u32; 2] {
    let [low, high] = [trade.get() & u64::from(u32::MAX), trade.get() >> 32];
    [low, high].map(|half| u32::try_from(half).unwrap_or(u32::MAX))
}

impl Stored for SignedOperation {
    type Layout = OperationLayout;

    fn layout(&self) -> OperationLayout {
        let Operation { operator, number, action, valid_until, reason } = &self.operation;
        let subject = Subject::of(action);
        let (start_minute, minutes, market) = subject.slot;
        OperationLayout {
            signature: *self.signature.as_bytes(),
            reason: *reason.padded(),
            number: *number,
            valid_until: valid_until.ns(),
            scope_number: subject.scope.1,
            start_minute,
            operator: *operator,
            signer: self.signer,
            market,
            minutes,
            action: action.code(),
            scope_kind: subject.scope.0,
            state: subject.state,
            flags: 0,
            zero: [0; 4],
        }
    }

    fn restore(layout: &Archived<OperationLayout>) -> Option<Self> {
        if layout.flags == 0 { restore(layout) } else { None }
    }
}

/// Whatever the flags are.
fn restore(layout: &Archived<OperationLayout>) -> Option<SignedOperation> {
    zero(&layout.zero)?;
    let (start_minute, minutes) = (layout.start_minute.to_native(), layout.minutes.to_native());
    let market = layout.market.to_native();
    let subject = (layout.scope_kind, layout.scope_number.to_native(), layout.state);
    let action = if layout.action == Action::SET_TRADING {
        let scope = Scope::from_parts(subject.0, subject.1)?;
        let state = TradingState::from_code(subject.2)?;
        let has_no_slot = (start_minute, minutes, market) == (0, 0, 0);
        has_no_slot.then_some(Action::SetTrading(TradingControl { scope, state }))?
    } else if layout.action == Action::BUST {
        let has_only_a_trade = (subject.0, subject.2, minutes, market) == (0, 0, 0, 0);
        let trade = u64::from(start_minute) << 32 | u64::from(subject.1);
        has_only_a_trade.then_some(Action::Bust(TradeId::new(trade)))?
    } else if layout.action == Action::DEFINE {
        let has_only_a_market = (subject.0, subject.2, start_minute) == (0, 0, 0);
        let new = NewMarket {
            market: MarketId::new(market),
            uncross_lead: Lead::from_minutes(subject.1),
            call_extension_minutes: minutes,
        };
        has_only_a_market.then_some(Action::Define(new))?
    } else {
        let key = slot_key(start_minute, minutes, market)?;
        Action::of_slot(layout.action, key).filter(|_| subject == (0, 0, 0))?
    };
    let operation = Operation {
        operator: layout.operator.to_native(),
        number: layout.number.to_native(),
        action,
        valid_until: Timestamp::from_ns(layout.valid_until.to_native()),
        reason: Remark::from_padded(layout.reason)?,
    };
    let signature = Signature::new(layout.signature);
    Some(SignedOperation { operation, signer: layout.signer.to_native(), signature })
}

impl Stored for Operated {
    type Layout = OperationLayout;

    fn layout(&self) -> OperationLayout {
        let flags = if self.took_effect { TOOK_EFFECT } else { 0 };
        OperationLayout { flags, ..self.signed.layout() }
    }

    fn restore(layout: &Archived<OperationLayout>) -> Option<Self> {
        let signed = restore(layout)?;
        let is_known = layout.flags & !TOOK_EFFECT == 0;
        is_known.then_some(Self { signed, took_effect: layout.flags == TOOK_EFFECT })
    }
}

impl Stored for BustTrade {
    type Layout = BustLayout;

    fn layout(&self) -> BustLayout {
        BustLayout {
            signature: *self.signature.as_bytes(),
            reason: *self.reason.padded(),
            number: self.number,
            valid_until: self.valid_until.ns(),
            trade: self.trade.get(),
            price: self.price.micros(),
            quantity: self.quantity_wh,
            buyer: self.buyer.get(),
            seller: self.seller.get(),
            start_minute: self.key.slot.start_minute(),
            operator: self.operator,
            signer: self.signer,
            market: self.key.market.get(),
            minutes: self.key.slot.minutes(),
        }
    }

    fn restore(layout: &Archived<BustLayout>) -> Option<Self> {
        let (start_minute, minutes) = (layout.start_minute.to_native(), layout.minutes.to_native());
        Some(Self {
            operator: layout.operator.to_native(),
            signer: layout.signer.to_native(),
            number: layout.number.to_native(),
            valid_until: Timestamp::from_ns(layout.valid_until.to_native()),
            reason: Remark::from_padded(layout.reason)?,
            signature: Signature::new(layout.signature),
            trade: TradeId::new(layout.trade.to_native()),
            key: slot_key(start_minute, minutes, layout.market.to_native())?,
            buyer: MeterId::new(layout.buyer.to_native()),
            seller: MeterId::new(layout.seller.to_native()),
            price: Price::from_micros(layout.price.to_native()),
            quantity_wh: layout.quantity.to_native(),
        })
    }
}

impl Stored for TradeBusted {
    type Layout = BustedLayout;

    fn layout(&self) -> BustedLayout {
        BustedLayout {
            trade: self.trade.get(),
            price: self.price.micros(),
            quantity: self.quantity.wh(),
            buyer: self.buyer.get(),
            seller: self.seller.get(),
            version: self.version,
            start_minute: self.key.slot.start_minute(),
            market: self.key.market.get(),
            minutes: self.key.slot.minutes(),
            buyer_platform: self.buyer_platform.get(),
            seller_platform: self.seller_platform.get(),
        }
    }

    fn restore(layout: &Archived<BustedLayout>) -> Option<Self> {
        let (start_minute, minutes) = (layout.start_minute.to_native(), layout.minutes.to_native());
        Some(Self {
            trade: TradeId::new(layout.trade.to_native()),
            version: layout.version.to_native(),
            key: slot_key(start_minute, minutes, layout.market.to_native())?,
            buyer: MeterId::new(layout.buyer.to_native()),
            seller: MeterId::new(layout.seller.to_native()),
            price: Price::from_micros(layout.price.to_native()),
            quantity: Energy::from_wh(layout.quantity.to_native()),
            buyer_platform: PlatformId::new(layout.buyer_platform.to_native()),
            seller_platform: PlatformId::new(layout.seller_platform.to_native()),
        })
    }
}
