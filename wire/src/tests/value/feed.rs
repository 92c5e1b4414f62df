//! Messages of the trade feed.

use super::*;

prop_compose! {
    fn market()(
        (area, time_zone, currency) in (code(), code(), currency()),
        (market, slot_minutes) in (number(MarketId::new), any::<u16>()),
        price_min in number(Price::from_micros),
        price_max in number(Price::from_micros),
        tick in number(Price::from_micros),
        lot in number(Energy::from_wh),
        quantity_max in number(Energy::from_wh),
        opening_lead in number(Lead::from_minutes),
        gate_lead in number(Lead::from_minutes),
    ) -> MarketDefinition {
        MarketDefinition {
            market, area, time_zone, currency, slot_minutes, price_min, price_max, tick, lot,
            quantity_max, opening_lead, gate_lead, price_rule: PriceRule::T7Clamp,
        }
    }
}

prop_compose! {
    fn party()(
        role in select(vec![
            Role::Platform, Role::Retailer, Role::Utility, Role::Operator, Role::Settlement,
        ]),
        number in any::<u16>(),
        code in code(),
        key in bytes(PublicKey::new),
    ) -> PartyRegistration {
        PartyRegistration { party: Party { role, number }, code, key }
    }
}

prop_compose! {
    fn meter()(
        meter in number(MeterId::new),
        code in code(),
        platform in number(PlatformId::new),
        retailer in number(RetailerId::new),
        utility in number(UtilityId::new),
        owner in number(OwnerId::new),
        key in bytes(PublicKey::new),
        injection_max in number(Power::from_w),
        withdrawal_max in number(Power::from_w),
    ) -> MeterRegistration {
        MeterRegistration {
            meter, code, platform, retailer, utility, owner, key, injection_max, withdrawal_max,
        }
    }
}

prop_compose! {
    fn trade_side()(
        order in number(OrderId::new),
        client_order in number(ClientOrderId::new),
        meter in number(MeterId::new),
        platform in number(PlatformId::new),
        leaves in number(Energy::from_wh),
    ) -> TradeSide {
        TradeSide { order, client_order, meter, platform, leaves }
    }
}

prop_compose! {
    pub(super) fn trade()(
        trade in number(TradeId::new),
        key in slot_key(),
        price in number(Price::from_micros),
        quantity in number(Energy::from_wh),
        buy in trade_side(),
        sell in trade_side(),
        maker in option::of(side()),
    ) -> Trade {
        Trade { trade, key, price, quantity, buy, sell, maker }
    }
}

prop_compose! {
    pub(super) fn auction()(
        key in slot_key(),
        price in option::of(number(Price::from_micros)),
        volume in number(Energy::from_wh),
        surplus_wh in any::<i64>(),
        reference in option::of(number(Price::from_micros)),
        candidates in any::<u32>(),
        clamped in any::<bool>(),
        book in bytes(Digest::new),
    ) -> AuctionResult {
        AuctionResult {
            key, rule: PriceRule::T7Clamp, price, volume, surplus_wh, reference, candidates,
            clamped, book,
        }
    }
}

pub(super) fn slot_phase() -> impl Strategy<Value = SlotPhaseChanged> {
    let phases = vec![Phase::PreOpen, Phase::Call, Phase::Frozen, Phase::Continuous, Phase::Closed];
    (slot_key(), select(phases)).prop_map(|(key, phase)| SlotPhaseChanged { key, phase })
}

/// `body` at any place.
pub(super) fn at<T: std::fmt::Debug>(
    body: impl Strategy<Value = T>,
) -> impl Strategy<Value = At<T>> {
    let place = (number(Seq::new), number(Timestamp::from_ns), any::<u32>());
    (place, body)
        .prop_map(|((seq, time, index), body)| At { place: Place { seq, time, index }, body })
}

prop_compose! {
    fn place_noted()(
        number in any::<u64>(),
        meter in number(MeterId::new),
        (from_minute, revision, cancelled) in any::<(u32, u32, u32)>(),
        zone in option::of(code()),
        feeder in option::of(code()),
        complete in any::<bool>(),
    ) -> PlaceNoted {
        let note = PlaceNote { number, meter, from_minute, revision, zone, feeder };
        PlaceNoted { note, cancelled, complete }
    }
}

prop_compose! {
    fn limit_set()(
        number in any::<u64>(),
        utility in number(UtilityId::new),
        zone in code(),
        feeder in option::of(code()),
        side in side(),
        key in slot_key(),
        (limit, used) in (number(Energy::from_wh), number(Energy::from_wh)),
        (revision, cancelled) in any::<(u32, u32)>(),
        complete in any::<bool>(),
    ) -> GridLimitSet {
        let place = GridPlace { utility, zone, feeder };
        let limit = GridLimit { number, place, side, slot: key.slot, limit, revision };
        GridLimitSet { limit, used, cancelled, complete }
    }
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        (scope(), select(TradingState::ALL))
            .prop_map(|(scope, state)| Action::SetTrading(TradingControl { scope, state })),
        (select(SlotAction::ALL), slot_key()).prop_map(|(action, key)| Action::Slot(action, key)),
        number(TradeId::new).prop_map(Action::Bust),
        (number(MarketId::new), number(Lead::from_minutes), any::<u16>()).prop_map(
            |(market, uncross_lead, call_extension_minutes)| {
                Action::Define(NewMarket { market, uncross_lead, call_extension_minutes })
            }
        ),
    ]
}

prop_compose! {
    fn operated()(
        (operator, signer) in any::<(u16, u16)>(),
        own_number in any::<u64>(),
        valid_until in number(Timestamp::from_ns),
        reason in string::string_regex("[!-~]([ -~]{0,46}[!-~])?").unwrap(),
        action in action(),
        signature in bytes(Signature::new),
        took_effect in any::<bool>(),
    ) -> Operated {
        let reason = Remark::new(&reason).unwrap();
        let operation = Operation { operator, number: own_number, action, valid_until, reason };
        Operated { signed: SignedOperation { operation, signer, signature }, took_effect }
    }
}

prop_compose! {
    fn busted()(
        (trade, version, key) in (number(TradeId::new), any::<u32>(), slot_key()),
        (buyer, seller) in (number(MeterId::new), number(MeterId::new)),
        (price, quantity) in (number(Price::from_micros), number(Energy::from_wh)),
        (buyer_platform, seller_platform) in (number(PlatformId::new), number(PlatformId::new)),
    ) -> TradeBusted {
        TradeBusted {
            trade, version, key, buyer, seller, price, quantity, buyer_platform, seller_platform,
        }
    }
}

pub(in crate::tests) fn feed() -> impl Strategy<Value = FeedMessage> {
    prop_oneof![
        (shard(), 0..=NUMBER_MASK).prop_map(|(shard, after)| {
            FeedMessage::Subscribe(Subscribe { shard, after: Seq::new(after) })
        }),
        number(Seq::new).prop_map(|through| FeedMessage::Progress(Progress { through })),
        Just(FeedMessage::GoingAway(Empty)),
        at(market()).prop_map(FeedMessage::MarketDefined),
        at(party()).prop_map(FeedMessage::PartyRegistered),
        at(meter()).prop_map(FeedMessage::MeterRegistered),
        at(slot_phase()).prop_map(FeedMessage::SlotPhaseChanged),
        at(trade()).prop_map(FeedMessage::Trade),
        at(auction()).prop_map(FeedMessage::AuctionUncrossed),
        at(amended()).prop_map(FeedMessage::ContractAmended),
        at(place_noted()).prop_map(FeedMessage::PlaceNoted),
        at(limit_set()).prop_map(FeedMessage::GridLimitSet),
        at((any::<u64>(), select(RejectReason::ALL))
            .prop_map(|(number, reason)| GridRefused { number, reason }))
        .prop_map(FeedMessage::GridRefused),
        at(operated()).prop_map(FeedMessage::Operated),
        at(busted()).prop_map(FeedMessage::TradeBusted),
    ]
}
