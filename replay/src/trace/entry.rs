//! Stops 1 to 11: what a journal entry says about the order's way through the exchange.

use std::collections::BTreeMap;

use types::{
    AmendmentOffered, CancelReason, Command, ContractOffered, Event, MemberList, NewAggregateOrder,
    Origin, PlatformId, Request, Seq, Sequenced, TradeBusted, TradeSide,
};
use wire::{FeedItem, FeedMessage};

use super::{Moment, Row, Status, stops::stop};
use crate::evidence::{Frame, Keys, meters_own, verifies};
use crate::fields::{command_fields, command_name, event_fields, words};
use crate::members;

/// What signatures are checked with: keys, frames, and lists of members by the places of their orders.
pub(super) type Proofs<'a> = (&'a Keys, &'a [Frame], &'a BTreeMap<Seq, MemberList>);

/// The rows of one entry.
pub(super) fn rows(moment: &Moment, proofs: Proofs<'_>) -> Vec<Row> {
    let row = |number, status, text| Row {
        stop: stop(number),
        seq: moment.command.seq,
        trade: None,
        status,
        text,
    };
    let recorded = |number, text| row(number, Status::Recorded, text);
    let mut rows = Vec::new();
    let sender = moment.command.value.origin();
    if let Some(origin) = sender {
        let nothing = "the edge keeps nothing of what it lets pass".to_owned();
        rows.push(row(1, Status::NotRecorded, nothing.clone()));
        rows.push(recorded(2, words(command_fields(&moment.command).iter().skip(2))));
        rows.push(recorded(3, evidence(&moment.command, origin, proofs)));
        rows.push(row(4, Status::NotRecorded, nothing));
    }
    rows.push(recorded(5, source(&moment.command.value, sender).to_owned()));
    rows.push(recorded(6, format!("sequence {}, {}", moment.command.seq, moment.command.time)));
    let kind = command_name(&moment.command.value);
    rows.push(recorded(7, format!("{kind} caused {} events", moment.caused)));
    for (index, event) in &moment.events {
        let fields = event_fields(moment.command.seq, moment.command.time, *index, event);
        rows.push(recorded(8, words(fields.iter().skip(2))));
    }
    let place = moment.position;
    rows.push(recorded(9, format!("segment {}, byte {}", place.segment, place.offset)));
    rows.push(recorded(10, told(moment)));
    rows.push(recorded(11, fed(moment)));
    rows
}

const fn source(command: &Command, sender: Option<Origin>) -> &'static str {
    if sender.is_some() {
        return "taken from the ring";
    }
    if let Command::OpenSlot(_)
    | Command::FreezeSlot(_)
    | Command::UncrossSlot(_)
    | Command::CloseSlot(_)
    | Command::PassTime = command
    {
        "due by the timetable"
    } else {
        "entered by the operator"
    }
}

/// What proves that a request is its sender's: checked again here.
fn evidence(
    command: &Sequenced<Command>,
    origin: Origin,
    (keys, frames, lists): Proofs<'_>,
) -> String {
    let mut bytes = Vec::new();
    if let Command::NewAggregateOrder(new) = &command.value {
        return platforms_own(new, keys, lists.get(&command.seq));
    }
    if let Some((meter, signature)) = meters_own(&command.value, &mut bytes) {
        let Some((key, registered)) = keys.meter(meter) else {
            return format!("meter {meter} is not registered");
        };
        let says = says(verifies(key, &bytes, &signature));
        return format!(
            "the signature {says} under key {key} of meter {meter}, registered at {registered}"
        );
    }
    let Origin { platform, session } = origin;
    if !command.value.is_of_signed_frame() {
        return format!("session {session} of platform {platform}; needs no signature");
    }
    let Some(frame) = frames.iter().find(|frame| frame.orders.contains(&command.seq)) else {
        return "stands in no signed frame that is whole".to_owned();
    };
    let (Some((key, registered)), Some(verdict)) =
        (keys.platform(platform), frame.verify(keys, &mut bytes))
    else {
        return format!("platform {platform} is not registered");
    };
    format!(
        "the signature at {} over {} orders {} under key {key} of platform {platform}, registered at \
         {registered}",
        frame.seq,
        frame.signed.orders,
        says(verdict)
    )
}

/// What proves an aggregate order: its platform's signature, and the list of its members.
fn platforms_own(new: &NewAggregateOrder, keys: &Keys, list: Option<&MemberList>) -> String {
    let platform = new.origin.platform;
    let (Some((key, registered)), Some(verdict)) =
        (keys.platform(platform), keys.verify_aggregate(new, &mut Vec::new()))
    else {
        return format!("platform {platform} is not registered");
    };
    let members = match list {
        None => "no list of its members was taken".to_owned(),
        Some(list) if members::hash(list.members()) == new.order.list => {
            let pairs = list.members().iter().map(|m| format!("{}:{}", m.meter, m.wh()));
            let listed = pairs.collect::<Vec<_>>().join(" ");
            format!("{} members as it names them, in Wh: {listed}", list.count())
        }
        Some(_) => "other members than it names".to_owned(),
    };
    format!(
        "the signature {} under key {key} of platform {platform}, registered at {registered}; {members}",
        says(verdict)
    )
}

const fn says(verifies: bool) -> &'static str {
    if verifies { "verifies" } else { "does NOT verify" }
}

/// Who has a report of which events.
fn told(moment: &Moment) -> String {
    let reports: Vec<_> =
        moment.events.iter().flat_map(|(_, event)| reports(event)).flatten().collect();
    if reports.is_empty() { "no report".to_owned() } else { reports.join("; ") }
}

/// None, one, or one for each side of a trade.
fn reports(event: &Event) -> [Option<String>; 2] {
    let (platform, kind) = match event {
        Event::OrderAccepted(event) => (event.origin.platform, "new"),
        Event::OrderValidated(event) => (event.origin.platform, "validated"),
        Event::OrderRestated(event) => (event.origin.platform, "status"),
        Event::OrderReplaced(event) => (event.origin.platform, "replaced"),
        Event::OrderHibernated(event) => (event.origin.platform, "hibernated"),
        Event::OrderActivated(event) => (event.origin.platform, "activated"),
        Event::OrderCancelled(event) => {
            let expired = matches!(event.reason, CancelReason::GateClosed | CancelReason::Expired);
            (event.platform, if expired { "expired" } else { "cancelled" })
        }
        Event::OrderRejected(event) => (event.origin.platform, rejection(event.request)),
        Event::ContractOffered(offered) => {
            let ContractOffered { origin, invited, .. } = offered;
            return [contract("offered", origin.platform), contract("invitation", *invited)];
        }
        Event::ContractAgreed(agreed) => {
            return [agreed.offerer, agreed.origin.platform].map(|to| contract("agreed", to));
        }
        Event::AmendmentOffered(offered) => {
            let AmendmentOffered { origin, invited, .. } = offered;
            return [contract("offered", origin.platform), contract("invitation", *invited)];
        }
        Event::ContractAmended(amended) => {
            return [amended.offerer, amended.origin.platform].map(|to| contract("agreed", to));
        }
        Event::TradeBusted(busted) => {
            let TradeBusted { buyer_platform, seller_platform, .. } = busted;
            return [buyer_platform, seller_platform].map(|to| contract("busted", *to));
        }
        Event::ContractEnded(ended) => {
            return [ended.offerer, ended.invited].map(|to| contract(ended.state.name(), to));
        }
        Event::MembersListed(listed) => {
            let page = format!("page of members for platform {}", listed.origin.platform);
            return [Some(page), None];
        }
        Event::MemberRefused(refused) => {
            let refusal = format!("member refused for platform {}", refused.origin.platform);
            return [Some(refusal), None];
        }
        Event::ContractRestated(restated) => {
            return [contract(restated.state.name(), restated.origin.platform), None];
        }
        // Told as agreed.
        Event::Trade(trade) if trade.is_negotiated() => return [None, None],
        Event::Trade(trade) => return [fill(&trade.buy, "buy"), fill(&trade.sell, "sell")],
        Event::MarketDefined(_)
        | Event::PartyRegistered(_)
        | Event::MeterRegistered(_)
        | Event::ControlsSet(_)
        | Event::SlotPhaseChanged(_)
        | Event::SlotFrozen(_)
        | Event::CallExtended(_)
        | Event::AuctionUncrossed(_)
        | Event::MassCancelled(_)
        | Event::TradingChanged(_)
        | Event::CreditSet(_)
        | Event::CreditReleased(_)
        | Event::MeterDelegated(_)
        | Event::DelegationRevoked(_)
        | Event::PlaceNoted(_)
        | Event::GridLimitSet(_)
        | Event::GridRefused(_)
        | Event::Operated(_)
        | Event::CommandRejected(_) => return [None, None],
    };
    [Some(format!("`{kind}` for platform {platform}")), None]
}

fn contract(state: &str, platform: PlatformId) -> Option<String> {
    Some(format!("contract `{state}` for platform {platform}"))
}

fn fill(side: &TradeSide, word: &str) -> Option<String> {
    Some(format!("`trade` ({word}) for platform {}", side.platform))
}

const fn rejection(request: Request) -> &'static str {
    match request {
        Request::New => "rejected",
        Request::Cancel => "cancel rejected",
        Request::Replace => "replace rejected",
        Request::Reduce => "reduce rejected",
        Request::Hibernate => "hibernate rejected",
        Request::Activate => "activate rejected",
        Request::MassCancel => "mass cancel rejected",
        Request::Delegate => "delegation refused",
        Request::Revoke => "end of delegation refused",
        Request::Validate => "validate rejected",
        Request::Ask => "status rejected",
        Request::Offer => "offer refused",
        Request::Accept => "acceptance refused",
        Request::Decline => "decline refused",
        Request::Withdraw => "withdrawal refused",
        Request::ListMembers => "page of members refused",
    }
}

/// Which of the events the feed carries.
fn fed(moment: &Moment) -> String {
    let (seq, time) = (moment.command.seq, moment.command.time);
    let items: Vec<_> = moment
        .events
        .iter()
        .filter_map(|&(index, event)| {
            let index = u32::try_from(index).ok()?;
            let item = FeedItem { seq, time, index, event };
            FeedMessage::from_item(&item)
                .map(|_| format!("{} {seq}/{index}", crate::fields::event_name(&event)))
        })
        .collect();
    if items.is_empty() {
        "the feed carries none of these events".to_owned()
    } else {
        items.join("; ")
    }
}
