//! What the Python client knows of the protocol is what the exchange says.

use std::collections::BTreeMap;

use types::RejectReason;

const MESSAGES: &str = include_str!("../../clients/python/gridcross/messages.py");

#[test]
fn the_client_names_every_reject_reason() {
    let (_, class) = MESSAGES.split_once("class RejectReason(IntEnum):\n").unwrap();
    let lines = class.lines().take_while(|line| line.starts_with("    ") && !line.contains('@'));
    let known: BTreeMap<u16, String> = lines
        .flat_map(|line| {
            let (names, codes) = line.split_once('=').unwrap();
            let codes = codes.split(',').map(|code| code.trim().parse().unwrap());
            codes.zip(names.split(',').map(|name| name.trim().to_lowercase()))
        })
        .collect();
    let reasons = (0..=u16::MAX).filter_map(RejectReason::from_code);
    let expected: BTreeMap<u16, String> =
        reasons.map(|reason| (reason.code(), reason.name().to_owned())).collect();
    assert_eq!(known, expected);
}
