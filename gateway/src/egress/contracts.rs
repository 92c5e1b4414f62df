//! What is told of contracts: to the platforms of both sides.

use types::{
    ClientOrderId, Command, ContractAgreed, ContractEnded, ContractOffered, ContractRestated,
    ContractTerms, Event, OfferId, OfferState, OpenOffer, OrderRejected, PlatformId, Request, Seq,
    Side, Signature, Timestamp, TradeId,
};
use wire::{
    Outbound,
    outbound::{ContractInvitation, ContractReport, ContractState},
};

/// The messages of an event about a contract; `None` of any other. The signature of an offer stands in
/// its command.
pub(super) fn reports(
    seq: Seq,
    time: Timestamp,
    (command, event): (&Command, &Event),
) -> Option<[Option<(PlatformId, Outbound)>; 2]> {
    let blank = blank(seq, time);
    if let Event::ContractOffered(offered) = event {
        let ContractOffered { origin, client_order, offer, terms, offered_by, invited } = *offered;
        let own = ContractReport { client_order, offer, side: Some(offered_by), ..blank };
        let invitation = command.offer_signature().map(|signature| {
            (invited, invite((seq, time), offer, (terms, *signature, offered_by)))
        });
        return Some([Some(told(origin.platform, own)), invitation]);
    }
    if let Event::ContractAgreed(agreed) = event {
        let ContractAgreed { origin, client_order, offer, trade, .. } = *agreed;
        let both = ContractReport { offer, trade, state: ContractState::Agreed, ..blank };
        let (offered_as, side) = (agreed.offered_as, Some(agreed.offered_by));
        let offerer = ContractReport { client_order: offered_as, side, ..both };
        let side = Some(agreed.offered_by.opposite());
        let other = ContractReport { client_order, side, ..both };
        return Some([Some(told(agreed.offerer, offerer)), Some(told(origin.platform, other))]);
    }
    if let Event::ContractEnded(ended) = event {
        return Some(end(blank, ended));
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

const fn invite(
    (seq, time): (Seq, Timestamp),
    offer: OfferId,
    (terms, signature, offered_by): (ContractTerms, Signature, Side),
) -> Outbound {
    let invitation = ContractInvitation { seq, time, offer, terms, signature, offered_by };
    Outbound::ContractInvitation(invitation)
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
