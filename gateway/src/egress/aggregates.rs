//! What is told of the members of aggregate orders: to the platform that lists them.

use types::{
    Command, Event, MemberRefused, MembersListed, MeterId, OrderRejected, PlatformId, Request, Seq,
    Timestamp,
};
use wire::{Outbound, outbound::MembersReport};

/// The message of an event about members; `None` of any other. The number of a refused page stands in its
/// command.
pub(super) fn report(
    seq: Seq,
    time: Timestamp,
    (command, event): (&Command, &Event),
) -> Option<(PlatformId, Outbound)> {
    let nobody = MeterId::new(0);
    let (origin, client_order, meter, page, members, reason) =
        if let Event::MembersListed(listed) = event {
            let MembersListed { origin, client_order, page, members } = *listed;
            (origin, client_order, nobody, page, members, 0)
        } else if let Event::MemberRefused(refused) = event {
            let MemberRefused { origin, client_order, meter } = *refused;
            (origin, client_order, meter, 0, 0, 0)
        } else if let Event::OrderRejected(rejected) = event
            && rejected.request == Request::ListMembers
        {
            let OrderRejected { origin, client_order, reason, .. } = *rejected;
            let page = if let Command::AggregateMembers(page) = command { page.page } else { 0 };
            (origin, client_order, nobody, page, 0, reason.code())
        } else {
            return None;
        };
    let report = MembersReport { seq, time, client_order, meter, page, members, reason };
    Some((origin.platform, Outbound::MembersReport(report)))
}
