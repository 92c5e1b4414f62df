//! How the demo's contracts are settled. The rules are stated here and nowhere else:
//!
//! - For neighbours who agreed directly, the buyer's bank blocks the money if the seller trades through the first
//!   platform; if through the second the platform sends the bill, and otherwise the seller does.
//! - In the book, the fourth retailer's buyers have prepaid meters. For all others the clearing house holds what
//!   they paid in.
//! - All money comes and goes over a payment rail that is late, silent or declines now and then: [`CHANCES`].
//! - Who does not pay is in default four days after the bill and a day later fined, by half of it: bills are of
//!   cents. Another default suspends.

use std::fmt::Write as _;

use ed25519_dalek::SigningKey;
use settlement::rails::simulated::Chances;

/// Days for which the rail keeps a block.
pub const HOLD_DAYS: u32 = 7;

/// How the rail misbehaves; the seed is the demo's.
pub const CHANCES: Chances = Chances {
    seed: 0,
    delay_s: 240,
    duplicate_ppm: 50_000,
    reorder_ppm: 50_000,
    decline_ppm: 10_000,
    timeout_ppm: 100_000,
    late_ppm: 500_000,
};

/// The rail's secret, below the data directory.
pub const SECRET_FILE: &str = "keys/rail.secret";

/// What stands in the policy instead of a line of the template.
const CHANGES: [(&str, &str); 3] = [
    (
        "mechanism = \"clearing_house\"\n",
        "mechanism = \"clearing_house\"       # where no rule below is for a contract
mechanisms = [
    { origin = \"negotiated\", seller_platform = 1, mechanism = \"block\" },
    { origin = \"negotiated\", seller_platform = 2, mechanism = \"platform_biller\" },
    { origin = \"negotiated\", mechanism = \"seller_biller\" },
    { origin = \"book\", buyer_retailer = 4, mechanism = \"prepaid\" },
]
block = { hold_days = 7 }
platform_fee = \"0.02\"
enforcement = { due_days = 3, grace_days = 1, fine_after_days = 1, fine_rate = \"0.50\", repeat_days = 30 }
",
    ),
    ("# finality_days = 7 ", "finality_days = 3 "),
    ("# rail = {} ", "rail = {} "),
];

/// The rail is played inside the demo; what is kept says where one could be tried.
const RAILS: &str = "
[rails]
url = \"http://127.0.0.1:7420\"
listen = \"127.0.0.1:0\"
secret_file = \"keys/rail.secret\"
";

/// Why the template cannot be changed.
#[derive(Debug, thiserror::Error)]
#[error("the template of the configuration has no `{0}`")]
pub struct NotInTemplate(&'static str);

/// The template with the demo's policy and rail.
///
/// # Errors
/// When the template has changed.
pub fn configured(template: &str) -> Result<String, NotInTemplate> {
    let mut text = template.to_owned();
    for (from, to) in CHANGES {
        if !text.contains(from) {
            return Err(NotInTemplate(from));
        }
        text = text.replacen(from, to, 1);
    }
    text.push_str(RAILS);
    Ok(text)
}

/// The text of the rail's secret, which a key decides.
#[must_use]
pub fn secret(key: &SigningKey) -> String {
    key.to_bytes().iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}
