//! The one place that draws random numbers; or, in a simulation, the one place that counts them.

use std::{
    fs::File,
    io::{self, Read},
};

use crate::clock::Clock;

/// Where the system gives random bytes.
pub const SYSTEM: &str = "/dev/urandom";

/// Where the seeds of auctions come from: nobody must be able to foresee one.
#[derive(Debug)]
pub enum Seeds {
    /// The operating system.
    System(File),
    /// A sequence that is always the same, for simulations; how many were drawn.
    Counted(u64),
}

impl Seeds {
    /// From the system; where the clock is virtual, always the same.
    ///
    /// # Errors
    /// When the system's source cannot be opened.
    pub fn beside(clock: &Clock) -> io::Result<Self> {
        match clock {
            Clock::System => File::open(SYSTEM).map(Self::System),
            Clock::Virtual(_) => Ok(Self::Counted(0)),
        }
    }

    /// A secret of four seeds.
    ///
    /// # Errors
    /// As [`Seeds::draw`].
    pub fn secret(&mut self) -> io::Result<[u8; 32]> {
        let mut secret = [0; 32];
        let (parts, _) = secret.as_chunks_mut::<8>();
        for part in parts {
            *part = self.draw()?.to_le_bytes();
        }
        Ok(secret)
    }

    /// The next seed: any number, each as likely as any other.
    ///
    /// # Errors
    /// When the system's source cannot be read.
    pub fn draw(&mut self) -> io::Result<u64> {
        match self {
            Self::System(source) => {
                let mut bytes = [0; 8];
                source.read_exact(&mut bytes)?;
                Ok(u64::from_le_bytes(bytes))
            }
            Self::Counted(count) => {
                *count = count.wrapping_add(1);
                Ok(mixed(*count))
            }
        }
    }
}

/// The output function of `SplitMix64`.
const fn mixed(count: u64) -> u64 {
    let mut mixed = count.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use types::Timestamp;

    use super::*;

    #[test]
    fn seeds_differ_from_each_other() {
        for clock in [Clock::System, Clock::starting_at(Timestamp::from_ns(0))] {
            let mut seeds = Seeds::beside(&clock).unwrap();
            assert_ne!(seeds.draw().unwrap(), seeds.draw().unwrap());
        }
    }

    #[test]
    fn a_simulation_always_draws_the_same() {
        let clock = Clock::starting_at(Timestamp::from_ns(0));
        let [first, again] = [(), ()].map(|()| Seeds::beside(&clock).unwrap().draw().unwrap());
        assert_eq!(first, again);
    }
}
