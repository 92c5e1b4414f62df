//! Public meter files (`settlement/data/meters/`), and what an independent reader made of them.

use std::{fs, path::PathBuf};

use rust_decimal::Decimal;
use types::Timestamp;

use crate::metering::formats::{self, FormatError, MeterData, Problem};

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data/meters").join(name)
}

fn read(path: &str) -> Result<MeterData, FormatError> {
    let bytes = fs::read(folder(path)).unwrap();
    formats::read(&mut bytes.as_slice(), Timestamp::from_seconds(1_775_000_000))
}

#[test]
fn public_nem12_files_sum_to_what_an_independent_reader_found() {
    let expected = fs::read_to_string(folder("nem12/expected_sums.csv")).unwrap();
    let mut files: Vec<&str> =
        expected.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
    files.dedup();
    assert_eq!(files.len(), 6);
    let mut got =
        String::from("file,nmi,channel,intervals,sum,uom,first_start,last_end,quality_set\n");
    for file in files {
        for series in read(&format!("nem12/{file}")).unwrap().series {
            let all = series.summary();
            // The reader printed at least one decimal.
            let mut sum = all.sum.normalize();
            if sum.scale() == 0 {
                sum.rescale(1);
            }
            got += &format!(
                "{file},{},{},{},{sum},{},{},{},{}\n",
                series.meter,
                series.channel,
                all.intervals,
                series.unit_name,
                all.first_start,
                all.last_end,
                all.quality
            );
        }
    }
    assert_eq!(got, expected);
}

#[test]
fn public_invalid_files_are_refused_with_their_line() {
    let refused = |file: &str| {
        let error = read(&format!("nem12/invalid/{file}")).unwrap_err();
        (error.problem, error.line)
    };
    let ranges = refused("Example_NEM12_15min_200_30min_400.csv");
    assert_eq!(ranges, (Problem::Quality, Some(3)));
    let short = refused("Example_NEM12_incomplete_interval.csv");
    assert_eq!(short, (Problem::Malformed, Some(3)));
    let headless = refused("Example_NEM12_powercor.csv");
    assert_eq!(headless, (Problem::OutOfPlace, Some(1)));
}

/// Added outside of this program: the 24 sums of four quarter hours of the feed's one day.
#[test]
fn a_public_green_button_feed_sums_to_the_figure_computed_by_hand() {
    const HOURS: [i64; 24] = [
        1_230, 1_261, 1_194, 1_196, 1_243, 3_428, 6_424, 5_803, 6_005, 5_856, 3_668, 3_594, 3_775,
        3_741, 3_592, 3_545, 3_637, 4_847, 6_079, 6_118, 6_407, 6_341, 3_670, 1_192,
    ];
    let data = read("green_button/test_usage_data_01.xml").unwrap();
    let [series] = data.series.as_slice() else { panic!("one channel") };
    let hours: Vec<Decimal> = series
        .readings
        .chunks(4)
        .map(|hour| hour.iter().map(|reading| reading.value).sum())
        .collect();
    assert_eq!(hours, HOURS.map(Decimal::from));
    let summary = series.summary();
    assert_eq!((summary.intervals, summary.sum), (96, Decimal::from(93_846)));
    assert_eq!(summary.quality, "7|8|unstated");
    assert_eq!(series.meter, "5446AF3F");
}
