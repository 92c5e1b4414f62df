//! The shared language of the exchange: identifiers, units, slots, orders, commands, events and
//! reject reasons.
//!
//! Nothing here reads a clock, a file or a socket; every value is decided by its constructor.
//! Read [`command`] and [`event`] first: a journal is a list of the one, each with the other it
//! caused. [`units`] says what a number means; [`reject`] lists every refusal with its code.
#![forbid(unsafe_code)]

pub mod aggregate;
pub mod amendment;
pub mod auction;
pub mod bust;
pub mod calendar;
pub mod code;
pub mod command;
pub mod contract;
pub mod control;
pub mod delegation;
pub mod event;
pub mod grid;
pub mod identity;
pub mod ids;
pub mod market;
pub mod members;
pub mod operation;
pub mod order;
pub mod participant;
pub mod reject;
pub mod shard;
pub mod share;
pub mod slot;
pub mod time;
pub mod units;

pub use aggregate::{
    AGGREGATE_MEMBERS_MAX, AggregateOrder, Member, MemberRefused, MembersListed, MembersPage,
    NewAggregateOrder, PAGE_MEMBERS_MAX, members_listing,
};
pub use amendment::{
    AcceptAmendment, AmendmentOffered, AmendmentTerms, ContractAmended, FIRST_VERSION,
    OfferAmendment,
};
pub use auction::{AuctionResult, PriceRule};
pub use bust::{BustTrade, KnownTrade, TradeBusted};
pub use code::{Code, CodeError};
pub use command::{
    About, Command, DelegateMeter, DelegatedOrder, DelegatedReplace, FreezeSlot, MASS_CANCEL_MAX,
    MassCancel, NewOrder, OrderRequest, Origin, ReduceOrder, ReplaceOrder, RevokeDelegation,
    Sequenced, SignedFrame, SignedNewOrder, SignedReplaceOrder,
};
pub use contract::{
    AcceptContract, ContractAgreed, ContractEnded, ContractOffered, ContractRestated,
    ContractTerms, OfferContract, OfferRequest, OfferState, OfferTerms, OpenOffer,
};
pub use control::{
    Allocation, CreditLimit, CreditRelease, MarketControls, Scope, ScopeError, SelfTradeAction,
    SelfTradeScope, TradingControl, TradingState,
};
pub use delegation::{Delegation, Sides, Terms};
pub use event::{
    CallExtended, CancelReason, CommandRejected, DelegationRevoked, Event, MassCancelled,
    MeterDelegated, OrderAccepted, OrderCancelled, OrderMoved, OrderRejected, OrderReplaced,
    OrderRestated, OrderValidated, Request, SlotFrozen, SlotPhaseChanged, Trade, TradeSide,
};
pub use grid::{GridLimit, GridLimitSet, GridPlace, GridRefused, PlaceName, PlaceNote, PlaceNoted};
pub use identity::{Digest, KeyId, PublicKey, Signature};
pub use ids::{
    ClientOrderId, MarketId, MeterId, OfferId, OrderId, OwnerId, PlatformId, RetailerId, Seq,
    SessionId, TradeId, UtilityId,
};
pub use market::{MarketDefinition, MarketError, Phase};
pub use members::{MemberList, MemberLists, PLATFORM_LISTS_MAX};
pub use operation::{
    Action, NewMarket, OPERATIONS_WAITING_MAX, Operated, Operation, Remark, SignedOperation,
    SlotAction,
};
pub use order::{
    Conditions, ICEBERG_PARTS_MAX, LIST_ORDERS_MAX, ListKind, OrderKind, OrderList, Side,
    TimeInForce,
};
pub use participant::{MeterRegistration, Party, PartyRegistration, Role};
pub use reject::RejectReason;
pub use shard::{ShardId, ShardMap, Shards};
pub use share::share;
pub use slot::{DeliverySlot, SlotError, SlotKey};
pub use time::{Lead, Timestamp};
pub use units::{Currency, CurrencyError, Energy, Money, Notional, Power, Price};
