//! Who does not pay is suspended in settlement and refused by the engine, until what is owed is paid.

use settlement::{
    Disconnection, DisconnectionDecision, DocumentReject, Interval, MeterFile, Quality, Reading,
    allocation::Metered, seal,
};
use tests::{
    api::ApiCaller,
    cast::{self, FIRST, SECOND},
    day::text,
    https::Version,
    platform::{Platform, told},
    program::run,
    venue::{self, Venue, soon},
};
use types::{Energy, MarketId, MeterId, Money, NewOrder, Role, Side};

use crate::energy::as_party;

/// Bills that nobody pays are due at once, and another default suspends.
fn config() -> String {
    venue::config_text().replace(
        "mechanism = \"clearing_house\"",
        "mechanism = \"platform_biller\"\nenforcement = { due_days = 0, grace_days = 0, \
         fine_after_days = 1, fine_rate = \"0.05\", repeat_days = 30 }",
    )
}

fn of_slot(venue: &Venue, quarters: isize, order: NewOrder) -> NewOrder {
    let key = venue.slot(quarters);
    NewOrder { key, valid_until: key.slot.start(), ..order }
}

/// A trade of half a kilowatt-hour in a slot so many quarters after noon.
async fn trade(venue: &Venue, quarters: isize, platforms: &mut [Platform; 2]) {
    let [first, second] = platforms;
    let sell = first.order(FIRST, Side::Sell, 100, 500);
    first.accepted(of_slot(venue, quarters, sell)).await;
    let buy = second.order(SECOND, Side::Buy, 100, 500);
    let seq = second.accepted(of_slot(venue, quarters, buy)).await.seq;
    venue.settled_through(seq).await;
}

/// Its readings, as contracted, and a verification cycle.
async fn deliver(venue: &Venue, quarters: isize) {
    for (retailer, meter, injected, withdrawn) in [(1, FIRST, 500, 0), (2, SECOND, 0, 500)] {
        let metered =
            Metered { injected: Energy::from_wh(injected), withdrawn: Energy::from_wh(withdrawn) };
        let readings = vec![Reading { meter, metered, quality: Quality::Measured }];
        let intervals = vec![Interval { start: venue.slot(quarters).slot.start(), readings }];
        let file = MeterFile { market: MarketId::new(1), revision: 1, minutes: 15, intervals };
        let signer = cast::party(Role::Retailer, retailer);
        let document = seal(signer, &cast::party_key(signer), &file.to_body());
        soon(venue.desk(signer).await.submit(&document)).await.unwrap();
    }
    let summary = venue.node.settlement.verify(venue.now()).await.unwrap();
    assert_eq!(summary.changed, 1);
}

/// What is said of further orders of the debtor until it is what is expected.
async fn until_told(venue: &Venue, platform: &mut Platform, quarters: isize, expected: &str) {
    soon(async {
        loop {
            let buy = platform.order(SECOND, Side::Buy, 90, 10);
            if told(&platform.place(of_slot(venue, quarters, buy)).await) == expected {
                return;
            }
        }
    })
    .await;
}

/// What a document of a party about the debtor's disconnection comes to.
async fn decide(
    venue: &Venue,
    (role, number): (Role, u16),
    revision: u32,
    decision: DisconnectionDecision,
) -> &'static str {
    let reason = "nothing paid since May".to_owned();
    let body = Disconnection { meter: SECOND, revision, decision, reason }.to_body();
    let signer = cast::party(role, number);
    let document = seal(signer, &cast::party_key(signer), &body);
    let receipt = soon(venue.desk(signer).await.submit(&document)).await.unwrap();
    DocumentReject::from_code(receipt.reason).map_or("taken", DocumentReject::name)
}

/// What a party is told of disconnections.
async fn told_of_disconnection(venue: &Venue, role: Role, number: u16) -> Vec<String> {
    let mut api = ApiCaller::connect(venue, cast::party(role, number), Version::Http2).await;
    let page = api.get("/v1/notices?limit=100").await.json();
    let notices = page["notices"].as_array().unwrap().iter();
    let own = notices.filter(|notice| notice["what"] == "disconnection");
    own.map(|notice| format!("{} {} {}", notice["level"], notice["decision"], notice["reason"]))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_retailer_disconnects_and_who_serves_the_meter_is_told() {
    use DisconnectionDecision::{Notice, Withdrawn};
    let api = "\n[api]\nlisten = \"127.0.0.1:0\"\n";
    let venue = Venue::open_with(&(config() + api)).await;
    venue.clock_to(-29).await;
    let mut platforms = [Platform::log_on(&venue, 1).await, Platform::log_on(&venue, 2).await];
    trade(&venue, 0, &mut platforms).await;
    venue.clock_to(-14).await;
    trade(&venue, 1, &mut platforms).await;
    drop(platforms);
    venue.clock_to(16).await;
    deliver(&venue, 0).await;
    assert_eq!(decide(&venue, (Role::Retailer, 2), 1, Notice).await, "not_suspended");
    venue.clock_to(31).await;
    deliver(&venue, 1).await;
    assert_eq!(decide(&venue, (Role::Retailer, 1), 1, Notice).await, "wrong_signer");
    assert_eq!(decide(&venue, (Role::Utility, 2), 1, Notice).await, "wrong_signer");
    assert_eq!(decide(&venue, (Role::Retailer, 2), 1, Notice).await, "taken");
    assert_eq!(decide(&venue, (Role::Retailer, 2), 1, Withdrawn).await, "equivocation");
    assert_eq!(decide(&venue, (Role::Retailer, 2), 2, Withdrawn).await, "taken");
    assert_eq!(decide(&venue, (Role::Retailer, 2), 3, Withdrawn).await, "no_notice");
    let reason = "nothing paid since May";
    let expected = [(4, "notice"), (3, "withdrawn"), (4, "notice")]
        .map(|(level, decision)| format!("{level} \"{decision}\" \"{reason}\""));
    // The same with the program, and what it shows of it.
    let meter = SECOND.to_string();
    let words = ["enforce", "disconnect", "--meter", &meter, "--revision", "4", "--reason", reason];
    let said = as_party(&venue, "retailer/2", &words).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let words = ["enforce", "withdraw", "--meter", &meter, "--revision", "5", "--reason", " "];
    assert_eq!(as_party(&venue, "retailer/2", &words).await.code, Some(2), "that is no reason");
    let arguments = ["enforce", "steps", "--output", "csv", "--data-dir"].map(str::to_owned);
    let arguments = [&arguments[..], &[text(venue.layout.root()).to_owned()]].concat();
    let steps = tokio::task::spawn_blocking(move || run(arguments)).await.unwrap();
    let last = steps.stdout.lines().last().unwrap_or_else(|| panic!("{steps:?}"));
    assert!(last.contains(",disconnection,5,0,notice,retailer/2,"), "{last}");
    assert!(last.ends_with(reason), "{last}");
    for (role, number, is_told) in [
        (Role::Platform, 1, true),
        (Role::Platform, 2, true),
        (Role::Retailer, 1, true),
        (Role::Retailer, 2, true),
        (Role::Utility, 2, true),
        (Role::Utility, 1, false),
    ] {
        let told = told_of_disconnection(&venue, role, number).await;
        let expected = if is_told { &expected[..] } else { &[] };
        assert_eq!(told, expected, "{role:?} {number}");
    }
    venue.close().await;
}

async fn suspended(venue: &Venue) -> Vec<(MeterId, bool)> {
    let settlement = &venue.node.settlement;
    settlement.rail(|all, _| Ok(all.suspended()?.into_iter().collect())).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_default_climbs_to_suspension_and_back() {
    let venue = Venue::open_with(&config()).await;
    venue.clock_to(-29).await;
    let mut platforms = [Platform::log_on(&venue, 1).await, Platform::log_on(&venue, 2).await];
    trade(&venue, 0, &mut platforms).await;
    venue.clock_to(-14).await;
    trade(&venue, 1, &mut platforms).await;

    venue.clock_to(16).await;
    deliver(&venue, 0).await;
    assert_eq!(suspended(&venue).await, [], "the first default is a warning");
    let [first, second] = &mut platforms;
    let buy = second.order(SECOND, Side::Buy, 90, 10);
    second.accepted(of_slot(&venue, 3, buy)).await;
    venue.clock_to(31).await;
    deliver(&venue, 1).await;
    assert_eq!(suspended(&venue).await, [(SECOND, true)]);
    until_told(&venue, second, 4, "rejected trading_suspended").await;
    let sell = first.order(FIRST, Side::Sell, 200, 10);
    first.accepted(of_slot(&venue, 4, sell)).await;

    let settlement = &venue.node.settlement;
    let owed = Money::from_minor(1_000);
    settlement.rail(move |all, _| all.recover(1, SECOND, owed).map(drop)).await.unwrap();
    assert_eq!(suspended(&venue).await, [(SECOND, false)]);
    until_told(&venue, second, 4, "new 10").await;
    let audit = settlement.rail(|all, _| all.audit()).await.unwrap();
    assert!(audit.is_clean(), "{audit:?}");
    drop(platforms);
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_says_again_who_is_suspended() {
    let venue = Venue::open_with(&config()).await;
    venue.clock_to(-29).await;
    let mut platforms = [Platform::log_on(&venue, 1).await, Platform::log_on(&venue, 2).await];
    trade(&venue, 0, &mut platforms).await;
    venue.clock_to(-14).await;
    trade(&venue, 1, &mut platforms).await;
    drop(platforms);
    for (minute, quarters) in [(16, 0), (31, 1)] {
        venue.clock_to(minute).await;
        deliver(&venue, quarters).await;
    }
    // Paid while the exchange does not run: the engine hears of it from the next one.
    let stopped = venue.closed_for_repair().await;
    stopped.pipeline().recover(1, SECOND, Money::from_minor(1_000)).unwrap();
    let venue = stopped.start().await;
    let mut platform = Platform::log_on(&venue, 2).await.counting_from(100);
    until_told(&venue, &mut platform, 4, "new 10").await;
    drop(platform);
    venue.close().await;
}
