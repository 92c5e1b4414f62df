//! What a session is told, when another takes over, how it ends, and what it may send.

use std::{
    ops::ControlFlow,
    sync::{Arc, atomic::AtomicBool},
};

use gateway::{
    Directory, Ingress, Sessions,
    client::{self, TradingSession, sign_new},
    egress::{SessionHandle, reports_to},
    session::Request,
    verifier::{Admission, Job, KnownTrades, Verifiers},
};
use tests::{
    cast::{self, FIRST, SECOND},
    line::{Line, describe},
    platform::{Platform, told},
    venue::{self, Venue, soon},
};
use tokio::sync::mpsc;
use types::{
    ClientOrderId, Command, Energy, OrderId, OrderRequest, Origin, PlatformId, Price, RejectReason,
    ReplaceOrder, Role, Seq, SessionId, ShardId, ShardMap, Shards, Side, Signature,
    SignedReplaceOrder, Timestamp, TradeId,
};
use wire::{
    ALPN_ORDERS, Inbound, Outbound,
    inbound::{Empty, Logon, ResumePoint},
    outbound::ExecType,
};

const HEARTBEAT_MS: u32 = 60_000;

pub(super) fn resuming(point: ResumePoint) -> Logon {
    Logon { resume: Some(point), ..Logon::new(HEARTBEAT_MS, ShardId::FIRST) }
}

/// A cancellation of no order: the engine answers it.
pub(super) fn probe(client_order: u64) -> Inbound {
    client::cancel(ClientOrderId::new(client_order), OrderId::new(999_999))
}

/// Every report to a platform that the journal makes.
pub(super) fn in_journal(venue: &Venue, platform: PlatformId) -> Vec<Outbound> {
    let mut reports = Vec::new();
    let scanned = journal::scan(&venue.layout.journal(), &mut |entry, _| {
        for event in &entry.events {
            reports.extend(reports_to(platform, &entry.command, event));
        }
        ControlFlow::Continue(())
    });
    scanned.unwrap();
    reports
}

pub(super) fn is_report(message: &Outbound) -> bool {
    matches!(message, Outbound::ExecutionReport(_) | Outbound::MassCancelled(_))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resumed_session_is_told_everything_once_and_in_order() {
    const TRADES: usize = 120;
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut seller = Platform::log_on(&venue, 1).await;
    let sell = seller.order(FIRST, Side::Sell, 100, 2_000);
    let mut told_so_far = vec![seller.place(sell).await];
    let mut buyer = Platform::log_on(&venue, 2).await;
    let buying = tokio::spawn(async move {
        for _ in 0..TRADES {
            let buy = buyer.order(SECOND, Side::Buy, 100, 10);
            buyer.accepted(buy).await;
        }
        buyer
    });
    // The seller's line breaks after every few messages, wherever that is.
    let connector = venue.connector(cast::party(Role::Platform, 1));
    let mut point = seller.session.receiver.resume_point();
    drop(seller);
    let (mut sessions, mut live) = (0, 0);
    while told_so_far.iter().filter(|message| told(message).starts_with("trade")).count() < TRADES {
        let session = soon(TradingSession::log_on(&connector, resuming(point))).await.unwrap();
        let mut receiver = session.receiver;
        sessions += 1;
        let mut completed = false;
        for _ in 0..(1 + sessions % 7) {
            let message = soon(receiver.next()).await.unwrap();
            if let Outbound::ResumeComplete(complete) = message {
                assert!(!completed, "said twice");
                completed = true;
                let last = told_so_far.last();
                let Some(Outbound::ExecutionReport(last)) = last else { panic!("{last:?}") };
                assert!(last.seq <= complete.through);
                let all = told_so_far.iter();
                if all.filter(|one| told(one).starts_with("trade")).count() == TRADES {
                    break;
                }
            } else {
                assert!(is_report(&message), "{message:?}");
                live += u32::from(completed);
                told_so_far.push(message);
                let all = told_so_far.iter();
                let trades = all.filter(|one| told(one).starts_with("trade")).count();
                if completed && trades == TRADES {
                    break; // Nothing more comes.
                }
            }
        }
        point = receiver.resume_point();
    }
    soon(buying).await.unwrap();
    assert_eq!(told_so_far, in_journal(&venue, PlatformId::new(1)), "{sessions} sessions");
    assert!(sessions > 3, "it broke {sessions} times, with {live} live reports");
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_has_nothing_is_told_everything_also_after_a_restart() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut platform = Platform::log_on(&venue, 1).await;
    let sell = platform.order(FIRST, Side::Sell, 100, 500);
    let order = platform.accepted(sell).await.order;
    platform.reduce(order, 100).await;
    platform.goes_on(FIRST).await;
    drop(platform);
    let (venue, _) = venue.restart().await;
    let mut again = Platform::log_on_with(&venue, 1, resuming(ResumePoint::default())).await;
    let mut heard = Vec::new();
    let through = loop {
        let message = again.next().await;
        if let Outbound::ResumeComplete(complete) = message {
            break complete.through;
        }
        heard.push(message);
    };
    assert_eq!(heard, in_journal(&venue, PlatformId::new(1)));
    let words: Vec<_> = heard.iter().map(told).collect();
    assert_eq!(words, ["new 500", "replaced leaves 400", "new 10", "cancelled 10 requested"]);
    assert_eq!(again.session.receiver.resume_point(), ResumePoint { seq: through, reports: 0 });
    // A part of one command's reports: the ones that are missing.
    let mut again = again.counting_from(50);
    again.mass_cancel(types::Scope::All, None).await;
    let last = again.session.receiver.resume_point();
    assert_eq!(last.reports, 2, "the cancelled order and the end of the mass cancellation");
    let half = ResumePoint { reports: 1, ..last };
    let mut rest = Platform::log_on_with(&venue, 1, resuming(half)).await;
    assert_eq!(told(&rest.next().await), "mass cancelled 1");
    assert_eq!(told(&rest.next().await), "told everything");
    // From a position that is not there yet.
    let beyond = ResumePoint { seq: Seq::new(1 << 40), reports: 0 };
    let connector = venue.connector(cast::party(Role::Platform, 1));
    let refused = soon(TradingSession::log_on(&connector, resuming(beyond))).await;
    let refused = refused.map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("unknown_position"), "{refused}");
    rest.counting_from(90).goes_on(FIRST).await;
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_position_of_a_logon_is_where_its_reports_begin() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut seller = Platform::log_on(&venue, 1).await;
    let sell = seller.order(FIRST, Side::Sell, 100, 2_000);
    seller.accepted(sell).await;
    let mut buyer = Platform::log_on(&venue, 2).await;
    let buying = tokio::spawn(async move {
        for _ in 0..100 {
            let buy = buyer.order(SECOND, Side::Buy, 100, 10);
            buyer.accepted(buy).await;
        }
    });
    let mut begins = Vec::new();
    while !buying.is_finished() {
        let session = Platform::log_on(&venue, 1).await.session;
        let (mut receiver, begin) = (session.receiver, session.accepted.last_seq);
        begins.push((begin, receiver.try_next()));
        if let Ok(Ok(first)) =
            tokio::time::timeout(std::time::Duration::from_millis(5), receiver.next()).await
        {
            begins.push((begin, Some(first)));
        }
    }
    soon(buying).await.unwrap();
    let all = in_journal(&venue, PlatformId::new(1));
    let mut met = 0;
    for (begin, first) in begins {
        let Some(Outbound::ExecutionReport(first)) = first else { continue };
        met += 1;
        let expected = all.iter().find_map(|report| {
            let Outbound::ExecutionReport(report) = report else { return None };
            (report.seq > begin).then_some(*report)
        });
        assert_eq!(Some(first), expected, "the first report after {begin}");
    }
    assert!(met > 0, "a session met a live report");
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_is_answered_before_the_logout_is() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let connector = venue.connector(cast::party(Role::Platform, 1));
    let line = Line::connect(&connector, ALPN_ORDERS).await.unwrap();
    let mut stream = line.log_on().await;
    let mut bytes = Vec::new();
    for frame in 0..20_u64 {
        let requests: Vec<_> = (1..=100).map(|number| probe(frame * 100 + number)).collect();
        bytes.extend(stream.seal(&requests));
    }
    bytes.extend(stream.seal(&[Inbound::Logout(Empty)]));
    stream.bytes(&bytes).await;
    let mut answers = Vec::new();
    while let Some(message) = stream.next().await {
        answers.push(message);
    }
    assert_eq!(answers.pop(), Some(Outbound::LoggedOut(Empty)));
    let mut numbers: Vec<_> = answers
        .iter()
        .map(|answer| {
            let Outbound::ExecutionReport(report) = answer else { panic!("{answer:?}") };
            report.client_order.get()
        })
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=2_000).collect::<Vec<_>>());
    assert_eq!(line.end().await, "0 done");
    venue.close().await;
}

/// What a verifier is given: a cancellation with a number.
fn cancellation(session: &SessionHandle, number: u64) -> Request {
    let request = OrderRequest {
        origin: session.origin(),
        client_order: ClientOrderId::new(number),
        order: OrderId::new(1),
    };
    Request { frame: number, index: 0, command: Command::CancelOrder(request) }
}

fn session_of(
    platform: u16,
    number: u32,
) -> (SessionHandle, mpsc::Receiver<gateway::egress::OutboundBatch>) {
    let origin = Origin { platform: PlatformId::new(platform), session: SessionId::new(number) };
    let (outbound, told) = mpsc::channel(1_024);
    (SessionHandle::new(origin, outbound), told)
}

/// An exchange that recorded none.
#[derive(Debug)]
struct NoTrades;

impl KnownTrades for NoTrades {
    fn trade(&self, _: TradeId) -> Option<types::KnownTrade> {
        None
    }
}

fn admission(ring: Ingress) -> Admission {
    Admission {
        directory: Arc::new(Directory::default()),
        trades: Arc::new(NoTrades),
        map: Arc::new(ShardMap::new(Shards::ONE, std::iter::empty()).unwrap()),
        rings: vec![ring],
        storage_low: Arc::new(AtomicBool::new(false)),
        open_requests_max: 1 << 20,
        unverified_max: 64,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_session_is_executed_behind_the_first_request_of_its_successor() {
    const REQUESTS: u64 = 200;
    let shard = ShardId::FIRST;
    let (mut cut, mut whole) = (0, 0);
    for round in 0..200 {
        let (ring, mut receiver) = Ingress::new(4_096);
        let verifiers = Verifiers::start(3, admission(ring)).unwrap();
        let sessions = Arc::new(Sessions::after(Seq::ZERO));
        let (older, _told) = session_of(7, 1);
        let (newer, _told) = session_of(7, 2);
        sessions.open(&older);
        let sending = {
            let (verifiers, older) = (verifiers.clone(), older.clone());
            tokio::spawn(async move {
                for number in 0..REQUESTS {
                    let requests = vec![cancellation(&older, number)];
                    let session = older.clone();
                    verifiers
                        .submit(Job::Requests { shard, session, requests, covered: Vec::new() })
                        .await;
                }
            })
        };
        for _ in 0..round {
            tokio::task::yield_now().await;
        }
        sessions.open(&newer);
        let requests = vec![cancellation(&newer, 0)];
        verifiers
            .submit(Job::Requests { shard, session: newer.clone(), requests, covered: Vec::new() })
            .await;
        soon(sending).await.unwrap();
        verifiers.fence().await;
        let mut ring = Vec::new();
        receiver.drain_into(&mut ring, usize::MAX);
        let is_newer = |command: &Command| command.origin() == Some(newer.origin());
        let first = ring.iter().position(is_newer).expect("the newer session's request");
        assert_eq!(first + 1, ring.len(), "round {round}: behind it is something of the older one");
        if u64::try_from(first).unwrap() < REQUESTS {
            cut += 1
        } else {
            whole += 1
        }
        assert!(older.is_fenced() && !newer.is_fenced());
    }
    assert!(cut > 0, "{cut} times in the middle, {whole} times behind everything");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_verifier_has_no_time_for_is_busy_at_once_and_cancellations_go_on() {
    let (ring, mut receiver) = Ingress::new(1_024);
    let verifiers = Verifiers::start(1, admission(ring)).unwrap();
    let (session, mut told_to) = session_of(7, 1);
    let replacement = |number| {
        let replace = ReplaceOrder {
            client_order: ClientOrderId::new(number),
            order: OrderId::new(1),
            meter: FIRST,
            limit: Price::default(),
            quantity: Energy::ZERO,
            valid_until: Timestamp::from_ns(i64::MAX),
        };
        let origin = session.origin();
        let signature = Signature::new([0; 64]);
        let command = Command::ReplaceOrder(SignedReplaceOrder { origin, replace, signature });
        Request { frame: number, index: 0, command }
    };
    let submit = |requests| {
        let (verifiers, session) = (verifiers.clone(), session.clone());
        async move {
            let shard = ShardId::FIRST;
            let job = Job::Requests { shard, session, requests, covered: Vec::new() };
            verifiers.submit(job).await;
            verifiers.fence().await;
        }
    };
    let refusals = |payload: Vec<u8>| {
        let mut bytes = &payload[..];
        let mut reasons = Vec::new();
        while !bytes.is_empty() {
            let Outbound::MessageRejected(refused) = Outbound::decode(&mut bytes).unwrap() else {
                panic!("a refusal");
            };
            reasons.push(refused.reason);
        }
        reasons
    };
    // One more than the 64 that may wait.
    let mut requests: Vec<_> = (0..65).map(replacement).collect();
    requests.insert(30, cancellation(&session, 100));
    submit(requests).await;
    let told = refusals(told_to.try_recv().unwrap().payload);
    assert_eq!(told, vec![RejectReason::Busy; 65]);
    let mut ring = Vec::new();
    receiver.drain_into(&mut ring, usize::MAX);
    assert_eq!(ring, [cancellation(&session, 100).command]);
    // As many as may wait are looked at, again and again: what was looked at waits no longer.
    for _ in 0..3 {
        submit((0..64).map(replacement).collect()).await;
        let told = refusals(told_to.try_recv().unwrap().payload);
        assert_eq!(told, vec![RejectReason::UnknownMeter; 64]);
    }
    assert_eq!(session.open_requests(), 1, "the cancellation");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_places_are_for_what_takes_orders_away() {
    let (ring, mut receiver) = Ingress::new(64);
    let verifiers = Verifiers::start(1, admission(ring)).unwrap();
    let (session, mut told_to) = session_of(7, 1);
    let activation = |number| {
        let Command::CancelOrder(request) = cancellation(&session, number).command else {
            unreachable!()
        };
        Request { frame: number, index: 0, command: Command::ActivateOrder(request) }
    };
    let requests: Vec<_> = (0..100).map(activation).collect();
    let submit = |requests| {
        let (verifiers, session) = (verifiers.clone(), session.clone());
        async move {
            verifiers
                .submit(Job::Requests {
                    shard: ShardId::FIRST,
                    session,
                    requests,
                    covered: Vec::new(),
                })
                .await;
            verifiers.fence().await;
        }
    };
    submit(requests).await;
    let busy = told_to.try_recv().unwrap();
    assert_eq!(busy.messages, 44, "56 of 64 places are for orders");
    assert_eq!(session.open_requests(), 56);
    submit((0..8).map(|number| cancellation(&session, number)).collect()).await;
    assert!(told_to.try_recv().is_err(), "every cancellation finds room");
    submit(vec![cancellation(&session, 9)]).await;
    let mut payload = told_to.try_recv().unwrap().payload;
    let refused = Outbound::decode(&mut payload.as_slice()).unwrap();
    assert_eq!(told(&refused), "turned away busy");
    payload.clear();
    let mut commands = Vec::new();
    receiver.drain_into(&mut commands, usize::MAX);
    assert_eq!(commands.len(), 64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_too_fast_is_refused_then_logged_out() {
    let config = venue::config_text().replacen(
        "[journal]",
        "[gateway]\norders_per_s = 1\norders_burst = 2\ncancels_per_s = 1\ncancels_burst = 4\n\n[journal]",
        1,
    );
    let venue = Venue::open_with(&config).await;
    venue.clock_to(-29).await;
    let connector = venue.connector(cast::party(Role::Platform, 1));
    let line = Line::connect(&connector, ALPN_ORDERS).await.unwrap();
    let mut stream = line.open().await;
    stream.frame(&[Inbound::Logon(Logon::new(HEARTBEAT_MS, ShardId::FIRST))]).await;
    stream.next().await.unwrap();
    let Some(Outbound::SessionLimits(limits)) = stream.next().await else { panic!("no limits") };
    let numbers =
        [limits.orders_per_s, limits.orders_burst, limits.cancels_per_s, limits.cancels_burst];
    assert_eq!(numbers, [1, 2, 1, 4], "limits are told");
    let requests: Vec<_> = (1..=20).map(probe).collect();
    stream.frame(&requests).await;
    let mut answers = Vec::new();
    while let Some(answer) = stream.next().await {
        answers.push(answer);
    }
    let words: Vec<_> = answers.iter().map(told).collect();
    let count = |word: &str| words.iter().filter(|told| told.contains(word)).count();
    assert_eq!(count("turned away throttled"), 5, "as many as a burst, and the one too many");
    assert_eq!(count("turned away unexpected_message"), 11, "what stood behind it");
    assert!(count("unknown_order") <= 4);
    let limits = answers.iter().filter_map(|answer| {
        let Outbound::MessageRejected(rejected) = answer else { return None };
        Some((rejected.reason.name(), rejected.limit))
    });
    assert!(limits.filter(|(name, _)| *name == "throttled").all(|(_, limit)| limit == 1));
    assert_eq!(line.end().await, "8 throttled");
    // Another session is no fresh start, and another platform is not concerned.
    let mut again = Platform::log_on(&venue, 1).await.counting_from(100);
    assert_eq!(told(&again.ask(probe(100)).await), "turned away throttled");
    let mut other = Platform::log_on(&venue, 2).await;
    other.goes_on(SECOND).await;
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_are_cancelled_after_the_end_of_a_session_that_asked_for_it() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let logon = |cancel_after_ms| Logon {
        cancel_after_ms,
        ..resuming(ResumePoint { seq: venue.durable(), reports: 0 })
    };
    // A long grace: the next session finds its orders.
    let mut platform = Platform::log_on_with(&venue, 1, logon(600_000)).await;
    let sell = platform.order(FIRST, Side::Sell, 100, 500);
    let order = platform.accepted(sell).await;
    drop(platform);
    let mut platform = Platform::log_on_with(&venue, 1, logon(1)).await.counting_from(10);
    assert_eq!(told(&platform.reduce(order.order, 100).await), "replaced leaves 400");
    // A short one: they are cancelled, journaled, and told to who resumes.
    let point = platform.session.receiver.resume_point();
    let last = point.seq;
    soon(platform.session.log_out()).await.unwrap();
    venue.durable_through(ShardId::FIRST, last.next()).await;
    let mut platform = Platform::log_on_with(&venue, 1, resuming(point)).await.counting_from(20);
    assert_eq!(told(&platform.next().await), "cancelled 400 mass_cancel");
    assert_eq!(told(&platform.next().await), "told everything");
    // Without asking, orders stay, and a session that is taken over cancels nothing.
    let sell = platform.order(FIRST, Side::Sell, 100, 300);
    let order = platform.accepted(sell).await;
    let platform = Platform::log_on_with(&venue, 1, logon(0)).await;
    soon(platform.session.log_out()).await.unwrap();
    let mut platform = Platform::log_on(&venue, 1).await.counting_from(30);
    assert_eq!(told(&platform.reduce(order.order, 100).await), "replaced leaves 200");
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dead_man_switch_cancels_in_a_session_that_lives() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut platform = Platform::log_on(&venue, 1).await;
    let mut other = Platform::log_on(&venue, 2).await;
    let resting = other.order(SECOND, Side::Sell, 200, 500);
    let resting = other.accepted(resting).await.order;
    platform.send(&[client::set_dead_man(600_000)]).await;
    assert_eq!(told(&platform.next().await), "dead man in 600000 ms");
    let sell = platform.order(FIRST, Side::Sell, 100, 500);
    let order = platform.accepted(sell).await;
    platform.send(&[client::set_dead_man(1)]).await;
    assert_eq!(told(&platform.next().await), "dead man in 1 ms");
    let cancelled = platform.report_of(ExecType::Cancelled).await;
    assert_eq!((cancelled.order, cancelled.client_order), (order.order, sell.client_order));
    // It is off now, the session lives, and nobody else is concerned.
    platform.goes_on(FIRST).await;
    assert_eq!(told(&other.reduce(resting, 100).await), "replaced leaves 400");
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_is_told_through_where_and_resumes() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut bystander = Platform::log_on(&venue, 2).await;
    let connector = venue.connector(cast::party(Role::Platform, 1));
    let logon = Logon::new(HEARTBEAT_MS, ShardId::FIRST);
    let mut session = soon(TradingSession::log_on(&connector, logon)).await.unwrap();
    // 20 MiB may wait for the session's writer.
    let requests: Vec<_> = (1..=256).map(probe).collect();
    while soon(session.sender.send(&requests)).await.is_ok() {}
    let ended = describe(&session.receiver.close_reason().unwrap());
    let (reason, sent) = ended.rsplit_once(' ').unwrap();
    assert_eq!(reason, "3 slow_reader, sent through");
    let sent = Seq::new(sent.parse().unwrap());
    assert!(Seq::ZERO < sent && sent < venue.durable(), "{sent}");
    assert!(bystander.unread_words().await.is_empty(), "nobody else notices");
    // It resumes after what it was sent: what comes first is the next answer to it.
    let mut again =
        Platform::log_on_with(&venue, 1, resuming(ResumePoint { seq: sent, reports: 0 })).await;
    let Outbound::ExecutionReport(next) = again.next().await else { panic!("no report") };
    assert_eq!(next.seq, sent.next());
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_for_it_is_told_what_is_applied_before_its_report() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let logon = Logon { tell_applied: true, ..Logon::new(HEARTBEAT_MS, ShardId::FIRST) };
    let mut early = Platform::log_on_with(&venue, 1, logon).await;
    for _ in 0..20 {
        let order = early.order(FIRST, Side::Sell, 100, 10);
        early.send(&[sign_new(&cast::meter_key(FIRST), order)]).await;
        let (first, second) = (early.next().await, early.next().await);
        let Outbound::Applied(applied) = first else { panic!("{first:?}") };
        assert_eq!((applied.client_order, told(&second)), (order.client_order, "new 10".into()));
        assert_eq!(Some(applied.seq), second.seq(), "it told of what became durable");
    }
    let mut late = Platform::log_on(&venue, 2).await;
    let order = late.order(SECOND, Side::Sell, 100, 10);
    assert_eq!(told(&late.place(order).await), "new 10");
    assert!(late.unread().await.is_empty(), "it did not ask");
}
