//! The bytes that a meter's key signs: a domain tag, then the fields as they stand in the message.

use types::{NewOrder, ReplaceOrder};

use crate::field::Field;

/// Precedes a new order. 24 bytes.
pub const NEW_ORDER_TAG: &[u8; 24] = b"gridcross new order v1\0\0";
/// Precedes a replacement. 24 bytes.
pub const REPLACE_ORDER_TAG: &[u8; 24] = b"gridcross replace v1\0\0\0\0";
/// Bytes that are signed of a new order: 24 of tag, 88 of fields.
pub const NEW_ORDER_SIGNED_BYTES: usize = NEW_ORDER_TAG.len() + NewOrder::SIZE;
/// Bytes that are signed of a replacement: 24 of tag, 48 of fields.
pub const REPLACE_ORDER_SIGNED_BYTES: usize = REPLACE_ORDER_TAG.len() + ReplaceOrder::SIZE;
/// Bytes that are signed at most, of either kind.
pub const SIGNED_BYTES_MAX: usize = NEW_ORDER_SIGNED_BYTES;
const _: () = assert!(NEW_ORDER_SIGNED_BYTES == 112);
const _: () = assert!(REPLACE_ORDER_SIGNED_BYTES == 72);

/// Appends the signed bytes of a new order to an emptied `out`.
pub fn new_order(order: &NewOrder, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(NEW_ORDER_TAG);
    order.put(out);
}

/// Appends the signed bytes of a replacement to an emptied `out`.
pub fn replace_order(replace: &ReplaceOrder, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(REPLACE_ORDER_TAG);
    replace.put(out);
}
