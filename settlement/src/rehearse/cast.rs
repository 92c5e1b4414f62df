//! The parties, meters and contracts of a case, and a pipeline that knows them.

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::SigningKey;
use types::{
    ClientOrderId, Code, Currency, DeliverySlot, Energy, Event, Lead, MarketDefinition, MarketId,
    MeterId, MeterRegistration, OrderId, OwnerId, Party, PartyRegistration, PlatformId, Power,
    Price, PriceRule, PublicKey, RetailerId, Role, Seq, SlotKey, Timestamp, Trade, TradeId,
    TradeSide, UtilityId,
};
use wire::FeedItem;

use super::{
    Names, RehearseError,
    script::{Case, ContractText, Direction, EventText, SignatureText},
};
use crate::{
    metering::seal,
    pipeline::{Pipeline, Settings},
    policy::{self, Policy},
};

/// The retailer that signs what another should have signed.
const OTHER_RETAILER: u16 = u16::MAX;

/// The platform of every meter.
const PLATFORM: PlatformId = PlatformId::new(1);

pub(super) struct Cast {
    policy: Policy,
    meters: BTreeMap<String, MeterId>,
    retailers: BTreeMap<MeterId, u16>,
    contracts: Vec<(String, Trade)>,
}

impl Cast {
    pub(super) fn new(case: &Case) -> Result<Self, RehearseError> {
        let mut cast = Self {
            policy: case.policy.clone().into_policy()?,
            meters: BTreeMap::new(),
            retailers: BTreeMap::new(),
            contracts: Vec::new(),
        };
        if !cast.policy.mechanisms.is_empty() {
            return Err(bad("policy.mechanisms", "a rehearsal has one mechanism"));
        }
        cast.name_meters(case)?;
        let mut order: Vec<&ContractText> = case.contracts.iter().collect();
        order.sort_by_key(|contract| contract.traded);
        let mut slot_lengths: Vec<u16> = Vec::new();
        let mut names = BTreeSet::new();
        for (contract, number) in order.into_iter().zip(1_u64..) {
            if !names.insert(&contract.id) {
                return Err(bad("contracts.id", "used twice"));
            }
            let minutes = contract.slot.minutes;
            if !slot_lengths.contains(&minutes) {
                slot_lengths.push(minutes);
            }
            let place = slot_lengths.iter().position(|length| *length == minutes).unwrap_or(0);
            let market = u16::try_from(place).unwrap_or(0).saturating_add(1);
            let trade = cast.trade(contract, number, MarketId::new(market))?;
            cast.contracts.push((contract.id.clone(), trade));
        }
        Ok(cast)
    }

    fn name_meters(&mut self, case: &Case) -> Result<(), RehearseError> {
        let of_contracts = case.contracts.iter().flat_map(|c| [&c.seller, &c.buyer]);
        let of_events = case.events.iter().filter_map(|event| match event {
            EventText::Deposit { account, .. } => Some(account),
            EventText::Reading(reading) => Some(&reading.meter),
            EventText::Curtailment { meter, .. } => Some(meter),
            EventText::Recovery { party, .. } => Some(party),
            EventText::Verify
            | EventText::RepeatLast { .. }
            | EventText::Day { .. }
            | EventText::Hold { .. }
            | EventText::Modification { .. }
            | EventText::Payment { .. } => None,
        });
        let mut retailers: Vec<&str> = Vec::new();
        let named = case.meters()?;
        let others = of_contracts.chain(of_events).map(String::as_str);
        for name in named.keys().copied().chain(others) {
            if self.meters.contains_key(name) {
                continue;
            }
            let number = u32::try_from(self.meters.len())
                .map_err(|_| bad("meters", "too many"))?
                .saturating_add(1);
            let meter = MeterId::new(number);
            self.meters.insert(name.to_owned(), meter);
            // A meter without a named retailer has one of its own.
            let retailer = named.get(name).copied().unwrap_or(name);
            if !retailers.contains(&retailer) {
                retailers.push(retailer);
            }
            let place = retailers.iter().position(|known| *known == retailer).unwrap_or(0);
            let number = u16::try_from(place)
                .ok()
                .and_then(|place| place.checked_add(1))
                .filter(|number| *number < OTHER_RETAILER)
                .ok_or_else(|| bad("meters", "too many retailers"))?;
            self.retailers.insert(meter, number);
        }
        Ok(())
    }

    fn trade(
        &self,
        contract: &ContractText,
        number: u64,
        market: MarketId,
    ) -> Result<Trade, RehearseError> {
        let instant: jiff::Timestamp = contract
            .slot
            .start
            .parse()
            .map_err(|_| bad("slot.start", "not an RFC 3339 instant"))?;
        let ns =
            i64::try_from(instant.as_nanosecond()).map_err(|_| bad("slot.start", "too far"))?;
        let slot = DeliverySlot::starting_at(Timestamp::from_ns(ns), contract.slot.minutes)
            .map_err(|error| bad("slot", &error.to_string()))?;
        let side = |meter: &str| {
            Ok::<_, RehearseError>(TradeSide {
                order: OrderId::new(number),
                client_order: ClientOrderId::new(number),
                meter: self.meter(meter)?,
                platform: PLATFORM,
                leaves: Energy::ZERO,
            })
        };
        Ok(Trade {
            trade: TradeId::new(number),
            key: SlotKey { market, slot },
            price: policy::rate("price", contract.price)?,
            quantity: Energy::from_wh(contract.energy_wh),
            buy: side(&contract.buyer)?,
            sell: side(&contract.seller)?,
            maker: None,
        })
    }

    /// A pipeline in memory that has captured every contract.
    pub(super) fn pipeline(&self) -> Result<Pipeline, RehearseError> {
        let mut pipeline = Pipeline::in_memory(Settings {
            policy: self.policy.clone(),
            ledger_origin: "rehearsal".to_owned(),
            ledger_key_seed: [0; 32],
        })?;
        let mut events = Vec::new();
        let lengths: BTreeMap<MarketId, u16> = self
            .contracts
            .iter()
            .map(|(_, trade)| (trade.key.market, trade.key.slot.minutes()))
            .collect();
        for (market, minutes) in lengths {
            events.push(Event::MarketDefined(definition(market, minutes, self.policy.currency)?));
        }
        let mut numbers: BTreeSet<u16> = self.retailers.values().copied().collect();
        numbers.insert(OTHER_RETAILER);
        for number in numbers {
            for role in [Role::Retailer, Role::Utility] {
                let key = PublicKey::new(key_of(role, number).verifying_key().to_bytes());
                let code = name_code(&format!("{}-{number}", role.name()))?;
                let party = Party { role, number };
                events.push(Event::PartyRegistered(PartyRegistration { party, code, key }));
            }
        }
        for (&meter, &number) in &self.retailers {
            events.push(Event::MeterRegistered(MeterRegistration {
                meter,
                code: name_code(&format!("meter-{meter}"))?,
                platform: PLATFORM,
                retailer: RetailerId::new(number),
                utility: UtilityId::new(number),
                owner: OwnerId::default(),
                key: PublicKey::new([0; 32]),
                // A case states no capacity: every reading is plausible.
                injection_max: Power::from_w(0),
                withdrawal_max: Power::from_w(0),
            }));
        }
        events.extend(self.contracts.iter().map(|(_, trade)| Event::Trade(*trade)));
        let items: Vec<FeedItem> = events
            .into_iter()
            .zip(1_u64..)
            .map(|(event, seq)| FeedItem {
                seq: Seq::new(seq),
                time: Timestamp::default(),
                index: 0,
                event,
            })
            .collect();
        let through = items.last().map_or(Seq::ZERO, |item| item.seq);
        pipeline.capture(through, &items)?;
        Ok(pipeline)
    }

    pub(super) fn meter(&self, name: &str) -> Result<MeterId, RehearseError> {
        self.meters
            .get(name)
            .copied()
            .ok_or_else(|| bad("meter", &format!("`{name}` is not known")))
    }

    pub(super) fn meter_name(&self, meter: MeterId) -> Option<&str> {
        self.meters.iter().find(|(_, known)| **known == meter).map(|(name, _)| name.as_str())
    }

    pub(super) fn contract_names(&self) -> Names {
        self.contracts.iter().map(|(name, trade)| (name.clone(), trade.trade)).collect()
    }

    pub(super) const fn policy(&self) -> &Policy {
        &self.policy
    }

    pub(super) fn contract(&self, name: &str) -> Result<TradeId, RehearseError> {
        let found = self.contracts.iter().find(|(known, _)| known == name);
        found
            .map(|(_, trade)| trade.trade)
            .ok_or_else(|| bad("contract", &format!("`{name}` is not among the contracts")))
    }

    /// Buyer and seller.
    pub(super) fn meters_of(&self, contract: TradeId) -> Option<(MeterId, MeterId)> {
        let found = self.contracts.iter().find(|(_, trade)| trade.trade == contract);
        found.map(|(_, trade)| (trade.buy.meter, trade.sell.meter))
    }

    pub(super) fn trades(&self) -> impl Iterator<Item = &Trade> {
        self.contracts.iter().map(|(_, trade)| trade)
    }

    pub(super) fn price_of(&self, contract: TradeId) -> Price {
        let found = self.contracts.iter().find(|(_, trade)| trade.trade == contract);
        found.map_or(Price::default(), |(_, trade)| trade.price)
    }

    /// The slots in which the meter has contracts; of a meter without any, all slots of the case.
    pub(super) fn slots_of(&self, meter: MeterId) -> Vec<SlotKey> {
        let of = |mine: bool| {
            let trades = self.contracts.iter().map(|(_, trade)| trade);
            let chosen = trades.filter(|t| !mine || t.buy.meter == meter || t.sell.meter == meter);
            chosen.map(|trade| trade.key).collect::<BTreeSet<_>>()
        };
        let own = of(true);
        (if own.is_empty() { of(false) } else { own }).into_iter().collect()
    }

    /// Whether a register of the meter decides anything in a slot: of one that only sells, what it
    /// injected; of one that only buys, what it withdrew; else both.
    pub(super) fn counts(&self, meter: MeterId, key: SlotKey, direction: Direction) -> bool {
        let trades = || self.trades().filter(|trade| trade.key == key);
        let sells = trades().any(|trade| trade.sell.meter == meter);
        let buys = trades().any(|trade| trade.buy.meter == meter);
        match direction {
            Direction::Injected => sells || !buys,
            Direction::Withdrawn => buys || !sells,
        }
    }

    pub(super) fn delivery_end(&self) -> Timestamp {
        let ends = self.contracts.iter().map(|(_, trade)| trade.key.slot.end());
        ends.max().unwrap_or_default()
    }

    pub(super) fn sign_reading(
        &self,
        meter: MeterId,
        signature: SignatureText,
        body: &[u8],
    ) -> Vec<u8> {
        let own = self.retailers.get(&meter).copied().unwrap_or(OTHER_RETAILER);
        let party = |number| Party { role: Role::Retailer, number };
        match signature {
            SignatureText::Valid => seal(party(own), &key_of(Role::Retailer, own), body),
            SignatureText::Invalid => {
                seal(party(own), &key_of(Role::Retailer, OTHER_RETAILER), body)
            }
            SignatureText::OtherRetailer => {
                seal(party(OTHER_RETAILER), &key_of(Role::Retailer, OTHER_RETAILER), body)
            }
        }
    }

    pub(super) fn utility(&self, meter: MeterId) -> (Party, SigningKey) {
        let number = self.retailers.get(&meter).copied().unwrap_or(OTHER_RETAILER);
        (Party { role: Role::Utility, number }, key_of(Role::Utility, number))
    }
}

/// Keys of the rehearsal's parties; they guard nothing.
fn key_of(role: Role, number: u16) -> SigningKey {
    let mut seed = [role.code(); 32];
    if let Some((head, _)) = seed.split_first_chunk_mut::<2>() {
        *head = number.to_le_bytes();
    }
    SigningKey::from_bytes(&seed)
}

fn definition(
    market: MarketId,
    slot_minutes: u16,
    currency: Currency,
) -> Result<MarketDefinition, RehearseError> {
    let code = |text: &str| bad("market", text);
    Ok(MarketDefinition {
        market,
        area: Code::new("REHEARSAL").map_err(|error| code(&error.to_string()))?,
        time_zone: Code::new("UTC").map_err(|error| code(&error.to_string()))?,
        currency,
        slot_minutes,
        price_min: Price::from_micros(0),
        price_max: Price::from_micros(1),
        tick: Price::from_micros(1),
        lot: Energy::from_wh(1),
        quantity_max: Energy::from_wh(1),
        opening_lead: Lead::from_minutes(1),
        gate_lead: Lead::from_minutes(0),
        price_rule: PriceRule::T7Clamp,
    })
}

fn name_code(text: &str) -> Result<Code<32>, RehearseError> {
    Code::new(text).map_err(|error| bad("name", &error.to_string()))
}

fn bad(field: &str, why: &str) -> RehearseError {
    RehearseError::Bad { field: field.to_owned(), why: why.to_owned() }
}
