//! Tests of the whole pipeline.

mod cases;
mod example;
mod fixture;
mod histories;
mod intake;
mod laws;
mod ledger;
mod meter_files;
mod shards;
