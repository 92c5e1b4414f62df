//! Layouts of version 1. Integers are little-endian; `zero` is reserved and holds zero bytes.
//! Fields are in falling order of alignment, so there is no padding.

use super::layouts::{Field, Layout, layouts};
use rkyv::{Archive, Archived};

use crate::format::Fill;

/// The longest are that of the acceptance of a change, and that of a bust.
pub(super) const LAYOUT_BYTES_MAX: usize = 168;

layouts! {
    /// A market.
    MarketLayout[112] {
        price_min: i64,
        price_max: i64,
        tick: i64,
        lot: u64,
        quantity_max: u64,
        area: [u8; 16],
        time_zone: [u8; 32],
        opening_lead: u32,
        gate_lead: u32,
        currency: [u8; 3],
        minor_digits: u8,
        market: u16,
        slot_minutes: u16,
        price_rule: u8,
        zero: [u8; 7],
    }

    /// A party.
    PartyLayout[72] {
        code: [u8; 32],
        key: [u8; 32],
        number: u16,
        role: u8,
        zero: [u8; 5],
    }

    /// A meter.
    MeterLayout[88] {
        code: [u8; 32],
        key: [u8; 32],
        meter: u32,
        injection_max: u32,
        withdrawal_max: u32,
        owner: u32,
        platform: u16,
        retailer: u16,
        utility: u16,
        zero: [u8; 2],
    }

    /// The controls of a market.
    ControlsLayout[48] {
        quantity_min: u64,
        value_max: i64,
        collar: i64,
        dynamic_band: i64,
        executions_max: u32,
        market: u16,
        freeze_min_s: u16,
        freeze_max_s: u16,
        self_trade_scope: u8,
        self_trade: u8,
        allocation: u8,
        zero: [u8; 3],
    }

    /// A slot of a market.
    SlotLayout[8] {
        start_minute: u32,
        minutes: u16,
        market: u16,
    }

    /// The end of entry into a slot's call.
    FreezeLayout[16] {
        seed: u64,
        start_minute: u32,
        minutes: u16,
        market: u16,
    }

    /// A new order with its evidence. Bits of `conditions`: 0 post-only, 1 all-or-none.
    NewOrderLayout[152] {
        signature: [u8; 64],
        client_order: u64,
        limit: i64,
        quantity: u64,
        valid_until: i64,
        display: u64,
        minimum: u64,
        expires: i64,
        list_number: u64,
        meter: u32,
        session: u32,
        start_minute: u32,
        minutes: u16,
        market: u16,
        platform: u16,
        side: u8,
        kind: u8,
        time_in_force: u8,
        conditions: u8,
        list_kind: u8,
        list_orders: u8,
    }

    /// A cancellation, hibernation or activation.
    OrderRequestLayout[24] {
        client_order: u64,
        order: u64,
        session: u32,
        platform: u16,
        zero: [u8; 2],
    }

    /// A replacement with its evidence.
    ReplaceLayout[120] {
        signature: [u8; 64],
        client_order: u64,
        order: u64,
        limit: i64,
        quantity: u64,
        valid_until: i64,
        meter: u32,
        session: u32,
        platform: u16,
        zero: [u8; 6],
    }

    /// A reduction.
    ReduceLayout[32] {
        client_order: u64,
        order: u64,
        by: u64,
        session: u32,
        platform: u16,
        zero: [u8; 2],
    }

    /// A mass cancellation. Bits of `flags`: 0 there is an origin, 1 there is a slot.
    MassCancelLayout[32] {
        client_order: u64,
        session: u32,
        scope_number: u32,
        start_minute: u32,
        minutes: u16,
        market: u16,
        platform: u16,
        scope_kind: u8,
        flags: u8,
        zero: [u8; 4],
    }

    /// A delegation with its evidence.
    DelegateLayout[144] {
        signature: [u8; 64],
        client_order: u64,
        number: u64,
        quantity_max: u64,
        buy_limit: i64,
        sell_limit: i64,
        valid_from: i64,
        valid_until: i64,
        key: u64,
        meter: u32,
        session: u32,
        platform: u16,
        sender: u16,
        market: u16,
        sides: u8,
        zero: [u8; 1],
    }

    /// The end of a delegation with its evidence; the signature is zero where there is none.
    RevokeLayout[96] {
        signature: [u8; 64],
        client_order: u64,
        number: u64,
        meter: u32,
        session: u32,
        platform: u16,
        zero: [u8; 6],
    }

    /// The evidence of the orders that follow from the same session.
    FrameLayout[88] {
        signature: [u8; 64],
        frame: u64,
        key: u64,
        session: u32,
        platform: u16,
        orders: u16,
    }

    /// A new order of a signed frame.
    DelegatedOrderLayout[88] {
        client_order: u64,
        limit: i64,
        quantity: u64,
        valid_until: i64,
        display: u64,
        minimum: u64,
        expires: i64,
        list_number: u64,
        meter: u32,
        session: u32,
        start_minute: u32,
        minutes: u16,
        market: u16,
        platform: u16,
        side: u8,
        kind: u8,
        time_in_force: u8,
        conditions: u8,
        list_kind: u8,
        list_orders: u8,
    }

    /// A replacement of a signed frame.
    DelegatedReplaceLayout[56] {
        client_order: u64,
        order: u64,
        limit: i64,
        quantity: u64,
        valid_until: i64,
        meter: u32,
        session: u32,
        platform: u16,
        zero: [u8; 6],
    }

    /// An offer of a contract with its evidence.
    OfferLayout[128] {
        signature: [u8; 64],
        client_order: u64,
        price: i64,
        quantity: u64,
        reference: u64,
        expires: i64,
        buyer: u32,
        seller: u32,
        session: u32,
        start_minute: u32,
        minutes: u16,
        market: u16,
        platform: u16,
        side: u8,
        zero: [u8; 1],
    }

    /// The acceptance of one with its evidence.
    AcceptLayout[136] {
        signature: [u8; 64],
        client_order: u64,
        offer: u64,
        price: i64,
        quantity: u64,
        reference: u64,
        expires: i64,
        buyer: u32,
        seller: u32,
        session: u32,
        start_minute: u32,
        minutes: u16,
        market: u16,
        platform: u16,
        side: u8,
        zero: [u8; 1],
    }

    /// An offer of a change with its evidence.
    AmendLayout[160] {
        signature: [u8; 64],
        client_order: u64,
        price: i64,
        quantity: u64,
        new_quantity: u64,
        reference: u64,
        expires: i64,
        trade: u64,
        version: u32,
        buyer: u32,
        seller: u32,
        start_minute: u32,
        new_start_minute: u32,
        session: u32,
        minutes: u16,
        new_minutes: u16,
        market: u16,
        platform: u16,
        side: u8,
        zero: [u8; 7],
    }

    /// The acceptance of one with its evidence.
    AmendAcceptLayout[168] {
        signature: [u8; 64],
        client_order: u64,
        offer: u64,
        price: i64,
        quantity: u64,
        new_quantity: u64,
        reference: u64,
        expires: i64,
        trade: u64,
        version: u32,
        buyer: u32,
        seller: u32,
        start_minute: u32,
        new_start_minute: u32,
        session: u32,
        minutes: u16,
        new_minutes: u16,
        market: u16,
        platform: u16,
        side: u8,
        zero: [u8; 7],
    }

    /// An offer that is declined or withdrawn.
    OfferRequestLayout[24] {
        client_order: u64,
        offer: u64,
        session: u32,
        platform: u16,
        zero: [u8; 2],
    }

    /// A page of members. Each is its meter and its quantity in Wh, 4 bytes both.
    MembersPageLayout[144] {
        client_order: u64,
        session: u32,
        platform: u16,
        page: u16,
        members: [u8; 128],
    }

    /// An aggregate order with its evidence.
    AggregateLayout[152] {
        signature: [u8; 64],
        list: [u8; 32],
        client_order: u64,
        limit: i64,
        quantity: u64,
        valid_until: i64,
        session: u32,
        start_minute: u32,
        minutes: u16,
        market: u16,
        platform: u16,
        members: u16,
        side: u8,
        time_in_force: u8,
        zero: [u8; 6],
    }

    /// A page of members that was taken.
    ListedLayout[24] {
        client_order: u64,
        session: u32,
        platform: u16,
        page: u16,
        members: u16,
        zero: [u8; 6],
    }

    /// The member that an aggregate order is refused for.
    MemberRefusedLayout[24] {
        client_order: u64,
        session: u32,
        meter: u32,
        platform: u16,
        zero: [u8; 6],
    }

    /// Who may trade.
    TradingLayout[8] {
        scope_number: u32,
        scope_kind: u8,
        state: u8,
        zero: [u8; 2],
    }

    /// A credit limit, or what is taken off what is owed.
    CreditLayout[16] {
        amount: i64,
        platform: u16,
        market: u16,
        zero: [u8; 4],
    }

    /// A slot that moved on.
    PhaseLayout[16] {
        start_minute: u32,
        minutes: u16,
        market: u16,
        phase: u8,
        zero: [u8; 7],
    }

    /// A call that takes no more orders.
    FrozenLayout[16] {
        uncross_at: i64,
        start_minute: u32,
        minutes: u16,
        market: u16,
    }

    /// A call that goes on.
    ExtendedLayout[24] {
        price: i64,
        reference: i64,
        start_minute: u32,
        minutes: u16,
        market: u16,
    }

    /// An uncross. Bits of `flags`: 0 there is a price, 1 there is a reference, 2 clamped.
    AuctionLayout[80] {
        price: i64,
        volume: u64,
        surplus_wh: i64,
        reference: i64,
        book: [u8; 32],
        candidates: u32,
        start_minute: u32,
        minutes: u16,
        market: u16,
        rule: u8,
        flags: u8,
        zero: [u8; 2],
    }

    /// An accepted order.
    AcceptedLayout[56] {
        client_order: u64,
        order: u64,
        limit: i64,
        quantity: u64,
        meter: u32,
        session: u32,
        start_minute: u32,
        minutes: u16,
        market: u16,
        platform: u16,
        side: u8,
        zero: [u8; 5],
    }

    /// An order sent again.
    RestatedLayout[40] {
        client_order: u64,
        order: u64,
        filled: u64,
        leaves: u64,
        session: u32,
        platform: u16,
        zero: [u8; 2],
    }

    /// A new order that would be accepted.
    ValidatedLayout[16] {
        client_order: u64,
        session: u32,
        platform: u16,
        zero: [u8; 2],
    }

    /// A replaced order. `kept_place` is 0 or 1.
    ReplacedLayout[40] {
        client_order: u64,
        order: u64,
        limit: i64,
        leaves: u64,
        session: u32,
        platform: u16,
        kept_place: u8,
        zero: [u8; 1],
    }

    /// A cancelled order.
    CancelledLayout[32] {
        client_order: u64,
        order: u64,
        leaves: u64,
        platform: u16,
        reason: u8,
        zero: [u8; 5],
    }

    /// An order that left its book for a while, or came back.
    MovedLayout[32] {
        client_order: u64,
        order: u64,
        leaves: u64,
        session: u32,
        platform: u16,
        zero: [u8; 2],
    }

    /// A mass cancellation that is done. Bits of `flags`: 0 there is an origin, 1 nothing is left.
    MassCancelledLayout[24] {
        client_order: u64,
        cancelled: u32,
        scope_number: u32,
        session: u32,
        platform: u16,
        scope_kind: u8,
        flags: u8,
    }

    /// A refused request.
    RejectedLayout[24] {
        client_order: u64,
        session: u32,
        platform: u16,
        reason: u16,
        request: u8,
        zero: [u8; 7],
    }

    /// A trade. `maker` is 0 for none, otherwise 1 + the code of the side.
    TradeLayout[96] {
        trade: u64,
        price: i64,
        quantity: u64,
        buy_order: u64,
        buy_client_order: u64,
        buy_leaves: u64,
        sell_order: u64,
        sell_client_order: u64,
        sell_leaves: u64,
        buy_meter: u32,
        sell_meter: u32,
        start_minute: u32,
        minutes: u16,
        market: u16,
        buy_platform: u16,
        sell_platform: u16,
        maker: u8,
        zero: [u8; 3],
    }

    /// A delegation that was entered. Bit 0 of `flags`: another platform held one before.
    DelegatedLayout[88] {
        client_order: u64,
        number: u64,
        quantity_max: u64,
        buy_limit: i64,
        sell_limit: i64,
        valid_from: i64,
        valid_until: i64,
        key: u64,
        meter: u32,
        session: u32,
        platform: u16,
        sender: u16,
        market: u16,
        before: u16,
        sides: u8,
        flags: u8,
        zero: [u8; 6],
    }

    /// Delegations that ended. Bit 0 of `flags`: a platform held one.
    RevokedLayout[32] {
        client_order: u64,
        number: u64,
        meter: u32,
        session: u32,
        platform: u16,
        holder: u16,
        flags: u8,
        zero: [u8; 3],
    }

    /// An offer of a contract that has its number.
    OfferedLayout[80] {
        client_order: u64,
        offer: u64,
        price: i64,
        quantity: u64,
        reference: u64,
        expires: i64,
        buyer: u32,
        seller: u32,
        session: u32,
        start_minute: u32,
        minutes: u16,
        market: u16,
        platform: u16,
        invited: u16,
        side: u8,
        zero: [u8; 7],
    }

    /// A contract that both sides have signed. `platform` sent the acceptance.
    AgreedLayout[48] {
        client_order: u64,
        offer: u64,
        trade: u64,
        offered_as: u64,
        session: u32,
        platform: u16,
        offerer: u16,
        side: u8,
        zero: [u8; 7],
    }

    /// An offer that came to nothing.
    EndedLayout[32] {
        offer: u64,
        offered_as: u64,
        client_order: u64,
        offerer: u16,
        invited: u16,
        side: u8,
        state: u8,
        zero: [u8; 2],
    }

    /// An offer of a change that has its number.
    AmendOfferedLayout[104] {
        client_order: u64,
        offer: u64,
        price: i64,
        quantity: u64,
        new_quantity: u64,
        reference: u64,
        expires: i64,
        trade: u64,
        version: u32,
        buyer: u32,
        seller: u32,
        start_minute: u32,
        new_start_minute: u32,
        session: u32,
        minutes: u16,
        new_minutes: u16,
        market: u16,
        platform: u16,
        invited: u16,
        side: u8,
        zero: [u8; 5],
    }

    /// A change that both sides have signed. `platform` sent the acceptance.
    AmendedLayout[112] {
        client_order: u64,
        offer: u64,
        offered_as: u64,
        price: i64,
        quantity: u64,
        new_quantity: u64,
        reference: u64,
        expires: i64,
        trade: u64,
        version: u32,
        buyer: u32,
        seller: u32,
        start_minute: u32,
        new_start_minute: u32,
        session: u32,
        minutes: u16,
        new_minutes: u16,
        market: u16,
        platform: u16,
        offerer: u16,
        side: u8,
        zero: [u8; 5],
    }

    /// An offer or acceptance sent again.
    ContractRestatedLayout[32] {
        client_order: u64,
        offer: u64,
        trade: u64,
        session: u32,
        platform: u16,
        state: u8,
        side: u8,
    }

    /// Where a meter hangs. A name of zero bytes is none.
    PlaceLayout[56] {
        number: u64,
        meter: u32,
        from_minute: u32,
        revision: u32,
        zone: [u8; 16],
        feeder: [u8; 16],
        zero: [u8; 4],
    }

    /// A meter's place that was noted. Bit 0 of `flags`: no order is left that has to go.
    PlaceNotedLayout[64] {
        number: u64,
        meter: u32,
        from_minute: u32,
        revision: u32,
        cancelled: u32,
        zone: [u8; 16],
        feeder: [u8; 16],
        flags: u8,
        zero: [u8; 7],
    }

    /// A limit of a place. A feeder of zero bytes is all of them.
    GridLimitLayout[64] {
        number: u64,
        limit: u64,
        start_minute: u32,
        revision: u32,
        minutes: u16,
        utility: u16,
        zone: [u8; 16],
        feeder: [u8; 16],
        side: u8,
        zero: [u8; 3],
    }

    /// A limit that is in force. Bit 0 of `flags`: no order is left that has to go.
    GridLimitSetLayout[80] {
        number: u64,
        limit: u64,
        used: u64,
        start_minute: u32,
        revision: u32,
        cancelled: u32,
        minutes: u16,
        utility: u16,
        zone: [u8; 16],
        feeder: [u8; 16],
        side: u8,
        flags: u8,
        zero: [u8; 6],
    }

    /// A place or limit that was refused.
    GridRefusedLayout[16] {
        number: u64,
        reason: u16,
        zero: [u8; 6],
    }

    /// A refused command.
    CommandRejectedLayout[8] {
        reason: u16,
        zero: [u8; 6],
    }
}
