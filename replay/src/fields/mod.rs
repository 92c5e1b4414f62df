//! Commands and events as named fields, for printing, comparing, exporting and reading back.
//!
//! A name says the unit: `_wh`, `_micros` (of the currency, per kWh), `_ns` (since 1970), `_minor` (cents),
//! `_w`. Numbers are whole; what is not there is null; keys and signatures are hexadecimal.

mod records;
mod values;

use serde_json::{Map, Value};
use types::{
    BustTrade, Command, Event, Operated, Seq, Sequenced, SignedOperation, Timestamp, TradeBusted,
};

use types::{
    AcceptAmendment, AcceptContract, AmendmentOffered, AuctionResult, CallExtended,
    CommandRejected, ContractAgreed, ContractAmended, ContractEnded, ContractOffered,
    ContractRestated, CreditLimit, CreditRelease, DelegateMeter, DelegatedOrder, DelegatedReplace,
    DelegationRevoked, FreezeSlot, GridLimit, GridLimitSet, GridRefused, MarketControls,
    MarketDefinition, MassCancel, MassCancelled, MemberRefused, MembersListed, MembersPage,
    MeterDelegated, MeterRegistration, NewAggregateOrder, OfferAmendment, OfferContract,
    OfferRequest, OrderAccepted, OrderCancelled, OrderMoved, OrderRejected, OrderReplaced,
    OrderRequest, OrderRestated, OrderValidated, PartyRegistration, PlaceNote, PlaceNoted,
    ReduceOrder, RevokeDelegation, SignedFrame, SignedNewOrder, SignedReplaceOrder, SlotFrozen,
    SlotKey, SlotPhaseChanged, Trade, TradingControl,
};

/// Fields with their values, in order.
pub type Object = Map<String, Value>;

/// Why an object is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` is {got}, expected {expected}")]
pub struct FieldError {
    /// Name of the field.
    pub field: String,
    /// What stands there.
    pub got: String,
    /// What could.
    pub expected: &'static str,
}

/// One value under one name.
trait Field: Sized {
    /// What a value may be, for people.
    const EXPECTED: &'static str;

    fn value(&self) -> Value;

    fn from_value(value: &Value) -> Option<Self>;
}

/// Several values under names of their own, behind a prefix.
trait Fields: Sized {
    fn put(&self, prefix: &str, to: &mut Object);

    fn take(from: &Object, prefix: &str) -> Result<Self, FieldError>;
}

fn put_field(value: &impl Field, prefix: &str, name: &str, to: &mut Object) {
    to.insert([prefix, name].concat(), value.value());
}

fn take_field<T: Field>(from: &Object, prefix: &str, name: &str) -> Result<T, FieldError> {
    let refused = |field: String, got: String| FieldError { field, got, expected: T::EXPECTED };
    let found = if prefix.is_empty() { from.get(name) } else { from.get(&[prefix, name].concat()) };
    let Some(value) = found else {
        return Err(refused([prefix, name].concat(), "missing".to_owned()));
    };
    T::from_value(value).ok_or_else(|| refused([prefix, name].concat(), value.to_string()))
}

/// Declares every kind once: its name, the type of its fields, and how many bytes their layout has in a
/// journal's record (`docs/journal.md`).
macro_rules! kinds {
    (
        $family:ident, $name:ident, $bytes:ident, $put:ident, $take:ident, $tag:literal,
        $($word:literal $layout:literal $variant:ident($value:ty),)*
        $(; $bare_word:literal $bare:ident)?
    ) => {
        /// The name of its kind.
        #[must_use]
        pub const fn $name(value: &$family) -> &'static str {
            match value {
                $($family::$variant(_) => $word,)*
                $($family::$bare => $bare_word,)?
            }
        }

        /// Bytes of its layout in a record.
        #[must_use]
        pub const fn $bytes(value: &$family) -> u64 {
            match value {
                $($family::$variant(_) => $layout,)*
                $($family::$bare => 0,)?
            }
        }

        /// Puts the name of the kind and all fields.
        fn $put(value: &$family, to: &mut Object) {
            to.insert($tag.to_owned(), Value::from($name(value)));
            match value {
                $($family::$variant(value) => value.put("", to),)*
                $($family::$bare => {},)?
            }
        }

        /// Takes what `put` puts.
        fn $take(from: &Object) -> Result<$family, FieldError> {
            let tag = from.get($tag);
            match tag.and_then(Value::as_str) {
                $(Some($word) => <$value as Fields>::take(from, "").map($family::$variant),)*
                $(Some($bare_word) => Ok($family::$bare),)?
                _ => Err(FieldError {
                    field: $tag.to_owned(),
                    got: tag.map_or_else(|| "missing".to_owned(), Value::to_string),
                    expected: concat!("the name of a kind of ", $tag),
                }),
            }
        }
    };
}

kinds! {
    Command, command_name, command_bytes, put_command, take_command, "command",
    "define_market" 112 DefineMarket(MarketDefinition),
    "register_party" 72 RegisterParty(PartyRegistration),
    "register_meter" 88 RegisterMeter(MeterRegistration),
    "set_controls" 48 SetControls(MarketControls),
    "open_slot" 8 OpenSlot(SlotKey),
    "freeze_slot" 16 FreezeSlot(FreezeSlot),
    "uncross_slot" 8 UncrossSlot(SlotKey),
    "close_slot" 8 CloseSlot(SlotKey),
    "new_order" 152 NewOrder(SignedNewOrder),
    "cancel_order" 24 CancelOrder(OrderRequest),
    "replace_order" 120 ReplaceOrder(SignedReplaceOrder),
    "reduce_order" 32 ReduceOrder(ReduceOrder),
    "hibernate_order" 24 HibernateOrder(OrderRequest),
    "activate_order" 24 ActivateOrder(OrderRequest),
    "mass_cancel" 32 MassCancel(MassCancel),
    "set_trading" 8 SetTrading(TradingControl),
    "set_credit" 16 SetCredit(CreditLimit),
    "release_credit" 16 ReleaseCredit(CreditRelease),
    "delegate_meter" 144 DelegateMeter(DelegateMeter),
    "revoke_delegation" 96 RevokeDelegation(RevokeDelegation),
    "signed_frame" 88 SignedFrame(SignedFrame),
    "delegated_order" 88 DelegatedOrder(DelegatedOrder),
    "delegated_replace" 56 DelegatedReplace(DelegatedReplace),
    "validate_order" 152 ValidateOrder(SignedNewOrder),
    "ask_order" 24 AskOrder(OrderRequest),
    "offer_contract" 128 OfferContract(OfferContract),
    "accept_contract" 136 AcceptContract(AcceptContract),
    "decline_contract" 24 DeclineContract(OfferRequest),
    "withdraw_contract" 24 WithdrawContract(OfferRequest),
    "offer_amendment" 160 OfferAmendment(OfferAmendment),
    "accept_amendment" 168 AcceptAmendment(AcceptAmendment),
    "aggregate_members" 144 AggregateMembers(MembersPage),
    "new_aggregate_order" 152 NewAggregateOrder(NewAggregateOrder),
    "note_place" 56 NotePlace(PlaceNote),
    "set_grid_limit" 64 SetGridLimit(GridLimit),
    "operate" 152 Operate(SignedOperation),
    "bust_trade" 168 BustTrade(BustTrade),
    "draft_market" 112 DraftMarket(MarketDefinition),
    ; "pass_time" PassTime
}

kinds! {
    Event, event_name, event_bytes, put_event, take_event, "event",
    "market_defined" 112 MarketDefined(MarketDefinition),
    "party_registered" 72 PartyRegistered(PartyRegistration),
    "meter_registered" 88 MeterRegistered(MeterRegistration),
    "controls_set" 48 ControlsSet(MarketControls),
    "slot_phase_changed" 16 SlotPhaseChanged(SlotPhaseChanged),
    "slot_frozen" 16 SlotFrozen(SlotFrozen),
    "call_extended" 24 CallExtended(CallExtended),
    "auction_uncrossed" 80 AuctionUncrossed(AuctionResult),
    "order_accepted" 56 OrderAccepted(OrderAccepted),
    "order_validated" 16 OrderValidated(OrderValidated),
    "order_restated" 40 OrderRestated(OrderRestated),
    "order_replaced" 40 OrderReplaced(OrderReplaced),
    "order_cancelled" 32 OrderCancelled(OrderCancelled),
    "order_hibernated" 32 OrderHibernated(OrderMoved),
    "order_activated" 32 OrderActivated(OrderMoved),
    "mass_cancelled" 24 MassCancelled(MassCancelled),
    "order_rejected" 24 OrderRejected(OrderRejected),
    "trade" 96 Trade(Trade),
    "trading_changed" 8 TradingChanged(TradingControl),
    "credit_set" 16 CreditSet(CreditLimit),
    "credit_released" 16 CreditReleased(CreditRelease),
    "meter_delegated" 88 MeterDelegated(MeterDelegated),
    "delegation_revoked" 32 DelegationRevoked(DelegationRevoked),
    "contract_offered" 80 ContractOffered(ContractOffered),
    "contract_agreed" 48 ContractAgreed(ContractAgreed),
    "contract_ended" 32 ContractEnded(ContractEnded),
    "contract_restated" 32 ContractRestated(ContractRestated),
    "amendment_offered" 104 AmendmentOffered(AmendmentOffered),
    "contract_amended" 112 ContractAmended(ContractAmended),
    "members_listed" 24 MembersListed(MembersListed),
    "member_refused" 24 MemberRefused(MemberRefused),
    "place_noted" 64 PlaceNoted(PlaceNoted),
    "grid_limit_set" 80 GridLimitSet(GridLimitSet),
    "grid_refused" 16 GridRefused(GridRefused),
    "operated" 152 Operated(Operated),
    "trade_busted" 48 TradeBusted(TradeBusted),
    "command_rejected" 8 CommandRejected(CommandRejected),
}

/// A command with its place: `seq`, `time_ns`, `command`, then the fields of its kind.
#[must_use]
pub fn command_fields(command: &Sequenced<Command>) -> Object {
    let mut fields = place(command.seq, command.time);
    put_command(&command.value, &mut fields);
    fields
}

/// An event with its place: `seq`, `time_ns`, `index` among the command's events, `event`, then the
/// fields of its kind.
#[must_use]
pub fn event_fields(seq: Seq, time: Timestamp, index: usize, event: &Event) -> Object {
    let mut fields = place(seq, time);
    fields.insert("index".to_owned(), Value::from(index));
    put_event(event, &mut fields);
    fields
}

fn place(seq: Seq, time: Timestamp) -> Object {
    let mut fields = Object::new();
    put_field(&seq, "", "seq", &mut fields);
    put_field(&time, "", "time_ns", &mut fields);
    fields
}

/// Reads [`command_fields`] back.
///
/// # Errors
/// Names the first field that is missing or cannot be.
pub fn command_from_fields(fields: &Object) -> Result<Sequenced<Command>, FieldError> {
    let seq = take_field(fields, "", "seq")?;
    let time = take_field(fields, "", "time_ns")?;
    Ok(Sequenced { seq, time, value: take_command(fields)? })
}

/// Reads the event of [`event_fields`] back.
///
/// # Errors
/// As [`command_from_fields`].
pub fn event_from_fields(fields: &Object) -> Result<Event, FieldError> {
    take_event(fields)
}

/// The names of fields whose values differ, with both values; null where a side lacks the field.
#[must_use]
pub fn differing(left: &Object, right: &Object) -> Vec<(String, Value, Value)> {
    let of = |object: &Object, name: &str| object.get(name).cloned().unwrap_or(Value::Null);
    let only_right = right.keys().filter(|name| !left.contains_key(*name));
    left.keys()
        .chain(only_right)
        .map(|name| (name.clone(), of(left, name), of(right, name)))
        .filter(|(_, left, right)| left != right)
        .collect()
}

/// Fields for people, on one line: what is not there is left out.
#[must_use]
pub fn words<'a>(fields: impl Iterator<Item = (&'a String, &'a Value)>) -> String {
    let words: Vec<_> = fields
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| match (name.as_str(), value) {
            ("command" | "event", Value::String(kind)) => kind.clone(),
            (name, Value::String(text)) => format!("{name}={text}"),
            (name, value) => format!("{name}={value}"),
        })
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests;
