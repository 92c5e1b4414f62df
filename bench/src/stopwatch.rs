//! Time by the clock, and time on the processor.

use std::{
    fs,
    ops::AddAssign,
    time::{Duration, Instant},
};

/// How long something took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Took {
    /// By the clock: what other programs do on the machine is in it.
    pub wall: Duration,
    /// Of the calling thread on a processor.
    pub cpu: Duration,
}

impl AddAssign for Took {
    fn add_assign(&mut self, other: Self) {
        self.wall = self.wall.saturating_add(other.wall);
        self.cpu = self.cpu.saturating_add(other.cpu);
    }
}

/// Times what one thread does.
#[derive(Debug)]
pub struct Stopwatch {
    began: Instant,
    cpu: Duration,
}

impl Stopwatch {
    /// From now on.
    #[must_use]
    pub fn start() -> Self {
        Self { began: Instant::now(), cpu: cpu() }
    }

    /// Since then.
    #[must_use]
    pub fn took(&self) -> Took {
        Took { wall: self.began.elapsed(), cpu: cpu().saturating_sub(self.cpu) }
    }
}

/// Time of the calling thread on a processor so far, its system calls included; zero where the kernel does
/// not tell.
fn cpu() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ns = text.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0);
    Duration::from_nanos(ns)
}
