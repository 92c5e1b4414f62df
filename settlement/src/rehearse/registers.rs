//! What a meter's two registers have shown so far in a case.
//!
//! A case gives the registers one by one, each with revisions of its own; a signed file holds both.

use types::Energy;

use super::script::Direction;
use crate::{
    allocation::Metered,
    metering::{self, DocumentReject, Verdict},
};

/// The revisions of one register.
#[derive(Debug, Clone, Default)]
struct Register {
    stored: Vec<(u32, u64)>,
    /// Which of them came after a higher one.
    late: Vec<u32>,
}

impl Register {
    fn newest(&self) -> Energy {
        let newest = self.stored.iter().max_by_key(|(revision, _)| *revision);
        newest.map_or(Energy::ZERO, |&(_, wh)| Energy::from_wh(wh))
    }

    /// Takes a reading as the pipeline takes a document; whether it is the newest now.
    fn take(&mut self, revision: u32, wh: u64) -> Result<bool, DocumentReject> {
        match metering::judge(&self.stored, revision, &wh) {
            Verdict::New => {
                self.stored.push((revision, wh));
                Ok(true)
            }
            Verdict::Late => {
                self.stored.push((revision, wh));
                self.late.push(revision);
                Err(DocumentReject::StaleRevision)
            }
            // The same reading has the same answer.
            Verdict::Known if self.late.contains(&revision) => Err(DocumentReject::StaleRevision),
            Verdict::Known => Ok(false),
            Verdict::Contradicts => Err(DocumentReject::Equivocation),
        }
    }
}

/// Both registers of a meter.
#[derive(Debug, Clone, Default)]
pub(super) struct Registers {
    injected: Register,
    withdrawn: Register,
}

impl Registers {
    /// As [`Register::take`], for the register that the event names.
    pub(super) fn take(
        &mut self,
        direction: Direction,
        revision: u32,
        wh: u64,
    ) -> Result<bool, DocumentReject> {
        match direction {
            Direction::Injected => self.injected.take(revision, wh),
            Direction::Withdrawn => self.withdrawn.take(revision, wh),
        }
    }

    /// What a file says of the meter: a register that was not read shows nothing.
    pub(super) fn metered(&self) -> Metered {
        Metered { injected: self.injected.newest(), withdrawn: self.withdrawn.newest() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_register_is_judged_by_its_own_revisions() {
        let mut registers = Registers::default();
        let mut take = |direction, revision, wh| registers.take(direction, revision, wh);
        let stale = Err(DocumentReject::StaleRevision);
        let both = [Direction::Injected, Direction::Withdrawn];
        assert_eq!(both.map(|direction| take(direction, 2, 3_000)), [Ok(true); 2]);
        assert_eq!(take(Direction::Injected, 2, 3_000), Ok(false));
        assert_eq!(take(Direction::Injected, 2, 2_800), Err(DocumentReject::Equivocation));
        assert_eq!([(); 2].map(|()| take(Direction::Withdrawn, 1, 9)), [stale; 2]);
        assert_eq!(take(Direction::Withdrawn, 3, 1_500), Ok(true));
        let metered = registers.metered();
        assert_eq!((metered.injected.wh(), metered.withdrawn.wh()), (3_000, 1_500));
    }
}
