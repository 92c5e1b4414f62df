//! The one integration binary.
#![cfg(test)]

mod certificates;
mod command_line;
mod crash;
mod demo;
mod documents;
mod engine_auction;
mod engine_model;
mod feed;
mod market_controls;
mod market_view;
mod order_kinds;
mod order_refusals;
mod replay;
mod session_refusals;
mod trading;
