//! The table of stops is the one that `docs/ARCHITECTURE.md` shows.

use super::STOPS;

#[test]
fn stops_are_those_of_the_architecture() {
    let document = include_str!("../../../docs/ARCHITECTURE.md");
    let rows = document
        .lines()
        .skip_while(|line| !line.starts_with("## Life of an order"))
        .skip(1)
        .take_while(|line| !line.starts_with('#'));
    let mut documented = Vec::new();
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        if let [_, number, place, _, _] = cells[..]
            && let Ok(number) = number.parse::<u8>()
        {
            documented.push((number, place.replace('`', "")));
        }
    }
    let ours: Vec<_> = STOPS.iter().map(|stop| (stop.number, stop.place.to_owned())).collect();
    assert_eq!(ours, documented);
}
