//! A notice as one party is told it: the same JSON over server-sent events, pages and webhooks.

use serde::Serialize;
use settlement::{
    DocumentKind, DocumentReject, NoticeKind,
    store::{
        notices::{ContractNews, News, OutboxNotice},
        outbox::LimitRow,
        queries::ContractRow,
    },
    tlog::{facts::DocumentRecord, leaf::DisconnectionStep},
};
use types::{Action, Currency, MeterId, Operated, Party, Side};
use utoipa::ToSchema;

use crate::api::{
    access::{self, Sight},
    amount::Amount,
};

/// Something happened that concerns the party. What a kind does not have is left out.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct NoticeBody {
    /// Its number: numbers of a party rise, with gaps where others are told.
    notice: u64,
    /// What happened: `contract`, `negotiated`, `curtailed`, `amended`, `amended_in_vain`, `changed`,
    /// `outcome`, `default`, `disconnection`, `limit_in_force`, `limit_refused`, `document` or `operation`.
    what: &'static str,
    /// Its leaf in the ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    leaf: Option<u64>,
    /// The contract.
    #[serde(skip_serializing_if = "Option::is_none")]
    contract: Option<u64>,
    /// The market.
    #[serde(skip_serializing_if = "Option::is_none")]
    market: Option<u16>,
    /// Start of the slot, RFC 3339 in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    slot_start: Option<String>,
    /// Duration of the slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    minutes: Option<u16>,
    /// Per kWh, for platforms.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    price: Option<Amount>,
    /// Contracted now, in Wh; of a limit what was open and traded when it came into force.
    #[serde(skip_serializing_if = "Option::is_none")]
    contracted_wh: Option<u64>,
    /// The registered name of the buyer's meter, for who serves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    buyer_meter: Option<String>,
    /// The registered name of the seller's meter, for who serves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    seller_meter: Option<String>,
    /// The version that a change made.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
    /// The curtailed or limited side, the one whose idea it was, or the one that owes.
    #[serde(skip_serializing_if = "Option::is_none")]
    side: Option<&'static str>,
    /// The most it may still move, what a change says, or the limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_wh: Option<u64>,
    /// Where the contract stood after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    /// The settlement run, from 1; a later one corrects the one before.
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<u16>,
    /// Whether the outcome rests on readings that are estimated or did not come.
    #[serde(skip_serializing_if = "Option::is_none")]
    provisional: Option<bool>,
    /// Allocated to the buyer's meter.
    #[serde(skip_serializing_if = "Option::is_none")]
    buyer_allocated_wh: Option<u64>,
    /// Allocated to the seller's meter.
    #[serde(skip_serializing_if = "Option::is_none")]
    seller_allocated_wh: Option<u64>,
    /// Settled: what declarations say of it, and the buyer's retailer may not bill.
    #[serde(skip_serializing_if = "Option::is_none")]
    settled_wh: Option<u64>,
    /// Not delivered, and not excused.
    #[serde(skip_serializing_if = "Option::is_none")]
    shortfall_wh: Option<u64>,
    /// Not delivered because of a curtailment.
    #[serde(skip_serializing_if = "Option::is_none")]
    excused_wh: Option<u64>,
    /// What the energy came to, in currency, for platforms.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    energy_due: Option<Amount>,
    /// What a penalty came to, in currency, for platforms.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    penalty_due: Option<Amount>,
    /// Enforcement level: 1 warned, 2 fined, 3 suspended, 4 notice of disconnection.
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<u8>,
    /// Of a disconnection: `notice` or `withdrawn`, as the retailer decided, or `paid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<&'static str>,
    /// What was open, without fines, in currency, for platforms.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    open: Option<Amount>,
    /// The fine, in currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    fine: Option<Amount>,
    /// The zone of a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<String>,
    /// Its feeder.
    #[serde(skip_serializing_if = "Option::is_none")]
    feeder: Option<String>,
    /// The position since which it is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<u64>,
    /// Of which shard, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    shard: Option<String>,
    /// Why it was refused, or what an operator or retailer gave as a reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The number of a document, as in `/v1/meter-files`.
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<u64>,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    document_kind: Option<&'static str>,
    /// How many of its statements were new.
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted: Option<u32>,
    /// `taken`, or why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'static str>,
    /// What an operator ordered.
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'static str>,
    /// Which operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    operator: Option<u16>,
    /// Whether it took effect, or waits for another operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    took_effect: Option<bool>,
}

impl NoticeBody {
    /// What a party is told of a notice, if it is told anything.
    #[must_use]
    pub fn of(notice: &OutboxNotice, party: Party, currency: Currency) -> Option<Self> {
        let sight = access::told(party, &notice.news)?;
        let body = Self { notice: notice.number, leaf: notice.leaf, ..Self::default() };
        Some(match &notice.news {
            News::Contract(row, news) => {
                body.of_contract(row, sight).with_news(row, news, (sight, currency))
            }
            News::Limit(limit) => body.with_limit(limit),
            News::Document(record) => body.with_document(record),
            News::Operation(operated) => body.with_operation(operated),
        })
    }

    /// Its number.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.notice
    }

    /// What happened.
    #[must_use]
    pub const fn what(&self) -> &'static str {
        self.what
    }

    fn of_contract(mut self, row: &ContractRow, sight: Sight) -> Self {
        let name = |side: Side| row.side(side).code.to_string();
        self.contract = Some(row.contract.id.get());
        self.market = Some(row.key.market.get());
        self.slot_start = Some(row.key.slot.start().to_string());
        self.minutes = Some(row.key.slot.minutes());
        self.price = sight.price.then(|| Amount::of_price(row.contract.price));
        self.contracted_wh = Some(row.energy.wh());
        self.buyer_meter = sight.buyer.then(|| name(Side::Buy));
        self.seller_meter = sight.seller.then(|| name(Side::Sell));
        self
    }

    fn with_news(
        mut self,
        row: &ContractRow,
        news: &ContractNews,
        (sight, currency): (Sight, Currency),
    ) -> Self {
        let money = |minor: i64| Amount::of_minor(minor, currency);
        let seen = |minor: i64| sight.price.then(|| money(minor));
        let side_of = |meter: MeterId| {
            if meter == row.contract.buy.meter { Side::Buy } else { Side::Sell }
        };
        match news {
            ContractNews::Made => self.what = "contract",
            ContractNews::Told(kind, side, energy) => {
                self.what = match kind {
                    NoticeKind::Negotiated => "negotiated",
                    NoticeKind::Curtailed => "curtailed",
                    NoticeKind::Amended(_) => "amended",
                    NoticeKind::AmendedInVain | NoticeKind::Limit => "amended_in_vain",
                    NoticeKind::Busted => "busted",
                };
                if let NoticeKind::Amended(version) = kind {
                    self.version = Some(*version);
                }
                self.side = Some(side.name());
                self.allowed_wh = Some(energy.wh());
            }
            ContractNews::Changed(record) => {
                self.what = "changed";
                self.version = Some(record.version);
                self.side = record.requester.map(Side::name);
                self.allowed_wh = Some(record.energy.wh());
                self.state = Some(record.state.name());
                self.penalty_due = seen(record.penalty);
            }
            ContractNews::Outcome(record) => {
                self.what = "outcome";
                self.run = Some(record.run);
                self.state = Some(record.outcome.state.name());
                self.provisional = Some(record.provisional);
                self.buyer_allocated_wh = Some(record.buyer_allocated.wh());
                self.seller_allocated_wh = Some(record.seller_allocated.wh());
                self.settled_wh = Some(record.outcome.settled.wh());
                self.shortfall_wh = Some(record.outcome.shortfall.wh());
                self.excused_wh = Some(record.outcome.excused.wh());
                self.energy_due = seen(record.due.energy.minor());
                self.penalty_due = seen(record.due.penalty.minor());
            }
            ContractNews::Default(record) => {
                self.what = "default";
                self.side = Some(side_of(record.debtor).name());
                self.level = Some(record.level);
                self.open = seen(record.open);
                self.fine = Some(money(record.fine));
            }
            ContractNews::Disconnection(record, reason) => {
                self.what = "disconnection";
                self.side = Some(side_of(record.debtor).name());
                self.level = Some(record.level);
                self.open = seen(record.open);
                self.decision = record.step.map(DisconnectionStep::name);
                self.reason.clone_from(reason);
            }
        }
        self
    }

    fn with_limit(mut self, limit: &LimitRow) -> Self {
        self.what = if limit.since.is_ok() { "limit_in_force" } else { "limit_refused" };
        self.slot_start = Some(limit.slot.start().to_string());
        self.minutes = Some(limit.slot.minutes());
        self.side = Some(limit.side.name());
        self.contracted_wh = Some(limit.used.wh());
        self.allowed_wh = Some(limit.limit.wh());
        self.zone = Some(limit.zone.to_string());
        self.feeder = limit.feeder.map(|feeder| feeder.to_string());
        match limit.since {
            Ok((shard, since)) => {
                self.since = Some(since.get());
                self.shard = Some(shard.to_string());
            }
            Err(reason) => self.reason = Some(reason.name().to_owned()),
        }
        self
    }

    fn with_document(mut self, record: &DocumentRecord) -> Self {
        let kind = DocumentKind::from_code(record.kind).unwrap_or(DocumentKind::Unknown);
        self.what = "document";
        self.document = Some(record.document);
        self.document_kind = Some(kind.name());
        self.accepted = Some(record.accepted);
        let refused = DocumentReject::from_code(record.reject);
        self.result = Some(refused.map_or("taken", |reject| reject.name()));
        self
    }

    fn with_operation(mut self, operated: &Operated) -> Self {
        let operation = &operated.signed.operation;
        self.what = "operation";
        self.action = Some(operation.action.name());
        self.operator = Some(operated.signed.signer);
        self.reason = Some(operation.reason.to_string());
        self.took_effect = Some(operated.took_effect);
        if let Action::Define(new) = operation.action {
            self.market = Some(new.market.get());
        }
        if let Some(key) = operation.action.slot() {
            self.market = Some(key.market.get());
            self.slot_start = Some(key.slot.start().to_string());
            self.minutes = Some(key.slot.minutes());
        }
        self
    }
}
