//! Markets, parties and meters.

use types::{
    Code, Currency, Energy, Lead, MarketDefinition, MarketId, MeterId, MeterRegistration, OwnerId,
    Party, PartyRegistration, PlatformId, Power, Price, PriceRule, PublicKey, RetailerId, Role,
    UtilityId,
};

use super::{
    Archived, Stored,
    layout::{MarketLayout, MeterLayout, PartyLayout},
    zero,
};

impl Stored for MarketDefinition {
    type Layout = MarketLayout;

    fn layout(&self) -> MarketLayout {
        let mut currency = [0; 3];
        currency.copy_from_slice(self.currency.code().as_bytes());
        MarketLayout {
            price_min: self.price_min.micros(),
            price_max: self.price_max.micros(),
            tick: self.tick.micros(),
            lot: self.lot.wh(),
            quantity_max: self.quantity_max.wh(),
            area: *self.area.padded(),
            time_zone: *self.time_zone.padded(),
            opening_lead: self.opening_lead.minutes(),
            gate_lead: self.gate_lead.minutes(),
            currency,
            minor_digits: self.currency.minor_digits(),
            market: self.market.get(),
            slot_minutes: self.slot_minutes,
            price_rule: self.price_rule.code(),
            zero: [0; 7],
        }
    }

    // Whether the parts fit together is the engine's question; refused definitions are recorded.
    fn restore(layout: &Archived<MarketLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        Some(Self {
            market: MarketId::new(layout.market.to_native()),
            area: Code::from_padded(layout.area).ok()?,
            time_zone: Code::from_padded(layout.time_zone).ok()?,
            currency: Currency::new(layout.currency, layout.minor_digits).ok()?,
            slot_minutes: layout.slot_minutes.to_native(),
            price_min: Price::from_micros(layout.price_min.to_native()),
            price_max: Price::from_micros(layout.price_max.to_native()),
            tick: Price::from_micros(layout.tick.to_native()),
            lot: Energy::from_wh(layout.lot.to_native()),
            quantity_max: Energy::from_wh(layout.quantity_max.to_native()),
            opening_lead: Lead::from_minutes(layout.opening_lead.to_native()),
            gate_lead: Lead::from_minutes(layout.gate_lead.to_native()),
            price_rule: PriceRule::from_code(layout.price_rule)?,
        })
    }
}

impl Stored for PartyRegistration {
    type Layout = PartyLayout;

    fn layout(&self) -> PartyLayout {
        PartyLayout {
            code: *self.code.padded(),
            key: *self.key.as_bytes(),
            number: self.party.number,
            role: self.party.role.code(),
            zero: [0; 5],
        }
    }

    fn restore(layout: &Archived<PartyLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        Some(Self {
            party: Party { role: Role::from_code(layout.role)?, number: layout.number.to_native() },
            code: Code::from_padded(layout.code).ok()?,
            key: PublicKey::new(layout.key),
        })
    }
}

impl Stored for MeterRegistration {
    type Layout = MeterLayout;

    fn layout(&self) -> MeterLayout {
        MeterLayout {
            code: *self.code.padded(),
            key: *self.key.as_bytes(),
            meter: self.meter.get(),
            injection_max: self.injection_max.w(),
            withdrawal_max: self.withdrawal_max.w(),
            platform: self.platform.get(),
            retailer: self.retailer.get(),
            utility: self.utility.get(),
            owner: self.owner.get(),
            zero: [0; 2],
        }
    }

    fn restore(layout: &Archived<MeterLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        Some(Self {
            meter: MeterId::new(layout.meter.to_native()),
            code: Code::from_padded(layout.code).ok()?,
            platform: PlatformId::new(layout.platform.to_native()),
            retailer: RetailerId::new(layout.retailer.to_native()),
            utility: UtilityId::new(layout.utility.to_native()),
            owner: OwnerId::new(layout.owner.to_native()),
            key: PublicKey::new(layout.key),
            injection_max: Power::from_w(layout.injection_max.to_native()),
            withdrawal_max: Power::from_w(layout.withdrawal_max.to_native()),
        })
    }
}
