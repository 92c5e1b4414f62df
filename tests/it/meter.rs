//! `gridcross meter inspect`: lines for files that can be read, sentences for those that cannot.

use std::{fs, path::PathBuf};

use tests::{day::text, program::run};

fn sample(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../settlement/data/meters").join(path)
}

#[test]
fn files_of_several_formats_become_lines_in_the_order_given() {
    let nem12 = sample("nem12/016_NEM12_08150_05031502_WBAYM_NEMMCO.V01");
    let feed = sample("green_button/test_usage_data_01.xml");
    let run = run(["meter", "inspect", text(&nem12), text(&feed), "--output", "csv"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(
        run.stdout,
        "file,meter,channel,intervals,sum,unit,first_start,last_end,quality\n\
         016_NEM12_08150_05031502_WBAYM_NEMMCO.V01,NEM1208150,E1,96,13050.265,kWh,\
         2005-03-15 00:00:00,2005-03-17 00:00:00,A|F14|F15|F18|S14\n\
         test_usage_data_01.xml,5446AF3F,01:forward,96,93846.0,Wh,\
         2012-03-01T05:00:00Z,2012-03-02T05:00:00Z,7|8|unstated\n"
    );
}

#[test]
fn the_first_wrong_file_ends_it_with_a_sentence_and_no_line() {
    let good = sample("nem12/016_NEM12_08150_05031502_WBAYM_NEMMCO.V01");
    let bad = sample("nem12/invalid/Example_NEM12_15min_200_30min_400.csv");
    let run = run(["meter", "inspect", text(&good), text(&bad)]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{}", run.stderr);
    let sentence = "Example_NEM12_15min_200_30min_400.csv` line 3, quality `96 intervals`: \
                    quality V, and 400 records for 48 of it only (quality)";
    assert!(run.stderr.contains(sentence), "{}", run.stderr);
}

#[test]
fn content_decides_not_the_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("readings.csv");
    fs::copy(sample("green_button/test_usage_data_01.xml"), &path).unwrap();
    let read = run(["meter", "inspect", text(&path), "--output", "ndjson"]);
    assert_eq!(read.code, Some(0), "{}", read.stderr);
    assert!(read.stdout.contains("\"sum\":\"93846.0\""), "{}", read.stdout);
    fs::write(&path, [0x1f, 0x8b, 8, 0, 0]).unwrap();
    let packed = run(["meter", "inspect", text(&path)]);
    assert_eq!(packed.code, Some(2));
    assert!(packed.stderr.contains("unpack it first"), "{}", packed.stderr);
    let nowhere = run(["meter", "inspect", text(&dir.path().join("absent"))]);
    assert_eq!(nowhere.code, Some(2), "{}", nowhere.stderr);
    let folder = run(["meter", "inspect", text(dir.path())]);
    assert_eq!(folder.code, Some(2), "{}", folder.stderr);
}
