//! The words of a line of a script, as they are used up, and what single words mean.

use types::{
    ClientOrderId, DeliverySlot, Energy, ListKind, MarketId, MeterId, OrderId, OrderList,
    PlatformId, Price, RetailerId, Scope, SessionId, SlotKey,
};

use super::stage::FIRST_SLOT_MINUTE;

/// What is left of a line.
pub(super) struct Words<'a>(Vec<&'a str>);

impl<'a> Words<'a> {
    pub(super) fn new(line: &'a str) -> Self {
        Self(line.split_whitespace().collect())
    }

    pub(super) fn next(&mut self) -> &'a str {
        assert!(!self.0.is_empty(), "the line ends too early");
        self.0.remove(0)
    }

    /// The first word, which stays.
    pub(super) fn peek(&self) -> &'a str {
        self.0.first().copied().unwrap_or_default()
    }

    /// What is left after the first word.
    pub(super) fn rest(mut self) -> Self {
        self.next();
        self
    }

    /// The next word, if there is one.
    pub(super) fn last(&mut self) -> Option<&'a str> {
        (!self.0.is_empty()).then(|| self.0.remove(0))
    }

    /// What follows the expected word.
    pub(super) fn then<T>(&mut self, expected: &str, value: T) -> T {
        assert_eq!(self.next(), expected);
        value
    }

    /// Nothing is left.
    pub(super) fn end(&self, line: &str) {
        assert!(self.0.is_empty(), "{line}: {:?} mean nothing", self.0);
    }

    /// Whether the flag is among the words.
    pub(super) fn flag(&mut self, name: &str) -> bool {
        let at = self.0.iter().position(|&word| word == name);
        at.map(|at| self.0.remove(at)).is_some()
    }

    /// Whether the word is there; it stays.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains(&name)
    }

    /// The word after this one, if it is there.
    pub(super) fn option(&mut self, name: &str) -> Option<&'a str> {
        let at = self.0.iter().position(|&word| word == name)?;
        self.0.remove(at);
        Some(self.0.remove(at))
    }

    /// The two words after this one, if it is there.
    pub(super) fn pair(&mut self, name: &str) -> Option<(&'a str, &'a str)> {
        let at = self.0.iter().position(|&word| word == name)?;
        self.0.remove(at);
        Some((self.0.remove(at), self.0.remove(at)))
    }

    pub(super) fn number(&mut self, name: &str) -> Option<u16> {
        self.option(name).map(|word| word.parse().unwrap())
    }

    pub(super) fn key(&mut self) -> SlotKey {
        let hours = self.option("slot").map_or(0, |word| word.parse::<i32>().unwrap());
        let off = if self.flag("misaligned") { 15 } else { 0 };
        let minutes = match (self.flag("short"), self.flag("day")) {
            (true, _) => 30,
            (false, true) => 1_440,
            (false, false) => 60,
        };
        let start = FIRST_SLOT_MINUTE.checked_add_signed(60 * hours + off).unwrap();
        let slot = DeliverySlot::new(start, minutes).unwrap();
        SlotKey { market: MarketId::new(self.number("of").unwrap_or(1)), slot }
    }

    /// `in block 7 of 2`, wherever it stands.
    pub(super) fn list(&mut self) -> OrderList {
        let Some(at) = self.0.iter().position(|&word| word == "in") else {
            return OrderList::NONE;
        };
        let words: Vec<&str> = self.0.drain(at..at + 5).collect();
        assert_eq!(words[3], "of");
        OrderList {
            kind: match words[1] {
                "single" => ListKind::Single,
                "block" => ListKind::Block,
                "basket" => ListKind::Basket,
                other => panic!("`{other}` is not a list"),
            },
            orders: words[4].parse().unwrap(),
            number: ClientOrderId::new(words[2].parse().unwrap()),
        }
    }

    pub(super) fn scope(&mut self) -> Scope {
        match self.next() {
            "everyone" => Scope::All,
            "platform" => Scope::Platform(PlatformId::new(self.next().parse().unwrap())),
            "retailer" => Scope::Retailer(RetailerId::new(self.next().parse().unwrap())),
            "meter" => Scope::Meter(MeterId::new(meter_number(self.next()))),
            "market" => Scope::Market(MarketId::new(self.next().parse().unwrap())),
            "session" => Scope::Session(SessionId::new(self.next().parse().unwrap())),
            other => panic!("`{other}` is not a scope"),
        }
    }
}

/// `5.01kWh` or `5010Wh`.
pub(super) fn energy(text: &str) -> Energy {
    let wh = match text.strip_suffix("kWh") {
        Some(text) => u64::try_from(decimal(text, 3)).unwrap(),
        None => text.strip_suffix("Wh").unwrap().parse().unwrap(),
    };
    Energy::from_wh(wh)
}

pub(super) fn price(text: &str) -> Price {
    Price::from_micros(decimal(text, 6))
}

/// A decimal as a whole number of its last allowed digit.
pub(super) fn decimal(text: &str, digits: usize) -> i64 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{fraction:0<digits$}").parse().unwrap()
}

pub(super) fn meter_number(name: &str) -> u32 {
    let pair: u32 = name[1..].parse().unwrap();
    if name.starts_with('S') { (2 * pair).saturating_sub(1) } else { 2 * pair }
}

pub(super) fn order(name: &str) -> OrderId {
    name.strip_prefix('#').unwrap().parse().unwrap()
}
