//! Order entry over HTTPS: the same sessions as over QUIC, and attacks on its edge.

use std::{net::Ipv4Addr, time::Instant};

use gateway::{
    Authority, Identity,
    authority::{self, Holder, KeySource, Purpose, Reason, Revoked, Validity},
    client::{ClientError, Connector, HttpsTrading, Response, cancel, sign_new, sign_replace},
};
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, body::Bytes};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tests::{
    cast::{self, FIRST, SECOND},
    https::{self, Version, Wire},
    platform::{Platform, told},
    venue::{Venue, soon},
};
use tokio::{io::AsyncReadExt as _, net::TcpStream};
use types::{ClientOrderId, Party, PlatformId, RejectReason, Role, ShardId, Side};
use wire::{
    FrameBuilder, Inbound, Outbound,
    inbound::{Empty, Logon, ResumePoint},
};

use crate::{
    certificates::{ROLES, disguised, irregular},
    sessions::{in_journal, is_report, probe, resuming},
};

const LOGON: Logon = Logon::new(60_000, ShardId::FIRST);
const HTTP1: &[u8] = b"http/1.1";

async fn open(lines: &str) -> Venue {
    let venue = Venue::open_with(&https::config_text(lines)).await;
    venue.clock_to(-29).await;
    venue
}

/// Frames, the first with this number.
fn frames(first: u64, frames: &[&[Inbound]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, messages) in (first..).zip(frames) {
        let mut builder = FrameBuilder::default();
        messages.iter().for_each(|message| builder.push(|out| message.encode(out)));
        builder.seal(number, &mut bytes);
    }
    bytes
}

fn words(messages: &[Outbound]) -> Vec<String> {
    messages.iter().map(told).collect()
}

/// A session in a request whose body goes on.
async fn running_session(connector: &Connector, logon: Logon) -> Wire {
    let mut wire = Wire::connect(connector, HTTP1).await.unwrap();
    wire.post().await;
    wire.chunk(&frames(1, &[&[Inbound::Logon(logon)]])).await;
    let head = wire.until("GX").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("content-type: application/gridcross-trading\r\n"), "{head}");
    wire
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_over_https_trade_with_a_platform_over_quic() {
    let venue = open("").await;
    let mut buyer = Platform::log_on(&venue, 2).await;
    // Only makes orders: its session is taken over at once.
    let mut seller = Platform::log_on(&venue, 1).await;
    let key = cast::meter_key(FIRST);
    for version in [Version::Http1, Version::Http2] {
        let mut trading = https::trading(&venue, 1, version).await;
        let sell = seller.order(FIRST, Side::Sell, 100, 500);
        let placed = soon(trading.exchange(LOGON, &[&[sign_new(&key, sell)]])).await.unwrap();
        assert_eq!((words(&placed.told), placed.cut), (vec!["new 500".to_owned()], None));
        let order = tests::platform::report(&placed.told[0]).order;

        let buy = buyer.order(SECOND, Side::Buy, 100, 200);
        buyer.accepted(buy).await;
        assert_eq!(told(&buyer.next().await), "trade 200 leaves 0");
        // The fill was told to nobody: the next request asks for it, and changes the rest.
        let replace = seller.replacement(order, FIRST, 90, 250);
        let taken = buyer.order(SECOND, Side::Sell, 120, 10);
        let taken = sign_new(&cast::meter_key(SECOND), taken);
        let wanted = [sign_replace(&key, replace), taken];
        let logon = resuming(placed.resume_point);
        let changed = soon(trading.exchange(logon, &[&wanted])).await.unwrap();
        let mut said = words(&changed.told);
        said.sort_unstable();
        let expected = [
            "replaced leaves 250",
            "told everything",
            "trade 200 leaves 300",
            "turned away not_authorised",
        ];
        assert_eq!(said, expected, "{version:?}: another platform's meter is refused too");

        let number = seller.next_id();
        let cancelled = soon(trading.exchange(LOGON, &[&[cancel(number, order)]])).await.unwrap();
        assert_eq!(words(&cancelled.told), ["cancelled 250 requested"]);
        let again = soon(trading.exchange(LOGON, &[&[cancel(number, order)]])).await.unwrap();
        assert_eq!(words(&again.told), ["cancel rejected unknown_order"]);
    }
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_of_a_body_is_answered_and_its_end_logs_out() {
    let venue = open("").await;
    let mut trading = https::trading(&venue, 1, Version::Http2).await;
    let probes: Vec<Vec<Inbound>> = (0..20)
        .map(|frame| (1..=100).map(|number| probe(frame * 100 + number)).collect())
        .collect();
    let frames_of: Vec<&[Inbound]> = probes.iter().map(Vec::as_slice).collect();
    let all = soon(trading.exchange(LOGON, &frames_of)).await.unwrap();
    let mut numbers: Vec<_> =
        all.told.iter().map(|answer| tests::platform::report(answer).client_order.get()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=2_000).collect::<Vec<_>>());
    assert_eq!(all.cut, None);
    // A Logout says the same as the end of the body does, and an end in a frame is told.
    let logged_out = [&[probe(1), Inbound::Logout(Empty)][..]];
    let said = soon(trading.exchange(LOGON, &logged_out)).await.unwrap();
    assert_eq!((said.told.len(), said.cut), (1, None));
    let mut body = frames(1, &[&[Inbound::Logon(LOGON)], &[probe(1)], &[probe(2)]]);
    body.pop();
    let mut response = soon(trading.post(gateway::https::CONTENT_TYPE, body)).await.unwrap();
    soon(response.text()).await.unwrap();
    assert_eq!((response.status, response.close.as_deref()), (200, Some("9 unfinished")));
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_body_cancels_nothing_that_was_not_asked_for() {
    let venue = open("").await;
    let mut platform = Platform::log_on(&venue, 1).await;
    let key = cast::meter_key(FIRST);
    let mut trading = https::trading(&venue, 1, Version::Http1).await;
    let first = platform.order(FIRST, Side::Sell, 100, 500);
    soon(trading.exchange(LOGON, &[&[sign_new(&key, first)]])).await.unwrap();
    let second = platform.order(FIRST, Side::Sell, 100, 300);
    let logon = Logon { cancel_after_ms: 1, ..LOGON };
    let placed = soon(trading.exchange(logon, &[&[sign_new(&key, second)]])).await.unwrap();
    assert_eq!(words(&placed.told), ["new 300"]);
    // The second session asked for it, and both orders are the platform's.
    venue.durable_through(ShardId::FIRST, placed.resume_point.seq.next()).await;
    let rest = soon(trading.exchange(resuming(placed.resume_point), &[])).await.unwrap();
    let expected = ["cancelled 500 mass_cancel", "cancelled 300 mass_cancel", "told everything"];
    assert_eq!(words(&rest.told), expected);
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_goes_on_over_the_other_transport_and_is_told_everything_once() {
    const TRADES: usize = 60;
    let venue = open("").await;
    let mut seller = Platform::log_on(&venue, 1).await;
    let sell = seller.order(FIRST, Side::Sell, 100, 2_000);
    let mut heard = vec![seller.place(sell).await];
    let mut point = seller.session.receiver.resume_point();
    // Its line is lost while it trades.
    drop(seller);
    let mut buyer = Platform::log_on(&venue, 2).await;
    let buying = tokio::spawn(async move {
        for _ in 0..TRADES {
            let buy = buyer.order(SECOND, Side::Buy, 100, 10);
            buyer.accepted(buy).await;
        }
    });
    let trades = |heard: &[Outbound]| {
        heard.iter().filter(|message| told(message).starts_with("trade")).count()
    };
    let mut trading = https::trading(&venue, 1, Version::Http2).await;
    let mut rounds = 0;
    while trades(&heard) < TRADES {
        rounds += 1;
        let exchanged = soon(trading.exchange(resuming(point), &[])).await.unwrap();
        heard.extend(exchanged.told.into_iter().filter(is_report));
        point = exchanged.resume_point;
        let mut session = Platform::log_on_with(&venue, 1, resuming(point)).await.session;
        for _ in 0..(rounds % 3) {
            let message = soon(session.receiver.next()).await.unwrap();
            if is_report(&message) {
                heard.push(message);
            } else if trades(&heard) == TRADES {
                break; // Nothing more comes.
            }
        }
        point = session.receiver.resume_point();
    }
    soon(buying).await.unwrap();
    assert_eq!(heard, in_journal(&venue, PlatformId::new(1)), "{rounds} rounds");
    assert!(rounds > 1, "it changed {rounds} times");
    let beyond = ResumePoint { seq: types::Seq::new(1 << 40), reports: 0 };
    let refused = soon(trading.exchange(resuming(beyond), &[])).await;
    assert!(matches!(refused, Err(ClientError::Refused(RejectReason::UnknownPosition))));
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_session_takes_over_whatever_carries_it() {
    let venue = open("").await;
    let mut older = Platform::log_on(&venue, 1).await;
    let mut running = running_session(&https::connector(&venue, 1), LOGON).await;
    let ended = soon(async {
        while older.session.receiver.next().await.is_ok() {}
        older.session.receiver.close_reason().unwrap()
    })
    .await;
    assert!(ended.to_string().contains("taken_over"), "{ended}");
    // Nothing of a session that was taken over is executed, and everything of the newer one is.
    let mut newer = Platform::log_on(&venue, 1).await;
    running.until("gridcross-close: 2 taken_over\r\n").await;
    newer.goes_on(FIRST).await;
    let before = in_journal(&venue, PlatformId::new(1)).len();
    running.chunk(&frames(2, &[&[probe(77)]])).await;
    running.chunk(b"").await;
    newer.goes_on(FIRST).await;
    assert_eq!(in_journal(&venue, PlatformId::new(1)).len(), before + 2, "an order and its end");
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exchange_that_stops_answers_over_https_and_says_goodbye() {
    let venue = open("").await;
    let mut running = running_session(&https::connector(&venue, 1), LOGON).await;
    let order = Platform::log_on(&venue, 2).await.order(SECOND, Side::Sell, 120, 500);
    let other = https::connector(&venue, 2);
    let mut other = running_session(&other, LOGON).await;
    other.chunk(&frames(2, &[&[sign_new(&cast::meter_key(SECOND), order)]])).await;
    other.until("GX").await;
    let closing = tokio::spawn(venue.close());
    running.until("gridcross-close: 5 going_away\r\n").await;
    other.until("gridcross-close: 5 going_away\r\n").await;
    soon(closing).await.unwrap();
}

/// What is said to a connection that tries to trade: the status and code, or the end of the line.
async fn verdict(wire: std::io::Result<Wire>) -> String {
    let mut wire = match wire {
        Ok(wire) => wire,
        Err(error) => return error.to_string(),
    };
    let body = frames(1, &[&[Inbound::Logon(LOGON)]]);
    wire.bytes(&[request(&body, ""), body].concat()).await;
    let (answer, end) = wire.rest().await;
    match end {
        Err(error) if answer.is_empty() => error.to_string(),
        _ => status_and_code(&answer),
    }
}

/// The head of a request that is the last of its connection.
fn request(body: &[u8], more: &str) -> Vec<u8> {
    format!(
        "POST /v1/trading HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\
         content-type: application/gridcross-trading\r\n{more}\r\n",
        body.len()
    )
    .into_bytes()
}

fn status_and_code(answer: &str) -> String {
    let status = answer.split(' ').nth(1).unwrap_or_default();
    let code = answer.split("\"code\":\"").nth(1).and_then(|rest| rest.split('"').next());
    [status, code.unwrap_or_default()].join(" ").trim_end().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_platforms_with_a_valid_certificate_trade_over_https() {
    let venue = open("").await;
    let mut bystander = Platform::log_on(&venue, 2).await;
    let connect = async |connector: Connector| {
        verdict(Wire::connect(&https::way(&venue, connector), HTTP1).await).await
    };
    for role in ROLES {
        let said = connect(venue.connector(cast::party(role, 1))).await;
        let expected = if role == Role::Platform { "200" } else { "403 not_authorised" };
        assert_eq!(said, expected, "{role:?}");
    }
    let party = Party { role: Role::Platform, number: 1 };
    let own = venue.connector(party);
    let nameless = Wire::connect_nameless(&https::way(&venue, own.clone())).await;
    assert!(verdict(nameless).await.contains("CertificateRequired"));
    let foreign = tempfile::tempdir().unwrap();
    let validity = Validity::development();
    let mut other = Authority::create(foreign.path(), validity).unwrap();
    other.issue(Holder::Party(party), Purpose::Transport, KeySource::New, validity).unwrap();
    let foreign = Identity::load(foreign.path(), &authority::file_name(party)).unwrap();
    let server = Identity::load(&venue.layout.keys(), "server").unwrap();
    let one = "gridcross://platform/1";
    for (name, identity, end) in [
        ("of another authority", foreign, "DecryptError"),
        ("a server's", server, "UnsupportedCertificate"),
        ("expired", irregular(&venue, "platform-ca", &[one], 2021), "CertificateExpired"),
        ("no name", irregular(&venue, "platform-ca", &[], 2100), "403 not_authorised"),
        ("of another branch", irregular(&venue, "retailer-ca", &[one], 2100), "403 not_authorised"),
        ("regular", irregular(&venue, "platform-ca", &[one], 2100), "200"),
    ] {
        let said = connect(disguised(&venue, identity)).await;
        assert!(said.contains(end), "{name}: {said}");
    }
    // A client that asks for no protocol, and one that asks for another.
    let none = Wire::connect(&https::way(&venue, own.clone()), b"gridcross/1").await;
    assert!(none.is_err(), "no such protocol");
    bystander.goes_on(SECOND).await;

    // A certificate that is revoked while its request runs.
    let running = running_session(&https::connector(&venue, 1), LOGON).await;
    let mut waiting = Wire::connect(&https::connector(&venue, 1), HTTP1).await.unwrap();
    waiting.post().await;
    let mut authority = Authority::open(&venue.layout.keys()).unwrap();
    let revoked = Revoked { at: validity.from, reason: Reason::KeyCompromise };
    authority.revoke(Holder::Party(party), Purpose::Transport, revoked, validity).unwrap();
    let began = Instant::now();
    let (answer, _) = running.rest().await;
    assert!(answer.contains("gridcross-close: 7 revoked\r\n"), "{answer}");
    assert!(began.elapsed().as_secs() < 5, "within five seconds");
    assert_eq!(status_and_code(&waiting.rest().await.0), "403 revoked", "before its session");
    let again = connect(own).await;
    assert!(again.contains("CertificateRevoked"), "{again}");
    bystander.goes_on(SECOND).await;
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_session_is_a_problem() {
    let venue = open("").await;
    let connector = https::connector(&venue, 1);
    let say = async |text: Vec<u8>| {
        let mut wire = Wire::connect(&connector, HTTP1).await.unwrap();
        wire.bytes(&text).await;
        wire.rest().await.0
    };
    let changed = |from: &str, to: &str| {
        let head = String::from_utf8(request(b"", "")).unwrap();
        assert!(head.contains(from), "{from}");
        head.replacen(from, to, 1).into_bytes()
    };
    for (text, expected) in [
        (changed("/v1/trading", "/v2/trading"), "404 unknown_path"),
        (changed("/v1/trading", "/"), "404 unknown_path"),
        (changed("POST", "GET"), "405 wrong_method"),
        (changed("POST", "PUT"), "405 wrong_method"),
        (changed("gridcross-trading", "json"), "415 wrong_content_type"),
        (changed("content-type", "content-kind"), "415 wrong_content_type"),
        (changed("content-length: 0", "content-length: 4194305"), "413 body_too_long"),
        (changed("", ""), "400 no_logon"),
        (changed("HTTP/1.1", "HTTP/9.9"), "400"),
        (request(b"", &format!("x-bomb: {}\r\n", "x".repeat(64 << 10))), "431"),
        (request(b"", &"x-bomb: x\r\n".repeat(200)), "431"),
        (vec![0; 4_096], "400"),
    ] {
        let answer = say(text.clone()).await;
        let told = status_and_code(&answer);
        assert_eq!(
            told,
            expected,
            "{} {answer}",
            String::from_utf8_lossy(&text[..text.len().min(99)])
        );
        if told.contains(' ') {
            assert!(answer.contains("content-type: application/problem+json\r\n"), "{answer}");
        }
        if expected.starts_with("405") {
            assert!(answer.contains("allow: POST\r\n"), "{answer}");
        }
    }
    // As a program reads it.
    let mut trading = https::trading(&venue, 1, Version::Http2).await;
    let mut response = soon(trading.post("text/plain", Vec::new())).await.unwrap();
    assert_eq!(response.content_type, "application/problem+json");
    let problem: serde_json::Value =
        serde_json::from_str(&soon(response.text()).await.unwrap()).unwrap();
    assert_eq!((&problem["status"], &problem["type"]), (&415.into(), &"about:blank".into()));
    assert_eq!(problem["title"], "Unsupported Media Type");
    assert!(problem["detail"].as_str().unwrap().contains(gateway::https::CONTENT_TYPE));
    // Noise in a body is refused in the session's own words.
    let noise = vec![7; 100_000];
    let response = soon(trading.post(gateway::https::CONTENT_TYPE, noise)).await.unwrap();
    assert_eq!(response.status, 200);
    let mut wrong = frames(1, &[&[probe(1)]]);
    let refused = refused_with(&mut trading, wrong.clone()).await;
    assert_eq!(refused, "no session unexpected_message");
    wrong[0] = b'?';
    assert_eq!(refused_with(&mut trading, wrong).await, "no session malformed_message");
    // The connection is good for more.
    let goes_on = soon(trading.exchange(LOGON, &[&[probe(1)]])).await.unwrap();
    assert_eq!(words(&goes_on.told), ["cancel rejected unknown_order"]);
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_of_the_document_is_answered_as_it_says() {
    let venue = open("").await;
    let text = include_str!("../../docs/protocol.md");
    let (_, example) = text.split_once("$ xxd -r -p > frames <<'END'\n").unwrap();
    let (hex, _) = example.split_once("END\n").unwrap();
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let body: Vec<u8> = digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    let mut trading = https::trading(&venue, 1, Version::Http1).await;
    let mut response = soon(trading.post(gateway::https::CONTENT_TYPE, body)).await.unwrap();
    let said = messages(&mut response).await;
    let limits = told(&said[1]);
    let expected = ["session", &limits, "cancel rejected unknown_order", "logged out"];
    assert_eq!(words(&said), expected);
    assert!(limits.starts_with("limits "), "{limits}");
    assert_eq!((response.status, response.close.as_deref()), (200, Some("0 done")));
    venue.close().await;
}

/// Everything that an answer tells.
async fn messages(response: &mut Response) -> Vec<Outbound> {
    let mut decoder = wire::FrameDecoder::default();
    while let Some(piece) = soon(response.piece()).await.unwrap() {
        decoder.extend(&piece);
    }
    let mut messages = Vec::new();
    while let Some(frame) = decoder.next_frame().unwrap() {
        let mut payload = frame.payload.as_slice();
        while !payload.is_empty() {
            messages.push(Outbound::decode(&mut payload).unwrap());
        }
    }
    messages
}

/// The only message that answers a body.
async fn refused_with(trading: &mut HttpsTrading, body: Vec<u8>) -> String {
    let mut response = soon(trading.post(gateway::https::CONTENT_TYPE, body)).await.unwrap();
    words(&messages(&mut response).await).join(", ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_trickle_or_do_not_end_are_cut() {
    let venue = open("request_s = 2").await;
    let mut bystander = Platform::log_on(&venue, 2).await;
    // A byte at a time, each well before the session counts as silent.
    let mut wire =
        running_session(&https::connector(&venue, 1), Logon::new(100, ShardId::FIRST)).await;
    let frame = frames(2, &[&[Inbound::Heartbeat(Empty)]]);
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(50));
    for byte in frame.iter().take(frame.len() - 1) {
        ticks.tick().await;
        wire.chunk(&[*byte]).await;
    }
    wire.until("gridcross-close: 9 unfinished\r\n").await;
    // Nothing at all.
    let mut wire =
        running_session(&https::connector(&venue, 1), Logon::new(100, ShardId::FIRST)).await;
    wire.until("gridcross-close: 4 silent\r\n").await;
    // Whole frames without end: by time,
    let mut wire = running_session(&https::connector(&venue, 1), LOGON).await;
    wire.until("gridcross-close: 11 too_long\r\n").await;
    // before the first of them,
    let mut wire = Wire::connect(&https::connector(&venue, 1), HTTP1).await.unwrap();
    wire.post().await;
    let answer = wire.until("\"code\":\"no_logon\"").await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    // and by size.
    let mut wire = running_session(&https::connector(&venue, 1), LOGON).await;
    let beats = [Inbound::Heartbeat(Empty); 256];
    let all: Vec<&[Inbound]> = vec![&beats; 2_100];
    wire.chunk(&frames(2, &all)).await;
    wire.until("gridcross-close: 11 too_long\r\n").await;
    bystander.goes_on(SECOND).await;
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_party_cannot_take_every_connection_over_https() {
    let venue = open("").await;
    let connector = https::connector(&venue, 1);
    let mut connections = Vec::new();
    let refused = loop {
        let mut trading = soon(HttpsTrading::connect(&connector)).await.unwrap();
        match soon(trading.exchange(LOGON, &[])).await {
            Ok(_) => connections.push(trading),
            Err(error) => break error,
        }
        assert!(connections.len() < 100, "nobody counts");
    };
    assert!(matches!(refused, ClientError::NoSession { status: 429, .. }), "{refused}");
    assert_eq!(connections.len(), 8, "of one shard");
    for trading in &mut connections {
        soon(trading.exchange(LOGON, &[])).await.unwrap();
    }
    let mut other = https::trading(&venue, 2, Version::Http1).await;
    soon(other.exchange(LOGON, &[])).await.unwrap();
    // A place that gets free is given again.
    connections.pop();
    soon(async {
        while let Ok(mut trading) = HttpsTrading::connect(&connector).await
            && trading.exchange(LOGON, &[]).await.is_err()
        {}
    })
    .await;
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_cannot_take_every_connection_over_https() {
    let config = https::config_text("").replacen(
        "\n[gateway.https]",
        "\n[gateway]\nconnections_of_source = 4\n[gateway.https]",
        1,
    );
    let venue = Venue::open_with(&config).await;
    venue.clock_to(-29).await;
    let connector = https::connector(&venue, 1);
    let mut wires = Vec::new();
    // Settlement's own feed is one of them. Who is refused is so before the handshake.
    while let Ok(wire) = Wire::connect(&connector, HTTP1).await {
        wires.push(wire);
        assert!(wires.len() < 100, "nobody counts");
    }
    assert!((1..=4).contains(&wires.len()), "{} connections", wires.len());
    wires.clear();
    soon(async { while HttpsTrading::connect(&connector).await.is_err() {} }).await;
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_say_nothing_let_others_in() {
    let venue = open("").await;
    let address = venue.node.https_address().unwrap();
    let mut silent = Vec::new();
    // More than there are places for handshakes: the last ones are turned away at once.
    for _ in 0..80 {
        silent.push(soon(TcpStream::connect((Ipv4Addr::LOCALHOST, address.port()))).await.unwrap());
    }
    let mut turned_away = silent.pop().unwrap();
    assert_eq!(soon(turned_away.read(&mut [0; 16])).await.unwrap_or(0), 0);
    let mut other = Platform::log_on(&venue, 2).await;
    other.goes_on(SECOND).await;
    drop((silent, turned_away));
    // Their places are given again when they are gone.
    let connector = https::connector(&venue, 1);
    soon(async {
        loop {
            if let Ok(mut trading) = HttpsTrading::connect(&connector).await {
                break trading.exchange(LOGON, &[]).await.unwrap();
            }
        }
    })
    .await;
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_bomb_over_http2_is_refused() {
    let venue = open("").await;
    let wire = Wire::connect(&https::connector(&venue, 1), b"h2").await.unwrap();
    let io = TokioIo::new(wire.stream);
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io);
    let (mut requests, connection) = soon(handshake).await.unwrap();
    tokio::spawn(async move { connection.await.ok() });
    let mut bomb = Request::post("https://localhost/v1/trading");
    for number in 0..64 {
        bomb = bomb.header(format!("x-bomb-{number}"), "x".repeat(1 << 10));
    }
    let bomb = bomb.header("content-type", gateway::https::CONTENT_TYPE);
    let body = frames(1, &[&[Inbound::Logon(LOGON), probe(1)]]);
    let bomb = bomb.body(Full::new(Bytes::from(body))).unwrap();
    let status = match soon(requests.send_request(bomb)).await {
        Ok(response) => {
            let status = response.status().as_u16();
            soon(response.into_body().collect()).await.ok();
            Some(status)
        }
        Err(_) => None,
    };
    assert!(matches!(status, None | Some(431)), "{status:?}");
    let client_order = ClientOrderId::new(1);
    let mut platform = Platform::log_on(&venue, 1).await;
    platform.goes_on(FIRST).await;
    let of_bomb = in_journal(&venue, PlatformId::new(1)).iter().any(|message| {
        matches!(message, Outbound::ExecutionReport(report)
            if report.client_order == client_order && told(message).contains("rejected"))
    });
    assert!(!of_bomb, "nothing of it is done");
    venue.close().await;
}
