//! Events as text.

use types::{
    AmendmentOffered, AmendmentTerms, CancelReason, ContractAgreed, ContractAmended, ContractEnded,
    ContractOffered, ContractRestated, CreditRelease, DelegationRevoked, Energy, Event,
    GridLimitSet, GridRefused, MassCancelled, MembersListed, MeterDelegated, Money, OfferState,
    OrderMoved, OrderRestated, Phase, PlaceNoted, Price, Scope, Timestamp, TradeBusted, TradeSide,
    TradingControl,
};

/// One line for an event of a command of this time.
pub(super) fn event(event: &Event, now: Timestamp) -> String {
    match event {
        Event::MembersListed(listed) => members_listed(listed),
        Event::MemberRefused(refused) => format!("for {}:", meter_name(refused.meter.get())),
        Event::MeterDelegated(delegated) => delegation(delegated),
        Event::DelegationRevoked(revoked) => revocation(revoked),
        Event::ContractOffered(offered) => contract_offered(offered),
        Event::ContractAgreed(agreed) => contract_agreed(agreed),
        Event::AmendmentOffered(offered) => amendment_offered(offered),
        Event::ContractAmended(amended) => contract_amended(amended),
        Event::ContractEnded(ended) => contract_ended(ended),
        Event::ContractRestated(restated) => contract_restated(restated),
        Event::MarketDefined(market) => format!("market {} defined", market.market),
        Event::PartyRegistered(party) => format!("{} registered", party.party),
        Event::MeterRegistered(meter) => format!("meter {} registered", meter.meter),
        Event::ControlsSet(_) => "controls set".to_owned(),
        Event::SlotPhaseChanged(changed) => phase(changed.phase),
        Event::SlotFrozen(frozen) => format!("due {}", instant(Some(frozen.uncross_at), now)),
        Event::CallExtended(extended) => {
            format!("extended: {} is too far from {}", extended.price, extended.reference)
        }
        Event::AuctionUncrossed(result) => format!(
            "uncrossed {} {} surplus {} of {}{}",
            price(result.price),
            energy(result.volume),
            result.surplus_wh,
            result.candidates,
            if result.clamped { " clamped" } else { "" }
        ),
        Event::OrderAccepted(accepted) => format!("accepted #{}", accepted.order),
        Event::OrderValidated(validated) => format!("validated {}", validated.client_order),
        Event::OrderRestated(restated) => order_restated(restated),
        Event::OrderReplaced(replaced) => format!(
            "replaced #{} {} @ {}{}",
            replaced.order,
            energy(replaced.leaves),
            replaced.limit,
            if replaced.kept_place { " in place" } else { "" }
        ),
        Event::OrderCancelled(cancelled) => format!(
            "cancelled #{} {} {:?} {}",
            cancelled.order,
            energy(cancelled.leaves),
            cancelled.reason,
            cancelled.client_order
        ),
        Event::OrderHibernated(moved) => order_moved("hibernated", moved),
        Event::OrderActivated(moved) => order_moved("activated", moved),
        Event::MassCancelled(done) => mass_cancelled(done),
        Event::OrderRejected(rejected) => {
            format!("rejected {:?} {}", rejected.request, rejected.reason.name())
        }
        Event::Trade(trade) => format!(
            "trade {} {} {} @ {}{}",
            side(&trade.sell),
            side(&trade.buy),
            energy(trade.quantity),
            trade.price,
            trade.maker.map_or(String::new(), |maker| format!(" maker {}", maker.name()))
        ),
        Event::TradingChanged(control) => trading(*control),
        Event::CreditSet(set) => format!("platform {} may owe {}", set.platform, money(set.limit)),
        Event::CreditReleased(released) => credit_released(released),
        Event::PlaceNoted(noted) => place_noted(noted),
        Event::GridLimitSet(set) => grid_limit(set),
        Event::GridRefused(refused) => grid_refused(refused),
        Event::TradeBusted(busted) => trade_busted(busted),
        Event::Operated(operated) => super::operations::operated(operated),
        Event::CommandRejected(rejected) => format!("refused {}", rejected.reason.name()),
    }
}

/// Whether an order's last instant has passed.
pub(super) fn is_expiry(event: &Event) -> bool {
    matches!(event, Event::OrderCancelled(cancelled) if cancelled.reason == CancelReason::Expired)
        || matches!(event, Event::ContractEnded(ended) if ended.state == OfferState::Expired)
}

fn credit_released(released: &CreditRelease) -> String {
    format!("platform {} owes {} less", released.platform, money(released.amount))
}

fn place_noted(noted: &PlaceNoted) -> String {
    let PlaceNoted { note, cancelled, complete } = noted;
    let rest = if *complete { "" } else { ", more are left" };
    format!("place of {} noted, {cancelled} gone{rest}", meter_name(note.meter.get()))
}

fn grid_refused(refused: &GridRefused) -> String {
    format!("refused number {}: {}", refused.number, refused.reason.name())
}

fn grid_limit(set: &GridLimitSet) -> String {
    let GridLimitSet { limit, used, cancelled, complete } = set;
    let feeder = limit.place.feeder.map_or(String::new(), |feeder| format!("/{feeder}"));
    let rest = if *complete { "" } else { ", more are left" };
    format!(
        "limit {} of {}{feeder} {}: {}, has {}, above by {}, {cancelled} gone{rest}",
        limit.number,
        limit.place.zone,
        limit.side.name(),
        energy(limit.limit),
        energy(*used),
        energy(set.above()),
    )
}

fn order_moved(how: &str, moved: &OrderMoved) -> String {
    format!("{how} #{} {}", moved.order, energy(moved.leaves))
}

fn members_listed(listed: &MembersListed) -> String {
    format!("listed {} of {}", listed.members, listed.client_order)
}

fn mass_cancelled(done: &MassCancelled) -> String {
    let asked = done.origin.map_or("the operator".to_owned(), |origin| {
        format!("platform {} as {}", origin.platform, done.client_order)
    });
    let rest = if done.complete { "" } else { ", more are left" };
    format!("cancelled {} of {} for {asked}{rest}", done.cancelled, scope(done.scope))
}

pub(super) fn trading(control: TradingControl) -> String {
    format!("{} {}", scope(control.scope), control.state.name())
}

fn scope(scope: Scope) -> String {
    match scope {
        Scope::All => "everyone".to_owned(),
        Scope::Platform(platform) => format!("platform {platform}"),
        Scope::Retailer(retailer) => format!("retailer {retailer}"),
        Scope::Meter(meter) => format!("meter {}", meter_name(meter.get())),
        Scope::Session(session) => format!("session {session}"),
        Scope::Market(market) => format!("market {market}"),
    }
}

pub(super) fn phase(phase: Phase) -> String {
    format!("{phase:?}").to_lowercase()
}

pub(super) fn price(price: Option<Price>) -> String {
    price.map_or("none".to_owned(), |price| price.to_string())
}

pub(super) fn money(money: Money) -> String {
    let (sign, minor) = (if money.minor() < 0 { "-" } else { "" }, money.minor().unsigned_abs());
    format!("{sign}{}.{:02}", minor / 100, minor % 100)
}

fn order_restated(OrderRestated { order, filled, leaves, .. }: &OrderRestated) -> String {
    format!("restated #{order} filled {} leaves {}", energy(*filled), energy(*leaves))
}

fn contract_agreed(agreed: &ContractAgreed) -> String {
    let ContractAgreed { offer, trade, offered_as, client_order, .. } = agreed;
    format!("agreed %{offer} as trade {trade} ({offered_as} and {client_order})")
}

fn contract_ended(ContractEnded { offer, state, client_order, .. }: &ContractEnded) -> String {
    format!("ended %{offer} {} {client_order}", state.name())
}

fn contract_restated(restated: &ContractRestated) -> String {
    let ContractRestated { offer, state, trade, side, .. } = restated;
    format!("restated %{offer} {} trade {trade} to the {}", state.name(), side.name())
}

fn contract_offered(offered: &ContractOffered) -> String {
    let ContractOffered { offer, terms, offered_by, invited, .. } = offered;
    let [from, to] = [*offered_by, offered_by.opposite()].map(|side| terms.meter(side).get());
    let (from, to) = (meter_name(from), meter_name(to));
    let word = offered_by.name();
    let quantity = energy(terms.quantity);
    format!("offered %{offer} {from} to {to} of {invited}: {word} {quantity} @ {}", terms.price)
}

fn amendment_offered(offered: &AmendmentOffered) -> String {
    let AmendmentOffered { offer, terms, offered_by, invited, .. } = offered;
    let [from, to] = [*offered_by, offered_by.opposite()].map(|side| terms.meter(side).get());
    let (from, to) = (meter_name(from), meter_name(to));
    format!("offered %{offer} {from} to {to} of {invited}: {}", change(terms))
}

fn contract_amended(amended: &ContractAmended) -> String {
    let ContractAmended { offer, terms, offered_as, client_order, .. } = amended;
    let version = terms.new_version();
    format!(
        "amended %{offer} to version {version} ({offered_as} and {client_order}): {}",
        change(terms)
    )
}

fn trade_busted(busted: &TradeBusted) -> String {
    let TradeBusted { trade, version, price, buyer, seller, .. } = busted;
    let platforms = [busted.seller_platform, busted.buyer_platform];
    let [from, to] = [seller, buyer].map(|meter| meter_name(meter.get()));
    let [of, and] = platforms;
    let quantity = energy(busted.quantity);
    format!(
        "busted {trade} version {version}: {from} to {to} {quantity} @ {price} of {of} and {and}"
    )
}

/// What becomes of which trade.
fn change(terms: &AmendmentTerms) -> String {
    let moved = i64::from(terms.new_slot.start_minute()) - i64::from(terms.key.slot.start_minute());
    let moved = if moved == 0 { String::new() } else { format!(" moved {moved} min") };
    let (before, after) = (energy(terms.quantity), energy(terms.new_quantity));
    format!("trade {} {before} to {after}{moved}", terms.trade)
}

fn delegation(MeterDelegated { delegation, .. }: &MeterDelegated) -> String {
    format!("meter {} delegates to {}", delegation.meter, delegation.platform)
}

fn revocation(DelegationRevoked { meter, number, .. }: &DelegationRevoked) -> String {
    format!("meter {meter} delegates nothing up to {number}")
}

/// How long after `now`, in seconds or in nanoseconds.
pub(super) fn instant(at: Option<Timestamp>, now: Timestamp) -> String {
    let Some(at) = at else { return "none".to_owned() };
    let ns = i128::from(at.ns()) - i128::from(now.ns());
    if ns % 1_000_000_000 == 0 {
        format!("now+{}s", ns / 1_000_000_000)
    } else {
        format!("now+{ns}")
    }
}

pub(super) fn energy(energy: Energy) -> String {
    let text = format!("{}.{:03}", energy.wh() / 1_000, energy.wh() % 1_000);
    format!("{}kWh", text.trim_end_matches('0').trim_end_matches('.'))
}

/// `S1#4` is the fourth order, of meter S1.
fn side(side: &TradeSide) -> String {
    format!("{}#{}", meter_name(side.meter.get()), side.order)
}

fn meter_name(meter: u32) -> String {
    format!("{}{}", if meter % 2 == 1 { "S" } else { "B" }, meter.div_ceil(2))
}
