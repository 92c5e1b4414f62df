//! Who may do what: certificates, and every role at every endpoint.

use gateway::{
    Authority, Identity,
    authority::{self, Branch, Holder, KeySource, Purpose, Reason, Revoked, Validity},
    client::Connector,
};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair, SanType};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, pem::PemObject as _};
use tests::{
    cast::{self, FIRST, SECOND},
    line::{Line, describe},
    platform::{Platform, told},
    venue::{Venue, soon},
};
use types::{Party, Role, Side};
use wire::{ALPN_DATA, ALPN_FEED, ALPN_ORDERS, Inbound, inbound::Logon};

const LOGON: Inbound = Inbound::Logon(Logon::new(60_000, types::ShardId::FIRST));
pub(super) const ROLES: [Role; 5] =
    [Role::Platform, Role::Retailer, Role::Utility, Role::Operator, Role::Settlement];

/// How the exchange answers a connection that should not be.
async fn refusal(line: Result<Line, quinn::ConnectionError>) -> String {
    match line {
        Ok(line) => line.end().await,
        Err(error) => describe(&error),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_platforms_trade() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut bystander = Platform::log_on(&venue, 2).await;
    for role in ROLES {
        let connector = venue.connector(cast::party(role, 1));
        let line = Line::connect(&connector, ALPN_ORDERS).await.unwrap();
        let mut stream = line.open().await;
        stream.frame(&[LOGON]).await;
        let answer = stream.next().await.map(|message| told(&message));
        if role == Role::Platform {
            assert_eq!(answer.as_deref(), Some("session"));
        } else {
            assert_eq!(answer.as_deref(), Some("no session not_authorised"), "{role:?}");
            assert_eq!(line.end().await, "6 refused", "{role:?}");
        }
        bystander.goes_on(SECOND).await;
    }
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_settlement_and_operators_read_the_feed() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    for role in [Role::Platform, Role::Retailer, Role::Utility] {
        let connector = venue.connector(cast::party(role, 1));
        assert_eq!(refusal(Line::connect(&connector, ALPN_FEED).await).await, "6 refused");
    }
    for role in [Role::Operator, Role::Settlement] {
        let connector = venue.connector(cast::party(role, 1));
        let feed = gateway::client::FeedClient::subscribe(&connector, types::Seq::ZERO).await;
        let batch = soon(feed.unwrap().next_batch()).await.unwrap();
        assert!(!batch.items.is_empty(), "{role:?}");
    }
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settlement_itself_sends_no_documents() {
    let venue = Venue::open().await;
    let connector = venue.connector(cast::party(Role::Settlement, 1));
    assert_eq!(refusal(Line::connect(&connector, ALPN_DATA).await).await, "6 refused");
    for role in [Role::Platform, Role::Retailer, Role::Utility, Role::Operator] {
        let desk = venue.desk(cast::party(role, 1)).await;
        let receipt = soon(desk.submit(b"no document")).await.unwrap();
        assert_ne!(receipt.reason, 0, "{role:?} is heard");
    }
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_that_serves_no_meter_can_do_nothing() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut owner = Platform::log_on(&venue, 1).await;
    let order = owner.order(FIRST, Side::Sell, 100, 10);
    let order = owner.accepted(order).await.order;
    let mut stranger = Platform::log_on(&venue, 9).await;
    let theirs = stranger.order(FIRST, Side::Sell, 100, 10);
    assert_eq!(told(&stranger.place(theirs).await), "turned away not_authorised");
    assert_eq!(told(&stranger.cancel(order).await), "cancel rejected not_authorised");
    assert_eq!(told(&owner.cancel(order).await), "cancelled 10 requested");
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_party_cannot_take_every_connection() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let connector = venue.connector(cast::party(Role::Retailer, 1));
    let mut lines = Vec::new();
    let refused = loop {
        let line = Line::connect(&connector, ALPN_DATA).await.unwrap();
        if line.is_heard().await {
            lines.push(line);
        } else {
            break line;
        }
        assert!(lines.len() < 100, "nobody counts");
    };
    assert_eq!(refused.end().await, "6 refused");
    assert_eq!(lines.len(), 8, "of one shard");
    for line in &lines {
        assert!(line.is_heard().await, "those that were there stay");
    }
    let other = venue.connector(cast::party(Role::Retailer, 2));
    assert!(Line::connect(&other, ALPN_DATA).await.unwrap().is_heard().await);
    let mut bystander = Platform::log_on(&venue, 2).await;
    bystander.goes_on(SECOND).await;
    venue.close().await;
}

/// The connector of platform 1 with another certificate than its own.
pub(super) fn disguised(venue: &Venue, identity: Identity) -> Connector {
    Connector { identity, ..venue.connector(cast::party(Role::Platform, 1)) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_of_others_do_not_connect() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut bystander = Platform::log_on(&venue, 2).await;
    let foreign = tempfile::tempdir().unwrap();
    let party = Party { role: Role::Platform, number: 1 };
    let validity = Validity::development();
    let mut authority = Authority::create(foreign.path(), validity).unwrap();
    let holder = Holder::Party(party);
    authority.issue(holder, Purpose::Transport, KeySource::New, validity).unwrap();
    let foreign = Identity::load(foreign.path(), &authority::file_name(party)).unwrap();
    let server = Identity::load(&venue.layout.keys(), "server").unwrap();
    let own = venue.connector(party);
    for protocol in [ALPN_ORDERS, ALPN_FEED, ALPN_DATA] {
        // Alerts of RFC 8446. The other authority has the same name, so its signature decides:
        // decrypt_error, certificate_required, unsupported_certificate.
        let line = Line::connect(&disguised(&venue, foreign.clone()), protocol).await;
        assert_eq!(refusal(line).await, "TLS alert 51", "of another authority");
        let line = Line::connect_nameless(&own, protocol).await;
        assert_eq!(refusal(line).await, "TLS alert 116", "without a certificate");
        let line = Line::connect(&disguised(&venue, server.clone()), protocol).await;
        assert_eq!(refusal(line).await, "TLS alert 43", "a server's certificate");
        bystander.goes_on(SECOND).await;
    }
    let line = Line::connect(&own, b"gridcross/2").await;
    assert_eq!(refusal(line).await, "TLS alert 120", "no such protocol");
    venue.close().await;
}

/// A certificate of the exchange's own authority that `issue` would never give: by this issuer, with
/// these names, and valid until this year.
pub(super) fn irregular(venue: &Venue, issuer: &str, names: &[&str], until: i32) -> Identity {
    let keys = venue.layout.keys();
    let read = |name: &str| std::fs::read_to_string(keys.join(name)).unwrap();
    let authority_key = KeyPair::from_pem(&read(&format!("{issuer}.key"))).unwrap();
    let issuer_pem = read(&format!("{issuer}.crt"));
    let issuer = Issuer::from_ca_cert_pem(&issuer_pem, authority_key).unwrap();
    let mut params = CertificateParams::default();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.subject_alt_names =
        names.iter().map(|&name| SanType::URI(name.try_into().unwrap())).collect();
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let mut chain = vec![certificate.der().clone()];
    chain.extend(CertificateDer::pem_slice_iter(issuer_pem.as_bytes()).map(Result::unwrap));
    Identity { chain, key: key.into() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_names_one_party_and_expires() {
    let venue = Venue::open().await;
    let one = "gridcross://platform/1";
    let own = "platform-ca";
    for (name, issuer, names, until, end) in [
        ("expired", own, &[one][..], 2021, "TLS alert 45"),
        ("no name", own, &[], 2100, "6 refused"),
        ("two names", own, &[one, "gridcross://platform/2"], 2100, "6 refused"),
        ("two roles", own, &[one, "gridcross://operator/1"], 2100, "6 refused"),
        ("another spelling", own, &["gridcross://platform/01"], 2100, "6 refused"),
        ("no role", own, &["gridcross://king/1"], 2100, "6 refused"),
        ("another scheme", own, &["https://platform/1"], 2100, "6 refused"),
        ("a meter", own, &["gridcross://meter/1"], 2100, "6 refused"),
        ("of another branch", "retailer-ca", &[one], 2100, "6 refused"),
        ("of the root", "ca", &[one], 2100, "6 refused"),
    ] {
        for protocol in [ALPN_ORDERS, ALPN_FEED, ALPN_DATA] {
            let identity = irregular(&venue, issuer, names, until);
            let line = Line::connect(&disguised(&venue, identity), protocol).await;
            assert_eq!(refusal(line).await, end, "{name}");
        }
    }
    let regular = disguised(&venue, irregular(&venue, own, &[one], 2100));
    Line::connect(&regular, ALPN_ORDERS).await.unwrap().log_on().await;
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_do_not_trust_another_exchange() {
    let venue = Venue::open().await;
    let foreign = tempfile::tempdir().unwrap();
    Authority::create(foreign.path(), Validity::development()).unwrap();
    let mut connector = venue.connector(cast::party(Role::Platform, 1));
    let file = foreign.path().join("ca.crt");
    connector.authority = gateway::identity::load_certificates(&file).unwrap();
    let Err(error) = Line::connect(&connector, ALPN_ORDERS).await else {
        panic!("the client trusts an exchange of another authority");
    };
    let quinn::ConnectionError::TransportError(error) = error else {
        panic!("not refused by the client itself: {error}");
    };
    assert_eq!(u64::from(error.code), 0x100 + 51, "decrypt_error");
    let mut connector = venue.connector(cast::party(Role::Platform, 1));
    connector.server_name = "exchange.example".to_owned();
    let session = soon(gateway::client::TradingSession::open(&connector, 60_000)).await;
    assert!(
        matches!(
            &session,
            Err(gateway::client::ClientError::Connection(
                quinn::ConnectionError::TransportError(error)
            )) if u64::from(error.code) == 0x100 + 42
        ),
        "bad_certificate: {session:?}"
    );
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_to_sign_with_does_not_connect() {
    let venue = Venue::open().await;
    let keys = venue.layout.keys();
    let holder = Holder::Party(Party { role: Role::Platform, number: 1 });
    let mut authority = Authority::open(&keys).unwrap();
    let validity = Validity::development();
    authority.issue(holder, Purpose::Signing, KeySource::New, validity).unwrap();
    let signing = Identity::load(&keys, "platform-1.signing").unwrap();
    let line = Line::connect(&disguised(&venue, signing), ALPN_ORDERS).await;
    assert_eq!(refusal(line).await, "TLS alert 43", "unsupported_certificate");
    venue.close().await;
}

/// Connects again and again until that is refused; says how.
async fn shut_out(connector: &Connector) -> String {
    loop {
        let line = Line::connect(connector, ALPN_DATA).await;
        match line {
            Ok(line) if line.is_heard().await => {}
            other => match refusal(other).await {
                // The exchange has not yet seen all the earlier ones go.
                end if end == "6 refused" => {}
                end => return end,
            },
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_certificate_ends_its_connections_and_opens_none() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut bystander = Platform::log_on(&venue, 2).await;
    let party = Party { role: Role::Platform, number: 1 };
    let connector = venue.connector(party);
    let line = Line::connect(&connector, ALPN_ORDERS).await.unwrap();
    let mut stream = line.open().await;
    stream.frame(&[LOGON]).await;
    assert_eq!(stream.next().await.map(|message| told(&message)).as_deref(), Some("session"));

    let mut authority = Authority::open(&venue.layout.keys()).unwrap();
    let lists = Validity::development();
    let revoked = Revoked { at: lists.from, reason: Reason::KeyCompromise };
    let revoke = |authority: &mut Authority, holder| {
        authority.revoke(holder, Purpose::Transport, revoked, lists).unwrap();
    };
    revoke(&mut authority, Holder::Party(party));
    let began = std::time::Instant::now();
    assert_eq!(soon(line.end()).await, "7 revoked");
    assert!(began.elapsed().as_secs() < 5, "within five seconds");
    let again = Line::connect(&connector, ALPN_ORDERS).await;
    assert_eq!(refusal(again).await, "TLS alert 44", "certificate_revoked");
    bystander.goes_on(SECOND).await;

    // A branch that is revoked takes everybody with it whom it issued for, and nobody else.
    let branch = Holder::Branch(Branch::Role(Role::Retailer));
    authority.revoke(branch, Purpose::Signing, revoked, lists).unwrap();
    let retailer = venue.connector(cast::party(Role::Retailer, 1));
    let end = shut_out(&retailer).await;
    assert!(["TLS alert 44", "7 revoked"].contains(&end.as_str()), "{end}");
    bystander.goes_on(SECOND).await;
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expired_lists_let_nobody_in() {
    let venue = Venue::open().await;
    let connector = venue.connector(cast::party(Role::Retailer, 1));
    let long_ago = jiff::Timestamp::from_second(1_700_000_000).unwrap();
    let mut authority = Authority::open(&venue.layout.keys()).unwrap();
    authority.write_lists(Validity::days(long_ago, 7)).unwrap();
    let end = shut_out(&connector).await;
    assert!(["TLS alert 48", "7 revoked"].contains(&end.as_str()), "{end}");
    authority.write_lists(Validity::development()).unwrap();
    loop {
        if let Ok(line) = Line::connect(&connector, ALPN_DATA).await
            && line.is_heard().await
        {
            break;
        }
    }
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_see_what_expires_first() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    // The settlement's own feed is a connection too.
    let before = venue.node.validity();
    let _platform = Platform::log_on(&venue, 1).await;
    let now = venue.node.validity();
    assert_eq!(now.connections, before.connections + 1);
    let days = now.certificate_days.expect("of an open connection");
    assert!((0..=3_660).contains(&days), "{now:?}");
    assert!((0..=3_660).contains(&now.lists_days), "{now:?}");
    venue.close().await;
}
