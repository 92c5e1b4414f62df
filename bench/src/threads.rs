//! How much processor time each of this process's threads used.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Serialize;

/// Nanoseconds by name of thread; threads of one name together.
#[derive(Debug, Clone, Default)]
pub struct ThreadTimes(BTreeMap<String, u64>);

/// A thread's share.
#[derive(Debug, Clone, Serialize)]
pub struct ThreadShare {
    /// Name of the thread.
    pub thread: String,
    /// Processor time it used.
    pub cpu_ms: u64,
    /// Processor time it used for each order.
    pub ns_per_order: u64,
}

impl ThreadTimes {
    /// What all running threads have used so far.
    #[must_use]
    pub fn observe() -> Self {
        let mut times = BTreeMap::new();
        for task in fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
            let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
            let sum: &mut u64 = times.entry(name.trim().to_owned()).or_default();
            *sum = sum.saturating_add(cpu_ns(&task.path().join("schedstat")));
        }
        Self(times)
    }

    /// Adds what threads used that have ended.
    pub fn add(&mut self, name: &str, ns: u64) {
        let sum = self.0.entry(name.to_owned()).or_default();
        *sum = sum.saturating_add(ns);
    }

    /// What was used since `before`, the busiest first.
    #[must_use]
    pub fn since(&self, before: &Self, orders: u64) -> Vec<ThreadShare> {
        let used = |name: &str| {
            let before = before.0.get(name).copied().unwrap_or(0);
            self.0.get(name).map_or(0, |now| now.saturating_sub(before))
        };
        let mut shares: Vec<_> = self.0.keys().map(|name| (used(name), name)).collect();
        shares.sort_unstable_by(|left, right| right.cmp(left));
        shares
            .into_iter()
            .filter(|&(ns, _)| ns >= 1_000_000)
            .map(|(ns, name)| ThreadShare {
                thread: name.clone(),
                cpu_ms: ns / 1_000_000,
                ns_per_order: ns / orders.max(1),
            })
            .collect()
    }
}

/// What the calling thread has used so far, in nanoseconds.
#[must_use]
pub fn own_cpu_ns() -> u64 {
    cpu_ns(Path::new("/proc/thread-self/schedstat"))
}

fn cpu_ns(schedstat: &Path) -> u64 {
    let stat = fs::read_to_string(schedstat).unwrap_or_default();
    stat.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0)
}
