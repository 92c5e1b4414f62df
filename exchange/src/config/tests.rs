//! Settings that are read, and those that are refused with what would mend them.

use types::{Allocation, Money, PlatformId, SelfTradeAction, SelfTradeScope};

use super::*;
use crate::init;

/// The template with a part replaced.
fn with(from: &str, to: &str) -> Result<Config, ConfigError> {
    let text = init::CONFIG_TEMPLATE.replace(from, to);
    assert_ne!(text, init::CONFIG_TEMPLATE, "`{from}` is in the template");
    parse(Path::new("g.toml"), &text)
}

fn refused(from: &str, to: &str) -> String {
    with(from, to).unwrap_err().to_string()
}

#[test]
fn the_template_is_a_configuration() {
    let config = parse(Path::new("g.toml"), init::CONFIG_TEMPLATE).unwrap();
    assert_eq!(config.markets[0].definition.levels(), 401);
    assert_eq!(config.shards, Shards::ONE);
    assert_eq!(config.reserve_bytes, 256 << 20);
    assert_eq!(config.keep_segments, None);
    assert_eq!(config.checkpoint_every, Duration::from_millis(250));
    let some = with("# keep_segments = 0", "keep_segments = 4").unwrap();
    assert_eq!(some.keep_segments, NonZeroUsize::new(4));
    assert_eq!(with("# reserve_mib = 256", "reserve_mib = 0").unwrap().reserve_bytes, 0);
    assert_eq!(with("# shards = 1", "shards = 16").unwrap().shards, Shards::new(16).unwrap());
}

#[test]
fn refusals_say_where_and_how_to_mend() {
    let unknown = refused("segment_mib", "segmnt_mib");
    assert!(
        unknown.contains("line ") && unknown.contains("did you mean `segment_mib`?"),
        "{unknown}"
    );
    assert!(refused("tick = \"0.001\"", "tick = \"0.0000001\"").contains("markets[0].tick"));
    assert!(refused("segment_mib = 64", "segment_mib = 1").contains("64 to 1024"));
    assert!(refused("# checkpoint_ms = 250", "checkpoint_ms = 49").contains("50 to 3600000"));
    assert!(refused("# reserve_mib = 256", "reserve_mib = 1048577").contains("0 to 1048576"));
    let lines = "snapshot_commands = 0\nkeep_segments = 4";
    assert!(refused("# keep_segments = 0", lines).contains("needs snapshots"));
    for count in ["0", "17", "300"] {
        let shards = refused("# shards = 1", &format!("shards = {count}"));
        assert!(shards.contains("shards") || shards.contains("u8"), "{shards}");
    }
    assert!(refused("Europe/Berlin", "Europe/Bärlin").contains("time_zone"));
    assert!(refused("Europe/Berlin", "Europe/Berlyn").contains("unknown"));
}

#[test]
fn https_is_off_unless_it_listens() {
    let with_https =
        |lines: &str| with("\n[journal]\n", &format!("\n[gateway.https]\n{lines}\n\n[journal]\n"));
    assert!(parse(Path::new("g.toml"), init::CONFIG_TEMPLATE).unwrap().https.is_none());
    let https = with_https("listen = \"127.0.0.1:0\"").unwrap().https.unwrap();
    assert_eq!((https.listen.port(), https.request_max), (0, Duration::from_secs(120)));
    for (lines, mend) in [
        ("request_s = 1", "listen"),
        ("listen = \"everywhere\"", "socket address"),
        ("listen = \"127.0.0.1:0\"\nrequest_s = 0", "gateway.https.request_s` is 0"),
        ("listen = \"127.0.0.1:0\"\nrequests_s = 1", "did you mean `request_s`?"),
    ] {
        let refused = with_https(lines).unwrap_err().to_string();
        assert!(refused.contains(mend), "{lines}: {refused}");
    }
}

#[test]
fn quarter_hours_of_sixty_days_can_be_open() {
    let lead = |minutes: u32| {
        with("opening_lead_minutes = 60 ", &format!("opening_lead_minutes = {minutes} "))
    };
    let config = lead(86_400).unwrap();
    assert_eq!((config.slots_open_max, config.books_shown()), (5_760, 8_640));
    let config = parse(Path::new("g.toml"), init::CONFIG_TEMPLATE).unwrap();
    assert_eq!((config.slots_open_max, config.books_shown()), (4, 1_024));
    let refused = lead(122_895).unwrap_err().to_string();
    assert!(refused.contains("8193 slots open at once, 8192 are possible"), "{refused}");
}

#[test]
fn the_api_is_off_unless_it_has_an_address() {
    let with_tables =
        |lines: &str| parse(Path::new("g.toml"), &format!("{}\n{lines}\n", init::CONFIG_TEMPLATE));
    let without = with_tables("").unwrap();
    assert!(without.api.is_none() && without.operations.is_none());
    let listen = "listen = \"127.0.0.1:0\"";
    let both = with_tables(&format!("[api]\n{listen}\n[operations]\n{listen}")).unwrap();
    let api = both.api.unwrap();
    assert_eq!((api.threads, api.connections, api.requests.per_s), (1, 256, 2_000));
    assert_eq!((api.body_bytes, api.depth), (65_536, 8));
    assert!(both.operations.is_some());
    for (lines, mend) in [
        ("threads = 1", "listen"),
        ("listen = \"127.0.0.1:0\"\nthreads = 0", "api.threads` is 0, possible are 1 to 16"),
        ("listen = \"127.0.0.1:0\"\nconnections = 5000", "api.connections"),
        ("listen = \"127.0.0.1:0\"\nrequests_burst = 0", "api.requests_burst"),
        ("listen = \"127.0.0.1:0\"\nbody_kib = 1025", "1 to 1024"),
        ("listen = \"127.0.0.1:0\"\ndepth = 3", "4 to 64"),
        ("listen = \"127.0.0.1:0\"\nbodykib = 1", "did you mean `body_kib`?"),
    ] {
        let refused = with_tables(&format!("[api]\n{lines}")).unwrap_err().to_string();
        assert!(refused.contains(mend), "{lines}: {refused}");
    }
}

#[test]
fn pulling_is_bounded() {
    let at_first = parse(Path::new("g.toml"), init::CONFIG_TEMPLATE).unwrap().pull;
    assert_eq!(at_first, crate::pull::plan::tests::OPTIONS, "as in the template's comments");
    let with_pull =
        |lines: &str| with("\n[settlement]\n", &format!("\n[pull]\n{lines}\n[settlement]\n"));
    assert_eq!(with_pull("retries = 0\nround_ms = 10000").unwrap().pull.retries, 0);
    for (lines, mend) in [
        ("parallel = 0", "pull.parallel` is 0, possible are 1 to 64"),
        ("page_readings = 10001", "1 to 10000"),
        ("request_ms = 99", "100 to 600000"),
        ("request_ms = 5000\nround_ms = 4999", "pull.round_ms` is 4999, possible are 5000 to"),
        ("answer_mib = 65", "1 to 64"),
        ("rest_after = 0", "1 to 100"),
        ("retry = 1", "did you mean `retries`?"),
    ] {
        let refused = with_pull(lines).unwrap_err().to_string();
        assert!(refused.contains(mend), "{lines}: {refused}");
    }
}

/// The template with a payment rail, and something replaced in its table.
fn with_rails(from: &str, to: &str) -> Result<Config, ConfigError> {
    let lines = "\n[settlement.policy.rail]\n\n[rails]\nurl = \"http://127.0.0.1:9400\"\n\
                 listen = \"127.0.0.1:0\"\nsecret_file = \"keys/rail.secret\"\n";
    let text = init::CONFIG_TEMPLATE.to_owned() + &lines.replace(from, to);
    parse(Path::new("g.toml"), &text)
}

#[test]
fn a_payment_rail_has_a_rule_and_an_address_or_neither() {
    assert!(parse(Path::new("g.toml"), init::CONFIG_TEMPLATE).unwrap().rails.is_none());
    let rails = with_rails("", "").unwrap().rails.unwrap();
    assert_eq!((rails.window_s, rails.in_flight, rails.pace.retry_min_s), (300, 8, 5));
    assert_eq!(rails.deadline, Duration::from_secs(5));
    for (from, to, mend) in [
        ("[settlement.policy.rail]\n", "", "settlement.policy"),
        ("[rails]\nurl", "[rails]\nunknown = 1\nurl", "unknown field"),
        ("http://127", "http://10", "rails.url"),
        ("listen", "window_s = 9\nlisten", "rails.window_s` is 9, possible are 10 to 86400"),
        ("listen", "in_flight = 65\nlisten", "rails.in_flight"),
        ("listen", "deadline_ms = 1\nlisten", "rails.deadline_ms"),
        ("listen", "retry_min_s = 9\nretry_max_s = 8\nlisten", "rails.retry_max_s"),
        ("listen", "event_key = \"AAAA\"\nlisten", "rails.event_key"),
    ] {
        let refused = with_rails(from, to).unwrap_err().to_string();
        assert!(refused.contains(mend), "{to}: {refused}");
    }
    let text = init::CONFIG_TEMPLATE.to_owned() + "\n[settlement.policy.rail]\n";
    let refused = parse(Path::new("g.toml"), &text).unwrap_err().to_string();
    assert!(refused.contains("`rails`"), "{refused}");
}

/// The template with controls of its market and whatever else follows.
fn with_controls(lines: &str) -> Result<Config, ConfigError> {
    with("\n[settlement]\n", &format!("\n[markets.controls]\n{lines}\n\n[settlement]\n"))
}

#[test]
fn controls_and_credit_are_optional() {
    let config = parse(Path::new("g.toml"), init::CONFIG_TEMPLATE).unwrap();
    assert_eq!(config.controls, []);
    assert_eq!(config.credit, []);
    assert_eq!(config.markets[0].call_extension_minutes, 5);
    let market = MarketId::new(1);
    let standard = with_controls("").unwrap().controls;
    assert_eq!(standard, [MarketControls::standard(market)], "what is not stated is standard");
    let all = "self_trade_scope = \"owner\"\nself_trade = \"decrement\"\n\
               allocation = \"pro_rata\"\nquantity_min_wh = 50\nvalue_max = \"12.50\"\n\
               collar = \"0.05\"\ndynamic_band = \"0.02\"\nexecutions_max = 40\n\
               freeze_min_s = 5\nfreeze_max_s = 30\n\
               [[credit]]\nplatform = 2\nmarket = 1\nlimit = \"250\"";
    let config = with_controls(all).unwrap();
    let stated = MarketControls {
        market,
        self_trade_scope: SelfTradeScope::Owner,
        self_trade: SelfTradeAction::Decrement,
        allocation: Allocation::ProRata,
        quantity_min: Energy::from_wh(50),
        value_max: Money::from_minor(1_250),
        collar: Price::from_micros(50_000),
        dynamic_band: Price::from_micros(20_000),
        executions_max: 40,
        freeze_min_s: 5,
        freeze_max_s: 30,
    };
    assert_eq!(config.controls, [stated]);
    let limit = Money::from_minor(25_000);
    assert_eq!(config.credit, [CreditLimit { platform: PlatformId::new(2), market, limit }]);
}

#[test]
fn the_template_shows_every_control_as_it_is_at_first() {
    let uncommented = |line: &str| match line.strip_prefix("# ") {
        Some(rest) if rest.starts_with('[') || rest.contains(" = ") => format!("{rest}\n"),
        Some(_) | None => format!("{line}\n"),
    };
    let text: String = init::CONFIG_TEMPLATE.lines().map(uncommented).collect();
    for key in ["shards = 1", "call_extension_minutes = 5", "\nfreeze_max_s = 0", "\n[[credit]]"] {
        assert!(text.contains(key), "{key}");
    }
    let config = parse(Path::new("g.toml"), &text).unwrap();
    assert_eq!(config.controls, [MarketControls::standard(MarketId::new(1))]);
    assert_eq!(config.credit.len(), 1);
    assert_eq!(config.markets[0].call_extension_minutes, 5);
    assert_eq!(config.pull, crate::pull::plan::tests::OPTIONS);
    assert!(text.contains("\nanswer_mib = 16"), "{text}");
}

#[test]
fn controls_that_cannot_be_are_refused() {
    for (lines, place, mend) in [
        ("colar = \"0.05\"", "line ", "did you mean `collar`?"),
        ("self_trade = \"stop\"", "controls.self_trade`", "`cancel_taker`"),
        ("self_trade_scope = \"street\"", "controls.self_trade_scope`", "`owner`"),
        ("allocation = \"size\"", "controls.allocation`", "`pro_rata`"),
        ("quantity_min_wh = 100001", "controls.quantity_min_wh`", "0 to 100000"),
        ("value_max = \"1.005\"", "controls.value_max`", "2 decimals"),
        ("value_max = \"-1\"", "controls.value_max`", "not below zero"),
        ("collar = \"-0.01\"", "controls.collar`", "not below zero"),
        ("dynamic_band = \"0.0000001\"", "controls.dynamic_band`", "six decimals"),
        ("freeze_min_s = 9", "controls.freeze_min_s`", "`freeze_max_s`"),
        ("freeze_max_s = 900", "controls.freeze_max_s`", "0 to 898"),
        ("[[credit]]\nplatform = 2\nmarket = 7\nlimit = \"1\"", "credit[0].market", "1"),
        (
            "[[credit]]\nplatform = 2\nmarket = 1\nlimit = \"0.001\"",
            "credit[0].limit",
            "2 decimals",
        ),
        (
            "[[credit]]\nplatform = 2\nmarket = 1\nlimit = \"1\"\n\
             [[credit]]\nplatform = 2\nmarket = 1\nlimit = \"2\"",
            "credit[1].platform",
            "twice",
        ),
    ] {
        let refused = with_controls(lines).unwrap_err().to_string();
        assert!(refused.contains(place) && refused.contains(mend), "{lines}: {refused}");
    }
    let extension = refused("price_rule = ", "call_extension_minutes = 0\nprice_rule = ");
    assert!(extension.contains("call_extension_minutes` is 0, possible are 1 to 1440"));
}

#[test]
fn a_market_has_the_currency_that_is_settled() {
    let text = init::CONFIG_TEMPLATE.replacen("currency = \"EUR\"", "currency = \"USD\"", 1);
    let told = parse(Path::new("g.toml"), &text).unwrap_err().to_string();
    assert!(told.contains("markets[0].currency` is USD") && told.contains("EUR"), "{told}");
}
