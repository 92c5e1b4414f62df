//! Every execution of a core loop that tells three batches while a session joins.

use std::sync::atomic::{AtomicU64 as Count, Ordering as Counting};

use loom::thread;
use types::Seq;

/// The protocol once more, over the model's atomics.
#[path = "protocol.rs"]
#[expect(unreachable_pub, reason = "what it is outside of the model")]
mod protocol;

use protocol::{Seam, Told};

mod sync {
    pub(super) use loom::sync::atomic::{AtomicU64, Ordering, fence};
}

/// How often the session was late, early, and between two batches.
static JOINED: [Count; 4] = [const { Count::new(0) }; 4];

/// Batches of positions 1–2, 3 and 4–5.
const BATCHES: [(u64, u64); 3] = [(1, 2), (3, 3), (4, 5)];

#[test]
fn every_position_is_told_once_however_a_session_joins() {
    loom::model(|| {
        let told = loom::sync::Arc::new(Told::after(Seq::ZERO));
        // The table of sessions: empty until the session enters itself.
        let seam = loom::sync::Arc::new(Seam::far());
        let entered = loom::sync::Arc::new(sync::AtomicU64::new(0));
        let core = {
            let (told, seam, entered) = (told.clone(), seam.clone(), entered.clone());
            thread::spawn(move || {
                let mut live = Vec::new();
                for (first, last) in BATCHES {
                    told.announce(Seq::new(last));
                    if entered.load(sync::Ordering::Acquire) == 0 {
                        continue;
                    }
                    if let Some(from) = seam.live_from(Seq::new(first)) {
                        live.extend((first..=last).filter(|&seq| seq >= from.get()));
                    }
                }
                live
            })
        };
        entered.store(1, sync::Ordering::Release);
        let past = seam.join(&told).get();
        // What the journal must have by now: the position was announced before.
        assert!(past <= told.through().get(), "told before it was durable");
        let live = core.join().unwrap();
        let all: Vec<u64> = (1..=past).chain(live).collect();
        assert_eq!(all, [1, 2, 3, 4, 5], "joined after {past}");
        let place = BATCHES.iter().filter(|(_, last)| *last <= past).count();
        JOINED[place].fetch_add(1, Counting::Relaxed);
    });
    let met = JOINED.each_ref().map(|count| count.load(Counting::Relaxed));
    assert!(met.iter().all(|&count| count > 0), "cases that were met: {met:?}");
}
