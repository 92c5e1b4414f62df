//! Values of what operators order.

use types::{
    Action, BustTrade, Energy, KnownTrade, Lead, MarketId, MeterId, NewMarket, Operated, Operation,
    PlatformId, Remark, Signature, SignedOperation, SlotAction, Timestamp, TradeBusted, TradeId,
};

use super::values::Source;

impl Source {
    fn action(&mut self) -> Action {
        let key = self.key();
        match self.below(8) {
            0 => Action::SetTrading(self.trading()),
            1 => Action::Bust(TradeId::new(self.u64())),
            2 => Action::Define(NewMarket {
                market: MarketId::new(self.u16()),
                uncross_lead: Lead::from_minutes(self.u32()),
                call_extension_minutes: self.u16(),
            }),
            _ => Action::Slot(self.pick(SlotAction::ALL), key),
        }
    }

    pub(super) fn bust(&mut self) -> BustTrade {
        let signed = self.operation();
        let action = Action::Bust(TradeId::new(self.u64()));
        let operation = Operation { action, ..signed.operation };
        let made = KnownTrade {
            key: self.key(),
            buyer: MeterId::new(self.u32()),
            seller: MeterId::new(self.u32()),
            price: self.price(),
            quantity: Energy::from_wh(self.u32().into()),
        };
        BustTrade::new(&SignedOperation { operation, ..signed }, &made).unwrap()
    }

    pub(super) fn busted(&mut self) -> TradeBusted {
        TradeBusted {
            trade: TradeId::new(self.u64()),
            version: self.u32(),
            key: self.key(),
            buyer: MeterId::new(self.u32()),
            seller: MeterId::new(self.u32()),
            price: self.price(),
            quantity: Energy::from_wh(self.u64()),
            buyer_platform: PlatformId::new(self.u16()),
            seller_platform: PlatformId::new(self.u16()),
        }
    }

    pub(super) fn operation(&mut self) -> SignedOperation {
        let reason = format!("reason {}", self.u64());
        SignedOperation {
            operation: Operation {
                operator: self.u16(),
                number: self.u64(),
                action: self.action(),
                valid_until: Timestamp::from_ns(i64::from(self.u32())),
                reason: Remark::new(&reason).unwrap(),
            },
            signer: self.u16(),
            signature: Signature::new(self.bytes()),
        }
    }

    pub(super) fn operated(&mut self) -> Operated {
        Operated { signed: self.operation(), took_effect: self.bool() }
    }
}
