use super::curve::{Level, corners, demand_levels, supply_levels};
use super::day::time_ticks;
use super::latency::{Bar, bars, duration_ticks};
use super::scale::{EnergyScale, Scale, log2_1024, price_scale};
use super::{
    CurveData, FunnelStep, LatencyBucket, MoneyLine, ReportData, SlotLine, html, number, render,
};

fn texts(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect()
}

fn slot(label: &str, price: Option<i64>, auction_wh: u64, continuous_wh: u64) -> SlotLine {
    SlotLine { label: label.to_owned(), auction_price_micros: price, auction_wh, continuous_wh }
}

fn step(label: &str, count: u64) -> FunnelStep {
    FunnelStep { label: label.to_owned(), count }
}

fn money(role: &str, account: &str, minor: i64) -> MoneyLine {
    MoneyLine { role: role.to_owned(), account: account.to_owned(), minor }
}

fn small() -> ReportData {
    ReportData {
        title: "One day of peer-to-peer trading".to_owned(),
        facts: texts(&[("Meters", "4"), ("Seed", "1")]),
        currency: "EUR".to_owned(),
        noon: CurveData {
            slot: "12:00".to_owned(),
            demand: vec![(100_000, 500), (300_000, 1_000), (100_000, 250)],
            supply: vec![(200_000, 400), (50_000, 800)],
            price_micros: Some(200_000),
            volume_wh: 1_000,
        },
        day: vec![
            slot("11:45", None, 0, 0),
            slot("12:00", Some(200_000), 1_000, 200),
            slot("12:15", None, 0, 300),
            slot("12:30", Some(-10_000), 50, 0),
        ],
        funnel: vec![step("orders accepted", 7), step("trades", 3), step("payments", 0)],
        latency: vec![
            LatencyBucket { upper_us: 100, count: 0 },
            LatencyBucket { upper_us: 200, count: 5 },
            LatencyBucket { upper_us: 400, count: 2 },
            LatencyBucket { upper_us: 800, count: 0 },
        ],
        latency_summary: texts(&[("p50", "180 µs")]),
        money: vec![
            money("prosumer", "meter-1", 250),
            money("consumer", "meter-2", -200),
            money("consumer", "meter-3", -50),
        ],
        proofs: texts(&[("State digest", "00ff")]),
        notes: vec!["Synthetic data.".to_owned()],
    }
}

fn nothing() -> ReportData {
    ReportData {
        title: String::new(),
        facts: Vec::new(),
        currency: "EUR".to_owned(),
        noon: CurveData {
            slot: "00:00".to_owned(),
            demand: Vec::new(),
            supply: Vec::new(),
            price_micros: None,
            volume_wh: 0,
        },
        day: Vec::new(),
        funnel: Vec::new(),
        latency: Vec::new(),
        latency_summary: Vec::new(),
        money: Vec::new(),
        proofs: Vec::new(),
        notes: Vec::new(),
    }
}

/// Fails unless every tag is closed in order, every attribute is quoted, and nothing is loaded.
fn check_page(page: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = page.strip_prefix("<!DOCTYPE html>").expect("page starts with its type");
    while let Some((text, after)) = rest.split_once('<') {
        assert!(open.last() == Some(&"style") || !text.contains('>'), "stray bracket in {text:?}");
        let (tag, after) = after.split_once('>').expect("tag is closed");
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "closing </{name}>");
            continue;
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "quotes in <{tag}>");
        let name = tag.split([' ', '/']).next().unwrap_or_default();
        let forbidden = ["script", "link", "img", "iframe", "object", "image", "use"];
        assert!(!forbidden.contains(&name), "<{tag}> in the page");
        if !tag.ends_with('/') && name != "meta" {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
    for outside in ["http:", "https:", "url(", "@import", "NaN", "None", "Some("] {
        assert!(!page.contains(outside), "{outside} in the page");
    }
}

#[test]
fn page_is_well_formed_and_deterministic() {
    let page = render(&small());
    check_page(&page);
    assert_eq!(page, render(&small()));
    assert_eq!(page.matches("<svg ").count(), 8, "four charts in two layouts");
    assert_eq!(page.matches("<desc>").count(), 8);
    assert_eq!(page.matches("<details>").count(), 5);
}

#[test]
fn text_is_escaped_everywhere() {
    let evil = "<script>alert(1)</script>\"'&";
    let text = || evil.to_owned();
    let mut data = small();
    data.title = text();
    data.facts = vec![(text(), text())];
    data.currency = text();
    data.noon.slot = text();
    data.day.iter_mut().for_each(|slot| slot.label = text());
    data.funnel.iter_mut().for_each(|step| step.label = text());
    data.latency_summary = vec![(text(), text())];
    data.money.iter_mut().for_each(|line| {
        line.role = text();
        line.account = text();
    });
    data.proofs = vec![(text(), text())];
    data.notes = vec![text()];
    let page = render(&data);
    check_page(&page);
    assert!(!page.contains("<script"));
    assert!(page.contains("<h1>&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;</h1>"));
}

#[test]
fn nothing_at_all_renders() {
    let page = render(&nothing());
    check_page(&page);
    for expected in [
        "No orders in this auction.",
        "No delivery slots.",
        "Nothing was counted.",
        "No latency was measured.",
        "No money moved.",
        "Sums to zero",
    ] {
        assert!(page.contains(expected), "{expected} is missing");
    }
    assert!(!page.contains("<svg"));
}

#[test]
fn one_sided_books_and_quiet_days_render() {
    let mut data = small();
    data.noon.supply.clear();
    data.noon.price_micros = None;
    data.noon.volume_wh = 0;
    data.day = vec![slot("02:15", None, 0, 0)];
    data.funnel = vec![step("orders accepted", 0), step("trades", 0)];
    data.latency = vec![LatencyBucket { upper_us: 0, count: 1 }];
    let page = render(&data);
    check_page(&page);
    assert!(page.contains("Nobody offered energy, so nothing cleared."));
    assert!(page.contains("no auction price in any slot"));
    assert!(page.contains("no trades in any slot"));

    data.noon.supply = vec![(400_000, 100)];
    assert!(render(&data).contains("is below the lowest sell limit, 0.4000\u{a0}EUR/kWh"));
    data.noon.demand.clear();
    assert!(render(&data).contains("Nobody wanted to buy, so nothing cleared."));
}

#[test]
fn extreme_values_render() {
    let mut data = small();
    let (low, high) = (i64::MIN, i64::MAX);
    data.noon.demand = vec![(low, u64::MAX), (high, u64::MAX)];
    data.noon.supply = vec![(low, u64::MAX), (high, 1)];
    data.noon.price_micros = Some(low);
    data.noon.volume_wh = u64::MAX;
    data.day = vec![slot("x", Some(low), u64::MAX, u64::MAX), slot("99:99", Some(high), 0, 1)];
    data.funnel = vec![step("a", 1), step("b", u64::MAX)];
    data.latency = vec![
        LatencyBucket { upper_us: 1, count: u64::MAX },
        LatencyBucket { upper_us: u64::MAX, count: u64::MAX },
    ];
    data.money = vec![money("a", "a", low), money("b", "b", low)];
    check_page(&render(&data));
}

#[test]
fn gaps_interrupt_the_price_line() {
    let page = render(&small());
    let path = page.split("<path class=\"price\" d=\"").nth(1).expect("price path");
    let path = path.split('"').next().unwrap_or_default();
    assert_eq!(path.matches('M').count(), 2, "{path}");
}

#[test]
fn curve_points_are_cumulated_from_the_best_price() {
    let data = small();
    let level = |price, wh, cumulated_wh| Level { price, wh, cumulated_wh };
    let demand = demand_levels(&data.noon.demand);
    let supply = supply_levels(&data.noon.supply);
    assert_eq!(demand, [level(300_000, 1_000, 1_000), level(100_000, 750, 1_750)]);
    assert_eq!(supply, [level(50_000, 800, 800), level(200_000, 400, 1_200)]);
    let all = [(0, 300_000), (1_000, 300_000), (1_000, 100_000), (1_750, 100_000)];
    assert_eq!(corners(&demand, 1_750), all);
    let cleared = [(0, 50_000), (800, 50_000), (800, 200_000), (1_000, 200_000)];
    assert_eq!(corners(&supply, 1_000), cleared);
    assert_eq!(demand_levels(&[(5, 0)]), []);
}

#[test]
fn ticks_are_round() {
    let scale = |min, max, step| Scale { min, max, step };
    assert_eq!(Scale::covering(0, 97, 1, 5), scale(0, 100, 20));
    assert_eq!(Scale::covering(-30, 420, 1, 5), scale(-100, 500, 100));
    assert_eq!(Scale::covering(0, 0, 1, 5), scale(0, 1, 1));
    assert_eq!(price_scale(143_000, 246_000, 4), scale(100_000, 250_000, 50_000));
    assert_eq!(price_scale(90_000, 310_000, 8), scale(0, 350_000, 50_000));
    assert_eq!(price_scale(200_000, 200_000, 4), scale(195_000, 205_000, 5_000));
    let labels = |ticks: Vec<(i128, String)>| -> Vec<String> {
        ticks.into_iter().map(|(_, label)| label).collect()
    };
    assert_eq!(labels(scale(-50_000, 50_000, 50_000).ticks(6)), ["−0.05", "0.00", "0.05"]);
    assert_eq!(labels(EnergyScale::up_to(0, 4).ticks()), ["0.0", "0.5", "1.0"]);
    assert_eq!(labels(EnergyScale::up_to(2_000_000, 2).ticks()), ["0", "1,000", "2,000"]);
    assert_eq!(EnergyScale::up_to(400_000_000, 4).unit, "MWh");
}

#[test]
fn time_ticks_fall_on_round_hours() {
    let labels: Vec<String> =
        (0..96).map(|index| format!("{:02}:{:02}", index / 4, index % 4 * 15)).collect();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    let ticks = time_ticks(&labels, 5);
    let expected = [(0, "00:00"), (24, "06:00"), (48, "12:00"), (72, "18:00"), (96, "24:00")];
    assert_eq!(ticks, expected.map(|(index, label)| (index, label.to_owned())));
    assert_eq!(time_ticks(&["12:07"], 5), [(0, "12:07".to_owned())]);
    assert_eq!(time_ticks(&["a", "b", "c"], 2), [(0, "a".to_owned()), (2, "c".to_owned())]);
    assert_eq!(time_ticks(&[], 5), []);
}

#[test]
fn empty_buckets_at_both_ends_are_left_out() {
    let expected = [
        Bar { lower_us: 100, upper_us: 200, count: 5 },
        Bar { lower_us: 200, upper_us: 400, count: 2 },
    ];
    assert_eq!(bars(&small().latency), expected);
}

#[test]
fn latency_ticks_are_thinned_to_powers_of_ten() {
    let labels = |low, high, count| -> Vec<String> {
        duration_ticks(low, high, count)
            .into_iter()
            .map(|(_, label)| label.replace('\u{a0}', " "))
            .collect()
    };
    assert_eq!(labels(100, 2_000, 6), ["100 µs", "200 µs", "500 µs", "1 ms", "2 ms"]);
    assert_eq!(labels(100, 2_000, 3), ["100 µs", "1 ms"]);
    assert_eq!(labels(1, 1_000_000, 4), ["1 µs", "100 µs", "10 ms", "1 s"]);
}

#[test]
fn logarithm_is_exact_at_powers_of_two() {
    for exponent in 0..64 {
        assert_eq!(log2_1024(1 << exponent), i128::from(exponent) * 1_024);
    }
    // 1024 × log₂ 10 = 3401.65…
    assert_eq!(log2_1024(10), 3_401);
    assert_eq!(log2_1024(u64::MAX), 65_535);
}

#[test]
fn numbers_are_rounded_grouped_and_signed() {
    assert_eq!(number::decimal(1_234_567, 3, 1), "1,234.6");
    assert_eq!(number::decimal(-1_250, 3, 1), "−1.3");
    assert_eq!(number::decimal(-4, 3, 1), "0.0");
    assert_eq!(number::decimal(5, 0, 2), "5.00");
    assert_eq!(number::decimal(999_999, 0, 0), "999,999");
    assert_eq!(number::price(152_300, number::price_places([152_300])), "0.1523");
    assert_eq!(number::price_places([152_345, 100_000]), 6);
    assert_eq!(number::duration(1_024), "1.024\u{a0}ms");
    assert_eq!(number::duration(2_500_000), "2.5\u{a0}s");
    assert_eq!(number::share(1_u64, 3_u64), "33.3\u{a0}%");
    assert_eq!(number::share(1_u64, 1_000_000_u64), "<\u{a0}0.1\u{a0}%");
    assert_eq!(number::share(999_999_u64, 1_000_000_u64), ">\u{a0}99.9\u{a0}%");
    assert_eq!(number::share(0_u64, 0_u64), "–");
}

#[test]
fn money_that_does_not_sum_to_zero_is_called_out() {
    let balanced = render(&small());
    assert!(balanced.contains("Sums to zero"));
    assert!(balanced.contains("<td>2</td><td>0.00</td><td>−2.50</td><td>−2.50</td>"));
    assert!(balanced.contains("<td>3</td><td>2.50</td><td>−2.50</td><td>0.00</td>"));
    let mut data = small();
    data.money.push(money("retailer", "retailer-1", 7));
    assert!(render(&data).contains("Does not sum to zero: off by 0.07 EUR."));
}

#[test]
fn long_tables_say_what_they_leave_out() {
    let rows = vec![vec!["cell".to_owned()]; 6_234];
    let table = html::data_table("Rows", &["head"], 1, &rows);
    assert_eq!(table.matches("<td").count(), 5_000);
    assert!(table.contains("1,234 more rows are not listed."));
}
