//! The bytes that a meter's, a platform's or an operator's key signs: a domain tag, then the fields as they stand in the
//! message; of a frame the digest of its orders.

use types::{
    AggregateOrder, AmendmentTerms, ContractTerms, Delegation, Digest, KeyId, MarketDefinition,
    MeterId, NewOrder, Operation, PlatformId, ReplaceOrder,
};

use crate::{
    Inbound,
    field::{Field, Zero},
    frame::MESSAGE_HEAD_BYTES,
};

/// Precedes a new order. 24 bytes.
pub const NEW_ORDER_TAG: &[u8; 24] = b"gridcross new order v1\0\0";
/// Precedes an order that is only to be validated. 24 bytes.
pub const VALIDATION_TAG: &[u8; 24] = b"gridcross validation v1\0";
/// Precedes a replacement. 24 bytes.
pub const REPLACE_ORDER_TAG: &[u8; 24] = b"gridcross replace v1\0\0\0\0";
/// Precedes a delegation. 24 bytes.
pub const DELEGATION_TAG: &[u8; 24] = b"gridcross delegation v1\0";
/// Precedes the end of a delegation. 24 bytes.
pub const REVOCATION_TAG: &[u8; 24] = b"gridcross revocation v1\0";
/// Precedes a platform's signature over the orders of a frame. 24 bytes.
pub const FRAME_TAG: &[u8; 24] = b"gridcross frame v1\0\0\0\0\0\0";
/// Precedes the terms of a contract. 24 bytes.
pub const CONTRACT_TAG: &[u8; 24] = b"gridcross contract v1\0\0\0";
/// Precedes the terms of a change. 24 bytes.
pub const AMENDMENT_TAG: &[u8; 24] = b"gridcross amendment v1\0\0";
/// Bytes that are signed of a change: 24 of tag, 80 of terms.
pub const AMENDMENT_SIGNED_BYTES: usize = AMENDMENT_TAG.len() + AmendmentTerms::SIZE;
/// Precedes an aggregate order. 24 bytes.
pub const AGGREGATE_TAG: &[u8; 24] = b"gridcross aggregate v1\0\0";
/// Precedes an operator's order. 24 bytes.
pub const OPERATION_TAG: &[u8; 24] = b"gridcross operation v1\0\0";
/// Bytes that are signed of an operator's order: 24 of tag, 80 of fields; of one that defines a market, the 112 of
/// its definition more.
pub const OPERATION_SIGNED_BYTES: usize = OPERATION_TAG.len() + Operation::SIZE;
/// Signed bytes of an operator's order that defines a market.
pub const DEFINITION_SIGNED_BYTES: usize = OPERATION_SIGNED_BYTES + MarketDefinition::SIZE;
/// Bytes that are signed of an aggregate order: 24 of tag, 2 of platform, 6 zero, 80 of fields.
pub const AGGREGATE_SIGNED_BYTES: usize = AGGREGATE_TAG.len() + 8 + AggregateOrder::SIZE;
/// Bytes that are signed of a contract: 24 of tag, 48 of terms.
pub const CONTRACT_SIGNED_BYTES: usize = CONTRACT_TAG.len() + ContractTerms::SIZE;
/// Bytes that are signed of a delegation: 24 of tag, 72 of fields.
pub const DELEGATION_SIGNED_BYTES: usize = DELEGATION_TAG.len() + Delegation::SIZE;
/// Bytes that are signed of the end of a delegation: 24 of tag, 8 of number, 4 of meter, 4 zero.
pub const REVOCATION_SIGNED_BYTES: usize = REVOCATION_TAG.len() + 16;
/// Bytes that are signed of a frame: 24 of tag, 8 of key, 2 of platform, 2 of count, 4 zero, 32 of digest.
pub const FRAME_SIGNED_BYTES: usize = FRAME_TAG.len() + 48;
/// Bytes that are signed of a new order: 24 of tag, 88 of fields.
pub const NEW_ORDER_SIGNED_BYTES: usize = NEW_ORDER_TAG.len() + NewOrder::SIZE;
/// Bytes that are signed of a replacement: 24 of tag, 48 of fields.
pub const REPLACE_ORDER_SIGNED_BYTES: usize = REPLACE_ORDER_TAG.len() + ReplaceOrder::SIZE;
/// Bytes that are signed at most, of either kind.
pub const SIGNED_BYTES_MAX: usize = NEW_ORDER_SIGNED_BYTES;
const _: () = assert!(NEW_ORDER_SIGNED_BYTES == 112);
const _: () = assert!(AGGREGATE_SIGNED_BYTES == 112);
const _: () = assert!(REPLACE_ORDER_SIGNED_BYTES == 72);
const _: () = assert!(OPERATION_SIGNED_BYTES == 104);
const _: () = assert!(DEFINITION_SIGNED_BYTES == 216);

/// Appends the signed bytes of a new order to an emptied `out`.
pub fn new_order(order: &NewOrder, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(NEW_ORDER_TAG);
    order.put(out);
}

/// Appends the signed bytes of an order that is only to be validated to an emptied `out`: who is given this
/// signature cannot send the order.
pub fn validation(order: &NewOrder, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(VALIDATION_TAG);
    order.put(out);
}

/// Appends the signed bytes of a replacement to an emptied `out`.
pub fn replace_order(replace: &ReplaceOrder, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(REPLACE_ORDER_TAG);
    replace.put(out);
}

/// Appends the signed bytes of a delegation to an emptied `out`.
pub fn delegation(delegation: &Delegation, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(DELEGATION_TAG);
    delegation.put(out);
}

/// Appends the signed bytes of a contract, the same for both meters, to an emptied `out`.
pub fn contract(terms: &ContractTerms, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(CONTRACT_TAG);
    terms.put(out);
}

/// Appends the signed bytes of a change of a trade, the same for both meters, to an emptied `out`.
pub fn amendment(terms: &AmendmentTerms, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(AMENDMENT_TAG);
    terms.put(out);
}

/// Appends the signed bytes of an aggregate order to an emptied `out`.
pub fn aggregate(platform: PlatformId, order: &AggregateOrder, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(AGGREGATE_TAG);
    platform.put(out);
    Zero::<6>.put(out);
    order.put(out);
}

/// Appends the signed bytes of an operator's order, the same for every operator, to an emptied `out`.
pub fn operation(operation: &Operation, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(OPERATION_TAG);
    operation.put(out);
}

/// Appends the signed bytes of an operator's order that defines a market, with the definition, to an emptied `out`.
pub fn definition(operation: &Operation, market: &MarketDefinition, out: &mut Vec<u8>) {
    self::operation(operation, out);
    market.put(out);
}

/// Appends the signed bytes of the end of a meter's delegations to an emptied `out`.
pub fn revocation(meter: MeterId, number: u64, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(REVOCATION_TAG);
    number.put(out);
    meter.put(out);
    Zero::<4>.put(out);
}

/// Appends the signed bytes of a frame to an emptied `out`. `digest` is the SHA-256 of the messages it
/// covers, heads included, as [`delegated_order`] and [`delegated_replace`] make them.
pub fn frame(platform: PlatformId, key: KeyId, orders: u16, digest: &Digest, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(FRAME_TAG);
    key.put(out);
    platform.put(out);
    orders.put(out);
    Zero::<4>.put(out);
    digest.put(out);
}

/// Appends the message of a new order in a signed frame.
pub fn delegated_order(order: &NewOrder, out: &mut Vec<u8>) {
    Inbound::DelegatedOrder(*order).encode(out);
}

/// Appends the message of a replacement in a signed frame.
pub fn delegated_replace(replace: &ReplaceOrder, out: &mut Vec<u8>) {
    Inbound::DelegatedReplace(*replace).encode(out);
}

/// Bytes of the message of a new order in a signed frame.
pub const DELEGATED_ORDER_BYTES: usize = MESSAGE_HEAD_BYTES + NewOrder::SIZE;
/// Bytes of the message of a replacement in a signed frame.
pub const DELEGATED_REPLACE_BYTES: usize = MESSAGE_HEAD_BYTES + ReplaceOrder::SIZE;
