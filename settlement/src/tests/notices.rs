//! The outbox as it is read: every number is looked at once, however pages are cut.

use types::{Party, Role};

use super::fixture::{Desk, Feed, curtailment, file, later};
use crate::store::{
    notices::{ContractNews, News, OutboxNotice, page_after},
    outbox,
};

/// What a notice says, in a word.
fn word(notice: &OutboxNotice) -> String {
    let word = match &notice.news {
        News::Contract(row, news) => {
            let what = match news {
                ContractNews::Made => "made",
                ContractNews::Told(..) => "told",
                ContractNews::Changed(_) => "changed",
                ContractNews::Outcome(_) => "outcome",
                ContractNews::Default(_) => "default",
                ContractNews::Disconnection(..) => "disconnection",
            };
            format!("{what} {}", row.contract.id)
        }
        News::Limit(_) => "limit".to_owned(),
        News::Document(record) => format!("document of {}", record.signer),
        News::Operation(_) => "operation".to_owned(),
    };
    if notice.leaf.is_some() { word } else { format!("{word}, no leaf") }
}

fn all(desk: &Desk, most: u32) -> Vec<(u64, String)> {
    let (mut after, mut found) = (0, Vec::new());
    loop {
        let page = page_after(desk.pipeline.connection(), after, most).unwrap();
        assert!(page.through <= after + u64::from(most));
        found.extend(page.notices.iter().map(|notice| (notice.number, word(notice))));
        if page.through == after {
            return found;
        }
        after = page.through;
    }
}

#[test]
fn every_notice_is_read_once_in_order_however_pages_are_cut() {
    let mut desk = Desk::new();
    assert_eq!(outbox::newest(desk.pipeline.connection()).unwrap(), 0);
    desk.deposit_all(100_000);
    let mut feed = Feed::new();
    feed.trade(0, (1, 7), 2_000, 5_000_000);
    feed.trade(0, (1, 7), 2_000, 5_000_000);
    desk.pipeline.capture(feed.end(), &feed.items).unwrap();
    desk.taken(&curtailment(1, 0, 7, 500));
    desk.taken(&file(1, 0, &[(1, 4_000, 0)]));
    desk.taken(&file(1, 0, &[(7, 0, 4_000)]));
    desk.pipeline.verify(later()).unwrap();
    let whole = all(&desk, 10_000);
    let words: Vec<_> = whole.iter().map(|(_, word)| word.as_str()).collect();
    let expected = [
        "made 1",
        "made 2",
        "told 1, no leaf",
        "told 2, no leaf",
        "document of utility/2",
        "document of retailer/1",
        "document of retailer/2",
        "outcome 1",
        "outcome 2",
    ];
    assert_eq!(words, expected);
    let newest = outbox::newest(desk.pipeline.connection()).unwrap();
    assert_eq!(newest, whole.last().unwrap().0);
    assert!(whole.windows(2).all(|pair| pair[0].0 < pair[1].0));
    for most in [1, 2, 3, 7] {
        assert_eq!(all(&desk, most), whole, "{most}");
    }
    // What changes nothing tells nothing, and a restart tells the same.
    desk.pipeline.capture(feed.end(), &feed.items).unwrap();
    desk.pipeline.verify(later()).unwrap();
    let desk = desk.restart();
    assert_eq!(all(&desk, 100), whole);
}

#[test]
fn what_webhooks_acknowledged_outlives_the_process() {
    let mut desk = Desk::new();
    let party = |number| Party { role: Role::Retailer, number };
    let of = |desk: &Desk, party| outbox::acknowledged(desk.pipeline.connection(), party).unwrap();
    assert_eq!(of(&desk, party(1)), None);
    desk.pipeline.set_acknowledged(&[(party(1), 17), (party(2), 3)]).unwrap();
    desk.pipeline.set_acknowledged(&[(party(1), 5)]).unwrap();
    let desk = desk.restart();
    assert_eq!((of(&desk, party(1)), of(&desk, party(2))), (Some(5), Some(3)));
    assert_eq!(of(&desk, Party { role: Role::Platform, number: 1 }), None);
}
