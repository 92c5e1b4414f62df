//! The one integration binary.
#![cfg(test)]

mod authority;
mod batches;
mod certificates;
mod command_line;
mod contracts;
mod crash;
mod delegation;
mod demo;
mod documents;
mod edge;
mod energy;
mod engine_auction;
mod engine_model;
mod feed;
mod fuzz;
mod golden;
mod market_controls;
mod market_data;
mod market_view;
mod meter;
mod order_command;
mod order_kinds;
mod order_refusals;
mod python;
mod replay;
mod replay_network;
mod security;
mod session_refusals;
mod sessions;
mod shards;
mod snapshots;
mod storage_low;
mod trading;
