//! Payment rails: what is asked of them, what they tell, and how both are compared.
//!
//! An [`Instruction`] is written in the transaction of what causes it, sent later, and sent again only
//! under its own number. What a rail *answers* to it moves no money; only what it *tells* does: an
//! [`Event`], signed, taken once. Nothing here touches a socket or a clock: [`PaymentRail`] is what a
//! shell implements for a real rail, and [`simulated`] for tests and rehearsals.

pub mod bill;
pub mod event;
pub mod instruction;
pub mod message;
pub mod seal;
pub mod simulated;
pub mod statement;

pub use bill::Bill;
pub use event::{Event, EventAnswer, News, Outcome};
pub use instruction::{Instruction, InstructionId, InstructionKind, InstructionState};
pub use seal::{SealReject, Sealed, Signer, Verifier};
pub use statement::{Statement, StatementError, StatementLine};

/// What a rail can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// It blocks money and captures it later.
    pub blocks: bool,
    /// It pulls money from who owes it.
    pub collects: bool,
    /// It presents bills.
    pub bills: bool,
    /// It pays money out.
    pub pays_out: bool,
}

impl Capabilities {
    /// All of it.
    pub const ALL: Self = Self { blocks: true, collects: true, bills: true, pays_out: true };

    /// Whether the rail takes instructions of this kind.
    #[must_use]
    pub const fn includes(self, kind: InstructionKind) -> bool {
        match kind {
            InstructionKind::Block | InstructionKind::Capture | InstructionKind::Release => {
                self.blocks
            }
            InstructionKind::Collect => self.collects,
            InstructionKind::Bill => self.bills,
            InstructionKind::PayOut | InstructionKind::Refund => self.pays_out,
        }
    }
}

/// What a rail answers at once. No money moves by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It has the instruction; events will follow.
    Accepted,
    /// It will never carry the instruction out.
    Rejected,
    /// Nobody knows whether it has it: no answer, or none that can be read.
    Unknown,
    /// Asked about it: it never got it. The same instruction may be sent again.
    NotKnown,
}

/// A payment rail, as the shell talks to it.
pub trait PaymentRail: Send + Sync {
    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Sends an instruction. The same again changes nothing at the rail.
    fn submit(&self, message: &message::Submission) -> impl Future<Output = Answer> + Send;

    /// Asks where an instruction stands: the answer, and every event there was about it, sealed.
    fn query(&self, id: InstructionId) -> impl Future<Output = (Answer, Vec<Sealed>)> + Send;

    /// Checks who signed an event, over its bytes as they came.
    ///
    /// # Errors
    /// Why it is not the rail's.
    fn verify(&self, sealed: &Sealed) -> Result<(), SealReject>;

    /// What went in and out on a day, by the rail; `None` when it does not say.
    fn statement(&self, day: i64) -> impl Future<Output = Option<Statement>> + Send;
}
