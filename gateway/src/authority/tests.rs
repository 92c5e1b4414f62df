//! What an authority issues, renews and takes back.

use ed25519_dalek::SigningKey;
use types::{MeterId, Role};

use super::*;
use crate::identity::{Identity, party_of};

fn party(role: Role, number: u16) -> Holder {
    Holder::Party(Party { role, number })
}

fn made() -> (tempfile::TempDir, Authority) {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::create(dir.path(), Validity::development()).unwrap();
    (dir, authority)
}

fn days(days: u32) -> Validity {
    Validity::days(Instant::from_second(1_800_000_000).unwrap(), days)
}

#[test]
fn an_authority_reopens_and_its_certificates_name_parties() {
    let (dir, _) = made();
    assert!(Authority::create(dir.path(), days(1)).is_err(), "never overwrites");
    let mut authority = Authority::open(dir.path()).unwrap();
    authority.issue_server(&["localhost"], days(30)).unwrap();
    let retailer = party(Role::Retailer, 3);
    let issued = authority.issue(retailer, Purpose::Transport, KeySource::New, days(30)).unwrap();
    let identity = Identity::load(dir.path(), "retailer-3").unwrap();
    assert_eq!(identity.chain.len(), 2, "the branch is sent with it");
    assert_eq!(Holder::Party(party_of(&identity.chain[0]).unwrap()), retailer);
    let server = Identity::load(dir.path(), "server").unwrap();
    assert!(matches!(party_of(&server.chain[0]), Err(IdentityError::NoParty)));
    let again = Authority::open(dir.path()).unwrap();
    assert_eq!(again.certificates().last(), Some(&issued));
    assert_eq!(again.certificates().len(), Branch::ALL.len() + 2);
}

#[test]
fn one_valid_certificate_for_each_purpose() {
    let (_dir, mut authority) = made();
    let meter = Holder::Meter(MeterId::new(17));
    let issue = |authority: &mut Authority, purpose| {
        authority.issue(meter, purpose, KeySource::New, days(30))
    };
    issue(&mut authority, Purpose::Signing).unwrap();
    issue(&mut authority, Purpose::Transport).unwrap();
    assert!(matches!(
        issue(&mut authority, Purpose::Signing),
        Err(AuthorityError::AlreadyIssued { .. })
    ));
    let branch = Holder::Branch(Branch::Prosumer);
    let refused = authority.issue(branch, Purpose::Signing, KeySource::New, days(30));
    assert!(matches!(refused, Err(AuthorityError::IsBranch { .. })));
}

#[test]
fn a_renewed_certificate_keeps_its_key_and_has_its_own_number() {
    let (dir, mut authority) = made();
    let platform = party(Role::Platform, 7);
    let refused = authority.renew(platform, Purpose::Transport, days(30));
    assert!(matches!(refused, Err(AuthorityError::NotIssued { .. })));
    let first = authority.issue(platform, Purpose::Transport, KeySource::New, days(30)).unwrap();
    let key = fs::read(dir.path().join("platform-7.key")).unwrap();
    let second = authority.renew(platform, Purpose::Transport, days(60)).unwrap();
    assert_ne!(first.serial, second.serial);
    assert_eq!(fs::read(dir.path().join("platform-7.key")).unwrap(), key);
    Identity::load(dir.path(), "platform-7").unwrap();
    authority.issue_server(&["localhost", "exchange.example"], days(30)).unwrap();
    authority.renew(Holder::Server, Purpose::Transport, days(60)).unwrap();
    let server = Identity::load(dir.path(), "server").unwrap();
    let (_, hosts) = key_and_hosts(&server.chain[0]).unwrap();
    assert_eq!(hosts, ["localhost", "exchange.example"]);
}

#[test]
fn requests_bring_their_own_key_and_no_names() {
    let (dir, mut authority) = made();
    let request = |algorithm| {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let mut params = rcgen::CertificateParams::default();
        let uri = party(Role::Operator, 1).uri();
        params.subject_alt_names = vec![rcgen::SanType::URI(uri.try_into().unwrap())];
        params.serialize_request(&key).unwrap().pem().unwrap()
    };
    let platform = party(Role::Platform, 7);
    let mut issue = |pem: &str| {
        authority.issue(platform, Purpose::Transport, KeySource::Request(pem), days(30))
    };
    for (pem, why) in
        [("no request", "CouldNotParse"), (&request(&PKCS_ECDSA_P256_SHA256), "not Ed25519")]
    {
        let refused = issue(pem);
        assert!(matches!(refused, Err(AuthorityError::BadRequest { .. })), "{why}: {refused:?}");
    }
    let mut damaged = request(&PKCS_ED25519).into_bytes();
    damaged[200] ^= 1;
    assert!(issue(&String::from_utf8_lossy(&damaged)).is_err());
    issue(&request(&PKCS_ED25519)).unwrap();
    assert!(!dir.path().join("platform-7.key").exists(), "the holder keeps the key");
    let chain = identity::load_certificates(&dir.path().join("platform-7.crt")).unwrap();
    assert_eq!(Holder::Party(party_of(&chain[0]).unwrap()), platform, "not what it asked for");
}

#[test]
fn revoking_writes_lists_with_rising_numbers() {
    let (dir, mut authority) = made();
    let platform = party(Role::Platform, 7);
    authority.issue(platform, Purpose::Transport, KeySource::New, days(30)).unwrap();
    authority.renew(platform, Purpose::Transport, days(60)).unwrap();
    let read = || fs::read_to_string(dir.path().join(REVOCATION_FILE)).unwrap();
    let before = read();
    let issuers = Branch::ALL.len() + 1;
    assert_eq!(before.matches("BEGIN X509 CRL").count(), issuers);
    let revoked =
        Revoked { at: Instant::from_second(1_800_000_100).unwrap(), reason: Reason::KeyCompromise };
    let count = authority.revoke(platform, Purpose::Transport, revoked, days(7)).unwrap();
    assert_eq!(count, 2, "also the older one");
    assert!(read() != before && read().matches("BEGIN X509 CRL").count() == issuers);
    assert!(authority.revoke(platform, Purpose::Transport, revoked, days(7)).is_err());
    assert_eq!(Authority::open(dir.path()).unwrap().register.lists, 2);
    authority.issue(platform, Purpose::Signing, KeySource::New, days(30)).unwrap();
}

#[test]
fn without_the_root_key_everything_but_the_roots_list_goes_on() {
    let (dir, _) = made();
    fs::remove_file(dir.path().join("ca.key")).unwrap();
    let list = || {
        let text = fs::read_to_string(dir.path().join(REVOCATION_FILE)).unwrap();
        text.split_inclusive("END X509 CRL-----\n").map(str::to_owned).collect::<Vec<_>>()
    };
    let before = list();
    let mut authority = Authority::open(dir.path()).unwrap();
    authority
        .issue(party(Role::Platform, 1), Purpose::Transport, KeySource::New, days(30))
        .unwrap();
    authority.write_lists(days(7)).unwrap();
    let after = list();
    assert_eq!(before[0], after[0]);
    assert_eq!(before.len(), after.len());
    assert!(before[1..].iter().zip(&after[1..]).all(|(old, new)| old != new));
}

#[test]
fn key_files_are_private_pkcs8_version_1() {
    let (dir, mut authority) = made();
    authority.issue(party(Role::Platform, 7), Purpose::Signing, KeySource::New, days(30)).unwrap();
    let path = dir.path().join("platform-7.signing.key");
    let key: SigningKey = identity::load_signing_key(&path).unwrap();
    assert_eq!(identity::signing_key_pem(&key).unwrap(), fs::read_to_string(&path).unwrap());
}
