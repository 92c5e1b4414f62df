//! Attacks on the edge itself: connections, handshakes, frames that do not end, and overload.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use gateway::{
    client::{self, Connector},
    tls,
};
use quinn::{ClientConfig, Endpoint, crypto::rustls::QuicClientConfig};
use rustls::{
    NamedGroup,
    client::{
        ClientSessionMemoryCache, ClientSessionStore, Resumption, Tls12ClientSessionValue,
        Tls13ClientSessionValue,
    },
    pki_types::ServerName,
};
use tests::{
    cast::{self, FIRST, SECOND},
    line::{Line, describe},
    platform::{Platform, report, told},
    venue::{self, Venue, soon},
};
use types::{
    Action, Conditions, Energy, MeterId, NewOrder, PlatformId, RejectReason, Role, Scope,
    SessionId, ShardId, Side, TimeInForce, Timestamp, TradingControl, TradingState,
};
use wire::{
    ALPN_DATA, ALPN_FEED, ALPN_MARKET, ALPN_ORDERS, Inbound,
    inbound::{Empty, Logon},
    outbound::ExecType,
};

use crate::operations::{refusal, signed};

fn platform(venue: &Venue, number: u16) -> Connector {
    venue.connector(cast::party(Role::Platform, number))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_that_trickles_in_is_cut() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut bystander = Platform::log_on(&venue, 2).await;
    let line = Line::connect(&platform(&venue, 1), ALPN_ORDERS).await.unwrap();
    let mut stream = line.open().await;
    stream.frame(&[Inbound::Logon(Logon::new(100, ShardId::FIRST))]).await;
    stream.next().await.unwrap();
    // A byte at a time, each well before the session counts as silent.
    let frame = stream.seal(&[Inbound::Heartbeat(Empty)]);
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    let trickling = async {
        for byte in frame.iter().take(frame.len() - 1) {
            ticks.tick().await;
            stream.bytes(&[*byte]).await;
        }
        std::future::pending::<()>().await;
    };
    let ended = tokio::select! {
        ended = line.end() => ended,
        () = trickling => unreachable!(),
    };
    assert_eq!(ended, "9 unfinished");
    bystander.goes_on(SECOND).await;
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_cannot_take_every_connection() {
    let config = venue::config_text().replacen(
        "[journal]",
        "[gateway]\nconnections_of_source = 4\n\n[journal]",
        1,
    );
    let venue = Venue::open_with(&config).await;
    venue.clock_to(-29).await;
    // Settlement's own feed is one of them.
    let mut lines = Vec::new();
    let refused = loop {
        match Line::connect(&platform(&venue, 1), ALPN_ORDERS).await {
            Ok(line) => lines.push(line),
            Err(refused) => break refused,
        }
    };
    assert!((1..=4).contains(&lines.len()), "{} connections", lines.len());
    assert_eq!(describe(&refused), "transport error 2", "connection refused");
    // A place that gets free is given again.
    drop(lines);
    let mut other = soon(async {
        loop {
            if let Ok(line) = Line::connect(&platform(&venue, 2), ALPN_ORDERS).await {
                break line;
            }
        }
    })
    .await
    .log_on()
    .await;
    other.frame(&[client::set_dead_man(0)]).await;
    assert_eq!(told(&other.next().await.unwrap()), "dead man in 0 ms");
    drop(other);
    venue.close().await;
}

/// A client's first flight, as it leaves for a server that never answers.
async fn first_flight(connector: &Connector) -> Vec<Vec<u8>> {
    let silent = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let crypto = tls::client(&connector.identity, &connector.authority, ALPN_ORDERS).unwrap();
    let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let config = ClientConfig::new(Arc::new(crypto));
    let address = silent.local_addr().unwrap();
    let _connecting = endpoint.connect_with(config, address, &connector.server_name).unwrap();
    let mut bytes = vec![0; 2_048];
    let length = soon(silent.recv(&mut bytes)).await.unwrap();
    bytes.truncate(length);
    vec![bytes]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_made_up_source_gets_no_more_than_three_times_what_was_sent_in_its_name() {
    let venue = Venue::open().await;
    let flight = first_flight(&platform(&venue, 1)).await;
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, venue.node.address.port()));
    // The victim never says anything itself.
    let victim = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let sent: usize = flight.iter().map(|datagram| victim.send_to(datagram, server).unwrap()).sum();
    let (answered, datagrams) = tokio::task::spawn_blocking(move || {
        // Over several retransmissions.
        victim.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let until = Instant::now() + Duration::from_secs(4);
        let (mut answered, mut datagrams, mut bytes) = (0, 0, [0; 2_048]);
        while Instant::now() < until {
            if let Ok(length) = victim.recv(&mut bytes) {
                answered += length;
                datagrams += 1;
            }
        }
        (answered, datagrams)
    })
    .await
    .unwrap();
    assert!(datagrams > 0, "it is asked to show itself");
    assert!(answered <= 3 * sent, "{answered} bytes for {sent}");
    let mut other = Platform::log_on(&venue, 2).await;
    assert!(other.unread_words().await.is_empty());
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_handshakes_that_do_not_end_lets_others_in() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let connector = platform(&venue, 1);
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, venue.node.address.port()));
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    // More than there are places for handshakes, none of which ever goes on.
    for _ in 0..300 {
        for datagram in first_flight(&connector).await {
            socket.send_to(&datagram, server).unwrap();
        }
    }
    let mut other = Platform::log_on(&venue, 2).await;
    other.goes_on(SECOND).await;
    venue.close().await;
}

/// Tickets of a client that believes it may use them for early data, whatever the exchange says.
#[derive(Debug)]
struct BoldTickets {
    kept: ClientSessionMemoryCache,
    used: AtomicU32,
}

impl ClientSessionStore for BoldTickets {
    fn set_kx_hint(&self, name: ServerName<'static>, group: NamedGroup) {
        self.kept.set_kx_hint(name, group);
    }

    fn kx_hint(&self, name: &ServerName<'_>) -> Option<NamedGroup> {
        self.kept.kx_hint(name)
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, name: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        assert_eq!(ticket.max_early_data_size(), 0, "no ticket allows early data");
        self.kept.insert_tls13_ticket(name, ticket);
    }

    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        let mut ticket = self.kept.take_tls13_ticket(name)?;
        ticket._private_set_max_early_data_size(u32::MAX);
        self.used.fetch_add(1, Ordering::Relaxed);
        Some(ticket)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn early_data_is_not_taken() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let connector = platform(&venue, 1);
    let mut tls =
        tls::client_config(&connector.identity, &connector.authority, &[ALPN_ORDERS]).unwrap();
    let kept = ClientSessionMemoryCache::new(16);
    let tickets = Arc::new(BoldTickets { kept, used: AtomicU32::new(0) });
    tls.enable_early_data = true;
    let store: Arc<dyn ClientSessionStore> = Arc::<BoldTickets>::clone(&tickets);
    tls.resumption = Resumption::store(store);
    let config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, venue.node.address.port()));
    let connect = || endpoint.connect_with(config.clone(), address, "localhost").unwrap();
    // A session whose end shows that its tickets have come.
    let Err(connecting) = connect().into_0rtt() else { panic!("early data without a ticket") };
    let connection = soon(connecting).await.unwrap();
    let (mut send, mut recv) = soon(connection.open_bi()).await.unwrap();
    soon(send.write_all(b"no frame at all, which is answered")).await.unwrap();
    soon(recv.read_to_end(1_024)).await.unwrap();
    // A whole session in the first flight of a resumed handshake: the exchange must not even open it.
    let mut bystander = Platform::log_on(&venue, 2).await;
    let probe = client::cancel(bystander.next_id(), types::OrderId::new(1));
    let before = report(&bystander.ask(probe).await).seq;
    let mut frames = Vec::new();
    let number = types::ClientOrderId::new(1);
    let order = client::cancel(number, types::OrderId::new(1));
    for (number, message) in (1..).zip([
        Inbound::Logon(Logon::new(60_000, ShardId::FIRST)),
        order,
        Inbound::Logout(Empty),
    ]) {
        let mut builder = wire::FrameBuilder::default();
        builder.push(|out| message.encode(out));
        builder.seal(number, &mut frames);
    }
    let Ok((connection, accepted)) = connect().into_0rtt() else {
        panic!("the ticket is not used")
    };
    assert_eq!(tickets.used.load(Ordering::Relaxed), 1, "a ticket of the exchange");
    let (mut send, mut recv) = soon(connection.open_bi()).await.unwrap();
    soon(send.write_all(&frames)).await.unwrap();
    assert!(!soon(accepted).await, "early data is refused");
    assert!(soon(recv.read_to_end(1_024)).await.is_err(), "its stream never was");
    drop(connection);
    // The same after the handshake is one answer, which shows that there was none before.
    let mut platform = Platform::log_on(&venue, 1).await;
    let answer = platform.ask(order).await;
    assert_eq!(told(&answer), "cancel rejected unknown_order");
    assert_eq!(report(&answer).seq, before.next(), "nothing of it was recorded");
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_stops_trading_while_it_is_flooded_and_starts_it_again() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut victim = Platform::log_on(&venue, 1).await;
    let sell = victim.order(FIRST, Side::Sell, 100, 500);
    let open = victim.accepted(sell).await.order;
    let mut flood = Platform::log_on(&venue, 2).await;
    let sending = tokio::spawn(async move {
        for round in 0..2_000_u64 {
            let frame: Vec<_> = (1..=256)
                .map(|number| {
                    let id = types::ClientOrderId::new(round * 256 + number);
                    client::cancel(id, types::OrderId::new(1 << 40))
                })
                .collect();
            if flood.session.sender.send(&frame).await.is_err() {
                return;
            }
            while flood.session.receiver.try_next().is_some() {}
        }
    });
    let operator = venue.desk(cast::party(Role::Operator, 1)).await;
    let second = venue.desk(cast::party(Role::Operator, 2)).await;
    let platform = Scope::Platform(PlatformId::new(1));
    let order = |signers, number, scope, state| {
        signed(&venue, signers, number, Action::SetTrading(TradingControl { scope, state }))
    };
    let killed = |signers| order(signers, 1, platform, TradingState::Killed);
    soon(operator.operate(&killed((1, 1)))).await.unwrap();
    soon(second.operate(&killed((2, 1)))).await.unwrap();
    let cancelled = victim.report_of(ExecType::Cancelled).await;
    assert_eq!(cancelled.order, open);
    // Orders are refused at the edge while it is flooded; what the engine says is what counts.
    let refused = loop {
        let sell = victim.order(FIRST, Side::Sell, 100, 500);
        let answer = told(&victim.place(sell).await);
        if answer != "turned away busy" {
            break answer;
        }
    };
    assert_eq!(refused, "rejected trading_suspended");
    let active = order((1, 1), 2, platform, TradingState::Active);
    soon(operator.operate(&active)).await.unwrap();
    sending.abort();
    loop {
        let sell = victim.order(FIRST, Side::Sell, 100, 500);
        let answer = told(&victim.place(sell).await);
        if answer != "turned away busy" {
            assert_eq!(answer, "new 500");
            break;
        }
    }

    let suspended = |number, scope| order((1, 1), number, scope, TradingState::Suspended);
    let of_session = suspended(3, Scope::Session(SessionId::new(1)));
    let refused = soon(operator.operate(&of_session)).await;
    assert_eq!(refusal(refused), RejectReason::InvalidScope);
    let nobody = suspended(4, Scope::Meter(MeterId::new(999)));
    let refused = soon(operator.operate(&nobody)).await;
    assert_eq!(refusal(refused), RejectReason::UnknownMeter);
    let retailer = venue.desk(cast::party(Role::Retailer, 1)).await;
    let refused = soon(retailer.operate(&killed((1, 1)))).await;
    assert_eq!(refusal(refused), RejectReason::NotAuthorised);
    victim.goes_on(FIRST).await;
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_has_the_streams_that_it_needs_and_no_more() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut bystander = Platform::log_on(&venue, 2).await;
    let cases = [
        (Role::Platform, ALPN_ORDERS, 1),
        (Role::Operator, ALPN_FEED, 1),
        (Role::Retailer, ALPN_MARKET, 1),
        (Role::Retailer, ALPN_DATA, 8),
    ];
    for (role, protocol, streams) in cases {
        let name = String::from_utf8_lossy(protocol);
        let connector = venue.connector(cast::party(role, 1));
        let line = Line::connect(&connector, protocol).await.unwrap();
        assert_eq!(line.takes_more_than(streams).await, [false; 2], "{name}");
        assert!(!line.takes_datagrams(), "{name}");
        bystander.goes_on(SECOND).await;
    }
    // The answer to a logon gives no further stream either.
    let line = Line::connect(&platform(&venue, 1), ALPN_ORDERS).await.unwrap();
    let mut session = line.log_on().await;
    assert_eq!(line.takes_more_than(0).await, [false; 2]);
    session.frame(&[client::set_dead_man(0)]).await;
    assert_eq!(told(&session.next().await.unwrap()), "dead man in 0 ms", "the session goes on");
    assert_eq!(line.takes_more_than(0).await, [false; 2]);
    venue.close().await;
}

/// Instants at which arithmetic with times would go wrong.
const CORNERS: [i64; 6] = [i64::MIN, i64::MIN + 1, -1, 1, i64::MAX - 1, i64::MAX];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instants_at_the_ends_of_time_are_before_or_after_now_and_nothing_else() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut platform = Platform::log_on(&venue, 1).await;
    let mut bystander = Platform::log_on(&venue, 2).await;
    let now = venue.now().ns();
    for ns in CORNERS.into_iter().chain([now - 1, now + 60_000_000_000]) {
        let (instant, is_over) = (Timestamp::from_ns(ns), ns < now);
        // Until when a signature counts.
        let order = platform.order(FIRST, Side::Sell, 390, 10);
        let order = NewOrder { valid_until: instant, ..order };
        let answer = told(&platform.place(order).await);
        assert_eq!(answer, if is_over { "rejected signature_expired" } else { "new 10" }, "{ns}");
        let resting = platform.order(FIRST, Side::Sell, 390, 20);
        let number = platform.accepted(resting).await.order;
        let mut replacement = platform.replacement(number, FIRST, 380, 20);
        replacement.valid_until = instant;
        let answer = told(&platform.replace(replacement).await);
        let expected =
            if is_over { "replace rejected signature_expired" } else { "replaced leaves 20" };
        assert_eq!(answer, expected, "{ns}");
        // Until when an order stays.
        let order = NewOrder {
            time_in_force: TimeInForce::UntilTime,
            conditions: Conditions { expires: instant, ..Conditions::NONE },
            ..platform.order(FIRST, Side::Sell, 390, 10)
        };
        let answer = told(&platform.place(order).await);
        assert_eq!(answer, if is_over { "rejected invalid_conditions" } else { "new 10" }, "{ns}");
        // When a delegation holds.
        let number = u64::try_from(i128::from(ns) - i128::from(i64::MIN)).unwrap();
        for (from, until) in [(i64::MIN, ns), (ns, i64::MAX)] {
            let delegation = types::Delegation {
                number: number.max(1),
                quantity_max: Energy::from_wh(10),
                buy_limit: types::Price::from_micros(i64::MAX),
                sell_limit: types::Price::from_micros(i64::MIN),
                valid_from: Timestamp::from_ns(from),
                valid_until: Timestamp::from_ns(until),
                key: types::PublicKey::new(cast::meter_key(FIRST).verifying_key().to_bytes()).id(),
                meter: FIRST,
                market: types::MarketId::new(0),
                platform: PlatformId::new(1),
                sides: types::Sides::Both,
            };
            let id = platform.next_id();
            let signed = client::sign_delegation(&cast::meter_key(FIRST), id, delegation);
            let answer = told(&platform.ask(signed).await);
            assert!(answer.starts_with("delegation "), "{answer} at {ns}");
        }
        platform.mass_cancel(Scope::All, None).await;
        platform.unread().await;
        bystander.goes_on(SECOND).await;
    }
    // What is to stay for ever ends at the gate.
    let order = NewOrder {
        time_in_force: TimeInForce::UntilTime,
        conditions: Conditions { expires: Timestamp::from_ns(i64::MAX), ..Conditions::NONE },
        ..platform.order(FIRST, Side::Sell, 390, 10)
    };
    platform.accepted(order).await;
    venue.clock_to(-10).await;
    assert_eq!(platform.unread_words().await, ["expired 10 gate_closed"]);
    venue.close().await;
}

/// Bytes of this process that are in memory.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    // Not the pages of files: the journal's are mapped where that is the fastest way to sync.
    let kib = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    kib.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1_024
}

/// Opens as many orders as the meters of platform 1 have capacity for; how many.
async fn open_all(platform: &mut Platform) -> u64 {
    let mut opened = 0;
    let sides = [(Side::Sell, 390, cast::INJECTION_WH), (Side::Buy, 1, cast::WITHDRAWAL_WH)];
    for (meter, (side, milli, capacity)) in
        [FIRST, cast::THIRD].into_iter().flat_map(|meter| sides.map(|side| (meter, side)))
    {
        let key = cast::meter_key(meter);
        let mut orders = Vec::new();
        for _ in 0..capacity / 10 {
            let order = platform.order(meter, side, milli, 10);
            orders.push(client::sign_new(&key, order));
        }
        platform.send(&orders).await;
        for _ in &orders {
            assert_eq!(told(&platform.next().await), "new 10");
        }
        opened += capacity / 10;
        // The certified capacity is the cap.
        let order = platform.order(meter, side, milli, 10);
        assert_eq!(told(&platform.place(order).await), "rejected capacity_exceeded");
    }
    opened
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_orders_end_at_a_cap_and_leave_no_more_than_their_record() {
    /// Of an order that is done stays: its record and its number in the engine, 64 + 32 bytes, and what
    /// the tables grow in advance.
    const BYTES_OF_ORDER: u64 = 200;
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut platform = Platform::log_on(&venue, 1).await;
    let mut orders = 0;
    let mut resident = Vec::new();
    for round in 0..24 {
        if round == 4 {
            (resident, orders) = (vec![resident_bytes()], 0); // Buffers have their size.
        }
        orders += open_all(&mut platform).await;
        let client_order = platform.next_id();
        platform.send(&[client::mass_cancel(client_order, Scope::All, None)]).await;
        let mut cancelled = 0;
        loop {
            match told(&platform.next().await).as_str() {
                "cancelled 10 mass_cancel" => cancelled += 1,
                done => break assert_eq!(done, format!("mass cancelled {cancelled}")),
            }
        }
        assert_eq!(cancelled, 1_250);
        resident.push(resident_bytes());
    }
    // One step may be a buffer of the process that grew late; what orders leave comes in every round.
    let steps = || resident.windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
    let grown = steps().sum::<u64>() - steps().max().unwrap();
    println!("{orders} orders came and went: {} bytes each", grown / orders);
    assert!(grown <= orders * BYTES_OF_ORDER, "{} bytes for each order", grown / orders);
    venue.close().await;
}
