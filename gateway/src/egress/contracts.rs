//! What is told of contracts, and of trades that are undone: to the platforms of both sides.

use types::{
    AmendmentOffered, ClientOrderId, Command, ContractAgreed, ContractAmended, ContractEnded,
    ContractOffered, ContractRestated, Event, OfferId, OfferState, OfferTerms, OpenOffer,
    OrderRejected, PlatformId, Request, Seq, Side, Signature, Timestamp, TradeId,
};
use wire::{
    Outbound,
    outbound::{AmendmentInvitation, ContractInvitation, ContractReport, ContractState},
};

/// The messages of an event about a contract; `None` of any other. The signature of an offer stands in
/// its command.
pub(super) fn reports(
    seq: Seq,
    time: Timestamp,
    (command, event): (&Command, &Event),
) -> Option<[Option<(PlatformId, Outbound)>; 2]> {
    let blank = blank(seq, time);
    let at = (seq, time);
    if let Event::ContractOffered(offered) = event {
        let ContractOffered { origin, client_order, offer, terms, offered_by, invited } = *offered;
        let own = ContractReport { client_order, offer, side: Some(offered_by), ..blank };
        let terms = OfferTerms::Contract(terms);
        let invitation = invited_to(command, at, (offer, invited), (terms, offered_by));
        return Some([Some(told(origin.platform, own)), invitation]);
    }
    if let Event::AmendmentOffered(offered) = event {
        let AmendmentOffered { origin, client_order, offer, terms, offered_by, invited } = *offered;
        let own = ContractReport { client_order, offer, side: Some(offered_by), ..blank };
        let terms = OfferTerms::Amendment(terms);
        let invitation = invited_to(command, at, (offer, invited), (terms, offered_by));
        return Some([Some(told(origin.platform, own)), invitation]);
    }
    if let Event::ContractAgreed(agreed) = event {
        let ContractAgreed { origin, client_order, offer, trade, .. } = *agreed;
        let both = ContractReport { offer, trade, ..blank };
        let offerer = (agreed.offerer, agreed.offered_as, agreed.offered_by);
        return Some(agreement(both, offerer, (origin.platform, client_order)));
    }
    if let Event::ContractAmended(amended) = event {
        let ContractAmended { origin, client_order, offer, terms, .. } = *amended;
        let both = ContractReport { offer, trade: terms.trade, ..blank };
        let offerer = (amended.offerer, amended.offered_as, amended.offered_by);
        return Some(agreement(both, offerer, (origin.platform, client_order)));
    }
    if let Event::ContractEnded(ended) = event {
        return Some(end(blank, ended));
    }
    if let Event::TradeBusted(busted) = event {
        let both = ContractReport { trade: busted.trade, state: ContractState::Busted, ..blank };
        let of = |platform, side| told(platform, ContractReport { side: Some(side), ..both });
        return Some([
            Some(of(busted.buyer_platform, Side::Buy)),
            Some(of(busted.seller_platform, Side::Sell)),
        ]);
    }
    if let Event::ContractRestated(restated) = event {
        let ContractRestated { origin, client_order, offer, state, trade, side } = *restated;
        let (state, side) = (state.into(), Some(side));
        let report = ContractReport { client_order, offer, trade, state, side, ..blank };
        return Some([Some(told(origin.platform, report)), None]);
    }
    if let Event::OrderRejected(rejected) = event {
        let OrderRejected { origin, client_order, request, reason } = *rejected;
        let (state, reason) = (refused_state(request)?, reason.code());
        let report = ContractReport { client_order, state, reason, ..blank };
        return Some([Some(told(origin.platform, report)), None]);
    }
    None
}

/// What a platform is told of an offer that is open as of a position: that it stands, or what it is
/// invited to; both where both meters are its own.
pub fn open_offer(
    platform: PlatformId,
    (seq, time): (Seq, Timestamp),
    open: &OpenOffer,
) -> impl Iterator<Item = Outbound> + use<> {
    let (offer, offered_by) = (open.offer, open.offered_by);
    let own = ContractReport {
        client_order: open.offered_as,
        offer,
        side: Some(offered_by),
        ..blank(seq, time)
    };
    let invitation = invite((seq, time), offer, (open.terms, open.signature, offered_by));
    let own = (open.offerer == platform).then_some(Outbound::ContractReport(own));
    own.into_iter().chain((open.invited == platform).then_some(invitation))
}

const fn blank(seq: Seq, time: Timestamp) -> ContractReport {
    ContractReport {
        seq,
        time,
        client_order: ClientOrderId::new(0),
        offer: OfferId::new(0),
        trade: TradeId::new(0),
        reason: 0,
        state: ContractState::Open,
        side: None,
    }
}

const fn told(platform: PlatformId, report: ContractReport) -> (PlatformId, Outbound) {
    (platform, Outbound::ContractReport(report))
}

/// The invitation to an offer, whose signature stands in its command.
fn invited_to(
    command: &Command,
    at: (Seq, Timestamp),
    (offer, invited): (OfferId, PlatformId),
    (terms, offered_by): (OfferTerms, Side),
) -> Option<(PlatformId, Outbound)> {
    let signature = command.offer_signature()?;
    Some((invited, invite(at, offer, (terms, *signature, offered_by))))
}

const fn invite(
    (seq, time): (Seq, Timestamp),
    offer: OfferId,
    (terms, signature, offered_by): (OfferTerms, Signature, Side),
) -> Outbound {
    match terms {
        OfferTerms::Contract(terms) => {
            let invitation = ContractInvitation { seq, time, offer, terms, signature, offered_by };
            Outbound::ContractInvitation(invitation)
        }
        OfferTerms::Amendment(terms) => {
            let invitation = AmendmentInvitation { seq, time, offer, terms, signature, offered_by };
            Outbound::AmendmentInvitation(invitation)
        }
    }
}

/// What both sides are told of an offer that they agree on.
const fn agreement(
    both: ContractReport,
    (offerer, offered_as, offered_by): (PlatformId, ClientOrderId, Side),
    (other, accepted_as): (PlatformId, ClientOrderId),
) -> [Option<(PlatformId, Outbound)>; 2] {
    let both = ContractReport { state: ContractState::Agreed, ..both };
    let own = ContractReport { client_order: offered_as, side: Some(offered_by), ..both };
    let side = Some(offered_by.opposite());
    let others = ContractReport { client_order: accepted_as, side, ..both };
    [Some(told(offerer, own)), Some(told(other, others))]
}

/// The end of an offer. Who asked for it gets the number of that request.
fn end(blank: ContractReport, ended: &ContractEnded) -> [Option<(PlatformId, Outbound)>; 2] {
    let both = ContractReport { offer: ended.offer, state: ended.state.into(), ..blank };
    let nobody = ClientOrderId::new(0);
    let (offerers, others) = match ended.state {
        OfferState::Withdrawn => (ended.client_order, nobody),
        OfferState::Declined => (ended.offered_as, ended.client_order),
        OfferState::Open
        | OfferState::Agreed
        | OfferState::Expired
        | OfferState::GateClosed
        | OfferState::Killed => (ended.offered_as, nobody),
    };
    let side = Some(ended.offered_by);
    let offerer = ContractReport { client_order: offerers, side, ..both };
    let side = Some(ended.offered_by.opposite());
    let other = ContractReport { client_order: others, side, ..both };
    [Some(told(ended.offerer, offerer)), Some(told(ended.invited, other))]
}

/// How the refusal of a request about a contract is told.
const fn refused_state(request: Request) -> Option<ContractState> {
    match request {
        Request::Offer => Some(ContractState::OfferRefused),
        Request::Accept => Some(ContractState::AcceptRefused),
        Request::Decline => Some(ContractState::DeclineRefused),
        Request::Withdraw => Some(ContractState::WithdrawRefused),
        Request::New
        | Request::Cancel
        | Request::Replace
        | Request::Reduce
        | Request::Hibernate
        | Request::Activate
        | Request::MassCancel
        | Request::Delegate
        | Request::Revoke
        | Request::Validate
        | Request::Ask
        | Request::ListMembers => None,
    }
}
