//! Tests of the whole pipeline.

mod agreement;
mod amendments;
mod audit;
mod cases;
mod energy;
mod example;
mod faults;
mod fixture;
mod grid;
mod histories;
mod intake;
mod kills;
mod laws;
mod ledger;
mod mechanisms;
mod meter_files;
mod model;
mod outbox;
mod pay_out_requests;
mod peers;
mod rails;
mod server;
mod shards;
mod statements;
mod stores;
mod tamper;
