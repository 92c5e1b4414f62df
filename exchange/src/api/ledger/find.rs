//! `/ledger/get`: which records, in which order, how many.

use settlement::store::queries::{ContractRow, Queries};
use types::{Party, Side, Timestamp, TradeId};

use super::{
    Desk, GetRequest, GetResponse, Problem, Sight, code, instant, party, platform,
    shapes::{SortBy, SortOrder},
    shown, told,
};
use settlement::service::RecordName;

/// Contracts that one question looks at: 20,000 × 30 µs is more than half a second of a thread. Who
/// names a record, a transaction or a window of delivery looks at its contracts only.
const CANDIDATES_MAX: u32 = 20_000;
/// Records of an answer, if it is not said how many.
const LIMIT_DEFAULT: u32 = 50;
/// Most records of an answer.
const LIMIT_MAX: u32 = 500;
/// Contracts of one transaction.
const ITEMS_MAX: u32 = 1_000;

/// A window of time: from the first up to, not including, the second.
#[derive(Debug, Clone, Copy)]
struct Window {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

impl Window {
    fn read(
        fields: (&'static str, &'static str),
        from: Option<&String>,
        to: Option<&String>,
    ) -> Result<Self, Problem> {
        let read = |field, text: Option<&String>| text.map(|text| instant(field, text)).transpose();
        Ok(Self { from: read(fields.0, from)?, to: read(fields.1, to)? })
    }

    fn has(self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| at >= from) && self.to.is_none_or(|to| at < to)
    }
}

struct Windows {
    created: Window,
    traded: Window,
    start: Window,
    end: Window,
}

impl Windows {
    fn of(wanted: &GetRequest) -> Result<Self, Problem> {
        let GetRequest {
            creation_time_from, creation_time_to, trade_time_from, trade_time_to, ..
        } = wanted;
        Ok(Self {
            created: Window::read(
                ("creationTimeFrom", "creationTimeTo"),
                creation_time_from.as_ref(),
                creation_time_to.as_ref(),
            )?,
            traded: Window::read(
                ("tradeTimeFrom", "tradeTimeTo"),
                trade_time_from.as_ref(),
                trade_time_to.as_ref(),
            )?,
            start: Window::read(
                ("deliveryStartTimeFrom", "deliveryStartTimeTo"),
                wanted.delivery_start_time_from.as_ref(),
                wanted.delivery_start_time_to.as_ref(),
            )?,
            end: Window::read(
                ("deliveryEndTimeFrom", "deliveryEndTimeTo"),
                wanted.delivery_end_time_from.as_ref(),
                wanted.delivery_end_time_to.as_ref(),
            )?,
        })
    }

    fn have(&self, row: &ContractRow) -> bool {
        self.created.has(row.contract.traded)
            && self.traded.has(row.contract.traded)
            && self.start.has(row.key.slot.start())
            && self.end.has(row.key.slot.end())
    }

    /// Minutes in which delivery begins. A slot is a day long at most, so its end says something too.
    fn minutes(&self) -> (i64, i64) {
        const MINUTE_NS: i64 = 60_000_000_000;
        const DAY: i64 = 1_440;
        let minute = |at: Timestamp| at.ns().div_euclid(MINUTE_NS);
        let from =
            [self.start.from.map(minute), self.end.from.map(|at| minute(at).saturating_sub(DAY))];
        // A slot that begins within the last minute begins before its end.
        let to = [self.start.to, self.end.to].map(|at| at.map(|at| minute(at).saturating_add(1)));
        let from = from.into_iter().flatten().max().unwrap_or(i64::MIN);
        (from, to.into_iter().flatten().min().unwrap_or(i64::MAX))
    }
}

/// Records that fit, of those that the caller sees.
pub(super) fn records(
    desk: &Desk,
    caller: Party,
    wanted: &GetRequest,
) -> Result<GetResponse, Problem> {
    let limit = wanted.limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Problem::bad_value("limit", limit.to_string(), "1 to 500"));
    }
    let offset = wanted.offset.unwrap_or(0);
    if offset > CANDIDATES_MAX {
        return Err(Problem::bad_value("offset", offset.to_string(), "0 to 20000"));
    }
    let windows = Windows::of(wanted)?;
    let fits = filter(wanted, &windows)?;
    let mut found: Vec<(ContractRow, Sight)> = Vec::new();
    let queries = desk.queries();
    let state = queries.one_state().map_err(|error| Problem::from(&error))?;
    for trade in candidates(&queries, wanted, &windows)? {
        let row = queries.contract(trade).map_err(|error| Problem::from(&error))?;
        let seen = row.and_then(|row| Sight::of(caller, &row).map(|sight| (row, sight)));
        found.extend(seen.filter(|(row, sight)| fits(row, *sight)));
    }
    drop(state);
    drop(queries);
    sort(&mut found, wanted);
    let count = u32::try_from(found.len()).unwrap_or(u32::MAX);
    let skip = usize::try_from(offset).unwrap_or(usize::MAX);
    let page = found.iter().skip(skip).take(usize::try_from(limit).unwrap_or(usize::MAX));
    let currency = desk.shared.currency.code();
    let records = page.map(|(row, sight)| shown(row, *sight, currency)).collect();
    Ok(GetResponse { records, count })
}

fn candidates(
    queries: &Queries,
    wanted: &GetRequest,
    windows: &Windows,
) -> Result<Vec<TradeId>, Problem> {
    let refused = |error| Problem::from(&error);
    if let Some(text) = &wanted.record_id {
        let number = text.parse().ok().map(TradeId::new);
        return Ok(number.filter(|trade| trade.to_string() == *text).into_iter().collect());
    }
    match (&wanted.transaction_id, &wanted.order_item_id) {
        (Some(transaction), Some(item)) => {
            let name = RecordName { transaction: transaction.clone(), item: item.clone() };
            let named = queries.named(&name).map_err(refused)?;
            return Ok(named.map(|row| row.contract.id).into_iter().collect());
        }
        (Some(transaction), None) => {
            let mut trades = queries.of_transaction(transaction, ITEMS_MAX).map_err(refused)?;
            let own = transaction.parse().ok().map(TradeId::new);
            trades.extend(own.filter(|trade| trade.to_string() == *transaction));
            return Ok(trades);
        }
        (None, _) => {}
    }
    let one_more = CANDIDATES_MAX.saturating_add(1);
    let trades = queries.delivered(windows.minutes(), one_more).map_err(refused)?;
    if u32::try_from(trades.len()).is_ok_and(|count| count <= CANDIDATES_MAX) {
        Ok(trades)
    } else {
        Err(Problem::too_wide(CANDIDATES_MAX))
    }
}

/// What is compared besides. A caller cannot find out by a filter what is masked in the answer.
fn filter(
    wanted: &GetRequest,
    windows: &Windows,
) -> Result<impl Fn(&ContractRow, Sight) -> bool, Problem> {
    let platforms = super::each(
        [
            ("platformIdBuyer", &wanted.platform_id_buyer),
            ("platformIdSeller", &wanted.platform_id_seller),
        ],
        |field, text: &String| platform(field, text),
    )?;
    let servers = super::each(
        [("discomIdBuyer", &wanted.discom_id_buyer), ("discomIdSeller", &wanted.discom_id_seller)],
        |field, text: &String| party(field, text),
    )?;
    let meters = super::each(
        [("buyerId", &wanted.buyer_id), ("sellerId", &wanted.seller_id)],
        |field, text: &String| code(field, text),
    )?;
    let statuses = [wanted.status_buyer_discom, wanted.status_seller_discom];
    let (transaction, item) = (wanted.transaction_id.clone(), wanted.order_item_id.clone());
    Ok(move |row: &ContractRow, sight: Sight| {
        let [bought_by, sold_by] = platforms;
        let [buyer, seller] = meters;
        let [buyer_server, seller_server] = servers;
        let [buyer_status, seller_status] = statuses;
        let [buy, sell] = &row.sides;
        windows.have(row)
            && transaction.as_ref().is_none_or(|text| *text == row.name.transaction)
            && item.as_ref().is_none_or(|text| *text == row.name.item)
            && bought_by.is_none_or(|platform| platform == row.contract.buy.platform)
            && sold_by.is_none_or(|platform| platform == row.contract.sell.platform)
            && buyer_server.is_none_or(|server| server == buy.server)
            && seller_server.is_none_or(|server| server == sell.server)
            && buyer.is_none_or(|code| sight.buyer && code == buy.code)
            && seller.is_none_or(|code| sight.seller && code == sell.code)
            && buyer_status.is_none_or(|status| status == told(row.status(Side::Buy)))
            && seller_status.is_none_or(|status| status == told(row.status(Side::Sell)))
    })
}

fn sort(found: &mut [(ContractRow, Sight)], wanted: &GetRequest) {
    let by = wanted.sort.unwrap_or(SortBy::CreationTime);
    let key = |(row, _): &(ContractRow, Sight)| {
        let at = match by {
            SortBy::CreationTime | SortBy::TradeTime => row.contract.traded,
            SortBy::DeliveryStartTime => row.key.slot.start(),
            SortBy::DeliveryEndTime => row.key.slot.end(),
        };
        (at, row.contract.id)
    };
    match wanted.sort_order.unwrap_or(SortOrder::Desc) {
        SortOrder::Asc => found.sort_by_key(key),
        SortOrder::Desc => found.sort_by_key(|one| std::cmp::Reverse(key(one))),
    }
}
