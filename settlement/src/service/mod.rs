//! The ledger service of the ecosystem, mapped onto contracts, readings and allocations.
//!
//! The service keeps one record of a trade, to which four parties add: both platforms their names of
//! it, both distribution companies what was delivered. Here the record *is* the contract. What has
//! no other home are names and the companies' own statements; the rest is compared, never copied.
//! What is refused is a value ([`Refusal`]); `docs/api.md` has the rules.

pub mod signature;

use types::{DeliverySlot, Energy, Party, PlatformId, Price, Side, Timestamp, TradeId};

use crate::{registry::MeterCode, store::queries::ContractRow};

/// Longest transaction, item or reference of a caller, in bytes.
pub const NAME_BYTES_MAX: usize = 64;

/// The names of a record: those of a transaction and of one of its items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordName {
    /// Of the transaction.
    pub transaction: String,
    /// Of its item.
    pub item: String,
}

impl RecordName {
    /// The name that a contract has until a platform gives it another: its number, twice.
    #[must_use]
    pub fn of_trade(trade: TradeId) -> Self {
        Self { transaction: trade.get().to_string(), item: trade.get().to_string() }
    }

    /// The contract that is named by its number, if this is such a name.
    #[must_use]
    pub fn trade(&self) -> Option<TradeId> {
        let number: u64 = self.transaction.parse().ok()?;
        let trade = TradeId::new(number);
        (*self == Self::of_trade(trade)).then_some(trade)
    }
}

/// Who writes, and how the request is told from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Who signed it.
    pub caller: Party,
    /// When, in seconds since 1970.
    pub created: i64,
    /// Of which record.
    pub name: RecordName,
    /// The caller's own number of the request: the same one with another body is a conflict.
    pub reference: Option<String>,
    /// SHA-256 of the raw body.
    pub digest: [u8; 32],
}

/// What a platform says of a trade. What it leaves out is not compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TradeFacts {
    /// Of buyer and seller.
    pub platforms: [Option<PlatformId>; 2],
    /// Who signs the readings of buyer and seller.
    pub servers: [Option<Party>; 2],
    /// Of buyer and seller.
    pub meters: [Option<MeterCode>; 2],
    /// When it was traded.
    pub traded: Option<Timestamp>,
    /// First instant of delivery.
    pub start: Option<Timestamp>,
    /// First instant after it.
    pub end: Option<Timestamp>,
    /// How much.
    pub energy: Option<Energy>,
    /// At which price.
    pub price: Option<Price>,
}

/// What a distribution company says became of its side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum SideStatus {
    /// Nothing yet.
    Pending = 0,
    /// It will be delivered.
    Confirmed = 1,
    /// Cancelled by an outage.
    CancelledOutage = 2,
    /// Cancelled for another reason.
    CancelledPolicy = 3,
    /// Less was possible because of an outage.
    CurtailedOutage = 4,
    /// Less was allowed.
    CurtailedPolicy = 5,
    /// What was metered is allocated.
    Completed = 6,
}

impl SideStatus {
    /// Every status.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Confirmed,
        Self::CancelledOutage,
        Self::CancelledPolicy,
        Self::CurtailedOutage,
        Self::CurtailedPolicy,
        Self::Completed,
    ];

    /// The code in rows.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "the enum is repr(u8)")]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The word of the service.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Confirmed => "CONFIRMED",
            Self::CancelledOutage => "CANCELLED_OUTAGE",
            Self::CancelledPolicy => "CANCELLED_POL_VIOLATION",
            Self::CurtailedOutage => "CURTAILED_OUTAGE",
            Self::CurtailedPolicy => "CURTAILED_POL_VIOLATION",
            Self::Completed => "COMPLETED",
        }
    }

    /// The status with this word, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

/// What a distribution company said last of its side of a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SideReport {
    /// What became of it.
    pub status: SideStatus,
    /// What it was, if that was said.
    pub energy: Option<Energy>,
    /// When it was signed, in seconds since 1970.
    pub created: i64,
}

/// Why the service refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The caller may not write this of this record.
    NotAuthorised,
    /// There is no such trade, or none that this caller may know of.
    NotFound,
    /// Without this nothing can be done.
    Missing(&'static str),
    /// The record says otherwise, or a newer request did.
    Conflict {
        /// Which field.
        field: &'static str,
        /// What was sent.
        got: String,
        /// What stands there.
        expected: String,
    },
    /// The reading is refused.
    Reading(crate::metering::DocumentReject),
}

/// What became of a write.
#[derive(Debug, Clone)]
pub struct Written {
    /// The contract as it stands now.
    pub row: Box<ContractRow>,
    /// Nothing was new.
    pub repeated: bool,
}

/// One contract's part of what a meter moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllocatedPart {
    /// The contract.
    pub trade: TradeId,
    /// Its names.
    pub name: RecordName,
    /// Whether the meter buys or sells.
    pub side: Side,
    /// What was contracted.
    pub contracted: Energy,
    /// Its share.
    pub allocated: Energy,
}

/// What a meter moved, as a distribution company says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeterStatement {
    /// Which meter.
    pub meter: MeterCode,
    /// When.
    pub span: DeliverySlot,
    /// Positive is taken from the grid, negative is given.
    pub imported_wh: i64,
}

/// Compares what a platform says of a contract with the contract.
///
/// # Errors
/// The first field that says otherwise.
pub fn compare(facts: &TradeFacts, row: &ContractRow) -> Result<(), Refusal> {
    fn same<T: PartialEq + ToString>(
        field: &'static str,
        got: Option<&T>,
        expected: &T,
    ) -> Result<(), Refusal> {
        match got {
            Some(got) if got != expected => {
                let (got, expected) = (got.to_string(), expected.to_string());
                Err(Refusal::Conflict { field, got, expected })
            }
            Some(_) | None => Ok(()),
        }
    }
    let platform = |id: PlatformId| Party { role: types::Role::Platform, number: id.get() };
    let [bought_by, sold_by] = facts.platforms.map(|id| id.map(platform));
    let contract = &row.contract;
    same("platformIdBuyer", bought_by.as_ref(), &platform(contract.buy.platform))?;
    same("platformIdSeller", sold_by.as_ref(), &platform(contract.sell.platform))?;
    let [buyer, seller] = &row.sides;
    let [buyer_server, seller_server] = &facts.servers;
    same("discomIdBuyer", buyer_server.as_ref(), &buyer.server)?;
    same("discomIdSeller", seller_server.as_ref(), &seller.server)?;
    let [buyer_meter, seller_meter] = &facts.meters;
    same("buyerId", buyer_meter.as_ref(), &buyer.code)?;
    same("sellerId", seller_meter.as_ref(), &seller.code)?;
    same("tradeTime", facts.traded.as_ref(), &contract.traded)?;
    same("deliveryStartTime", facts.start.as_ref(), &row.key.slot.start())?;
    same("deliveryEndTime", facts.end.as_ref(), &row.key.slot.end())?;
    let wh = |energy: Energy| energy.wh();
    same("tradeDetails.tradeQty", facts.energy.map(wh).as_ref(), &wh(row.energy))?;
    let micros = |price: Price| price.micros();
    same("tradeDetails.pricePerUnit", facts.price.map(micros).as_ref(), &micros(contract.price))
}
