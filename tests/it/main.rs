//! The one integration binary.
#![cfg(test)]

mod engine_auction;
mod engine_model;
