//! Bodies of the ledger service 0.4.0.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::amount::Amount;

/// Which platform's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum PlatformRole {
    /// The buyer's.
    Buyer,
    /// The seller's.
    Seller,
}

/// Which distribution company's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum DiscomRole {
    /// The buyer's.
    BuyerDiscom,
    /// The seller's.
    SellerDiscom,
}

/// What is traded. Only energy is traded here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum TradeType {
    Energy,
    RaiseCapacity,
    LowerCapacity,
    Pfr,
    Sfr,
    Tc,
    Bdr,
}

/// In which unit. Energy is in kilowatt-hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum TradeUnit {
    Kwh,
    Kw,
}

/// What is measured. Of energy only the two first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum MetricType {
    ActualPushed,
    ActualPulled,
    SetpointFollowingError,
    ActualRaiseCapacity,
    ActualLowerCapacity,
    FrequencyResponseError,
    ActualDemandReduction,
    Availability,
}

/// Where a side stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum TradeStatus {
    Pending,
    Confirmed,
    CancelledOutage,
    CancelledPolViolation,
    CurtailedOutage,
    CurtailedPolViolation,
    Completed,
}

/// A part of a trade. There is one, of energy.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct TradeDetail {
    pub(super) trade_type: TradeType,
    /// Kilowatt-hours.
    #[schema(value_type = f64, minimum = 0)]
    pub(super) trade_qty: Amount,
    pub(super) trade_unit: TradeUnit,
    /// For the parties only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    pub(super) price_per_unit: Option<Amount>,
    /// Of the price, ISO 4217.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 3)]
    pub(super) price_currency: Option<String>,
}

/// Something measured.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Metric {
    pub(super) validation_metric_type: MetricType,
    /// Kilowatt-hours.
    #[schema(value_type = f64)]
    pub(super) validation_metric_value: Amount,
}

/// A platform names a trade of its own.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct PutRequest {
    pub(super) role: PlatformRole,
    #[schema(min_length = 1, max_length = 64)]
    pub(super) transaction_id: String,
    #[schema(min_length = 1, max_length = 64)]
    pub(super) order_item_id: String,
    /// `platform/1`.
    pub(super) platform_id_buyer: Option<String>,
    /// `platform/2`.
    pub(super) platform_id_seller: Option<String>,
    /// `retailer/1` or `utility/1`: who serves the buyer's meter.
    pub(super) discom_id_buyer: Option<String>,
    /// Who serves the seller's meter.
    pub(super) discom_id_seller: Option<String>,
    /// The registered name of the buyer's meter.
    pub(super) buyer_id: Option<String>,
    /// The registered name of the seller's meter.
    pub(super) seller_id: Option<String>,
    #[schema(format = DateTime)]
    pub(super) trade_time: Option<String>,
    #[schema(format = DateTime)]
    pub(super) delivery_start_time: Option<String>,
    #[schema(format = DateTime)]
    pub(super) delivery_end_time: Option<String>,
    #[schema(min_items = 1, max_items = 1)]
    pub(super) trade_details: Option<Vec<TradeDetail>>,
    /// The caller's own number of the request.
    #[schema(min_length = 1, max_length = 64)]
    pub(super) client_reference: Option<String>,
}

/// A distribution company says what became of its side.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct RecordRequest {
    pub(super) role: DiscomRole,
    #[schema(min_length = 1, max_length = 64)]
    pub(super) transaction_id: String,
    #[schema(min_length = 1, max_length = 64)]
    pub(super) order_item_id: String,
    /// Only from the buyer's company: ACTUAL_PULLED.
    #[schema(max_items = 1)]
    pub(super) buyer_fulfillment_validation_metrics: Option<Vec<Metric>>,
    /// Only from the seller's company: ACTUAL_PUSHED.
    #[schema(max_items = 1)]
    pub(super) seller_fulfillment_validation_metrics: Option<Vec<Metric>>,
    pub(super) status_buyer_discom: Option<TradeStatus>,
    pub(super) status_seller_discom: Option<TradeStatus>,
    /// The caller's own number of the request.
    #[schema(min_length = 1, max_length = 64)]
    pub(super) client_reference: Option<String>,
}

/// A distribution company says what a meter moved.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct AllocateRequest {
    /// The registered name of the meter, or the company's own name of it.
    #[schema(min_length = 1, max_length = 32)]
    pub(super) meter_id: String,
    /// The caller.
    pub(super) discom_id: String,
    #[schema(format = DateTime)]
    pub(super) delivery_start_time: String,
    #[schema(format = DateTime)]
    pub(super) delivery_end_time: String,
    /// Kilowatt-hours from the grid; negative into it.
    #[schema(value_type = f64)]
    pub(super) actual_imported: Amount,
}

/// By what records are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::enum_variant_names, reason = "the words of the service")]
pub(crate) enum SortBy {
    CreationTime,
    TradeTime,
    DeliveryStartTime,
    DeliveryEndTime,
}

/// In which direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SortOrder {
    Asc,
    Desc,
}

/// Which records? What is left out does not matter.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(crate) struct GetRequest {
    pub(super) record_id: Option<String>,
    pub(super) transaction_id: Option<String>,
    pub(super) order_item_id: Option<String>,
    pub(super) platform_id_buyer: Option<String>,
    pub(super) platform_id_seller: Option<String>,
    pub(super) discom_id_buyer: Option<String>,
    pub(super) discom_id_seller: Option<String>,
    pub(super) buyer_id: Option<String>,
    pub(super) seller_id: Option<String>,
    pub(super) status_buyer_discom: Option<TradeStatus>,
    pub(super) status_seller_discom: Option<TradeStatus>,
    #[schema(format = DateTime)]
    pub(super) creation_time_from: Option<String>,
    #[schema(format = DateTime)]
    pub(super) creation_time_to: Option<String>,
    #[schema(format = DateTime)]
    pub(super) trade_time_from: Option<String>,
    #[schema(format = DateTime)]
    pub(super) trade_time_to: Option<String>,
    #[schema(format = DateTime)]
    pub(super) delivery_start_time_from: Option<String>,
    #[schema(format = DateTime)]
    pub(super) delivery_start_time_to: Option<String>,
    #[schema(format = DateTime)]
    pub(super) delivery_end_time_from: Option<String>,
    #[schema(format = DateTime)]
    pub(super) delivery_end_time_to: Option<String>,
    #[schema(minimum = 1, maximum = 500, default = 50)]
    pub(super) limit: Option<u32>,
    #[schema(minimum = 0, maximum = 20000, default = 0)]
    pub(super) offset: Option<u32>,
    pub(super) sort: Option<SortBy>,
    pub(super) sort_order: Option<SortOrder>,
}

/// A record: a contract, as far as the caller may see it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    /// The number of the contract.
    pub(super) record_id: String,
    pub(super) creation_time: String,
    pub(super) transaction_id: String,
    pub(super) order_item_id: String,
    pub(super) platform_id_buyer: String,
    pub(super) platform_id_seller: String,
    pub(super) discom_id_buyer: String,
    pub(super) discom_id_seller: String,
    /// Only for who serves the buyer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) buyer_id: Option<String>,
    /// Only for who serves the seller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) seller_id: Option<String>,
    pub(super) trade_time: String,
    pub(super) delivery_start_time: String,
    pub(super) delivery_end_time: String,
    pub(super) trade_details: Vec<TradeDetail>,
    pub(super) buyer_fulfillment_validation_metrics: Vec<Metric>,
    pub(super) seller_fulfillment_validation_metrics: Vec<Metric>,
    pub(super) status_buyer_discom: TradeStatus,
    pub(super) status_seller_discom: TradeStatus,
    /// The market.
    pub(super) network_id: String,
    /// Hash of the newest leaf of the contract in the ledger, in hexadecimal.
    pub(super) row_digest: String,
}

/// Records that were found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GetResponse {
    pub(super) records: Vec<Record>,
    /// Of all that were found, before `limit` and `offset`.
    pub(super) count: u32,
}

/// A write was taken.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WriteResponse {
    pub(super) success: bool,
    pub(super) record_id: String,
    pub(super) creation_time: String,
    pub(super) row_digest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<&'static str>,
}

/// One contract's part of what a meter moved.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AllocationPart {
    pub(super) record_id: String,
    pub(super) transaction_id: String,
    pub(super) order_item_id: String,
    pub(super) role: DiscomRole,
    /// Kilowatt-hours.
    #[schema(value_type = f64)]
    pub(super) trade_qty: Amount,
    /// Kilowatt-hours.
    #[schema(value_type = f64)]
    pub(super) allocated_qty: Amount,
}

/// What a meter moved, by contract.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AllocateResponse {
    pub(super) success: bool,
    pub(super) allocations: Vec<AllocationPart>,
    /// Kilowatt-hours contracted.
    #[schema(value_type = f64)]
    pub(super) total_matched: Amount,
    /// Kilowatt-hours allocated.
    #[schema(value_type = f64)]
    pub(super) total_allocated: Amount,
}

/// A refusal, in the form of the service.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LedgerError {
    /// A code of the service.
    pub(super) code: &'static str,
    pub(super) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) details: Option<ErrorDetails>,
}

/// What exactly was wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorDetails {
    /// Our own word for it.
    pub(super) reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) field: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) got: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expected: Option<String>,
    pub(super) retryable: bool,
}
