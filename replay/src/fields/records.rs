//! What each kind of command and event consists of.

use serde_json::Value;
use types::{
    AcceptAmendment, AcceptContract, Action, AggregateOrder, AmendmentOffered, AmendmentTerms,
    AuctionResult, BustTrade, CallExtended, ClientOrderId, CommandRejected, Conditions,
    ContractAgreed, ContractAmended, ContractEnded, ContractOffered, ContractRestated,
    ContractTerms, CreditLimit, CreditRelease, Currency, DelegateMeter, DelegatedOrder,
    DelegatedReplace, Delegation, DelegationRevoked, DeliverySlot, FreezeSlot, GridLimit,
    GridLimitSet, GridPlace, GridRefused, MarketControls, MarketDefinition, MassCancel,
    MassCancelled, MemberRefused, MembersListed, MembersPage, MeterDelegated, MeterRegistration,
    NewAggregateOrder, NewMarket, NewOrder, OfferAmendment, OfferContract, OfferRequest, Operated,
    Operation, OrderAccepted, OrderCancelled, OrderList, OrderMoved, OrderRejected, OrderReplaced,
    OrderRequest, OrderRestated, OrderValidated, Origin, Party, PartyRegistration, PlaceNote,
    PlaceNoted, ReduceOrder, ReplaceOrder, RevokeDelegation, SignedFrame, SignedNewOrder,
    SignedOperation, SignedReplaceOrder, SlotFrozen, SlotKey, SlotPhaseChanged, Trade, TradeBusted,
    TradeSide, TradingControl,
};

use super::{FieldError, Fields, Object, put_field, take_field};

/// `one` field under a name, or `all` fields of a part behind a prefix.
macro_rules! fields {
    ($($type:ident { $($how:ident $field:ident $name:literal,)* })*) => {
        $(impl Fields for $type {
            fn put(&self, prefix: &str, to: &mut Object) {
                $(fields!(@put $how, &self.$field, prefix, $name, to);)*
            }

            fn take(from: &Object, prefix: &str) -> Result<Self, FieldError> {
                Ok(Self { $($field: fields!(@take $how, from, prefix, $name)?,)* })
            }
        })*
    };
    (@put one, $value:expr, $prefix:ident, $name:literal, $to:ident) => {
        put_field($value, $prefix, $name, $to)
    };
    (@put all, $value:expr, $prefix:ident, $name:literal, $to:ident) => {
        Fields::put($value, &[$prefix, $name].concat(), $to)
    };
    (@take one, $from:ident, $prefix:ident, $name:literal) => {
        take_field($from, $prefix, $name)
    };
    (@take all, $from:ident, $prefix:ident, $name:literal) => {
        Fields::take($from, &[$prefix, $name].concat())
    };
}

fields! {
    MarketDefinition {
        one market "market", one area "area", one time_zone "time_zone", all currency "",
        one slot_minutes "slot_minutes", one price_min "price_min_micros",
        one price_max "price_max_micros", one tick "tick_micros", one lot "lot_wh",
        one quantity_max "quantity_max_wh", one opening_lead "opening_lead_minutes",
        one gate_lead "gate_lead_minutes", one price_rule "price_rule",
    }
    MarketControls {
        one market "market", one self_trade_scope "self_trade_scope", one self_trade "self_trade",
        one allocation "allocation", one quantity_min "quantity_min_wh",
        one value_max "value_max_minor", one collar "collar_micros",
        one dynamic_band "dynamic_band_micros", one executions_max "executions_max",
        one freeze_min_s "freeze_min_s", one freeze_max_s "freeze_max_s",
    }
    Party { one role "role", one number "number", }
    PartyRegistration { all party "", one code "code", one key "key", }
    MeterRegistration {
        one meter "meter", one code "code", one platform "platform", one retailer "retailer",
        one utility "utility", one owner "owner", one key "key",
        one injection_max "injection_max_w", one withdrawal_max "withdrawal_max_w",
    }
    FreezeSlot { all key "", one seed "seed", }
    Origin { one platform "platform", one session "session", }
    Conditions {
        one post_only "post_only", one all_or_none "all_or_none", one display "display_wh",
        one minimum "minimum_wh", one expires "expires_ns",
    }
    OrderList { one kind "list_kind", one orders "list_orders", one number "list_number", }
    NewOrder {
        one client_order "client_order", one meter "meter", all key "", one side "side",
        one kind "kind", one time_in_force "time_in_force", one limit "limit_micros",
        one quantity "quantity_wh", one valid_until "valid_until_ns", all conditions "",
        all list "",
    }
    SignedNewOrder { all origin "", all order "", one signature "signature", }
    ReplaceOrder {
        one client_order "client_order", one order "order", one meter "meter",
        one limit "limit_micros", one quantity "quantity_wh", one valid_until "valid_until_ns",
    }
    SignedReplaceOrder { all origin "", all replace "", one signature "signature", }
    Delegation {
        one number "number", one meter "meter", one platform "delegate_platform",
        one market "market", one sides "sides", one quantity_max "quantity_max_wh",
        one buy_limit "buy_limit_micros", one sell_limit "sell_limit_micros",
        one valid_from "valid_from_ns", one valid_until "valid_until_ns", one key "key_id",
    }
    DelegateMeter {
        all origin "", one client_order "client_order", all delegation "",
        one signature "signature",
    }
    RevokeDelegation {
        all origin "", one client_order "client_order", one meter "meter", one number "number",
        one signature "signature",
    }
    SignedFrame {
        all origin "", one frame "frame", one orders "orders", one key "key_id",
        one signature "signature",
    }
    DelegatedOrder { all origin "", all order "", }
    DelegatedReplace { all origin "", all replace "", }
    MeterDelegated {
        all origin "", one client_order "client_order", all delegation "",
        one before "before_platform",
    }
    DelegationRevoked {
        all origin "", one client_order "client_order", one meter "meter", one number "number",
        one holder "holder_platform",
    }
    ContractTerms {
        all key "", one buyer "buyer", one seller "seller", one price "price_micros",
        one quantity "quantity_wh", one reference "reference", one expires "expires_ns",
    }
    OfferContract {
        all origin "", one client_order "client_order", all terms "", one offered_by "offered_by",
        one signature "signature",
    }
    AcceptContract {
        all origin "", one client_order "client_order", one offer "offer", all terms "",
        one accepted_by "accepted_by", one signature "signature",
    }
    AmendmentTerms {
        one trade "trade", one version "version", all key "", one buyer "buyer",
        one seller "seller", one price "price_micros", one quantity "quantity_wh",
        all new_slot "new_", one new_quantity "new_quantity_wh", one reference "reference",
        one expires "expires_ns",
    }
    OfferAmendment {
        all origin "", one client_order "client_order", all terms "", one offered_by "offered_by",
        one signature "signature",
    }
    AcceptAmendment {
        all origin "", one client_order "client_order", one offer "offer", all terms "",
        one accepted_by "accepted_by", one signature "signature",
    }
    AmendmentOffered {
        all origin "", one client_order "client_order", one offer "offer", all terms "",
        one offered_by "offered_by", one invited "invited_platform",
    }
    ContractAmended {
        all origin "", one client_order "client_order", one offer "offer",
        one offerer "offerer_platform", one offered_as "offered_as", one offered_by "offered_by",
        all terms "",
    }
    OfferRequest { all origin "", one client_order "client_order", one offer "offer", }
    ContractOffered {
        all origin "", one client_order "client_order", one offer "offer", all terms "",
        one offered_by "offered_by", one invited "invited_platform",
    }
    ContractAgreed {
        all origin "", one client_order "client_order", one offer "offer", one trade "trade",
        one offerer "offerer_platform", one offered_as "offered_as", one offered_by "offered_by",
    }
    ContractEnded {
        one offer "offer", one offerer "offerer_platform", one offered_as "offered_as",
        one offered_by "offered_by", one invited "invited_platform",
        one client_order "client_order", one state "state",
    }
    ContractRestated {
        all origin "", one client_order "client_order", one offer "offer", one state "state",
        one trade "trade", one side "side",
    }
    MembersPage {
        all origin "", one client_order "client_order", one page "page", one members "members",
    }
    AggregateOrder {
        one client_order "client_order", all key "", one side "side",
        one time_in_force "time_in_force", one limit "limit_micros", one quantity "quantity_wh",
        one valid_until "valid_until_ns", one members "members", one list "list",
    }
    NewAggregateOrder { all origin "", all order "", one signature "signature", }
    MembersListed {
        all origin "", one client_order "client_order", one page "page", one members "members",
    }
    MemberRefused { all origin "", one client_order "client_order", one meter "meter", }
    OrderRequest { all origin "", one client_order "client_order", one order "order", }
    ReduceOrder { all origin "", one client_order "client_order", one order "order", one by "by_wh", }
    PlaceNote {
        one number "number", one meter "meter", one from_minute "from_minute",
        one revision "revision", one zone "zone", one feeder "feeder",
    }
    PlaceNoted { all note "", one cancelled "cancelled", one complete "complete", }
    GridPlace { one utility "utility", one zone "zone", one feeder "feeder", }
    GridLimit {
        one number "number", all place "", one side "side", all slot "", one limit "limit_wh",
        one revision "revision",
    }
    GridLimitSet {
        all limit "", one used "used_wh", one cancelled "cancelled", one complete "complete",
    }
    GridRefused { one number "number", one reason "reason", }
    TradingControl { one scope "scope", one state "state", }
    NewMarket {
        one market "market", one uncross_lead "uncross_lead_minutes",
        one call_extension_minutes "call_extension_minutes",
    }
    Operation {
        one operator "operator", one number "number", all action "", one valid_until "valid_until",
        one reason "reason",
    }
    SignedOperation { all operation "", one signer "signer", one signature "signature", }
    Operated { all signed "", one took_effect "took_effect", }
    BustTrade {
        one operator "operator", one signer "signer", one number "number",
        one valid_until "valid_until", one reason "reason", one signature "signature",
        one trade "trade", all key "", one buyer "buyer", one seller "seller",
        one price "price_micros", one quantity_wh "quantity_wh",
    }
    TradeBusted {
        one trade "trade", one version "version", all key "", one buyer "buyer", one seller "seller",
        one price "price_micros", one quantity "quantity_wh",
        one buyer_platform "buyer_platform", one seller_platform "seller_platform",
    }
    CreditLimit { one platform "platform", one market "market", one limit "limit_minor", }
    CreditRelease { one platform "platform", one market "market", one amount "amount_minor", }
    SlotPhaseChanged { all key "", one phase "phase", }
    SlotFrozen { all key "", one uncross_at "uncross_at_ns", }
    CallExtended { all key "", one price "price_micros", one reference "reference_micros", }
    AuctionResult {
        all key "", one rule "rule", one price "price_micros", one volume "volume_wh",
        one surplus_wh "surplus_wh", one reference "reference_micros",
        one candidates "candidates", one clamped "clamped", one book "book",
    }
    OrderAccepted {
        all origin "", one client_order "client_order", one order "order", one meter "meter",
        all key "", one side "side", one limit "limit_micros", one quantity "quantity_wh",
    }
    OrderValidated { all origin "", one client_order "client_order", }
    OrderRestated {
        all origin "", one client_order "client_order", one order "order",
        one filled "filled_wh", one leaves "leaves_wh",
    }
    OrderReplaced {
        all origin "", one client_order "client_order", one order "order",
        one limit "limit_micros", one leaves "leaves_wh", one kept_place "kept_place",
    }
    OrderCancelled {
        one platform "platform", one client_order "client_order", one order "order",
        one leaves "leaves_wh", one reason "reason",
    }
    OrderMoved {
        all origin "", one client_order "client_order", one order "order", one leaves "leaves_wh",
    }
    OrderRejected {
        all origin "", one client_order "client_order", one request "request", one reason "reason",
    }
    TradeSide {
        one order "order", one client_order "client_order", one meter "meter",
        one platform "platform", one leaves "leaves_wh",
    }
    Trade {
        one trade "trade", all key "", one price "price_micros", one quantity "quantity_wh",
        all buy "buy_", all sell "sell_", one maker "maker",
    }
    CommandRejected { one reason "reason", }
}

/// A key as three numbers; all of them null when there is none.
fn put_key(key: Option<&SlotKey>, prefix: &str, to: &mut Object) {
    put_field(&key.map(|key| key.market), prefix, "market", to);
    put_field(&key.map(|key| key.slot.start_minute()), prefix, "start_minute", to);
    put_field(&key.map(|key| key.slot.minutes()), prefix, "minutes", to);
}

impl Fields for DeliverySlot {
    fn put(&self, prefix: &str, to: &mut Object) {
        put_field(&self.start_minute(), prefix, "start_minute", to);
        put_field(&self.minutes(), prefix, "minutes", to);
    }

    fn take(from: &Object, prefix: &str) -> Result<Self, FieldError> {
        let start_minute: u32 = take_field(from, prefix, "start_minute")?;
        let minutes = take_field(from, prefix, "minutes")?;
        Self::new(start_minute, minutes).map_err(|_| FieldError {
            field: [prefix, "minutes"].concat(),
            got: format!("{minutes} from minute {start_minute} on"),
            expected: "a delivery slot",
        })
    }
}

impl Fields for SlotKey {
    fn put(&self, prefix: &str, to: &mut Object) {
        put_key(Some(self), prefix, to);
    }

    fn take(from: &Object, prefix: &str) -> Result<Self, FieldError> {
        let market = take_field(from, prefix, "market")?;
        Ok(Self { market, slot: DeliverySlot::take(from, prefix)? })
    }
}

impl Fields for Currency {
    fn put(&self, prefix: &str, to: &mut Object) {
        to.insert([prefix, "currency"].concat(), Value::from(self.code()));
        put_field(&self.minor_digits(), prefix, "minor_digits", to);
    }

    fn take(from: &Object, prefix: &str) -> Result<Self, FieldError> {
        let minor_digits = take_field(from, prefix, "minor_digits")?;
        let field = [prefix, "currency"].concat();
        let value = from.get(&field);
        let code = value.and_then(Value::as_str).and_then(|code| code.as_bytes().try_into().ok());
        code.and_then(|code| Self::new(code, minor_digits).ok()).ok_or_else(|| FieldError {
            got: value.map_or_else(|| "missing".to_owned(), Value::to_string),
            field,
            expected: "three capital letters",
        })
    }
}

/// An origin that may be missing: then it was the operator.
fn put_origin(origin: Option<Origin>, prefix: &str, to: &mut Object) {
    put_field(&origin.map(|origin| origin.platform), prefix, "platform", to);
    put_field(&origin.map(|origin| origin.session), prefix, "session", to);
}

fn take_origin(from: &Object, prefix: &str) -> Result<Option<Origin>, FieldError> {
    let platform = take_field(from, prefix, "platform")?;
    let session = take_field(from, prefix, "session")?;
    Ok(Option::zip(platform, session).map(|(platform, session)| Origin { platform, session }))
}

impl Fields for MassCancel {
    fn put(&self, prefix: &str, to: &mut Object) {
        put_origin(self.origin, prefix, to);
        put_field(&self.client_order, prefix, "client_order", to);
        put_field(&self.scope, prefix, "scope", to);
        put_key(self.slot.as_ref(), prefix, to);
    }

    fn take(from: &Object, prefix: &str) -> Result<Self, FieldError> {
        let market: Option<types::MarketId> = take_field(from, prefix, "market")?;
        Ok(Self {
            origin: take_origin(from, prefix)?,
            client_order: take_field(from, prefix, "client_order")?,
            scope: take_field(from, prefix, "scope")?,
            slot: market.map(|_| SlotKey::take(from, prefix)).transpose()?,
        })
    }
}

impl Fields for MassCancelled {
    fn put(&self, prefix: &str, to: &mut Object) {
        put_origin(self.origin, prefix, to);
        put_field(&self.client_order, prefix, "client_order", to);
        put_field(&self.scope, prefix, "scope", to);
        put_field(&self.cancelled, prefix, "cancelled", to);
        put_field(&self.complete, prefix, "complete", to);
    }

    fn take(from: &Object, prefix: &str) -> Result<Self, FieldError> {
        Ok(Self {
            origin: take_origin(from, prefix)?,
            client_order: take_field::<ClientOrderId>(from, prefix, "client_order")?,
            scope: take_field(from, prefix, "scope")?,
            cancelled: take_field(from, prefix, "cancelled")?,
            complete: take_field(from, prefix, "complete")?,
        })
    }
}

/// The code of an action, then what it is about.
impl Fields for Action {
    fn put(&self, prefix: &str, to: &mut Object) {
        put_field(&self.code(), prefix, "action", to);
        match self {
            Self::SetTrading(control) => control.put(prefix, to),
            Self::Slot(_, key) => key.put(prefix, to),
            Self::Bust(trade) => put_field(trade, prefix, "trade", to),
            Self::Define(new) => new.put(prefix, to),
        }
    }

    fn take(from: &Object, prefix: &str) -> Result<Self, FieldError> {
        let code: u8 = take_field(from, prefix, "action")?;
        if code == Self::SET_TRADING {
            return TradingControl::take(from, prefix).map(Self::SetTrading);
        }
        if code == Self::BUST {
            let trade = take_field(from, prefix, "trade")?;
            return Ok(Self::Bust(trade));
        }
        if code == Self::DEFINE {
            return NewMarket::take(from, prefix).map(Self::Define);
        }
        let action = Self::of_slot(code, SlotKey::take(from, prefix)?);
        action.ok_or_else(|| FieldError {
            field: [prefix, "action"].concat(),
            got: code.to_string(),
            expected: "the code of an action",
        })
    }
}
