//! Contracts as those outside the pipeline read them, and what the ledger service adds to them.

use types::{
    AuctionResult, DeliverySlot, Digest, Energy, MarketId, MeterId, Party, Price, PriceRule,
    RetailerId, Role, Seq, ShardId, Side, SlotKey, Timestamp, TradeId,
};
use wire::FeedItem;

use super::{
    database::{
        Connection, DatabaseError, OptionalExtension as _, Row, Store, Transaction, params,
    },
    open_read_only, signed,
};
use crate::{
    capture::{Contract, ContractSide},
    error::{Doing as _, SettlementError, fit},
    outcome::State,
    registry::MeterCode,
    service::{RecordName, Request, SideReport, SideStatus},
    tlog::{
        hash_leaf,
        leaf::{self, OutcomeRecord},
    },
};

/// A side of a contract, as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowSide {
    /// The registered name of its meter.
    pub code: MeterCode,
    /// Who signs the meter's readings in that slot.
    pub server: Party,
    /// What that party said last.
    pub report: Option<SideReport>,
}

/// A contract with everything that is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractRow {
    /// As it was traded.
    pub contract: Contract,
    /// When it is delivered now.
    pub key: SlotKey,
    /// How much is contracted now.
    pub energy: Energy,
    /// Where it stands.
    pub state: State,
    /// Its version, from 1.
    pub version: u32,
    /// Its outcome may still change without a correction.
    pub provisional: bool,
    /// Its newest outcome.
    pub outcome: Option<OutcomeRecord>,
    /// Index of its newest leaf in the ledger.
    pub newest_leaf: u64,
    /// Hash of that leaf.
    pub newest_hash: Digest,
    /// What platforms call it.
    pub name: RecordName,
    /// Buyer and seller.
    pub sides: [RowSide; 2],
}

impl ContractRow {
    /// What the meter of a side was allocated under this contract, once both sides are known.
    #[must_use]
    pub fn allocated(&self, side: Side) -> Option<Energy> {
        self.outcome.map(|outcome| match side {
            Side::Buy => outcome.buyer_allocated,
            Side::Sell => outcome.seller_allocated,
        })
    }

    /// A side of it.
    #[must_use]
    pub const fn side(&self, side: Side) -> &RowSide {
        let [buyer, seller] = &self.sides;
        match side {
            Side::Buy => buyer,
            Side::Sell => seller,
        }
    }

    /// Where a side stands, in the words of the ledger service. COMPLETED stands only as long as
    /// what was reported is what is allocated.
    #[must_use]
    pub fn status(&self, side: Side) -> SideStatus {
        if self.state.is_cancelled() {
            return SideStatus::CancelledPolicy;
        }
        match self.side(side).report {
            None => SideStatus::Pending,
            Some(SideReport { status: SideStatus::Completed, energy, .. })
                if energy != self.allocated(side) =>
            {
                SideStatus::Pending
            }
            Some(report) => report.status,
        }
    }
}

/// What a call auction came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuctionRow {
    /// Which slot.
    pub key: SlotKey,
    /// At which shard, and position of its journal.
    pub place: (ShardId, Seq),
    /// When it was held.
    pub at: Timestamp,
    /// The rule that decided.
    pub rule: PriceRule,
    /// The price, if anything crossed.
    pub price: Option<Price>,
    /// What was traded.
    pub volume: Energy,
    /// Demand minus supply at the price, in Wh.
    pub surplus_wh: i64,
    /// The reference price the rule was given.
    pub reference: Option<Price>,
}

/// A reader beside a pipeline that writes. It sees what is committed and changes nothing.
#[derive(Debug)]
pub struct Queries {
    connection: Connection,
}

impl Queries {
    /// Opens the database of a pipeline.
    ///
    /// # Errors
    /// When there is none of this version, or it refuses.
    pub fn open(store: &Store) -> Result<Self, SettlementError> {
        Ok(Self { connection: open_read_only(store)? })
    }

    pub(super) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The contract of this number.
    ///
    /// # Errors
    /// When the database refuses or a row cannot be.
    pub fn contract(&self, trade: TradeId) -> Result<Option<ContractRow>, SettlementError> {
        contract(&self.connection, trade)
    }

    /// Everything read until what is returned is dropped is of one state of the books.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn one_state(&self) -> Result<Transaction<'_>, SettlementError> {
        self.connection.read_one_state().doing("begin to read")
    }

    /// The contract that has this name.
    ///
    /// # Errors
    /// When the database refuses or a row cannot be.
    pub fn named(&self, name: &RecordName) -> Result<Option<ContractRow>, SettlementError> {
        match trade_named(&self.connection, name)? {
            None => Ok(None),
            Some(trade) => contract(&self.connection, trade),
        }
    }

    /// Contracts of items of this transaction.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn of_transaction(
        &self,
        transaction: &str,
        limit: u32,
    ) -> Result<Vec<TradeId>, SettlementError> {
        let doing = "look for a transaction";
        let mut select = self
            .connection
            .prepare_cached(
                "SELECT trade FROM service_names WHERE transaction_id = ?1 ORDER BY item_id LIMIT ?2",
            )
            .doing(doing)?;
        let rows = select.query_map(params![transaction, limit], |row| row.get(0)).doing(doing)?;
        trades(rows, doing)
    }

    /// Contracts above a number, in the order of their numbers.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn after(&self, after: u64, limit: u32) -> Result<Vec<TradeId>, SettlementError> {
        let doing = "list contracts";
        let mut select = self
            .connection
            .prepare_cached("SELECT trade FROM contracts WHERE trade > ?1 ORDER BY trade LIMIT ?2")
            .doing(doing)?;
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let rows = select.query_map(params![after, limit], |row| row.get(0)).doing(doing)?;
        trades(rows, doing)
    }

    /// Contracts with delivery that begins from one minute up to, not including, another; the latest
    /// first.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn delivered(
        &self,
        (from, to): (i64, i64),
        limit: u32,
    ) -> Result<Vec<TradeId>, SettlementError> {
        let doing = "list contracts of a period";
        let mut select = self
            .connection
            .prepare_cached(
                "SELECT trade FROM contracts WHERE start_minute >= ?1 AND start_minute < ?2
                 ORDER BY start_minute DESC, market DESC, minutes DESC, trade DESC LIMIT ?3",
            )
            .doing(doing)?;
        let rows = select.query_map(params![from, to, limit], |row| row.get(0)).doing(doing)?;
        trades(rows, doing)
    }

    /// Auctions of slots that begin from one minute up to, not including, another.
    ///
    /// # Errors
    /// When the database refuses or a row cannot be.
    pub fn auctions(
        &self,
        (from, to): (i64, i64),
        limit: u32,
    ) -> Result<Vec<AuctionRow>, SettlementError> {
        const DOING: &str = "list auctions";
        let mut select = self
            .connection
            .prepare_cached(
                "SELECT start_minute, market, minutes, shard, seq, at, rule, price, volume, surplus,
                 reference FROM auctions WHERE start_minute >= ?1 AND start_minute < ?2
                 ORDER BY start_minute, market, minutes, shard, seq LIMIT ?3",
            )
            .doing(DOING)?;
        let mut rows = select.query(params![from, to, limit]).doing(DOING)?;
        let mut auctions = Vec::new();
        while let Some(row) = rows.next().doing(DOING)? {
            auctions.push(read_auction(row).doing(DOING)??);
        }
        Ok(auctions)
    }
}

fn trades(
    rows: impl Iterator<Item = Result<i64, DatabaseError>>,
    doing: &'static str,
) -> Result<Vec<TradeId>, SettlementError> {
    rows.map(|row| Ok(TradeId::new(fit(row.doing(doing)?, "the number of a contract")?))).collect()
}

/// The contract that has a name: the one that a platform gave, or its number.
///
/// # Errors
/// When the database refuses.
pub fn trade_named(
    connection: &Connection,
    name: &RecordName,
) -> Result<Option<TradeId>, SettlementError> {
    let row: Option<i64> = connection
        .prepare_cached(
            "SELECT trade FROM service_names WHERE transaction_id = ?1 AND item_id = ?2",
        )
        .and_then(|mut select| {
            select.query_row(params![name.transaction, name.item], |row| row.get(0)).optional()
        })
        .doing("look for a record's name")?;
    match row {
        Some(trade) => Ok(Some(TradeId::new(fit(trade, "the number of a contract")?))),
        None => Ok(name.trade()),
    }
}

/// What a contract is called.
fn name_of(connection: &Connection, trade: TradeId) -> Result<RecordName, SettlementError> {
    let given: Option<(String, String)> = connection
        .prepare_cached("SELECT transaction_id, item_id FROM service_names WHERE trade = ?1")
        .and_then(|mut select| {
            let columns = |row: Row<'_>| Ok((row.get(0)?, row.get(1)?));
            select.query_row(params![signed(trade.get()).unwrap_or(-1)], columns).optional()
        })
        .doing("look for a record's name")?;
    Ok(given.map_or_else(
        || RecordName::of_trade(trade),
        |(transaction, item)| RecordName { transaction, item },
    ))
}

/// Whether platforms have named a contract.
///
/// # Errors
/// When the database refuses.
pub fn is_named(connection: &Connection, trade: TradeId) -> Result<bool, SettlementError> {
    Ok(name_of(connection, trade)? != RecordName::of_trade(trade))
}

/// Names a contract, for ever.
///
/// # Errors
/// When the database refuses.
pub fn put_name(
    connection: &Connection,
    name: &RecordName,
    trade: TradeId,
) -> Result<(), SettlementError> {
    connection
        .prepare_cached(
            "INSERT INTO service_names (transaction_id, item_id, trade) VALUES (?1, ?2, ?3)",
        )
        .and_then(|mut insert| {
            let number = signed(trade.get()).unwrap_or(-1);
            insert.execute(params![name.transaction, name.item, number])
        })
        .doing("name a contract")?;
    Ok(())
}

/// Whether a numbered request is known with another body. A new one is known from now on.
///
/// # Errors
/// When the database refuses.
pub fn contradicts(connection: &Connection, request: &Request) -> Result<bool, SettlementError> {
    let Some(reference) = &request.reference else { return Ok(false) };
    let RecordName { transaction, item } = &request.name;
    let (role, number) = (request.caller.role.code(), request.caller.number);
    let known: Option<Vec<u8>> = connection
        .prepare_cached(
            "SELECT digest FROM service_requests WHERE role = ?1 AND number = ?2
             AND transaction_id = ?3 AND item_id = ?4 AND reference = ?5",
        )
        .and_then(|mut select| {
            let key = params![role, number, transaction, item, reference];
            select.query_row(key, |row| row.get(0)).optional()
        })
        .doing("look for a request")?;
    if let Some(known) = known {
        return Ok(known != request.digest);
    }
    connection
        .prepare_cached(
            "INSERT INTO service_requests
             (role, number, transaction_id, item_id, reference, digest)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .and_then(|mut insert| {
            let digest = request.digest.as_slice();
            insert.execute(params![role, number, transaction, item, reference, digest])
        })
        .doing("write a request")?;
    Ok(false)
}

/// Keeps what a side's distribution company says now, in place of what it said before.
///
/// # Errors
/// When the database refuses.
pub fn put_report(
    connection: &Connection,
    (trade, side): (TradeId, Side),
    report: &SideReport,
    document: i64,
) -> Result<(), SettlementError> {
    let energy = report.energy.map(|energy| signed(energy.wh())).transpose()?;
    let (trade, status) = (signed(trade.get())?, report.status.code());
    let row = params![trade, side.code(), status, energy, report.created, document];
    connection
        .prepare_cached(
            "INSERT INTO service_reports (trade, side, status, energy, created, document)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (trade, side) DO UPDATE SET status = excluded.status,
             energy = excluded.energy, created = excluded.created, document = excluded.document",
        )
        .and_then(|mut put| put.execute(row))
        .doing("write a side's report")?;
    Ok(())
}

/// Keeps what an auction came to.
///
/// # Errors
/// When the database refuses.
pub fn put_auction(
    connection: &Connection,
    (shard, item): (ShardId, &FeedItem),
    result: &AuctionResult,
) -> Result<(), SettlementError> {
    let slot = result.key.slot;
    let row = params![
        slot.start_minute(),
        result.key.market.get(),
        slot.minutes(),
        shard.index(),
        signed(item.seq.get())?,
        item.time.ns(),
        result.rule.code(),
        result.price.map(Price::micros),
        signed(result.volume.wh())?,
        result.surplus_wh,
        result.reference.map(Price::micros)
    ];
    connection
        .prepare_cached(
            "INSERT INTO auctions (start_minute, market, minutes, shard, seq, at, rule, price,
             volume, surplus, reference) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
             ON CONFLICT DO NOTHING",
        )
        .and_then(|mut put| put.execute(row))
        .doing("write an auction")?;
    Ok(())
}

fn read_auction(row: Row<'_>) -> Result<Result<AuctionRow, SettlementError>, DatabaseError> {
    let (start, market, minutes): (u32, u16, u16) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let (shard, seq, rule): (u8, i64, u8) = (row.get(3)?, row.get(4)?, row.get(6)?);
    let (at, price, volume): (i64, Option<i64>, i64) = (row.get(5)?, row.get(7)?, row.get(8)?);
    let (surplus_wh, reference): (i64, Option<i64>) = (row.get(9)?, row.get(10)?);
    let read = || {
        let damaged = || SettlementError::Damaged("a row of an auction".to_owned());
        Ok(AuctionRow {
            key: SlotKey { market: MarketId::new(market), slot: slot(start, minutes)? },
            place: (ShardId::new(shard).ok_or_else(damaged)?, Seq::new(fit(seq, "a position")?)),
            at: Timestamp::from_ns(at),
            rule: PriceRule::from_code(rule).ok_or_else(damaged)?,
            price: price.map(Price::from_micros),
            volume: Energy::from_wh(fit(volume, "an energy")?),
            surplus_wh,
            reference: reference.map(Price::from_micros),
        })
    };
    Ok(read())
}

fn slot(start: u32, minutes: u16) -> Result<DeliverySlot, SettlementError> {
    DeliverySlot::new(start, minutes).map_err(|error| SettlementError::Damaged(error.to_string()))
}

/// The columns of a contract as they stand now, and its two leaves.
struct Columns {
    key: (u16, u32, u16),
    energy: i64,
    state: u8,
    version: u32,
    provisional: bool,
    newest_leaf: i64,
    own: Vec<u8>,
    newest: Vec<u8>,
}

/// A contract with everything that is told of it.
///
/// # Errors
/// When the database refuses or a row cannot be.
pub fn contract(
    connection: &Connection,
    trade: TradeId,
) -> Result<Option<ContractRow>, SettlementError> {
    let Ok(number) = signed(trade.get()) else { return Ok(None) };
    let columns: Option<Columns> = connection
        .prepare_cached(
            "SELECT c.market, c.start_minute, c.minutes, c.energy, c.state, c.version,
             c.provisional, c.newest_leaf, own.bytes, newest.bytes
             FROM contracts c JOIN leaves own ON own.leaf = c.leaf
             JOIN leaves newest ON newest.leaf = c.newest_leaf WHERE c.trade = ?1",
        )
        .and_then(|mut select| select.query_row(params![number], read_columns).optional())
        .doing("read a contract")?;
    let Some(columns) = columns else { return Ok(None) };
    let damaged = |what: &str| SettlementError::Damaged(format!("{what} of contract {trade}"));
    let captured = leaf::decode_contract(&columns.own).ok_or_else(|| damaged("the leaf"))?;
    let (market, start, minutes) = columns.key;
    let key = SlotKey { market: MarketId::new(market), slot: slot(start, minutes)? };
    let side = |side: Side, of: &ContractSide| {
        let (code, retailer) = meter(connection, of.meter)?.ok_or_else(|| damaged("a meter"))?;
        let server = server_at(connection, (of.meter, retailer), start)?;
        let report = report(connection, number, side)?;
        Ok::<_, SettlementError>(RowSide { code, server, report })
    };
    Ok(Some(ContractRow {
        sides: [side(Side::Buy, &captured.buy)?, side(Side::Sell, &captured.sell)?],
        contract: captured,
        key,
        energy: Energy::from_wh(fit(columns.energy, "an energy")?),
        state: State::from_code(columns.state).ok_or_else(|| damaged("the state"))?,
        version: columns.version,
        provisional: columns.provisional,
        outcome: leaf::decode_outcome(&columns.newest),
        newest_leaf: fit(columns.newest_leaf, "a leaf index")?,
        newest_hash: hash_leaf(&columns.newest),
        name: name_of(connection, trade)?,
    }))
}

fn read_columns(row: Row<'_>) -> Result<Columns, DatabaseError> {
    Ok(Columns {
        key: (row.get(0)?, row.get(1)?, row.get(2)?),
        energy: row.get(3)?,
        state: row.get(4)?,
        version: row.get(5)?,
        provisional: row.get(6)?,
        newest_leaf: row.get(7)?,
        own: row.get(8)?,
        newest: row.get(9)?,
    })
}

/// Name and retailer of a meter.
fn meter(
    connection: &Connection,
    meter: MeterId,
) -> Result<Option<(MeterCode, RetailerId)>, SettlementError> {
    let row: Option<(String, u16)> = connection
        .prepare_cached("SELECT code, retailer FROM meters WHERE meter = ?1")
        .and_then(|mut select| {
            select.query_row(params![meter.get()], |row| Ok((row.get(0)?, row.get(1)?))).optional()
        })
        .doing("look for a meter")?;
    row.map(|(code, retailer)| {
        let code = MeterCode::new(&code)
            .map_err(|_| SettlementError::Damaged(format!("the name of meter {meter}")))?;
        Ok((code, RetailerId::new(retailer)))
    })
    .transpose()
}

/// Who signs a meter's readings at a minute, as [`crate::registry::Registry::server_at`]: of each
/// moment the newest revision counts.
fn server_at(
    connection: &Connection,
    (meter, retailer): (MeterId, RetailerId),
    minute: u32,
) -> Result<Party, SettlementError> {
    const DOING: &str = "look for who serves a meter";
    let mut select = connection
        .prepare_cached(
            "SELECT from_minute, role, number FROM meter_points
             WHERE meter = ?1 AND from_minute <= ?2 ORDER BY from_minute DESC, revision DESC",
        )
        .doing(DOING)?;
    let mut rows = select.query(params![meter.get(), minute]).doing(DOING)?;
    let mut moment = None;
    while let Some(row) = rows.next().doing(DOING)? {
        let at: u32 = row.get(0).doing(DOING)?;
        if moment.replace(at) == Some(at) {
            continue;
        }
        if let Some(role) = Role::from_code(row.get(1).doing(DOING)?) {
            return Ok(Party { role, number: row.get(2).doing(DOING)? });
        }
    }
    Ok(Party { role: Role::Retailer, number: retailer.get() })
}

fn report(
    connection: &Connection,
    trade: i64,
    side: Side,
) -> Result<Option<SideReport>, SettlementError> {
    let row: Option<(u8, Option<i64>, i64)> = connection
        .prepare_cached(
            "SELECT status, energy, created FROM service_reports WHERE trade = ?1 AND side = ?2",
        )
        .and_then(|mut select| {
            let columns = |row: Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
            select.query_row(params![trade, side.code()], columns).optional()
        })
        .doing("look for a side's report")?;
    row.map(|(status, energy, created)| {
        let known = SideStatus::ALL.into_iter().find(|one| one.code() == status);
        let status = known
            .ok_or_else(|| SettlementError::Damaged(format!("a report of contract {trade}")))?;
        let energy = energy.map(|wh| fit(wh, "an energy").map(Energy::from_wh)).transpose()?;
        Ok(SideReport { status, energy, created })
    })
    .transpose()
}

/// Contracts of a meter whose slot has the whole of a span, that slot, and the side of the meter; in
/// the order of their numbers.
///
/// # Errors
/// When the database refuses or a row cannot be.
pub fn contracts_around(
    connection: &Connection,
    meter: MeterId,
    span: DeliverySlot,
) -> Result<Vec<(TradeId, Side, SlotKey)>, SettlementError> {
    const DOING: &str = "look for a meter's contracts";
    let start = span.start_minute();
    let end = start.saturating_add(u32::from(span.minutes()));
    let mut select = connection
        .prepare_cached(
            "SELECT c.trade, m.side, c.market, c.start_minute, c.minutes
             FROM meter_contracts m JOIN contracts c ON c.trade = m.trade
             WHERE m.meter = ?1 AND m.start_minute > ?2 AND m.start_minute <= ?3
             AND c.start_minute + c.minutes >= ?4 ORDER BY c.trade",
        )
        .doing(DOING)?;
    // No slot is longer than a day.
    let from = i64::from(start).saturating_sub(1_440);
    let mut rows = select.query(params![meter.get(), from, start, end]).doing(DOING)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().doing(DOING)? {
        let side: u8 = row.get(1).doing(DOING)?;
        let side = if side == Side::Buy.code() { Side::Buy } else { Side::Sell };
        let slot = slot(row.get(3).doing(DOING)?, row.get(4).doing(DOING)?)?;
        let key = SlotKey { market: MarketId::new(row.get(2).doing(DOING)?), slot };
        let trade: i64 = row.get(0).doing(DOING)?;
        found.push((TradeId::new(fit(trade, "the number of a contract")?), side, key));
    }
    Ok(found)
}
