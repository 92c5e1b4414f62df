//! Who takes part in the demo: parties, meters, their keys and their certificates.

use std::{error::Error, fs, path::Path};

use ed25519_dalek::SigningKey;
use gateway::{
    Identity, authority,
    client::{Connector, DataClient},
    identity,
};
use types::{
    Code, MeterId, MeterRegistration, OwnerId, Party, PartyRegistration, PlatformId, Power,
    RetailerId, Role, UtilityId,
};

use super::{household::Day, meter_desk::Desk, policy, trader::MeterKeys};
use crate::{
    config::{self, Config},
    init,
    node::{Layout, Node},
    registry::Registry,
};

/// Trade platforms; meter `n` trades through platform `(n − 1) mod 3 + 1`.
pub(super) const PLATFORMS: u16 = 3;
/// Retailers in the data.
pub(super) const RETAILERS: u16 = 4;
/// Distribution utilities in the data.
const UTILITIES: u16 = 2;

/// Everyone, with their keys.
#[derive(Debug)]
pub(super) struct Cast {
    /// What the exchange knows of them.
    pub(super) registry: Registry,
    /// Keys of the meters.
    pub(super) meter_keys: MeterKeys,
    secret: [u8; 32],
}

impl Cast {
    /// Decided by the data and the seed alone.
    pub(super) fn new(day: &Day, seed: u64) -> Result<Self, types::CodeError> {
        let mut secret = [0; 32];
        for (byte, part) in secret.iter_mut().zip(seed.to_le_bytes()) {
            *byte = part;
        }
        let mut cast = Self { registry: Registry::default(), meter_keys: MeterKeys::new(), secret };
        let roles =
            [(Role::Platform, PLATFORMS), (Role::Retailer, RETAILERS), (Role::Utility, UTILITIES)];
        for (role, count) in roles {
            for number in 1..=count {
                let party = Party { role, number };
                let code = Code::new(&format!("{}-{number}", role.name().to_uppercase()))?;
                let key = init::public_key(&cast.party_key(party));
                cast.registry.parties.push(PartyRegistration { party, code, key });
            }
        }
        for (number, household) in (1_u32..).zip(&day.households) {
            let meter = MeterId::new(number);
            let key = init::derive_key(&secret, &household.code);
            let platform = number.saturating_sub(1).rem_euclid(u32::from(PLATFORMS));
            cast.registry.meters.push(MeterRegistration {
                meter,
                code: Code::new(&household.code)?,
                platform: PlatformId::new(u16::try_from(platform).unwrap_or(0).saturating_add(1)),
                retailer: RetailerId::new(household.retailer),
                utility: UtilityId::new(household.utility),
                owner: OwnerId::default(),
                key: init::public_key(&key),
                injection_max: with_reserve(household.plant_w),
                withdrawal_max: with_reserve(household.load_w),
            });
            cast.meter_keys.insert(meter, key);
        }
        Ok(cast)
    }

    /// Writes the directory of an exchange in which this cast takes part, and its configuration.
    pub(super) fn write_directory(
        &self,
        layout: &Layout,
        shards: u8,
    ) -> Result<Config, Box<dyn Error>> {
        let text = policy::configured(init::CONFIG_TEMPLATE)?;
        let mut text = text.replace("127.0.0.1:7400", "127.0.0.1:0");
        if shards > 1 {
            text = text.replace("# shards = 1 ", &format!("shards = {shards} "));
        }
        init::write_directory(layout, &self.registry, &text, &self.ledger_key())?;
        let secret = layout.root().join(policy::SECRET_FILE);
        identity::write_key_file(&secret, &format!("{}\n", self.rail_secret()))?;
        fs::create_dir_all(layout.root().join("blotter"))?;
        Ok(config::load(&layout.root().join(config::FILE_NAME))?)
    }

    /// Connects the desks of a role.
    pub(super) async fn desks(
        &self,
        role: Role,
        layout: &Layout,
        node: &Node,
    ) -> Result<Vec<Desk>, Box<dyn Error>> {
        let mut desks = Vec::new();
        let parties = self.registry.parties.iter().map(|line| line.party);
        for party in parties.filter(|party| party.role == role) {
            let client = DataClient::connect(&connector(party, layout, node)?).await?;
            desks.push(Desk { party, key: self.party_key(party), client });
        }
        Ok(desks)
    }

    /// The key that signs checkpoints and statements.
    pub(super) fn ledger_key(&self) -> SigningKey {
        init::derive_key(&self.secret, "ledger")
    }

    /// What the exchange shares with the payment rail.
    pub(super) fn rail_secret(&self) -> String {
        policy::secret(&init::derive_key(&self.secret, "rail"))
    }

    /// The key that signs for a party.
    pub(super) fn party_key(&self, party: Party) -> SigningKey {
        init::derive_key(&self.secret, &party.to_string())
    }
}

/// How a party reaches the node.
pub(super) fn connector(
    party: Party,
    layout: &Layout,
    node: &Node,
) -> Result<Connector, Box<dyn Error>> {
    let keys = layout.keys();
    Ok(Connector {
        address: node.address,
        server_name: "localhost".to_owned(),
        identity: Identity::load(&keys, &authority::file_name(party))?,
        authority: identity::load_certificates(&keys.join("ca.crt"))?,
    })
}

/// The file into which a platform writes what it was told.
pub(super) fn blotter(root: &Path, platform: u16) -> std::io::Result<fs::File> {
    fs::File::create(root.join("blotter").join(format!("platform-{platform}.csv")))
}

/// A connection a third larger than what hangs on it, and a kilowatt.
fn with_reserve(size_w: u32) -> Power {
    if size_w == 0 {
        return Power::from_w(0);
    }
    Power::from_w(size_w.saturating_add(size_w.div_euclid(3)).saturating_add(1_000))
}
