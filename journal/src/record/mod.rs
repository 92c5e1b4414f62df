//! Records: one for a command, then one for each event it caused.
//!
//! A record is an 8-byte head (kind, zero, length of what follows, count) and one archived layout;
//! a command's layout is preceded by its time. Heads and layouts are multiples of 8 bytes, so that
//! every record is aligned where it lies.

mod convert;
mod layout;
mod layouts;
mod operator_layout;

use rkyv::{
    Archive, Archived, Portable, api::low::LowValidator, bytecheck::CheckBytes, rancor::Failure,
};
use types::{Command, Event, Seq, Sequenced, Timestamp};

use crate::{Entry, format::Fields};
use layout::LAYOUT_BYTES_MAX;
use layouts::Layout;

/// Kind 1, zero 1, length 2, count 4.
const HEAD_BYTES: usize = 8;
/// The time of a command, between head and layout.
const TIME_BYTES: usize = 8;

/// A value of the exchange with its layout in a record.
trait Stored: Sized {
    /// The layout: written where it stays, checked where it lies.
    type Layout: Layout
        + Archive<Archived: Portable + for<'a> CheckBytes<LowValidator<'a, Failure>>>;

    /// The value as it is stored.
    fn layout(&self) -> Self::Layout;

    /// The value that was stored, or `None` when a code has no meaning.
    fn restore(layout: &Archived<Self::Layout>) -> Option<Self>;
}

/// Declares the kinds once: code, variant, and the type whose layout it has; then those without one.
macro_rules! kinds {
    (
        $family:ident, $bytes:ident, $put:ident, $take:ident,
        $($code:literal $variant:ident($value:ty),)*
        $(; $($bare_code:literal $bare:ident,)*)?
    ) => {
        /// Bytes of the layout of this value.
        fn $bytes(value: &$family) -> usize {
            match value {
                $($family::$variant(_) => layout_bytes::<$value>(),)*
                $($($family::$bare => 0,)*)?
            }
        }

        /// Writes the layout of this value to the front of `area`. Returns its kind, its length
        /// and what is left of `area`.
        #[inline]
        fn $put<'a>(value: &$family, area: &'a mut [u8]) -> (u8, usize, &'a mut [u8]) {
            match value {
                $($family::$variant(value) => {
                    const BYTES: usize = layout_bytes::<$value>();
                    let (layout, rest) = front::<BYTES>(area);
                    value.layout().put(layout);
                    ($code, BYTES, rest)
                })*
                $($($family::$bare => ($bare_code, 0, area),)*)?
            }
        }

        /// The value of this kind whose layout `area` is, if it is one.
        fn $take(kind: u8, area: &[u8]) -> Option<$family> {
            match kind {
                $($code => take_layout::<$value>(area).map($family::$variant),)*
                $($($bare_code => area.is_empty().then_some($family::$bare),)*)?
                _ => None,
            }
        }
    };
}

kinds! {
    Command, command_layout_bytes, put_command, take_command,
    1 DefineMarket(types::MarketDefinition),
    2 RegisterParty(types::PartyRegistration),
    3 RegisterMeter(types::MeterRegistration),
    4 OpenSlot(types::SlotKey),
    5 UncrossSlot(types::SlotKey),
    6 CloseSlot(types::SlotKey),
    7 NewOrder(types::SignedNewOrder),
    8 CancelOrder(types::OrderRequest),
    9 ReplaceOrder(types::SignedReplaceOrder),
    10 SetControls(types::MarketControls),
    11 FreezeSlot(types::FreezeSlot),
    12 ReduceOrder(types::ReduceOrder),
    13 HibernateOrder(types::OrderRequest),
    14 ActivateOrder(types::OrderRequest),
    15 MassCancel(types::MassCancel),
    16 SetTrading(types::TradingControl),
    17 SetCredit(types::CreditLimit),
    18 ReleaseCredit(types::CreditRelease),
    20 DelegateMeter(types::DelegateMeter),
    21 RevokeDelegation(types::RevokeDelegation),
    22 SignedFrame(types::SignedFrame),
    23 DelegatedOrder(types::DelegatedOrder),
    24 DelegatedReplace(types::DelegatedReplace),
    29 ValidateOrder(types::SignedNewOrder),
    30 AskOrder(types::OrderRequest),
    25 OfferContract(types::OfferContract),
    26 AcceptContract(types::AcceptContract),
    27 DeclineContract(types::OfferRequest),
    28 WithdrawContract(types::OfferRequest),
    31 OfferAmendment(types::OfferAmendment),
    32 AcceptAmendment(types::AcceptAmendment),
    33 AggregateMembers(types::MembersPage),
    34 NewAggregateOrder(types::NewAggregateOrder),
    35 NotePlace(types::PlaceNote),
    36 SetGridLimit(types::GridLimit),
    37 Operate(types::SignedOperation),
    38 BustTrade(types::BustTrade),
    39 DraftMarket(types::MarketDefinition),
    ;
    19 PassTime,
}

kinds! {
    Event, event_layout_bytes, put_event, take_event,
    129 MarketDefined(types::MarketDefinition),
    130 PartyRegistered(types::PartyRegistration),
    131 MeterRegistered(types::MeterRegistration),
    132 SlotPhaseChanged(types::SlotPhaseChanged),
    133 AuctionUncrossed(types::AuctionResult),
    134 OrderAccepted(types::OrderAccepted),
    135 OrderRestated(types::OrderRestated),
    136 OrderReplaced(types::OrderReplaced),
    137 OrderCancelled(types::OrderCancelled),
    138 OrderRejected(types::OrderRejected),
    139 Trade(types::Trade),
    140 CommandRejected(types::CommandRejected),
    141 ControlsSet(types::MarketControls),
    142 SlotFrozen(types::SlotFrozen),
    143 CallExtended(types::CallExtended),
    144 OrderHibernated(types::OrderMoved),
    145 OrderActivated(types::OrderMoved),
    146 MassCancelled(types::MassCancelled),
    147 TradingChanged(types::TradingControl),
    148 CreditSet(types::CreditLimit),
    149 CreditReleased(types::CreditRelease),
    150 MeterDelegated(types::MeterDelegated),
    151 DelegationRevoked(types::DelegationRevoked),
    156 OrderValidated(types::OrderValidated),
    152 ContractOffered(types::ContractOffered),
    153 ContractAgreed(types::ContractAgreed),
    154 ContractEnded(types::ContractEnded),
    155 ContractRestated(types::ContractRestated),
    157 AmendmentOffered(types::AmendmentOffered),
    158 ContractAmended(types::ContractAmended),
    160 MembersListed(types::MembersListed),
    161 MemberRefused(types::MemberRefused),
    163 PlaceNoted(types::PlaceNoted),
    164 GridLimitSet(types::GridLimitSet),
    165 GridRefused(types::GridRefused),
    166 Operated(types::Operated),
    167 TradeBusted(types::TradeBusted),
}

/// Bytes of the records of an entry.
pub(crate) fn entry_bytes(command: &Command, events: &[Event]) -> usize {
    let command_bytes = HEAD_BYTES + TIME_BYTES + command_layout_bytes(command);
    events.iter().fold(command_bytes, |sum, event| sum + HEAD_BYTES + event_layout_bytes(event))
}

/// At least the bytes of the records of any entry with this many events.
pub(crate) fn entry_bytes_max(events: usize) -> usize {
    HEAD_BYTES + TIME_BYTES + LAYOUT_BYTES_MAX + events * (HEAD_BYTES + LAYOUT_BYTES_MAX)
}

/// Writes the records of an entry to the front of `area`, which has room for their
/// [`entry_bytes`]. Returns how many records and how many bytes they are.
pub(crate) fn encode_entry(
    command: &Sequenced<Command>,
    events: &[Event],
    area: &mut [u8],
) -> (u32, usize) {
    let count = u32::try_from(events.len()).unwrap_or(u32::MAX);
    assert!(count < u32::MAX, "events of one command fit their count");
    let room = area.len();
    let (head, rest) = front::<HEAD_BYTES>(area);
    let (time, rest) = front::<TIME_BYTES>(rest);
    *time = command.time.ns().to_le_bytes();
    let (kind, bytes, mut rest) = put_command(&command.value, rest);
    put_head(head, kind, TIME_BYTES + bytes, count);
    for event in events {
        let (head, body) = front::<HEAD_BYTES>(rest);
        let (kind, bytes, next) = put_event(event, body);
        put_head(head, kind, bytes, 0);
        rest = next;
    }
    (count + 1, room - rest.len())
}

/// The first `N` bytes of an area that is known to be as long, and the others.
#[inline]
fn front<const N: usize>(area: &mut [u8]) -> (&mut [u8; N], &mut [u8]) {
    let Some(parts) = area.split_first_chunk_mut::<N>() else {
        unreachable!("the area has room for the entry")
    };
    parts
}

/// Reads the entry at the front of `records`, which must be proven to be what was written, into
/// `entry`. Returns how many bytes it took, or `None` when a record has no meaning.
pub(crate) fn decode_entry(records: &[u8], seq: Seq, entry: &mut Entry) -> Option<usize> {
    let (head, body, mut rest) = split_record(records)?;
    let time = body.first_chunk::<TIME_BYTES>()?;
    let time = Timestamp::from_ns(i64::from_le_bytes(*time));
    let value = take_command(head.kind, body.get(TIME_BYTES..)?)?;
    entry.command = Sequenced { seq, time, value };
    entry.events.clear();
    for _ in 0..head.count {
        let (head, body, next) = split_record(rest)?;
        if head.count != 0 {
            return None;
        }
        entry.events.push(take_event(head.kind, body)?);
        rest = next;
    }
    Some(records.len() - rest.len())
}

struct Head {
    kind: u8,
    count: u32,
}

#[inline]
fn put_head(head: &mut [u8; HEAD_BYTES], kind: u8, bytes: usize, count: u32) {
    let bytes = u16::try_from(bytes).unwrap_or(0);
    assert!(bytes > 0, "layouts are short");
    let low = u64::from(kind) | u64::from(bytes) << 16;
    *head = (low | u64::from(count) << 32).to_le_bytes();
}

fn split_record(records: &[u8]) -> Option<(Head, &[u8], &[u8])> {
    let (head, rest) = records.split_first_chunk::<HEAD_BYTES>()?;
    let mut fields = Fields(head);
    let [kind, zero] = fields.take();
    let bytes = usize::from(u16::from_le_bytes(fields.take()));
    let count = u32::from_le_bytes(fields.take());
    let (body, rest) = rest.split_at_checked(bytes)?;
    (zero == 0).then_some((Head { kind, count }, body, rest))
}

const fn layout_bytes<T: Stored>() -> usize {
    <T::Layout as Layout>::BYTES
}

fn take_layout<T: Stored>(area: &[u8]) -> Option<T> {
    if area.len() != layout_bytes::<T>() {
        return None;
    }
    let layout = rkyv::api::low::access::<Archived<T::Layout>, Failure>(area).ok()?;
    T::restore(layout)
}
