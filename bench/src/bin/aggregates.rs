//! `aggregates`: an order for many meters in the engine: its list, its admission, a fill that is shared
//! among all of its members, and the meeting of two.
//!
//! No signatures, no journal, no network: what is timed is `Engine::apply`, with the events written.

use std::{io::Write as _, time::Instant};

use bench::{
    Failure,
    report::{CommonOptions, Report},
};
use clap::Parser;
use engine::digest_of;
use replay::stage::{ORIGIN, Setup, Stage, key, order};
use serde::Serialize;
use types::{
    AggregateOrder, ClientOrderId, Command, DelegateMeter, Delegation, Energy, Event, KeyId,
    MarketId, Member, MembersPage, MeterId, NewAggregateOrder, Price, SelfTradeAction, Side, Sides,
    Signature, TimeInForce, Timestamp, members_listing,
};

/// What each member sells, and buys, in Wh: so that the parts of two orders end at different places.
const SOLD_WH: u32 = 100;
const BOUGHT_WH: u32 = 73;
/// Every order has this price.
const PRICE: Price = Price::from_micros(500);

/// Listing, admission and fills of an order for many meters
#[derive(Debug, Parser, Serialize)]
struct Options {
    /// Members of an order
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    members: u32,
    /// Rounds, each in a book of its own
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=500))]
    rounds: u32,
    #[command(flatten)]
    #[serde(skip)]
    common: CommonOptions,
}

/// Microseconds, the fastest and the slowest round.
#[derive(Debug, Serialize)]
struct Time {
    fastest_us: u128,
    slowest_us: u128,
}

#[derive(Debug, Serialize)]
struct Figures {
    pages: u32,
    list: Time,
    admission: Time,
    fill: Time,
    fill_events: usize,
    two_meet: Time,
    two_meet_events: usize,
}

/// What a step took, in nanoseconds, and how many events it caused.
#[derive(Debug, Clone, Copy, Default)]
struct Step {
    ns: u128,
    events: usize,
}

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let report = Report::begin("aggregates", &options.common);
    let setup = Setup {
        price_max: 1_000,
        books: options.rounds,
        meters: 2 * options.members + 1,
        orders_max: 1 << 20,
        self_trade: SelfTradeAction::CancelTaker,
    };
    let mut stage = Stage::new(&setup);
    for meter in 1..=2 * options.members {
        stage.tell(Command::DelegateMeter(delegation(meter)));
    }
    let rounds: Vec<[Step; 4]> =
        (0..options.rounds).map(|book| round(&mut stage, book, options.members)).collect();
    let time = |of: fn(&[Step; 4]) -> Step| Time {
        fastest_us: rounds.iter().map(|round| of(round).ns).min().unwrap_or(0) / 1_000,
        slowest_us: rounds.iter().map(|round| of(round).ns).max().unwrap_or(0) / 1_000,
    };
    let events = |of: fn(&[Step; 4]) -> Step| rounds.first().map_or(0, |round| of(round).events);
    let figures = Figures {
        pages: options.members.div_ceil(16),
        list: time(|[list, ..]| *list),
        admission: time(|[_, admission, ..]| *admission),
        fill: time(|[_, _, fill, _]| *fill),
        fill_events: events(|[_, _, fill, _]| *fill),
        two_meet: time(|[.., meet]| *meet),
        two_meet_events: events(|[.., meet]| *meet),
    };
    let digest = stage.engine.digest().to_string();
    let text = report.finish(&options, &figures, &digest)?;
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// Lists, enters, and fills half of an order with one order of one meter; then the rest of it with the order
/// of as many others.
fn round(stage: &mut Stage, book: u32, count: u32) -> [Step; 4] {
    let number = u64::from(book) * 3 + 1;
    let sellers = (1..=count).map(|meter| Member::new(MeterId::new(meter), SOLD_WH));
    let (pages, sell) = aggregate(book, number, Side::Sell, &sellers.collect::<Vec<_>>());
    let list =
        pages.into_iter().map(|page| timed(stage, page)).fold(Step::default(), |sum, one| Step {
            ns: sum.ns.saturating_add(one.ns),
            events: sum.events.saturating_add(one.events),
        });
    let admission = timed(stage, sell);
    let mut one = order(number + 1, 2 * count + 1, key(book), Side::Buy);
    one.order.limit = PRICE;
    one.order.quantity = Energy::from_wh(u64::from(count / 2) * u64::from(SOLD_WH));
    let fill = timed(stage, Command::NewOrder(one));
    let buyers = (count + 1..=2 * count).map(|meter| Member::new(MeterId::new(meter), BOUGHT_WH));
    let (pages, buy) = aggregate(book, number + 2, Side::Buy, &buyers.collect::<Vec<_>>());
    for page in pages {
        stage.tell(page);
    }
    [list, admission, fill, timed(stage, buy)]
}

fn timed(stage: &mut Stage, command: Command) -> Step {
    let sequenced = stage.stamp(command);
    let mut events: Vec<Event> = Vec::with_capacity(32_768);
    let started = Instant::now();
    stage.engine.apply(&sequenced, &mut events);
    Step { ns: started.elapsed().as_nanos(), events: events.len() }
}

fn aggregate(book: u32, number: u64, side: Side, members: &[Member]) -> (Vec<Command>, Command) {
    let client_order = ClientOrderId::new(number);
    let pages = MembersPage::of(ORIGIN, client_order, members).map(Command::AggregateMembers);
    let order = AggregateOrder {
        client_order,
        key: key(book),
        side,
        time_in_force: TimeInForce::UntilGate,
        limit: PRICE,
        quantity: Energy::from_wh(members.iter().map(|member| u64::from(member.wh())).sum()),
        valid_until: Timestamp::from_ns(i64::MAX),
        members: u16::try_from(members.len()).unwrap_or(u16::MAX),
        list: digest_of(&members_listing(members)),
    };
    let signature = Signature::new([0; 64]);
    let order = NewAggregateOrder { origin: ORIGIN, order, signature };
    (pages.collect(), Command::NewAggregateOrder(order))
}

fn delegation(meter: u32) -> DelegateMeter {
    DelegateMeter {
        origin: ORIGIN,
        client_order: ClientOrderId::new(0),
        delegation: Delegation {
            number: 1,
            meter: MeterId::new(meter),
            platform: ORIGIN.platform,
            market: MarketId::new(0),
            sides: Sides::Both,
            quantity_max: Energy::ZERO,
            buy_limit: Delegation::ANY_BUY,
            sell_limit: Delegation::ANY_SELL,
            valid_from: Timestamp::from_ns(i64::MIN),
            valid_until: Timestamp::from_ns(i64::MAX),
            key: KeyId::new(0),
        },
        signature: Signature::new([0; 64]),
    }
}
