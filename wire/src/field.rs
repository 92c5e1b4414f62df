//! Fields: how each domain type stands in a message.

use types::{
    Action, ClientOrderId, Code, Conditions, Currency, DeliverySlot, Digest, Energy, KeyId, Lead,
    ListKind, MarketId, Member, MeterId, NewMarket, OfferId, OrderId, OrderKind, OwnerId,
    PAGE_MEMBERS_MAX, Party, Phase, PlatformId, Power, Price, PriceRule, PublicKey, RejectReason,
    Remark, RetailerId, Role, Scope, Seq, SessionId, ShardId, Side, Sides, Signature, SlotKey,
    TimeInForce, Timestamp, TradeId, TradingControl, TradingState, UtilityId,
    event::{CancelReason, Request},
};

/// Why bytes are not a message. Never a panic, whatever the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeError {
    /// Fewer bytes than the layout has.
    Truncated,
    /// More bytes than the layout has.
    TrailingBytes,
    /// No message of this kind exists here.
    UnknownKind(u8),
    /// The length field is not the length of this kind.
    WrongLength {
        /// The message's kind.
        kind: u8,
        /// What its length field says.
        got: u16,
    },
    /// A field holds a value that its type does not have.
    BadField(&'static str),
}

impl core::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Truncated => f.write_str("message is truncated"),
            Self::TrailingBytes => f.write_str("bytes follow the last message"),
            Self::UnknownKind(kind) => write!(f, "message kind {kind} is unknown"),
            Self::WrongLength { kind, got } => {
                write!(f, "message of kind {kind} cannot be {got} bytes long")
            }
            Self::BadField(name) => write!(f, "field of type `{name}` has an impossible value"),
        }
    }
}

impl core::error::Error for DecodeError {}

/// A value with a fixed place in a message.
pub trait Field: Sized {
    /// Bytes it takes.
    const SIZE: usize;
    /// The name of the type in `docs/protocol.md`.
    const NAME: &'static str;
    /// Its parts as (name, size, type), for documentation; itself where it has none.
    fn parts(name: &'static str) -> Vec<(String, usize, &'static str)> {
        vec![(name.to_owned(), Self::SIZE, Self::NAME)]
    }
    /// Appends exactly [`Field::SIZE`] bytes.
    fn put(&self, out: &mut Vec<u8>);
    /// Takes exactly [`Field::SIZE`] bytes from the front of `bytes`.
    ///
    /// # Errors
    /// When there are too few bytes or they are no value of this type.
    fn take(bytes: &mut &[u8]) -> Result<Self, DecodeError>;
}

/// The first `N` bytes, taken off `bytes`.
pub(crate) fn take_array<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], DecodeError> {
    let (head, rest) = bytes.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
    *bytes = rest;
    Ok(*head)
}

macro_rules! integer_fields {
    ($($int:ident),*) => {$(
        impl Field for $int {
            const SIZE: usize = size_of::<$int>();
            const NAME: &'static str = stringify!($int);
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn take(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
                Ok($int::from_le_bytes(take_array(bytes)?))
            }
        }
    )*};
}
integer_fields!(u8, u16, u32, u64, i64);

/// A domain type that is a number: `Type: integer = getter / constructor`.
macro_rules! number_fields {
    ($($type:ident: $int:ident = $get:ident / $new:ident;)*) => {$(
        impl Field for $type {
            const SIZE: usize = size_of::<$int>();
            const NAME: &'static str = stringify!($int);
            fn put(&self, out: &mut Vec<u8>) {
                self.$get().put(out);
            }
            fn take(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
                $int::take(bytes).map($type::$new)
            }
        }
    )*};
}
number_fields! {
    MarketId: u16 = get / new;
    MeterId: u32 = get / new;
    PlatformId: u16 = get / new;
    RetailerId: u16 = get / new;
    UtilityId: u16 = get / new;
    OwnerId: u32 = get / new;
    SessionId: u32 = get / new;
    OrderId: u64 = get / new;
    OfferId: u64 = get / new;
    TradeId: u64 = get / new;
    ClientOrderId: u64 = get / new;
    KeyId: u64 = get / new;
    Seq: u64 = get / new;
    Timestamp: i64 = ns / from_ns;
    Energy: u64 = wh / from_wh;
    Power: u32 = w / from_w;
    Price: i64 = micros / from_micros;
    Lead: u32 = minutes / from_minutes;
}

/// A closed set with codes: `Type: integer`.
macro_rules! code_fields {
    ($($type:ident: $int:ident;)*) => {$(
        impl Field for $type {
            const SIZE: usize = size_of::<$int>();
            const NAME: &'static str = stringify!($int);
            fn put(&self, out: &mut Vec<u8>) {
                self.code().put(out);
            }
            fn take(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
                $type::from_code($int::take(bytes)?)
                    .ok_or(DecodeError::BadField(stringify!($type)))
            }
        }
    )*};
}
code_fields! {
    Side: u8;
    Sides: u8;
    OrderKind: u8;
    TimeInForce: u8;
    ListKind: u8;
    Phase: u8;
    Role: u8;
    PriceRule: u8;
    TradingState: u8;
    CancelReason: u8;
    Request: u8;
    RejectReason: u16;
}

macro_rules! byte_fields {
    ($($type:ident[$len:literal];)*) => {$(
        impl Field for $type {
            const SIZE: usize = $len;
            const NAME: &'static str = concat!("bytes[", stringify!($len), "]");
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(self.as_bytes());
            }
            fn take(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
                take_array(bytes).map($type::new)
            }
        }
    )*};
}
byte_fields! {
    Signature[64];
    PublicKey[32];
    Digest[32];
}

impl<const N: usize> Field for Code<N> {
    const SIZE: usize = N;
    const NAME: &'static str = "ascii, zero-padded";
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.padded());
    }
    fn take(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        Self::from_padded(take_array(bytes)?).map_err(|_| DecodeError::BadField("Code"))
    }
}

/// A name that may be missing: zero bytes only.
impl<const N: usize> Field for Option<Code<N>> {
    const SIZE: usize = N;
    const NAME: &'static str = "ascii, zero-padded, or zero";
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_ref().map_or(&[0; N], |code| code.padded()));
    }
    fn take(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        let padded: [u8; N] = take_array(bytes)?;
        if padded == [0; N] {
            return Ok(None);
        }
        Code::from_padded(padded).map(Some).map_err(|_| DecodeError::BadField("Code"))
    }
}

impl Field for Currency {
    const SIZE: usize = 4;
    const NAME: &'static str = "3 letters, u8 digits";
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.code().as_bytes());
        self.minor_digits().put(out);
    }
    fn take(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        let code = take_array(bytes)?;
        Self::new(code, u8::take(bytes)?).map_err(|_| DecodeError::BadField("Currency"))
    }
}

impl Field for SlotKey {
    const SIZE: usize = 8;
    const NAME: &'static str = "slot";
    fn parts(_: &'static str) -> Vec<(String, usize, &'static str)> {
        vec![
            ("market".to_owned(), 2, "u16"),
            ("slot_minutes".to_owned(), 2, "u16"),
            ("slot_start (minutes since 1970 UTC)".to_owned(), 4, "u32"),
        ]
    }
    fn put(&self, out: &mut Vec<u8>) {
        self.market.put(out);
        self.slot.minutes().put(out);
        self.slot.start_minute().put(out);
    }
    fn take(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        let market = MarketId::take(bytes)?;
        let minutes = u16::take(bytes)?;
        let start = u32::take(bytes)?;
        let slot =
            DeliverySlot::new(start, minutes).map_err(|_| DecodeError::BadField("DeliverySlot"))?;
        Ok(Self { market, slot })
    }
}

/// A slot whose market stands elsewhere. Its rows carry the name of the field.
impl Field for DeliverySlot {
    const SIZE: usize = 8;
    const NAME: &'static str = "slot";
    fn parts(name: &'static str) -> Vec<(String, usize, &'static str)> {
        vec![
            (format!("{name}_minutes"), 2, "u16"),
            ("(zero)".to_owned(), 2, "zero"),
            (format!("{name}_start (minutes since 1970 UTC)"), 4, "u32"),
        ]
    }
    fn put(&self, out: &mut Vec<u8>) {
        self.minutes().put(out);
        Zero::<2>.put(out);
        self.start_minute().put(out);
    }
    fn take(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        let minutes = u16::take(bytes)?;
        Zero::<2>::take(bytes)?;
        let start = u32::take(bytes)?;
        Self::new(start, minutes).map_err(|_| DecodeError::BadField("DeliverySlot"))
    }
}

/// An optional slot: eight zero bytes where there is none. No slot is encoded so, since each lasts
/// some minutes.
impl Field for Option<SlotKey> {
    const SIZE: usize = SlotKey::SIZE;
    const NAME: &'static str = "slot, or zero";
    fn parts(name: &'static str) -> Vec<(String, usize, &'static str)> {
        SlotKey::parts(name)
    }
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Some(key) => key.put(out),
            None => Zero::<8>.put(out),
        }
    }
    fn take(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        match bytes.split_first_chunk::<8>() {
            Some(([0, 0, 0, 0, 0, 0, 0, 0], rest)) => {
                *bytes = rest;
                Ok(None)
            }
            Some(_) | None => SlotKey::take(bytes).map(Some),
        }
    }
}

/// The flags of an order's conditions: bit 0 post-only, bit 1 all-or-none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConditionFlags {
    pub(crate) post_only: bool,
    pub(crate) all_or_none: bool,
}

impl Field for ConditionFlags {
    const SIZE: usize = 1;
    const NAME: &'static str = "u8";
    fn put(&self, out: &mut Vec<u8>) {
        let Self { post_only, all_or_none } = *self;
        Conditions { post_only, all_or_none, ..Conditions::NONE }.flags().put(out);
    }
    fn take(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        let (post_only, all_or_none) =
            Conditions::from_flags(u8::take(bytes)?).ok_or(DecodeError::BadField("Conditions"))?;
        Ok(Self { post_only, all_or_none })
    }
}

/// Its index, from 0.
impl Field for ShardId {
    const SIZE: usize = 1;
    const NAME: &'static str = "u8";
    fn put(&self, out: &mut Vec<u8>) {
        self.index().put(out);
    }
    fn take(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        Self::new(u8::take(bytes)?).ok_or(DecodeError::BadField("ShardId"))
    }
}

impl Field for Remark {
    const SIZE: usize = Self::BYTES;
    const NAME: &'static str = "ascii with spaces, zero-padded";
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.padded());
    }
    fn take(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        Self::from_padded(take_array(bytes)?).ok_or(DecodeError::BadField("Remark"))
    }
}

/// What it is about first, a [`TradingControl`], a [`SlotKey`], a [`TradeId`] or a [`NewMarket`], then the code of the action.
impl Field for Action {
    const SIZE: usize = 12;
    const NAME: &'static str = "action";
    fn parts(_: &'static str) -> Vec<(String, usize, &'static str)> {
        vec![
            ("subject".to_owned(), 8, "trading control, slot, trade or new market"),
            ("action".to_owned(), 1, "u8"),
            ("(zero)".to_owned(), 3, "zero"),
        ]
    }
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::SetTrading(control) => control.put(out),
            Self::Slot(_, key) => key.put(out),
            Self::Bust(trade) => trade.put(out),
            Self::Define(NewMarket { market, uncross_lead, call_extension_minutes }) => {
                uncross_lead.put(out);
                market.put(out);
                call_extension_minutes.put(out);
            }
        }
        self.code().put(out);
        Zero::<3>.put(out);
    }
    fn take(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        let subject: [u8; 8] = take_array(bytes)?;
        let code = u8::take(bytes)?;
        Zero::<3>::take(bytes)?;
        let mut subject = subject.as_slice();
        if code == Self::SET_TRADING {
            return TradingControl::take(&mut subject).map(Self::SetTrading);
        }
        if code == Self::BUST {
            return TradeId::take(&mut subject).map(Self::Bust);
        }
        if code == Self::DEFINE {
            let uncross_lead = Lead::take(&mut subject)?;
            let market = MarketId::take(&mut subject)?;
            let call_extension_minutes = u16::take(&mut subject)?;
            return Ok(Self::Define(NewMarket { market, uncross_lead, call_extension_minutes }));
        }
        let action = Self::of_slot(code, SlotKey::take(&mut subject)?);
        action.ok_or(DecodeError::BadField("Action"))
    }
}
const _: () = assert!(TradingControl::SIZE == SlotKey::SIZE && SlotKey::SIZE == TradeId::SIZE);

/// Number first, then the code of the kind.
impl Field for Scope {
    const SIZE: usize = 5;
    const NAME: &'static str = "scope";
    fn parts(name: &'static str) -> Vec<(String, usize, &'static str)> {
        vec![(format!("{name}_number"), 4, "u32"), (format!("{name}_kind"), 1, "u8")]
    }
    fn put(&self, out: &mut Vec<u8>) {
        let (kind, number) = self.parts();
        number.put(out);
        kind.put(out);
    }
    fn take(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        let number = u32::take(bytes)?;
        Self::from_parts(u8::take(bytes)?, number).ok_or(DecodeError::BadField("Scope"))
    }
}

impl Field for Party {
    const SIZE: usize = 4;
    const NAME: &'static str = "party";
    fn parts(_: &'static str) -> Vec<(String, usize, &'static str)> {
        vec![
            ("party_role".to_owned(), 1, "u8"),
            ("(zero)".to_owned(), 1, "zero"),
            ("party_number".to_owned(), 2, "u16"),
        ]
    }
    fn put(&self, out: &mut Vec<u8>) {
        self.role.put(out);
        Zero::<1>.put(out);
        self.number.put(out);
    }
    fn take(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        let role = Role::take(bytes)?;
        Zero::<1>::take(bytes)?;
        Ok(Self { role, number: u16::take(bytes)? })
    }
}

/// An optional price: a `u64` that is 0 or 1, and a price that is 0 when there is none.
impl Field for Option<Price> {
    const SIZE: usize = 16;
    const NAME: &'static str = "optional price";
    fn parts(name: &'static str) -> Vec<(String, usize, &'static str)> {
        vec![(format!("{name}_count"), 8, "u64, 0 or 1"), (name.to_owned(), 8, "i64")]
    }
    fn put(&self, out: &mut Vec<u8>) {
        u64::from(self.is_some()).put(out);
        self.unwrap_or_default().put(out);
    }
    fn take(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        let present = u64::take(bytes)?;
        let price = Price::take(bytes)?;
        match (present, price.micros()) {
            (0, 0) => Ok(None),
            (1, _) => Ok(Some(price)),
            _ => Err(DecodeError::BadField("Option<Price>")),
        }
    }
}

/// 0 or 1.
impl Field for bool {
    const SIZE: usize = 1;
    const NAME: &'static str = "u8, 0 or 1";
    fn put(&self, out: &mut Vec<u8>) {
        u8::from(*self).put(out);
    }
    fn take(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        match u8::take(bytes)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::BadField("bool")),
        }
    }
}

/// An optional side: the side's code, or 255.
impl Field for Option<Side> {
    const SIZE: usize = 1;
    const NAME: &'static str = "u8, 255: none";
    fn put(&self, out: &mut Vec<u8>) {
        self.map_or(u8::MAX, Side::code).put(out);
    }
    fn take(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        match u8::take(bytes)? {
            u8::MAX => Ok(None),
            code => Side::from_code(code).map(Some).ok_or(DecodeError::BadField("Side")),
        }
    }
}

/// An optional signature: 64 zero bytes where there is none. They are no signature under any key that
/// is not refused.
impl Field for Option<Signature> {
    const SIZE: usize = Signature::SIZE;
    const NAME: &'static str = "bytes[64], or zero";
    fn put(&self, out: &mut Vec<u8>) {
        self.unwrap_or(Signature::new([0; 64])).put(out);
    }
    fn take(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        let signature = Signature::take(bytes)?;
        Ok((*signature.as_bytes() != [0; 64]).then_some(signature))
    }
}

/// Members of an aggregate order: of each the meter, then the quantity.
impl Field for [Member; PAGE_MEMBERS_MAX] {
    const SIZE: usize = 8 * PAGE_MEMBERS_MAX;
    const NAME: &'static str = "16 × (meter u32, Wh u32)";
    fn put(&self, out: &mut Vec<u8>) {
        for member in self {
            member.meter.put(out);
            member.wh().put(out);
        }
    }
    fn take(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        let mut members = [Member::default(); PAGE_MEMBERS_MAX];
        for member in &mut members {
            *member = Member::new(MeterId::take(bytes)?, u32::take(bytes)?);
        }
        Ok(members)
    }
}

/// `N` bytes that are zero, so that the fields after them are aligned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Zero<const N: usize>;

impl<const N: usize> Field for Zero<N> {
    const SIZE: usize = N;
    const NAME: &'static str = "zero";
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[0; N]);
    }
    fn take(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        if take_array::<N>(bytes)? == [0; N] {
            Ok(Self)
        } else {
            Err(DecodeError::BadField("zero"))
        }
    }
}
