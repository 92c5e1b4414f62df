//! Bytes ↔ messages, without I/O.
//!
//! Everything that leaves the process over a network is laid out here: fixed-size little-endian
//! fields, no padding that is not named, no pointer, no variable length inside a message. A frame
//! is a [`frame::FrameHeader`] and up to [`frame::FRAME_MESSAGES_MAX`] messages. What a client sends
//! is an [`Inbound`]; what it is told is an [`Outbound`]; the trade feed carries [`feed`] messages, and
//! what everyone may see of the books are [`market`] messages;
//! documents and questions travel as [`data`] requests. [`signing`] says which bytes a meter signs.
//!
//! `docs/protocol.md` holds the same layouts as byte tables; a test keeps the two equal.
#![forbid(unsafe_code)]

#[macro_use]
mod layout;

pub mod data;
pub mod feed;
pub mod field;
pub mod frame;
pub mod inbound;
pub mod market;
pub mod outbound;
pub mod signing;

pub use feed::{FeedItem, FeedMessage};
pub use field::DecodeError;
pub use frame::{Frame, FrameBuilder, FrameDecoder, FrameError};
pub use inbound::Inbound;
pub use market::MarketMessage;
pub use outbound::Outbound;

/// Protocol name negotiated by TLS (ALPN) on connections that trade.
pub const ALPN_ORDERS: &[u8] = b"gridcross/1";
/// Protocol name negotiated by TLS (ALPN) on connections that read the trade feed.
pub const ALPN_FEED: &[u8] = b"gridcross-feed/1";
/// Protocol name negotiated by TLS (ALPN) on connections that bring documents and ask questions.
pub const ALPN_DATA: &[u8] = b"gridcross-data/1";

/// Protocol name negotiated by TLS (ALPN) on connections that follow market data.
pub const ALPN_MARKET: &[u8] = b"gridcross-market/1";

#[cfg(test)]
mod tests;
