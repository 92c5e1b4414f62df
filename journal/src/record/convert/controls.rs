//! What the operator sets: controls of markets, who may trade, credit.

use types::{
    Allocation, CreditLimit, CreditRelease, Energy, MarketControls, MarketId, Money, PlatformId,
    Price, Scope, SelfTradeAction, SelfTradeScope, TradingControl, TradingState,
};

use super::{
    Archived, Stored,
    layout::{ControlsLayout, CreditLayout, TradingLayout},
    zero,
};

impl Stored for MarketControls {
    type Layout = ControlsLayout;

    fn layout(&self) -> ControlsLayout {
        ControlsLayout {
            quantity_min: self.quantity_min.wh(),
            value_max: self.value_max.minor(),
            collar: self.collar.micros(),
            dynamic_band: self.dynamic_band.micros(),
            executions_max: self.executions_max,
            market: self.market.get(),
            freeze_min_s: self.freeze_min_s,
            freeze_max_s: self.freeze_max_s,
            self_trade_scope: self.self_trade_scope.code(),
            self_trade: self.self_trade.code(),
            allocation: self.allocation.code(),
            zero: [0; 3],
        }
    }

    // Whether the parts fit together is the engine's question; refused controls are recorded.
    fn restore(layout: &Archived<ControlsLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        Some(Self {
            market: MarketId::new(layout.market.to_native()),
            self_trade_scope: SelfTradeScope::from_code(layout.self_trade_scope)?,
            self_trade: SelfTradeAction::from_code(layout.self_trade)?,
            allocation: Allocation::from_code(layout.allocation)?,
            quantity_min: Energy::from_wh(layout.quantity_min.to_native()),
            value_max: Money::from_minor(layout.value_max.to_native()),
            collar: Price::from_micros(layout.collar.to_native()),
            dynamic_band: Price::from_micros(layout.dynamic_band.to_native()),
            executions_max: layout.executions_max.to_native(),
            freeze_min_s: layout.freeze_min_s.to_native(),
            freeze_max_s: layout.freeze_max_s.to_native(),
        })
    }
}

impl Stored for TradingControl {
    type Layout = TradingLayout;

    fn layout(&self) -> TradingLayout {
        let (scope_kind, scope_number) = self.scope.parts();
        TradingLayout { scope_number, scope_kind, state: self.state.code(), zero: [0; 2] }
    }

    fn restore(layout: &Archived<TradingLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        Some(Self {
            scope: Scope::from_parts(layout.scope_kind, layout.scope_number.to_native())?,
            state: TradingState::from_code(layout.state)?,
        })
    }
}

impl Stored for CreditLimit {
    type Layout = CreditLayout;

    fn layout(&self) -> CreditLayout {
        CreditLayout {
            amount: self.limit.minor(),
            platform: self.platform.get(),
            market: self.market.get(),
            zero: [0; 4],
        }
    }

    fn restore(layout: &Archived<CreditLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        Some(Self {
            platform: PlatformId::new(layout.platform.to_native()),
            market: MarketId::new(layout.market.to_native()),
            limit: Money::from_minor(layout.amount.to_native()),
        })
    }
}

impl Stored for CreditRelease {
    type Layout = CreditLayout;

    fn layout(&self) -> CreditLayout {
        CreditLayout {
            amount: self.amount.minor(),
            platform: self.platform.get(),
            market: self.market.get(),
            zero: [0; 4],
        }
    }

    fn restore(layout: &Archived<CreditLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        Some(Self {
            platform: PlatformId::new(layout.platform.to_native()),
            market: MarketId::new(layout.market.to_native()),
            amount: Money::from_minor(layout.amount.to_native()),
        })
    }
}
