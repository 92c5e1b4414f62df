//! Single values: numbers, words, hexadecimal bytes.

use serde_json::Value;
use types::{
    Allocation, CancelReason, ClientOrderId, Code, Digest, Energy, KeyId, Lead, ListKind, MarketId,
    Member, MeterId, Money, OfferId, OfferState, OrderId, OrderKind, OwnerId, PAGE_MEMBERS_MAX,
    Phase, PlatformId, Power, Price, PriceRule, PublicKey, RejectReason, Remark, Request,
    RetailerId, Role, Scope, SelfTradeAction, SelfTradeScope, Seq, SessionId, Side, Sides,
    Signature, TimeInForce, Timestamp, TradeId, TradingState, UtilityId,
};

use super::Field;

/// Numbers: how to get one out and in.
macro_rules! numbers {
    ($($type:ty: $raw:ty, $expected:literal, $get:expr, $new:expr;)*) => {
        $(impl Field for $type {
            const EXPECTED: &'static str = $expected;

            fn value(&self) -> Value {
                let get: fn(&$type) -> $raw = $get;
                Value::from(get(self))
            }

            fn from_value(value: &Value) -> Option<Self> {
                let new: fn($raw) -> $type = $new;
                whole(value).and_then(|number| <$raw>::try_from(number).ok()).map(new)
            }
        })*
    };
}

numbers! {
    u8: u8, "a whole number from 0 to 255", |number| *number, |number| number;
    u16: u16, "a whole number from 0 to 65535", |number| *number, |number| number;
    u32: u32, "a whole number of 32 bits", |number| *number, |number| number;
    u64: u64, "a whole number of 64 bits", |number| *number, |number| number;
    i64: i64, "a whole number of 64 bits", |number| *number, |number| number;
    Seq: u64, "a position", |seq| seq.get(), Seq::new;
    Timestamp: i64, "nanoseconds since 1970", |time| time.ns(), Timestamp::from_ns;
    Price: i64, "millionths of the currency", |price| price.micros(), Price::from_micros;
    Energy: u64, "watt-hours", |energy| energy.wh(), Energy::from_wh;
    Power: u32, "watts", |power| power.w(), Power::from_w;
    Money: i64, "minor units", |money| money.minor(), Money::from_minor;
    Lead: u32, "minutes", |lead| lead.minutes(), Lead::from_minutes;
    MarketId: u16, "the number of a market", |id| id.get(), MarketId::new;
    MeterId: u32, "the number of a meter", |id| id.get(), MeterId::new;
    PlatformId: u16, "the number of a platform", |id| id.get(), PlatformId::new;
    RetailerId: u16, "the number of a retailer", |id| id.get(), RetailerId::new;
    UtilityId: u16, "the number of a utility", |id| id.get(), UtilityId::new;
    OwnerId: u32, "the number of an owner", |id| id.get(), OwnerId::new;
    SessionId: u32, "the number of a session", |id| id.get(), SessionId::new;
    KeyId: u64, "the number of a key", |id| id.get(), KeyId::new;
    OfferId: u64, "the number of an offer", |id| id.get(), OfferId::new;
    OrderId: u64, "the number of an order", |id| id.get(), OrderId::new;
    TradeId: u64, "the number of a trade", |id| id.get(), TradeId::new;
    ClientOrderId: u64, "a platform's own number", |id| id.get(), ClientOrderId::new;
}

/// A whole number, written as one or as text.
fn whole(value: &Value) -> Option<i128> {
    match value {
        Value::Number(number) => {
            number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
        }
        Value::String(text) => text.parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

impl Field for bool {
    const EXPECTED: &'static str = "true or false";

    fn value(&self) -> Value {
        Value::from(*self)
    }

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) => text.parse().ok(),
            Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

impl<T: Field> Field for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn value(&self) -> Value {
        self.as_ref().map_or(Value::Null, Field::value)
    }

    fn from_value(value: &Value) -> Option<Self> {
        if value.is_null() || value.as_str() == Some("") {
            return Some(None);
        }
        T::from_value(value).map(Some)
    }
}

/// Words: those that the type itself has.
macro_rules! named {
    ($($type:ty: $expected:literal, $from:expr;)*) => {
        $(impl Field for $type {
            const EXPECTED: &'static str = $expected;

            fn value(&self) -> Value {
                Value::from(self.name())
            }

            fn from_value(value: &Value) -> Option<Self> {
                let from: fn(&str) -> Option<$type> = $from;
                value.as_str().and_then(from)
            }
        })*
    };
}

named! {
    Side: "buy or sell", |word| [Side::Buy, Side::Sell].into_iter().find(|side| side.name() == word);
    Role: "the name of a role", Role::from_name;
    PriceRule: "the name of a price rule", PriceRule::from_name;
    SelfTradeScope: "meter or owner", SelfTradeScope::from_name;
    SelfTradeAction: "what happens to a self-trade", SelfTradeAction::from_name;
    Allocation: "time or pro_rata", Allocation::from_name;
    TradingState: "active, suspended or killed", TradingState::from_name;
    RejectReason: "the name of a reject reason",
        |word| RejectReason::ALL.iter().copied().find(|reason| reason.name() == word);
}

/// Words that only this module needs.
macro_rules! words {
    ($($type:ident: $expected:literal { $($word:literal $variant:ident,)* })*) => {
        $(impl Field for $type {
            const EXPECTED: &'static str = $expected;

            fn value(&self) -> Value {
                Value::from(match self {
                    $(Self::$variant => $word,)*
                })
            }

            fn from_value(value: &Value) -> Option<Self> {
                match value.as_str()? {
                    $($word => Some(Self::$variant),)*
                    _ => None,
                }
            }
        })*
    };
}

words! {
    Sides: "buy, sell or both" { "buy" Buy, "sell" Sell, "both" Both, }
    OrderKind: "limit or market" { "limit" Limit, "market" Market, }
    TimeInForce: "gtc, ioc, gtd or fok" {
        "gtc" UntilGate, "ioc" ImmediateOrCancel, "gtd" UntilTime, "fok" FillOrKill,
    }
    ListKind: "single, block or basket" { "single" Single, "block" Block, "basket" Basket, }
    Phase: "the name of a phase" {
        "pre_open" PreOpen, "call" Call, "frozen" Frozen, "continuous" Continuous,
        "closed" Closed,
    }
    Request: "the name of a request" {
        "new" New, "cancel" Cancel, "replace" Replace, "reduce" Reduce, "hibernate" Hibernate,
        "activate" Activate, "mass_cancel" MassCancel, "delegate" Delegate, "revoke" Revoke,
        "validate" Validate, "ask" Ask,
        "offer" Offer, "accept" Accept, "decline" Decline, "withdraw" Withdraw,
        "list_members" ListMembers,
    }
    OfferState: "where an offer stands" {
        "open" Open, "agreed" Agreed, "declined" Declined, "withdrawn" Withdrawn,
        "expired" Expired, "gate_closed" GateClosed, "killed" Killed,
    }
    CancelReason: "why an order is gone" {
        "requested" Requested, "immediate_or_cancel" ImmediateOrCancel, "self_trade" SelfTrade,
        "gate_closed" GateClosed, "expired" Expired, "fill_or_kill" FillOrKill,
        "mass_cancel" MassCancel, "killed" Killed, "no_liquidity" NoLiquidity, "list" List,
        "trade_limit" TradeLimit, "grid_limit" GridLimit, "auction_cancelled" AuctionCancelled,
    }
}

/// Meters and watt-hours: `7:1500 9:800`.
impl Field for [Member; PAGE_MEMBERS_MAX] {
    const EXPECTED: &'static str = "at most 16 pairs of a meter, `:` and watt-hours";

    fn value(&self) -> Value {
        let last = self.iter().rposition(|member| !member.is_empty());
        let listed = self.iter().take(last.map_or(0, |last| last.saturating_add(1)));
        let pairs: Vec<String> =
            listed.map(|member| format!("{}:{}", member.meter, member.wh())).collect();
        Value::from(pairs.join(" "))
    }

    fn from_value(value: &Value) -> Option<Self> {
        let mut members = [Member::default(); PAGE_MEMBERS_MAX];
        let mut pairs = value.as_str()?.split_ascii_whitespace();
        for (member, pair) in members.iter_mut().zip(pairs.by_ref()) {
            let (meter, wh) = pair.split_once(':')?;
            *member = Member::new(meter.parse().ok()?, wh.parse().ok()?);
        }
        pairs.next().is_none().then_some(members)
    }
}

impl Field for Scope {
    const EXPECTED: &'static str =
        "all, or platform, retailer, meter, session or market with `/` and a number";

    fn value(&self) -> Value {
        Value::from(self.to_string())
    }

    fn from_value(value: &Value) -> Option<Self> {
        value.as_str()?.parse().ok()
    }
}

impl Field for Remark {
    const EXPECTED: &'static str = "1 to 48 printable characters";

    fn value(&self) -> Value {
        Value::from(self.as_str())
    }

    fn from_value(value: &Value) -> Option<Self> {
        Self::new(value.as_str()?)
    }
}

impl<const N: usize> Field for Code<N> {
    const EXPECTED: &'static str = "printable text that fits";

    fn value(&self) -> Value {
        Value::from(self.as_str())
    }

    fn from_value(value: &Value) -> Option<Self> {
        Self::new(value.as_str()?).ok()
    }
}

/// Bytes in hexadecimal.
macro_rules! bytes {
    ($($type:ident, $expected:literal;)*) => {
        $(impl Field for $type {
            const EXPECTED: &'static str = $expected;

            fn value(&self) -> Value {
                Value::from(self.to_string())
            }

            fn from_value(value: &Value) -> Option<Self> {
                value.as_str().and_then(from_hex).map(Self::new)
            }
        })*
    };
}

bytes! {
    PublicKey, "64 hexadecimal digits";
    Digest, "64 hexadecimal digits";
    Signature, "128 hexadecimal digits";
}

fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() || pairs.len() != N {
        return None;
    }
    for (byte, &[high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = (digit(high)? << 4) | digit(low)?;
    }
    Some(bytes)
}

const fn digit(text: u8) -> Option<u8> {
    match text {
        b'0'..=b'9' => Some(text - b'0'),
        b'a'..=b'f' => Some(text - b'a' + 10),
        b'A'..=b'F' => Some(text - b'A' + 10),
        _ => None,
    }
}
