//! Who may what: the one place that decides it.
//!
//! First by role and endpoint ([`may_call`]), then by contract ([`Sight::of`]) or by what is asked
//! about. A contract that a caller is no party to does not exist for that caller.

use settlement::{
    capture::ContractSide,
    store::{
        notices::{ContractNews, News},
        queries::ContractRow,
    },
};
use types::{Operated, Party, RetailerId, Role, Scope, Side, UtilityId, operation::Action};

/// What can be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// `POST /ledger/put`.
    LedgerPut,
    /// `POST /ledger/record`.
    LedgerRecord,
    /// `POST /ledger/allocate`.
    LedgerAllocate,
    /// `POST /ledger/get`.
    LedgerGet,
    /// `GET /v1/instruments`.
    Instruments,
    /// `GET /v1/slots`.
    Slots,
    /// `GET /v1/auctions`.
    Auctions,
    /// `GET /v1/contracts` and `/v1/contracts/{contract}`.
    Contracts,
    /// `GET /v1/contracts/{contract}/proof`.
    Proofs,
    /// `GET /v1/schedules`.
    Schedules,
    /// `GET /v1/meter-files`.
    MeterFiles,
    /// `GET /v1/declarations`.
    Declarations,
    /// `GET /v1/statements/{retailer}`.
    Statements,
    /// `GET /v1/events` and `/v1/notices`.
    Events,
    /// `GET /v1/webhook` and `POST /v1/webhook/replay`.
    Webhook,
}

impl Endpoint {
    /// Every endpoint.
    pub const ALL: [Self; 15] = [
        Self::LedgerPut,
        Self::LedgerRecord,
        Self::LedgerAllocate,
        Self::LedgerGet,
        Self::Instruments,
        Self::Slots,
        Self::Auctions,
        Self::Contracts,
        Self::Proofs,
        Self::Schedules,
        Self::MeterFiles,
        Self::Declarations,
        Self::Statements,
        Self::Events,
        Self::Webhook,
    ];
}

/// Whether callers of a role may call an endpoint at all.
#[must_use]
pub const fn may_call(role: Role, endpoint: Endpoint) -> bool {
    let is_served = matches!(role, Role::Retailer | Role::Utility);
    let is_operator = matches!(role, Role::Operator);
    match endpoint {
        Endpoint::LedgerPut => matches!(role, Role::Platform),
        Endpoint::LedgerRecord | Endpoint::LedgerAllocate => is_served,
        Endpoint::Schedules => matches!(role, Role::Utility) || is_operator,
        Endpoint::Statements => matches!(role, Role::Retailer) || is_operator,
        Endpoint::MeterFiles => is_served || is_operator,
        Endpoint::Events => is_served || matches!(role, Role::Platform),
        Endpoint::Webhook => is_served || is_operator || matches!(role, Role::Platform),
        Endpoint::LedgerGet
        | Endpoint::Instruments
        | Endpoint::Slots
        | Endpoint::Auctions
        | Endpoint::Contracts
        | Endpoint::Proofs
        | Endpoint::Declarations => !matches!(role, Role::Settlement),
    }
}

/// What a caller sees of a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sight {
    /// Whose meter the buyer's is.
    pub buyer: bool,
    /// Whose meter the seller's is.
    pub seller: bool,
    /// At which price.
    pub price: bool,
}

impl Sight {
    /// What `caller` sees of a contract; nothing at all, if it is no party to it. Prices are for both
    /// platforms and the operator; the name of a meter for those who serve it, and the operator.
    #[must_use]
    pub fn of(caller: Party, row: &ContractRow) -> Option<Self> {
        let serves = |side: Side, of: &ContractSide| {
            let number = match caller.role {
                Role::Operator => return true,
                Role::Settlement => return false,
                Role::Platform => of.platform.get(),
                Role::Retailer => of.retailer.get(),
                Role::Utility => of.utility.get(),
            };
            number == caller.number || row.side(side).server == caller
        };
        let (buyer, seller) =
            (serves(Side::Buy, &row.contract.buy), serves(Side::Sell, &row.contract.sell));
        let price = matches!(caller.role, Role::Platform | Role::Operator);
        (buyer || seller).then_some(Self { buyer, seller, price })
    }
}

/// What a party is told of a notice; nothing at all, if it does not concern it. Of a default both
/// platforms and both retailers learn, of a disconnection the utility of the meter too. A limit is its utility's, a document its signer's, an operator's
/// order everybody's, or of the platform or retailer that it names.
#[must_use]
pub fn told(party: Party, news: &News) -> Option<Sight> {
    const PLAIN: Sight = Sight { buyer: false, seller: false, price: false };
    let is_told = match news {
        News::Contract(row, ContractNews::Default(_)) => {
            return Sight::of(party, row).filter(|_| party.role != Role::Utility);
        }
        News::Contract(row, ContractNews::Disconnection(record, _)) => {
            let is_buyer = record.debtor == row.contract.buy.meter;
            let serves = |sight: &Sight| if is_buyer { sight.buyer } else { sight.seller };
            let is_told = |sight: &Sight| party.role != Role::Utility || serves(sight);
            return Sight::of(party, row).filter(is_told);
        }
        News::Contract(row, _) => return Sight::of(party, row),
        News::Limit(limit) => party == Party { role: Role::Utility, number: limit.utility.get() },
        News::Document(record) => record.signer == party,
        News::Operation(operated) => is_told_of(party, operated),
    };
    is_told.then_some(PLAIN)
}

fn is_told_of(party: Party, operated: &Operated) -> bool {
    let Action::SetTrading(control) = operated.signed.operation.action else { return true };
    match control.scope {
        Scope::All | Scope::Market(_) => true,
        Scope::Platform(platform) => {
            party == Party { role: Role::Platform, number: platform.get() }
        }
        Scope::Retailer(retailer) => {
            party == Party { role: Role::Retailer, number: retailer.get() }
        }
        // Whose meter or session it is learns it from the answers to its orders.
        Scope::Meter(_) | Scope::Session(_) => false,
    }
}

/// Whose webhook a caller may look at and set back: its own, the operator anybody's.
#[must_use]
pub fn may_see_webhook(caller: Party, of: Party) -> bool {
    caller == of || caller.role == Role::Operator
}

/// Whose wires a caller may look at.
#[must_use]
pub fn may_see_wires(caller: Party, utility: UtilityId) -> bool {
    match caller.role {
        Role::Operator => true,
        Role::Utility => caller.number == utility.get(),
        Role::Platform | Role::Retailer | Role::Settlement => false,
    }
}

/// Whose statements a caller may read: a retailer its own, the operator anybody's.
#[must_use]
pub fn may_see_statements(caller: Party, retailer: RetailerId) -> bool {
    let own = Party { role: Role::Retailer, number: retailer.get() };
    caller == own || caller.role == Role::Operator
}

/// Whose documents a caller sees: the operator everybody's (`None`), all others their own.
#[must_use]
pub fn only_own(caller: Party) -> Option<Party> {
    (caller.role != Role::Operator).then_some(caller)
}
