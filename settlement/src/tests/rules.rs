//! Rules of settlement that a written case shows, one by one.

use super::cases::comes_out;

#[test]
fn s15_buyer_takes_less_actuals() {
    comes_out("buyer_takes_less_actuals");
}

#[test]
fn s19_correction_after_finality() {
    comes_out("correction_after_finality");
}

#[test]
fn s27_excess_is_a_memo_of_the_retailers() {
    comes_out("shortfall_at_the_edge_of_the_band");
}

#[test]
fn s32_charge_per_side() {
    comes_out("charge_per_side");
}

#[test]
fn s35_clearing_house_with_a_platform_fee() {
    comes_out("clearing_house_with_a_platform_fee");
}

#[test]
fn s37_clearing_house_pays_a_debt_from_a_later_deposit() {
    comes_out("clearing_house_pays_a_debt_from_a_later_deposit");
}

#[test]
fn s38_block_captured_in_part() {
    comes_out("block_captured_in_part");
}

#[test]
fn s39_block_expired_before_the_data() {
    comes_out("block_expired_before_the_data");
}

#[test]
fn s42_prepaid_is_all_or_nothing() {
    comes_out("prepaid_is_all_or_nothing");
}

#[test]
fn s43_seller_bills_and_is_paid_exactly() {
    comes_out("seller_bills_and_is_paid_exactly");
}

#[test]
fn s49_buyer_reduces_and_pays_for_it() {
    comes_out("buyer_reduces_and_pays_for_it");
}

#[test]
fn s52_warned() {
    comes_out("warned");
}

#[test]
fn s53_fined() {
    comes_out("fined");
}

#[test]
fn s54_suspended_at_the_second_default() {
    comes_out("suspended_at_the_second_default");
}

#[test]
fn s55_recovered_principal_before_fine() {
    comes_out("recovered_principal_before_fine");
}

#[test]
fn s56_recovered_in_proportion() {
    comes_out("recovered_in_proportion");
}
