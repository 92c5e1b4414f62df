//! `docs/protocol.md`: its generated parts are what the code says.

use core::fmt::Debug;
use std::fs;

use types::{
    CancelReason, ListKind, OrderKind, Phase, PriceRule, RejectReason, Role, Side, Sides,
    TimeInForce,
};

use super::{
    golden::{self, ADVICE},
    sample, sources, tables,
};
use crate::{
    FeedMessage, Inbound, MarketMessage, Outbound,
    data::{
        Answer, BODY_BYTES_MAX, P2pQuery, REQUEST_HEAD_BYTES, RequestHead, RequestKind,
        ScheduleQuery, SinceQuery,
    },
    field::Field,
    frame::{
        FRAME_HEADER_BYTES, FRAME_MESSAGES_MAX, FRAME_PAYLOAD_BYTES_MAX, FrameHeader,
        MESSAGE_BYTES_MAX, MESSAGE_HEAD_BYTES,
    },
    layout::Row,
    outbound::{ContractState, DelegationState, ExecType},
    signing,
};

const DOCUMENT: &str = "docs/protocol.md";

/// The text with the part between the markers of `name` replaced.
fn replaced(text: &str, name: &str, part: &str) -> String {
    let begin = format!("<!-- begin generated: {name} -->\n");
    let end = format!("<!-- end generated: {name} -->\n");
    let split = text.split_once(&begin).and_then(|(head, rest)| {
        let (_, tail) = rest.split_once(&end)?;
        Some((head, tail))
    });
    let (head, tail) = split.unwrap_or_else(|| panic!("{DOCUMENT} has no markers for {name}"));
    format!("{head}{begin}\n{}\n\n{end}{tail}", part.trim())
}

#[test]
fn generated_parts_are_what_the_code_says() {
    let parts = [
        ("FrameHeader", plain_table(0, &FrameHeader::parts(""))),
        ("Limits", limits()),
        ("CloseCode", close_codes()),
        ("Inbound", Inbound::byte_tables()),
        ("Outbound", Outbound::byte_tables()),
        ("FeedMessage", FeedMessage::byte_tables()),
        ("MarketMessage", MarketMessage::byte_tables()),
        ("RequestHead", plain_table(0, &RequestHead::parts(""))),
        ("P2pQuery", plain_table(0, &P2pQuery::parts(""))),
        ("TradingControl", plain_table(0, &types::TradingControl::parts(""))),
        ("SignedOperation", plain_table(0, &types::SignedOperation::parts(""))),
        ("ScheduleQuery", plain_table(0, &ScheduleQuery::parts(""))),
        ("SinceQuery", plain_table(0, &SinceQuery::parts(""))),
        ("Answer", Answer::byte_tables()),
        ("Codes", codes()),
        ("RejectReason", reject_reasons()),
        ("SignedOrderKeys", keys()),
        (
            "SignedOrderDump",
            format!("```text\n{}```", golden::hex_dump(&golden::signed_order_frame())),
        ),
        ("SignedOrderBytes", annotated_order()),
    ];
    let text = sources::read(DOCUMENT);
    let expected =
        parts.iter().fold(text.clone(), |text, (name, part)| replaced(&text, name, part));
    let markers = text.matches("<!-- begin generated: ").count();
    assert_eq!(markers, parts.len(), "{DOCUMENT} has markers that nothing fills");
    if golden::is_updating() {
        fs::write(sources::repository().join(DOCUMENT), expected).unwrap();
        return;
    }
    for (line, (is, should)) in (1..).zip(text.lines().zip(expected.lines())) {
        assert_eq!(is, should, "{DOCUMENT}:{line} is not what the code says; {ADVICE}");
    }
    assert_eq!(text, expected, "{DOCUMENT} is not what the code says; {ADVICE}");
}

#[test]
fn the_document_names_every_protocol_and_tag() {
    let text = sources::read(DOCUMENT);
    for name in [crate::ALPN_ORDERS, crate::ALPN_FEED, crate::ALPN_DATA, crate::ALPN_MARKET] {
        let name = core::str::from_utf8(name).unwrap();
        assert!(text.contains(&format!("`{name}`")), "{name}");
    }
    let tags = [
        signing::NEW_ORDER_TAG,
        signing::VALIDATION_TAG,
        signing::REPLACE_ORDER_TAG,
        signing::CONTRACT_TAG,
    ];
    for tag in tags {
        let tag = core::str::from_utf8(tag).unwrap().replace('\0', "\\0");
        assert!(text.contains(&format!("`\"{tag}\"`")), "{tag}");
    }
}

/// A byte table of something that is not a message.
fn plain_table(start: usize, rows: &[Row]) -> String {
    let mut text = "| offset | bytes | field | type |\n|---|---|---|---|\n".to_owned();
    let mut offset = start;
    for (field, bytes, kind) in rows {
        text.push_str(&format!("| {offset} | {bytes} | {field} | {kind} |\n"));
        offset += bytes;
    }
    text
}

fn limits() -> String {
    let rows = [
        ("bytes of a frame header", FRAME_HEADER_BYTES.to_string()),
        ("bytes of a message head", MESSAGE_HEAD_BYTES.to_string()),
        ("messages in a frame", format!("1 to {FRAME_MESSAGES_MAX}")),
        ("bytes of a message, head included, at most", MESSAGE_BYTES_MAX.to_string()),
        ("bytes of a frame's payload, at most", FRAME_PAYLOAD_BYTES_MAX.to_string()),
        ("bytes of a data request's head", REQUEST_HEAD_BYTES.to_string()),
        ("bytes of a data request's body, at most", BODY_BYTES_MAX.to_string()),
    ];
    let rows = rows.map(|(name, value)| format!("| {name} | {value} |\n"));
    format!("| limit | value |\n|---|---|\n{}", rows.concat())
}

/// The table of an enum's codes; `name_of` is the code's name as decoding sees it.
fn code_table(
    title: &str,
    path: &str,
    declaration: &str,
    name_of: impl Fn(u8) -> Option<String>,
) -> String {
    let mut text = format!("### {title}\n\n| code | name | meaning |\n|---|---|---|\n");
    let mut variants = sources::variants(&sources::read(path), declaration);
    variants.sort_by_key(|variant| variant.code);
    let mut variants = variants.into_iter();
    for code in 0..=u8::MAX {
        let Some(name) = name_of(code) else { continue };
        let variant = variants.next().unwrap_or_else(|| panic!("{path} does not declare {name}"));
        assert_eq!((&variant.name, variant.code), (&name, u16::from(code)), "{path}");
        text.push_str(&format!("| {code} | {name} | {} |\n", variant.meaning));
    }
    assert_eq!(variants.next(), None, "{path}: every declared code decodes");
    text.push('\n');
    text
}

/// The `Debug` name of what a byte decodes to.
fn decoded_name<T: Field + Debug>(code: u8) -> Option<String> {
    T::take(&mut [code].as_slice()).ok().map(|value| format!("{value:?}"))
}

fn codes() -> String {
    [
        code_table("Side", "types/src/order.rs", "pub enum Side {", decoded_name::<Side>),
        code_table(
            "Order kind",
            "types/src/order.rs",
            "pub enum OrderKind {",
            decoded_name::<OrderKind>,
        ),
        code_table(
            "Time in force",
            "types/src/order.rs",
            "pub enum TimeInForce {",
            decoded_name::<TimeInForce>,
        )
        .replace("[`Conditions::expires`]", "`expires`"),
        code_table(
            "List kind",
            "types/src/order.rs",
            "pub enum ListKind {",
            decoded_name::<ListKind>,
        ),
        code_table(
            "Exec type",
            "wire/src/outbound.rs",
            "pub enum ExecType {",
            decoded_name::<ExecType>,
        ),
        code_table(
            "Delegation state",
            "wire/src/outbound.rs",
            "pub enum DelegationState {",
            decoded_name::<DelegationState>,
        ),
        code_table(
            "Contract state",
            "wire/src/outbound.rs",
            "pub enum ContractState {",
            decoded_name::<ContractState>,
        ),
        code_table("Sides", "types/src/delegation.rs", "pub enum Sides {", decoded_name::<Sides>),
        code_table(
            "Cancel reason",
            "types/src/event.rs",
            "pub enum CancelReason {",
            decoded_name::<CancelReason>,
        ),
        code_table("Phase", "types/src/market.rs", "pub enum Phase {", decoded_name::<Phase>),
        code_table("Role", "types/src/participant.rs", "pub enum Role {", decoded_name::<Role>),
        code_table(
            "Price rule",
            "types/src/auction.rs",
            "pub enum PriceRule {",
            decoded_name::<PriceRule>,
        ),
        code_table(
            "Request kind",
            "wire/src/data.rs",
            "pub enum RequestKind {",
            decoded_name::<RequestKind>,
        )
        // A link in the source is a plain name here.
        .replace("[`P2pQuery`]", "P2pQuery")
        .replace("[`ScheduleQuery`]", "ScheduleQuery")
        .replace("[`SinceQuery`]", "SinceQuery")
        .replace("[`TradingControl`]", "TradingControl"),
    ]
    .concat()
}

/// How the gateway closes connections: its enum is not in reach of this crate, its source is.
fn close_codes() -> String {
    let source = sources::read("gateway/src/edge.rs");
    let variants = sources::variants(&source, "pub enum CloseCode {");
    assert!(!variants.is_empty());
    let row = |variant: sources::Variant| {
        format!("| {} | {} | {} |\n", variant.code, variant.name, variant.meaning)
    };
    let rows: String = variants.into_iter().map(row).collect();
    format!("| code | name | meaning |\n|---|---|---|\n{rows}")
}

fn reject_reasons() -> String {
    let variants = sources::variants(&sources::read("types/src/reject.rs"), "reasons! {");
    let mut text = "| code | name | again? | meaning |\n|---|---|---|---|\n".to_owned();
    assert_eq!(variants.len(), RejectReason::ALL.len());
    for (reason, variant) in RejectReason::ALL.iter().zip(variants) {
        assert_eq!((variant.name, variant.code), (format!("{reason:?}"), reason.code()));
        let again = if reason.is_transient() { "yes" } else { "no" };
        let (code, name) = (reason.code(), reason.name());
        text.push_str(&format!("| {code} | `{name}` | {again} | {} |\n", variant.meaning));
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn keys() -> String {
    let key = sample::meter_key();
    let mut signed = Vec::new();
    signing::new_order(&sample::new_order(), &mut signed);
    format!(
        "```text\nprivate key   {}\npublic key    {}\nsigned bytes  {}\n```",
        hex(key.as_bytes()),
        hex(key.verifying_key().as_bytes()),
        signed.chunks(32).map(hex).collect::<Vec<_>>().join("\n              "),
    )
}

/// The value of a field in words, where its type is a number.
fn shown(bytes: &[u8], kind: &str) -> String {
    let mut unsigned = [0; 8];
    match kind {
        "u8" | "u16" | "u32" | "u64" => {
            unsigned[..bytes.len()].copy_from_slice(bytes);
            u64::from_le_bytes(unsigned).to_string()
        }
        "i64" => i64::from_le_bytes(bytes.try_into().unwrap()).to_string(),
        _ => String::new(),
    }
}

fn annotated_order() -> String {
    let frame = golden::signed_order_frame();
    let mut text = "| offset | bytes | field | value |\n|---|---|---|---|\n".to_owned();
    let mut push = |offset: usize, field: &str, bytes: &[u8], kind: &str| {
        for (number, line) in bytes.chunks(16).enumerate() {
            let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
            let (field, value) =
                if number == 0 { (field, shown(bytes, kind)) } else { ("", String::new()) };
            let offset = offset + number * 16;
            text.push_str(&format!("| {offset} | `{}` | {field} | {value} |\n", hex.join(" ")));
        }
    };
    let mut offset = 0;
    for (field, bytes, kind) in FrameHeader::parts("") {
        push(offset, &field, &frame[offset..offset + bytes], kind);
        offset += bytes;
    }
    let message = &frame[offset..];
    for row in tables::of_message::<Inbound>(message).rows {
        push(offset + row.offset, &row.field, &message[row.range()], &row.kind);
    }
    text
}

#[test]
fn every_field_has_its_unit_in_the_document() {
    let text = sources::read(DOCUMENT);
    let (_, rest) = text.split_once("\n### Fields\n").unwrap();
    let (section, _) = rest.split_once("\n## ").unwrap();
    let described: Vec<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split(" | ").next())
        .flat_map(|cell| cell.trim_matches('`').split("`, `"))
        .collect();
    let tables = [
        tables::of::<Inbound>(),
        tables::of::<Outbound>(),
        tables::of::<FeedMessage>(),
        tables::of::<MarketMessage>(),
        tables::of::<Answer>(),
    ];
    // The head, and fields behind it; a nested one goes by its own name.
    let rows = tables.iter().flatten().flat_map(|table| &table.rows).filter(|row| row.offset >= 8);
    let nested = rows.map(|row| row.field.rsplit('.').next().unwrap().to_owned());
    let queries = [P2pQuery::parts(""), ScheduleQuery::parts(""), SinceQuery::parts("")];
    let query = queries.into_iter().flatten().map(|(field, ..)| field);
    for field in nested.chain(query).filter(|field| field != "(zero)") {
        let name = field.split(' ').next().unwrap();
        assert!(described.contains(&name), "`{name}` is not described in {DOCUMENT}");
    }
}
