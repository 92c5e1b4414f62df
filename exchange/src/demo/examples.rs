//! One line about one example of a thing that the day had, for people; without commas, for tables.

use settlement::Standing;
use types::{AmendmentTerms, GridLimitSet, Side, Timestamp};

use super::{play::Story, trader::Bundle};

/// Where the day had no such thing.
const NONE: &str = "none";

/// The first of some things, told.
fn first<T>(things: &[T], tell: impl Fn(&T) -> String) -> String {
    things.first().map_or_else(|| NONE.to_owned(), tell)
}

/// What somebody asked to change of a contract.
pub(super) fn change(changes: &[AmendmentTerms]) -> String {
    first(changes, |terms| {
        let AmendmentTerms { trade, version, quantity, new_quantity, .. } = terms;
        let start = terms.key.slot.start();
        let to = if terms.new_slot != terms.key.slot {
            format!("moved from {start} to {}", terms.new_slot.start())
        } else if new_quantity.is_zero() {
            format!("cancelled for {start}")
        } else {
            format!("{quantity} to {new_quantity} at {start}")
        };
        format!("trade {trade} version {version}: {to}")
    })
}

/// An order for a community: one that filled for more than one member, if there is one.
pub(super) fn bundle(bundles: &[Bundle]) -> String {
    let mut bundles = bundles.to_vec();
    bundles.sort_by_key(|bundle| bundle.fills < 2);
    first(&bundles, |bundle| {
        let Bundle { order, members, quantity, fills, filled, key, .. } = bundle;
        let way = if bundle.side == Side::Buy { "buy" } else { "sell" };
        let start = key.slot.start();
        format!(
            "order {order}: {members} members {way} {quantity} at {start}; {filled} in {fills} trades"
        )
    })
}

/// A limit of the grid: one that ended orders, if there is one.
pub(super) fn limit(limits: &[GridLimitSet]) -> String {
    let mut limits = limits.to_vec();
    limits.sort_by_key(|set| set.cancelled == 0);
    first(&limits, |set| {
        let GridLimitSet { limit, used, cancelled, .. } = set;
        let (zone, start) = (limit.place.zone, limit.slot.start());
        format!(
            "{zone} may inject {} at {start}: {cancelled} orders cancelled and {used} stands",
            limit.limit
        )
    })
}

/// Who did not pay, step by step, until an order of its was taken again.
pub(super) fn default(story: Option<&Story>, standings: &[Standing]) -> String {
    let Some(story) = story else { return NONE.to_owned() };
    let own = standings.iter().filter(|one| one.debtor == story.defaulter.meter);
    let mut steps: Vec<_> = own.flat_map(|one| &one.steps).collect();
    steps.sort_by_key(|(leaf, _)| leaf);
    let mut text = format!("meter/{}:", story.defaulter.meter);
    for (leaf, step) in steps {
        let minute = Timestamp::from_seconds(step.minute.saturating_mul(60)).to_string();
        let day = minute.get(..10).unwrap_or(&minute);
        let what = match step.level {
            1 => format!("warned for {}", cents(step.open)),
            2 => format!("fined {}", cents(step.fine)),
            _ => format!("suspended for {}", cents(step.open)),
        };
        text.push_str(&format!(" {day} {what} (leaf {leaf});"));
    }
    let (seq, reason) = story.refused;
    let (seller, taken) = (story.seller, story.taken);
    let (paid, compensated) = (cents(story.paid.minor()), cents(story.compensated.minor()));
    text.push_str(&format!(
        " order at {seq} {}; paid {paid} of it {compensated} to meter/{seller}; order at {taken} taken",
        reason.name()
    ));
    text
}

/// Minor units with the decimal point in its place.
fn cents(minor: i64) -> String {
    let units = minor.unsigned_abs();
    format!("{}.{:02}", units.div_euclid(100), units.rem_euclid(100))
}
