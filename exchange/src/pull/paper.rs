//! What is asked and answered: JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use settlement::MissingReadings;
use types::{DeliverySlot, MarketId};

/// Behind an endpoint's address: where readings are asked for.
pub const PATH: &str = "/readings";
/// Most documents in one answer.
const DOCUMENTS_MAX: usize = 256;

/// One request: readings that are needed.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub(super) struct Page {
    /// Of this text.
    version: u8,
    /// From 1.
    page: usize,
    /// Of the round.
    pages: usize,
    slots: Vec<SlotLine>,
}

/// The readings of one slot.
#[derive(Debug, Serialize, PartialEq, Eq)]
struct SlotLine {
    market: u16,
    slot_start: String,
    minutes: u16,
    /// `missing`, or `estimated` where only estimates are there.
    why: &'static str,
    meters: Vec<u32>,
}

impl Page {
    /// How many readings it asks for.
    pub(super) fn readings(&self) -> usize {
        self.slots.iter().map(|slot| slot.meters.len()).sum()
    }
}

/// Cuts what is missing into pages, in its order: the earliest slots first.
pub(super) fn pages(missing: &[MissingReadings], readings_max: usize) -> Vec<Page> {
    let cut = missing.chunks(readings_max.max(1));
    let pages = cut.len();
    let page = |(index, chunk): (usize, &[MissingReadings])| {
        let mut slots: BTreeMap<(DeliverySlot, MarketId, bool), Vec<u32>> = BTreeMap::new();
        for line in chunk {
            let key = (line.slot, line.market, line.is_estimated);
            slots.entry(key).or_default().push(line.meter.get());
        }
        let slots = slots.into_iter().map(|((slot, market, is_estimated), meters)| SlotLine {
            market: market.get(),
            slot_start: slot.start().to_string(),
            minutes: slot.minutes(),
            why: if is_estimated { "estimated" } else { "missing" },
            meters,
        });
        Page { version: 1, page: index.saturating_add(1), pages, slots: slots.collect() }
    };
    cut.enumerate().map(page).collect()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer<'a> {
    #[serde(borrow)]
    documents: Vec<&'a RawValue>,
}

/// The documents of an answer, each with the bytes that it has there: they are what is kept as
/// evidence. `None` for what is no answer.
pub(super) fn documents(answer: &[u8]) -> Option<Vec<Vec<u8>>> {
    let Answer { documents } = serde_json::from_slice(answer).ok()?;
    (documents.len() <= DOCUMENTS_MAX)
        .then(|| documents.into_iter().map(|raw| raw.get().as_bytes().to_vec()).collect())
}

#[cfg(test)]
mod tests {
    use types::{MeterId, Party, Role};

    use super::*;

    fn missing(quarter: u32, meter: u32, is_estimated: bool) -> MissingReadings {
        MissingReadings {
            server: Party { role: Role::Retailer, number: 1 },
            slot: DeliverySlot::new(29_000_010 + quarter * 15, 15).unwrap(),
            market: MarketId::new(1),
            meter: MeterId::new(meter),
            is_estimated,
        }
    }

    #[test]
    fn what_is_missing_is_asked_for_in_bounded_pages() {
        let lines = [
            missing(0, 1, false),
            missing(0, 2, true),
            missing(0, 3, false),
            missing(1, 1, false),
            missing(1, 4, false),
        ];
        let pages = pages(&lines, 3);
        let counts: Vec<usize> = pages.iter().map(Page::readings).collect();
        assert_eq!(counts, [3, 2]);
        let text = serde_json::to_string(&pages[0]).unwrap();
        let expected = "{\"version\":1,\"page\":1,\"pages\":2,\"slots\":[\
            {\"market\":1,\"slot_start\":\"2025-02-19T21:30:00Z\",\"minutes\":15,\"why\":\"missing\",\"meters\":[1,3]},\
            {\"market\":1,\"slot_start\":\"2025-02-19T21:30:00Z\",\"minutes\":15,\"why\":\"estimated\",\"meters\":[2]}]}";
        assert_eq!(text, expected);
        assert_eq!(super::pages(&[], 3), []);
    }

    #[test]
    fn documents_keep_their_bytes() {
        let answer = b"{ \"documents\": [ {\"signer\": \"a\" ,\n \"x\":1.0}, 7 ] }";
        let documents = documents(answer).unwrap();
        assert_eq!(documents, [&b"{\"signer\": \"a\" ,\n \"x\":1.0}"[..], b"7"]);
        for (name, answer) in [
            ("nothing", String::new()),
            ("a list", "[]".to_owned()),
            ("another key", "{\"documents\":[],\"more\":1}".to_owned()),
            ("twice", "{\"documents\":[],\"documents\":[]}".to_owned()),
            ("something behind it", "{\"documents\":[]} {}".to_owned()),
            ("cut", "{\"documents\":[".to_owned()),
            ("too many", format!("{{\"documents\":[{}0]}}", "0,".repeat(DOCUMENTS_MAX))),
            ("deep", format!("{{\"documents\":{}", "[".repeat(1_000_000))),
        ] {
            assert_eq!(super::documents(answer.as_bytes()), None, "{name}");
        }
        assert_eq!(super::documents(b"{\"documents\":[]}"), Some(Vec::new()));
    }
}
