//! The members of an aggregate order, from a file of people: `meter,wh`, one to a line.

use std::{collections::BTreeMap, fs, path::Path};

use types::{AGGREGATE_MEMBERS_MAX, Member, MeterId};

use crate::exit::Failure;

/// The first line of the file.
const HEADER: &str = "meter,wh";

/// Reads members, which stand in any order, each meter once.
///
/// # Errors
/// When the file cannot be read, or a line of it is no member.
pub(super) fn load(path: &Path) -> Result<Vec<Member>, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("cannot read `{}`: {error}", path.display())))?;
    parse(&text).map_err(|error| {
        Failure::usage(format!("`{}`: {error}", path.display()))
            .hint("the first line is `meter,wh`, then come a meter's number and its watt-hours")
    })
}

fn parse(text: &str) -> Result<Vec<Member>, String> {
    let mut lines = (1..).zip(text.lines().map(str::trim)).filter(|(_, line)| !line.is_empty());
    let header = lines.next().map(|(_, line)| line.trim_start_matches('\u{feff}'));
    if header != Some(HEADER) {
        return Err(format!("the first line is not `{HEADER}`"));
    }
    let mut members = BTreeMap::new();
    for (number, line) in lines {
        let member =
            member(line).ok_or_else(|| format!("line {number} is no meter and watt-hours"))?;
        if members.insert(member.meter, member).is_some() {
            return Err(format!("line {number} has meter {} again", member.meter));
        }
    }
    if members.is_empty() || members.len() > usize::from(AGGREGATE_MEMBERS_MAX) {
        return Err(format!(
            "{} members, where 1 to {AGGREGATE_MEMBERS_MAX} can be",
            members.len()
        ));
    }
    Ok(members.into_values().collect())
}

fn member(line: &str) -> Option<Member> {
    let (meter, wh) = line.split_once(',')?;
    let (meter, wh) = (meter.trim().parse().ok()?, wh.trim().parse().ok()?);
    (meter > 0 && wh > 0).then_some(Member::new(MeterId::new(meter), wh))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_put_in_order() {
        let members = parse("meter,wh\n9, 500\n\n7,1500\n").unwrap();
        let expected = [(7, 1_500), (9, 500)].map(|(m, wh)| Member::new(MeterId::new(m), wh));
        assert_eq!(members, expected);
    }

    #[test]
    fn what_is_no_list_of_members_is_named_with_its_line() {
        let cases = [
            ("", "the first line is not `meter,wh`"),
            ("meter,kwh\n1,2", "the first line is not `meter,wh`"),
            ("meter,wh\n1,2\n1,3", "line 3 has meter 1 again"),
            ("meter,wh\n1,0", "line 2 is no meter and watt-hours"),
            ("meter,wh\n0,5", "line 2 is no meter and watt-hours"),
            ("meter,wh\n1,2.5", "line 2 is no meter and watt-hours"),
            ("meter,wh\n1", "line 2 is no meter and watt-hours"),
            ("meter,wh\n", "0 members, where 1 to 10000 can be"),
        ];
        for (text, error) in cases {
            assert_eq!(parse(text).unwrap_err(), error, "{text:?}");
        }
    }
}
