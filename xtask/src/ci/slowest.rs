//! The slowest tests of a run, from the report that nextest writes.

use std::fs;

use crate::repository::Repository;

/// How many are named.
const TESTS_MAX: usize = 10;

/// Where nextest writes the report of its profile `ci`, below the target directory.
const REPORT: &str = "target/nextest/ci/junit.xml";

/// A line for each of the slowest tests, if there is a report.
pub(super) fn list(repository: &Repository) -> Option<String> {
    let report = fs::read_to_string(repository.root().join(REPORT)).ok()?;
    let mut tests: Vec<(f64, String)> = report.lines().filter_map(test_of).collect();
    tests.sort_by(|a, b| b.0.total_cmp(&a.0));
    let lines =
        tests.iter().take(TESTS_MAX).map(|(seconds, name)| format!("{seconds:>8.1} s  {name}\n"));
    Some(lines.collect())
}

/// Seconds and name of the test that a line of the report is about.
fn test_of(line: &str) -> Option<(f64, String)> {
    let attributes = line.trim().strip_prefix("<testcase ")?;
    let value = |name: &str| {
        let (_, rest) = attributes.split_once(&format!("{name}=\""))?;
        rest.split_once('"').map(|(value, _)| value)
    };
    let (package, name) =
        (value("classname")?, attributes.strip_prefix("name=\"")?.split_once('"')?.0);
    Some((value("time")?.parse().ok()?, format!("{package} {name}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_report_is_read() {
        let line = r#"        <testcase name="crash::it_holds" classname="tests::it" timestamp="2026-11-23T11:50:10.404+00:00" time="2.683">"#;
        assert_eq!(test_of(line), Some((2.683, "tests::it crash::it_holds".to_owned())));
        assert_eq!(test_of("    <testsuite name=\"engine\" time=\"1.0\">"), None);
    }
}
