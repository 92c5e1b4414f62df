//! Why a request was refused.

/// Declares the reasons once: variant, code, name on the wire and in logs, and sentence.
macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $name:literal, $transient:literal;)*) => {
        /// Why a request was refused. Variants are in the order they are checked; the first match
        /// wins. Codes are public: they are appended to, never renumbered.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum RejectReason {
            $($(#[$doc])* $variant = $code,)*
        }

        impl RejectReason {
            /// Every reason, in the order of checking.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The reason with this code, if there is one.
            #[must_use]
            pub const fn from_code(code: u16) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The name in logs and machine-readable output.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Whether sending the same request again, unchanged, can succeed.
            #[must_use]
            pub const fn is_transient(self) -> bool {
                match self {
                    $(Self::$variant => $transient,)*
                }
            }
        }
    };
}

reasons! {
    /// The bytes are not a message of this protocol.
    MalformedMessage = 1, "malformed_message", false;
    /// The message is of a kind that this state of the session does not allow.
    UnexpectedMessage = 2, "unexpected_message", false;
    /// A frame's number is not the last one's plus one.
    SequenceGap = 3, "sequence_gap", false;
    /// The exchange is at its limit; nothing was done with the request.
    Busy = 4, "busy", true;
    /// The exchange is shutting down; nothing was done with the request.
    GoingAway = 5, "going_away", true;
    /// The slot or the order is of another shard than the session, or there is no such shard: open a
    /// session at the slot's shard and send the request there.
    WrongShard = 6, "wrong_shard", false;
    /// The exchange has little room left on its disk and takes nothing that makes orders; cancelling
    /// and reducing go on.
    StorageLow = 7, "storage_low", true;
    /// The session has sent more than its limits allow; nothing was done with the request.
    Throttled = 8, "throttled", true;
    /// The session waits for as many answers as it may; nothing was done with the request.
    TooManyOpenRequests = 9, "too_many_open_requests", true;
    /// The logon resumes from a position that the shard has not reached: it is of another exchange, or
    /// of another shard.
    UnknownPosition = 10, "unknown_position", false;

    /// No meter of this number is registered.
    UnknownMeter = 20, "unknown_meter", false;
    /// The meter is not served by the platform whose certificate the session carries.
    NotAuthorised = 21, "not_authorised", false;
    /// The signature's validity has passed.
    SignatureExpired = 22, "signature_expired", false;
    /// The signature does not verify: under the meter's key, or that of a frame under the platform's. Or
    /// an order without one of its own stands in no signed frame.
    SignatureInvalid = 23, "signature_invalid", false;
    /// Everyone, the platform, the meter's retailer or the meter is suspended.
    TradingSuspended = 24, "trading_suspended", true;
    /// No delegation of the meter to the platform is in force, or it has not begun.
    DelegationMissing = 25, "delegation_missing", true;
    /// The delegation's last instant has passed.
    DelegationExpired = 26, "delegation_expired", false;
    /// The delegation is not for this market, side, quantity or price.
    DelegationExceeded = 27, "delegation_exceeded", false;
    /// A delegation or revocation of the meter with this number or a higher one is known.
    DelegationOutdated = 28, "delegation_outdated", false;
    /// No offer of this number is open.
    UnknownOffer = 29, "unknown_offer", false;
    /// What was accepted is not what was offered, or the trade that is to be changed is not as it is said
    /// to be.
    TermsDiffer = 30, "terms_differ", false;
    /// Both sides of the contract are one meter or, where the market does not let it trade with itself,
    /// one owner.
    SameParty = 31, "same_party", false;
    /// The two meters have a contract or an offer with this reference in the slot, or the trade an offer of
    /// a change, with other content.
    ReferenceTaken = 32, "reference_taken", false;
    /// The exchange has no trade of this number on record. One that was made a moment ago may not be
    /// there yet.
    UnknownTrade = 33, "unknown_trade", true;
    /// The trade has another version than the one that is to be changed.
    StaleVersion = 34, "stale_version", false;
    /// Another change of the trade is offered and waits for its answer.
    AmendmentOpen = 35, "amendment_open", true;
    /// The trade is what it is to become, or it was cancelled.
    NothingToChange = 36, "nothing_to_change", false;
    /// A page of members is not the next one of its list.
    MembersOutOfTurn = 37, "members_out_of_turn", false;
    /// The members of a list do not strictly rise by meter, one has no quantity, a page has none, or there
    /// are more than 10,000.
    MembersInvalid = 38, "members_invalid", false;
    /// No list of the platform with the order's number has its members, their quantity and its hash.
    MembersDiffer = 39, "members_differ", false;

    /// No market of this number is defined.
    UnknownMarket = 40, "unknown_market", false;
    /// The slot's start or duration does not fit the market.
    SlotMisaligned = 41, "slot_misaligned", false;
    /// The slot is not open for trading yet.
    SlotNotOpen = 42, "slot_not_open", true;
    /// The slot is past gate closure.
    GateClosed = 43, "gate_closed", false;
    /// The request is not possible in the slot's phase.
    WrongPhase = 44, "wrong_phase", true;
    /// No order of this number rests in a book.
    UnknownOrder = 45, "unknown_order", false;
    /// The quantity is zero or not a whole number of lots.
    QuantityNotOnLot = 46, "quantity_not_on_lot", false;
    /// The quantity is above the market's largest.
    QuantityAboveMaximum = 47, "quantity_above_maximum", false;
    /// The price is below the market's band or above it.
    PriceOutsideBand = 48, "price_outside_band", false;
    /// The price is not a whole number of ticks above the bottom of the band.
    PriceNotOnTick = 49, "price_not_on_tick", false;
    /// An accepted order of the platform has this number and other content.
    DuplicateClientOrder = 50, "duplicate_client_order", false;
    /// Open orders and trades of the meter in the slot would exceed its certified capacity.
    CapacityExceeded = 51, "capacity_exceeded", true;
    /// The meter has open orders on the other side, with which this order could match in the call.
    SelfTrade = 52, "self_trade", true;
    /// The engine holds as many open orders as it is configured for, or as many offers of contracts of
    /// everyone or of the platform.
    OrderLimitReached = 53, "order_limit_reached", true;

    /// The quantity is below the market's smallest.
    QuantityBelowMinimum = 54, "quantity_below_minimum", false;
    /// Limit times quantity is above the market's largest value.
    ValueAboveMaximum = 55, "value_above_maximum", false;
    /// The conditions of the order contradict each other, its kind or its time in force.
    InvalidConditions = 56, "invalid_conditions", false;
    /// The order would trade at once and must not.
    PostOnlyWouldTrade = 57, "post_only_would_trade", true;
    /// Open orders and trades of the platform in the market would exceed its credit.
    CreditExceeded = 58, "credit_exceeded", true;
    /// The meter has traded as often in the slot as the market allows.
    ExecutionLimitReached = 59, "execution_limit_reached", false;
    /// The order does not fit the block or basket it names.
    InvalidList = 60, "invalid_list", false;
    /// The order belongs to a block or basket, and that can only be cancelled whole.
    PartOfList = 61, "part_of_list", false;

    /// Open orders and trades at the meter's place on the grid, in the slot and direction, would exceed
    /// what its utility allows there.
    GridLimit = 66, "grid_limit", true;
    /// A member of an aggregate order, or its owner, has an open order on the other side of the slot; or the
    /// meter of an order is so the member of an open aggregate order.
    AggregateSelfTrade = 67, "aggregate_self_trade", true;
    /// Not possible for an aggregate order: it is a limit order that is not fill-or-kill, and only cancelled.
    NotForAggregates = 68, "not_for_aggregates", false;

    /// The market definition or its controls do not fit together.
    InvalidMarket = 70, "invalid_market", false;
    /// A market, party or meter of this number exists with other content.
    AlreadyRegistered = 71, "already_registered", false;
    /// Meters are numbered from 1 without gaps; this is not the next number.
    MeterNotNext = 72, "meter_not_next", false;
    /// The engine holds as many markets, slots, parties, meters, limits of the grid or places of a
    /// meter as it is made for.
    RegistryFull = 73, "registry_full", false;
    /// A platform, retailer or utility that a meter names is not registered.
    UnknownParty = 74, "unknown_party", false;
    /// The number of the meter's owner is above the largest number of a meter.
    OwnerOutOfRange = 75, "owner_out_of_range", false;
    /// The auction is not due yet.
    AuctionNotDue = 76, "auction_not_due", true;
    /// A scope that cannot be suspended.
    InvalidScope = 77, "invalid_scope", false;
    /// A credit limit is negative, or more is released than is owed for trades.
    InvalidCredit = 78, "invalid_credit", false;
    /// The market is of another currency than settlement.
    OtherCurrency = 79, "other_currency", false;
    /// A limit or a place of the grid is known in a later revision, or in this one with other content.
    RevisionOutdated = 86, "revision_outdated", false;
    /// The operator has used this number, or a later one, before.
    OperationOutdated = 87, "operation_outdated", false;
    /// No such operation waits for a second operator: it took effect, was another, or was signed too late.
    OperationUnknown = 88, "operation_unknown", false;
    /// Too many operations wait for a second operator.
    OperationsFull = 89, "operations_full", true;
}

impl RejectReason {
    /// The code in messages and records.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "the enum is repr(u16)")]
    pub const fn code(self) -> u16 {
        self as u16
    }
}

impl core::fmt::Display for RejectReason {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} (code {})", self.name(), self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_rise_and_round_trip() {
        for pair in RejectReason::ALL.windows(2) {
            assert!(pair[0].code() < pair[1].code(), "{:?}", pair);
        }
        for &reason in RejectReason::ALL {
            assert_eq!(RejectReason::from_code(reason.code()), Some(reason));
        }
        assert_eq!(RejectReason::from_code(0), None);
    }
}
