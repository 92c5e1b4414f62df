//! A small market to test on: hour slots, meters of two retailers, and a feed that numbers itself.

use ed25519_dalek::SigningKey;
use tempfile::TempDir;
use types::*;

use super::server::store;
use crate::{
    CurtailmentReason, DepositOutcome, DocumentReject, Pipeline, Policy, Receipt, Settings,
    allocation::Metered,
    metering::{Curtailment, Interval, MeterFile, Quality, Reading, seal},
    policy::{Fraction, PenaltyBase, PenaltySize, PenaltyTo, ShortfallPenalty},
    store,
};

pub(super) const METERS: u32 = 8;
pub(super) const FIRST_SLOT: u32 = 29_000_040;

pub(super) fn policy() -> Policy {
    Policy {
        tolerance: Fraction::from_ppm(100_000).unwrap(),
        shortfall_penalty: Some(ShortfallPenalty {
            size: PenaltySize::Rate(Fraction::from_ppm(200_000).unwrap()),
            base: PenaltyBase::WholeShortfall,
            to: PenaltyTo::Buyer,
        }),
        ..Policy::clearing_house(Currency::from_iso("INR").unwrap())
    }
}

pub(super) fn settings() -> Settings {
    Settings {
        policy: policy(),
        ledger_origin: "test.example/ledger".to_owned(),
        ledger_key_seed: [9; 32],
    }
}

pub(super) fn slot(number: u32) -> DeliverySlot {
    DeliverySlot::new(FIRST_SLOT + 60 * number, 60).unwrap()
}

/// After every slot used here.
pub(super) fn later() -> Timestamp {
    slot(1_000).end()
}

pub(super) fn key(role: Role, number: u16) -> SigningKey {
    SigningKey::from_bytes(&[role.code() * 16 + u8::try_from(number).unwrap(); 32])
}

/// Meters 1 to 4 belong to retailer and utility 1, the others to 2.
pub(super) fn retailer_of(meter: u32) -> u16 {
    if meter <= 4 { 1 } else { 2 }
}

/// Builds feed items one after the other.
pub(super) struct Feed {
    pub(super) items: Vec<wire::FeedItem>,
    trades: u64,
}

impl Feed {
    pub(super) fn new() -> Self {
        let mut feed = Self { items: Vec::new(), trades: 0 };
        feed.push(Event::MarketDefined(MarketDefinition {
            market: MarketId::new(1),
            area: Code::new("TEST").unwrap(),
            time_zone: Code::new("UTC").unwrap(),
            currency: Currency::from_iso("INR").unwrap(),
            slot_minutes: 60,
            price_min: Price::from_micros(0),
            price_max: Price::from_micros(10_000_000),
            tick: Price::from_micros(10_000),
            lot: Energy::from_wh(1),
            quantity_max: Energy::from_wh(1_000_000),
            opening_lead: Lead::from_minutes(1_440),
            gate_lead: Lead::from_minutes(60),
            price_rule: PriceRule::T7Clamp,
        }));
        for number in [1, 2] {
            for role in [Role::Retailer, Role::Utility] {
                feed.push(Event::PartyRegistered(PartyRegistration {
                    party: Party { role, number },
                    code: Code::new("party").unwrap(),
                    key: PublicKey::new(key(role, number).verifying_key().to_bytes()),
                }));
            }
        }
        for meter in 1..=METERS {
            feed.push(Event::MeterRegistered(MeterRegistration {
                meter: MeterId::new(meter),
                code: Code::new("meter").unwrap(),
                platform: PlatformId::new(retailer_of(meter)),
                retailer: RetailerId::new(retailer_of(meter)),
                utility: UtilityId::new(retailer_of(meter)),
                owner: OwnerId::default(),
                key: PublicKey::new([1; 32]),
                injection_max: Power::from_w(10_000),
                withdrawal_max: Power::from_w(10_000),
            }));
        }
        feed
    }

    pub(super) fn push(&mut self, event: Event) {
        let seq = u64::try_from(self.items.len()).unwrap() + 1;
        let time = Timestamp::from_seconds(i64::try_from(seq).unwrap());
        self.items.push(wire::FeedItem { seq: Seq::new(seq), time, index: 0, event });
    }

    /// Adds a trade of `wh` at `micros` in slot `number` and returns its number.
    pub(super) fn trade(
        &mut self,
        number: u32,
        (seller, buyer): (u32, u32),
        wh: u64,
        micros: i64,
    ) -> TradeId {
        self.trades += 1;
        let side = |meter: u32| TradeSide {
            order: OrderId::new(self.trades * 2 + u64::from(meter == buyer)),
            client_order: ClientOrderId::new(self.trades),
            meter: MeterId::new(meter),
            platform: PlatformId::new(retailer_of(meter)),
            leaves: Energy::ZERO,
        };
        let trade = Trade {
            trade: TradeId::new(self.trades),
            key: SlotKey { market: MarketId::new(1), slot: slot(number) },
            price: Price::from_micros(micros),
            quantity: Energy::from_wh(wh),
            buy: side(buyer),
            sell: side(seller),
            maker: None,
        };
        self.push(Event::Trade(trade));
        TradeId::new(self.trades)
    }

    /// Adds a change of a trade, which its seller asks for: where and how much it is, and is to be.
    pub(super) fn amend(
        &mut self,
        (trade, version): (u64, u32),
        (number, wh): (u32, u64),
        (new_number, new_wh): (u32, u64),
    ) {
        let made = self.items.iter().find_map(|item| {
            if let Event::Trade(made) = item.event { Some(made) } else { None }
                .filter(|made| made.trade.get() == trade)
        });
        let made = made.unwrap();
        let origin = Origin { platform: made.buy.platform, session: SessionId::new(1) };
        let terms = AmendmentTerms {
            trade: made.trade,
            version,
            key: SlotKey { slot: slot(number), ..made.key },
            buyer: made.buy.meter,
            seller: made.sell.meter,
            price: made.price,
            quantity: Energy::from_wh(wh),
            new_slot: slot(new_number),
            new_quantity: Energy::from_wh(new_wh),
            reference: 1,
            expires: later(),
        };
        self.push(Event::ContractAmended(ContractAmended {
            origin,
            client_order: ClientOrderId::new(1),
            offer: OfferId::new(1),
            offerer: made.sell.platform,
            offered_as: ClientOrderId::new(2),
            offered_by: Side::Sell,
            terms,
        }));
    }

    /// Adds that the exchange undid a trade, as it was made.
    pub(super) fn bust(&mut self, trade: u64) {
        let made = self.items.iter().find_map(|item| {
            let Event::Trade(made) = item.event else { return None };
            Some(made).filter(|made| made.trade.get() == trade)
        });
        let made = made.unwrap();
        self.push(Event::TradeBusted(TradeBusted {
            trade: made.trade,
            version: 1,
            key: made.key,
            buyer: made.buy.meter,
            seller: made.sell.meter,
            price: made.price,
            quantity: made.quantity,
            buyer_platform: made.buy.platform,
            seller_platform: made.sell.platform,
        }));
    }

    pub(super) fn end(&self) -> Seq {
        self.items.last().unwrap().seq
    }
}

/// A signed file: readings are (meter, injected, withdrawn).
pub(super) fn file(revision: u32, number: u32, readings: &[(u32, u64, u64)]) -> Vec<u8> {
    let retailer = retailer_of(readings[0].0);
    let body = file_body(revision, number, readings);
    seal(Party { role: Role::Retailer, number: retailer }, &key(Role::Retailer, retailer), &body)
}

pub(super) fn file_body(revision: u32, number: u32, readings: &[(u32, u64, u64)]) -> Vec<u8> {
    let readings = readings.iter().map(|&(meter, injected, withdrawn)| Reading {
        meter: MeterId::new(meter),
        metered: Metered {
            injected: Energy::from_wh(injected),
            withdrawn: Energy::from_wh(withdrawn),
        },
        quality: Quality::Measured,
    });
    let intervals = vec![Interval { start: slot(number).start(), readings: readings.collect() }];
    MeterFile { market: MarketId::new(1), revision, minutes: 60, intervals }.to_body()
}

pub(super) fn curtailment(revision: u32, number: u32, meter: u32, cap: u64) -> Vec<u8> {
    let body = Curtailment {
        meter: MeterId::new(meter),
        slot: slot(number),
        cap: Energy::from_wh(cap),
        reason: CurtailmentReason::Outage,
        revision,
    }
    .to_body();
    let number = retailer_of(meter);
    seal(Party { role: Role::Utility, number }, &key(Role::Utility, number), &body)
}

/// A pipeline with its directory.
pub(super) struct Desk {
    pub(super) folder: TempDir,
    pub(super) pipeline: Pipeline,
}

impl Desk {
    /// A pipeline that knows nobody.
    pub(super) fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pipeline = open(&folder, settings());
        Self { folder, pipeline }
    }

    /// A pipeline that has captured what every feed begins with.
    pub(super) fn new() -> Self {
        let mut desk = Self::empty();
        let feed = Feed::new();
        desk.pipeline.capture(feed.end(), &feed.items).unwrap();
        desk
    }

    /// Closes the pipeline and opens it again.
    pub(super) fn restart(self) -> Self {
        drop(self.pipeline);
        let pipeline = open(&self.folder, settings());
        Self { folder: self.folder, pipeline }
    }

    /// Closes the pipeline and opens it again with other rules.
    pub(super) fn with_rules(self, policy: Policy) -> Self {
        drop(self.pipeline);
        let pipeline = open(&self.folder, Settings { policy, ..settings() });
        Self { folder: self.folder, pipeline }
    }

    pub(super) fn ingest(&mut self, document: &[u8]) -> Receipt {
        self.pipeline.ingest(later(), document).unwrap()
    }

    pub(super) fn taken(&mut self, document: &[u8]) {
        assert_eq!(self.ingest(document).result, Ok(()));
    }

    pub(super) fn refused(&mut self, document: &[u8]) -> DocumentReject {
        self.ingest(document).result.unwrap_err()
    }

    pub(super) fn deposit_all(&mut self, minor: i64) {
        let deposits: Vec<_> = (1..=METERS)
            .map(|meter| (u64::from(meter), MeterId::new(meter), Money::from_minor(minor)))
            .collect();
        let outcomes = self.pipeline.deposits(&deposits).unwrap();
        let known = [DepositOutcome::Credited, DepositOutcome::Exists];
        assert!(outcomes.iter().all(|outcome| known.contains(outcome)));
    }

    pub(super) fn balances(&self) -> String {
        let lines = self.pipeline.balances().unwrap().into_iter();
        lines
            .filter(|(_, minor)| *minor != 0)
            .map(|(account, minor)| format!("{account} {minor}\n"))
            .collect()
    }

    /// Every row of every table.
    pub(super) fn dump(&self) -> String {
        Self::dump_of(&self.pipeline)
    }

    /// Every row of every table of a pipeline.
    pub(super) fn dump_of(pipeline: &Pipeline) -> String {
        let connection = pipeline.connection();
        let mut text = String::new();
        for table in store::tables() {
            let all = format!("SELECT * FROM {table}");
            let columns = connection.prepare_cached(&all).unwrap().column_count();
            let order: Vec<String> = (1..=columns).map(|column| column.to_string()).collect();
            let mut select =
                connection.prepare_cached(&format!("{all} ORDER BY {}", order.join(", "))).unwrap();
            let mut rows = select.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                let cells: Vec<_> = (0..columns)
                    .map(|column| format!("{:?}", row.value(column).unwrap()))
                    .collect();
                text += &format!("{table} {}\n", cells.join(" "));
            }
        }
        text
    }

    pub(super) fn check(&self) {
        let audit = self.pipeline.audit().unwrap();
        assert!(audit.is_clean(), "{audit:?}");
        super::audit::check_leaves(&self.pipeline);
    }
}

fn open(folder: &TempDir, settings: Settings) -> Pipeline {
    let db = folder.path().join("settlement.db");
    Pipeline::open(store(&db), &folder.path().join("ledger"), settings).unwrap()
}
