//! A file with one market, which an operator defines while the exchange runs.

use std::{fs, path::Path};

use serde::Deserialize;
use types::{MarketDefinition, NewMarket};

use super::{ConfigError, MarketTable, market, tables};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MarketFile {
    markets: Vec<MarketTable>,
}

/// Reads and checks a file with one `[[markets]]` table, the same as that of the configuration.
///
/// # Errors
/// Names the file, the place and the mend.
pub fn load_market(path: &Path) -> Result<(NewMarket, MarketDefinition), ConfigError> {
    let text = fs::read_to_string(path)
        .map_err(|source| ConfigError::ReadMarket { path: path.to_owned(), source })?;
    parse_market(path, &text)
}

fn parse_market(path: &Path, text: &str) -> Result<(NewMarket, MarketDefinition), ConfigError> {
    let file: MarketFile = tables(path, text)?;
    let value = |key: &str, message: String| ConfigError::Value {
        path: path.to_owned(),
        key: key.to_owned(),
        message,
    };
    let [table] = file.markets.as_slice() else {
        let count = file.markets.len();
        return Err(value(
            "markets",
            format!("has {count} entries, one market is defined at a time"),
        ));
    };
    let place = |(key, message)| value(&format!("markets[0].{key}"), message);
    // What an operator signs is the definition, and when calls end; the rest is told at a start.
    let others = [
        ("controls", table.controls.is_some()),
        ("auctions", !table.auctions.is_empty()),
        ("verify_every_minutes", table.verify_every_minutes.is_some()),
    ];
    if let Some((key, _)) = others.into_iter().find(|(_, is_there)| *is_there) {
        let message = "is not part of what is defined while the exchange runs; leave it out, and set it in \
                       the configuration for the next start";
        return Err(place((key, message.to_owned())));
    }
    let market = market(table).map_err(place)?;
    // The minutes were checked to be few.
    let minutes = u16::try_from(market.call_extension_minutes)
        .map_err(|error| place(("call_extension_minutes", error.to_string())))?;
    let new = NewMarket {
        market: market.definition.market,
        uncross_lead: market.uncross_lead,
        call_extension_minutes: minutes,
    };
    Ok((new, market.definition))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::init;

    /// The market of the template.
    fn text() -> String {
        let (_, from) = init::CONFIG_TEMPLATE.split_once("[[markets]]").unwrap();
        let end = from.find("\n[").unwrap();
        format!("[[markets]]{}", &from[..end])
    }

    fn refused(text: &str) -> String {
        parse_market(Path::new("m.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn the_table_of_the_configuration_is_a_market() {
        let (new, definition) = parse_market(Path::new("m.toml"), &text()).unwrap();
        assert_eq!(new.market, definition.market);
        assert_eq!((definition.levels(), new.call_extension_minutes), (401, 5));
        assert!(new.fits(&definition));
    }

    #[test]
    fn refusals_say_where_and_how_to_mend() {
        assert!(refused("").contains("missing field `markets`"));
        assert!(refused(&text().replace("area", "aera")).contains("did you mean `area`?"));
        assert!(refused(&text().replace("Europe/Berlin", "Europe/Berlyn")).contains("time_zone"));
        assert!(refused(&format!("{0}\n{0}", text())).contains("has 2 entries"));
        for (lines, key) in [
            ("verify_every_minutes = 5", "verify_every_minutes"),
            ("[markets.controls]\nfreeze_max_s = 30", "controls"),
            (
                "[[markets.auctions]]\nat = \"12:00\"\nslots = \"open\"\ncall_minutes = 5",
                "auctions",
            ),
        ] {
            let said = refused(&format!("{}\n{lines}\n", text()));
            assert!(said.contains(&format!("markets[0].{key}` is not part")), "{said}");
        }
    }
}
