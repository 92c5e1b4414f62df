//! Damage to bytes, decided by a seed: what a fuzzer does, on every machine and toolchain.

use crate::model::history::Random;

/// Numbers at which lengths and counts go wrong.
const INTERESTING: [u8; 12] = [0, 1, 2, 7, 8, 9, 16, 127, 128, 254, 255, 24];

/// Damages `bytes` in one to four ways; `others` are material to splice in.
pub fn damage(bytes: &mut Vec<u8>, others: &[Vec<u8>], random: &mut Random) {
    for _ in 0..=random.below(4) {
        once(bytes, others, random);
    }
}

fn once(bytes: &mut Vec<u8>, others: &[Vec<u8>], random: &mut Random) {
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let place = |random: &mut Random| index(random.below(length.max(1)));
    let at = place(random);
    match random.below(8) {
        0 => set(bytes, at, |byte| byte ^ (1 << (at % 8))),
        1 => {
            let value = INTERESTING.get(index(random.below(12))).copied().unwrap_or(0);
            set(bytes, at, |_| value);
        }
        2 => {
            let value = u8::try_from(random.below(256)).unwrap_or(0);
            set(bytes, at, |_| value);
        }
        3 => bytes.truncate(at),
        4 => {
            let value = u8::try_from(random.below(256)).unwrap_or(0);
            bytes.insert(at.min(bytes.len()), value);
        }
        5 if at < bytes.len() => {
            bytes.remove(at);
        }
        6 => {
            let end = place(random).max(at);
            let piece = bytes.get(at..end).unwrap_or_default().to_vec();
            bytes.extend(piece.into_iter().take(512));
        }
        _ => splice(bytes, others, at, random),
    }
}

/// Puts a piece of another sample over what stands there.
fn splice(bytes: &mut Vec<u8>, others: &[Vec<u8>], at: usize, random: &mut Random) {
    let count = u64::try_from(others.len()).unwrap_or(0);
    let Some(other) = others.get(index(random.below(count.max(1)))) else { return };
    let from = index(random.below(u64::try_from(other.len()).unwrap_or(1).max(1)));
    let piece = other.get(from..).unwrap_or_default();
    let size = index(random.below(64)).min(piece.len());
    let end = at.saturating_add(size).min(bytes.len());
    let start = at.min(end);
    bytes.splice(start..end, piece.iter().take(size).copied());
}

fn set(bytes: &mut [u8], at: usize, change: impl FnOnce(u8) -> u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte = change(*byte);
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
