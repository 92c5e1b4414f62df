//! Whom a verifier trusts: logs, witnesses and a quorum, in the format of C2SP tlog-policy.

use std::collections::{BTreeMap, BTreeSet};

use super::note::{KeyKind, Note, NoteError, VerifierKey};

/// Longest policy file.
pub const POLICY_BYTES_MAX: usize = 65_536;

/// Most logs, witnesses and groups together: 32 of each and reserve.
const LINES_MAX: usize = 256;

/// A policy: which logs are accepted, and who must have cosigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustPolicy {
    logs: Vec<(VerifierKey, Option<String>)>,
    witnesses: Vec<Witness>,
    groups: BTreeMap<String, Group>,
    quorum: Option<String>,
}

/// A witness of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// Its name in the policy.
    pub name: String,
    /// Its key.
    pub key: VerifierKey,
    /// Where it takes checkpoints, if that is said.
    pub url: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    threshold: usize,
    members: Vec<String>,
}

/// Why a policy cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyFileError {
    /// A line is not what it should be.
    #[error("line {line} of the policy {what}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// There is no quorum line.
    #[error("the policy has no `quorum` line")]
    NoQuorum,
    /// It is too long.
    #[error("the policy is longer than {POLICY_BYTES_MAX} bytes")]
    TooLong,
}

/// Why a checkpoint is not to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// The note, or a signature under it.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Not enough witnesses cosigned.
    #[error("not enough witnesses cosigned the checkpoint: the quorum of the policy is not met")]
    NoQuorum,
}

impl TrustPolicy {
    /// One log, and no witnesses.
    #[must_use]
    pub fn of_log(log: VerifierKey) -> Self {
        let (witnesses, groups) = (Vec::new(), BTreeMap::new());
        Self { logs: vec![(log, None)], witnesses, groups, quorum: None }
    }

    /// Reads a policy file.
    ///
    /// # Errors
    /// With the first line that cannot be.
    pub fn parse(text: &str) -> Result<Self, PolicyFileError> {
        if text.len() > POLICY_BYTES_MAX {
            return Err(PolicyFileError::TooLong);
        }
        let mut reading = Reading::default();
        for (line, number) in text.lines().zip(1..) {
            let what = |what| PolicyFileError::Line { line: number, what };
            if number > LINES_MAX {
                return Err(what("is more than is read"));
            }
            if line.contains(|c: char| c.is_control() && c != '\t') {
                return Err(what("has a control character"));
            }
            let words: Vec<&str> =
                line.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
            reading.take(&words).map_err(what)?;
        }
        let quorum = reading.quorum.ok_or(PolicyFileError::NoQuorum)?;
        let Reading { logs, witnesses, groups, .. } = reading;
        Ok(Self { logs, witnesses, groups, quorum: (quorum != NONE).then_some(quorum) })
    }

    /// The logs that are accepted.
    pub fn logs(&self) -> impl Iterator<Item = &VerifierKey> {
        self.logs.iter().map(|(key, _)| key)
    }

    /// The same with one more log.
    #[must_use]
    pub fn and_log(mut self, log: VerifierKey) -> Self {
        if !self.logs().any(|known| *known == log) {
            self.logs.push((log, None));
        }
        self
    }

    /// The witnesses.
    #[must_use]
    pub fn witnesses(&self) -> &[Witness] {
        &self.witnesses
    }

    /// Checks that one of the logs signed a checkpoint, and enough witnesses cosigned it. Who did,
    /// by their names in the policy, and when, in seconds since 1970.
    ///
    /// # Errors
    /// When a signature by a known key is false, or there are too few.
    pub fn check(&self, note: &str) -> Result<Vec<(String, u64)>, TrustError> {
        let parsed = Note::parse(note)?;
        let mut of_log = self.logs().filter(|log| log.name == parsed.origin).peekable();
        if of_log.peek().is_none() {
            return Err(NoteError::OtherOrigin.into());
        }
        let mut is_signed = false;
        for log in of_log {
            is_signed |= parsed.signed_by(log)?.is_some();
        }
        if !is_signed {
            return Err(NoteError::NotSigned.into());
        }
        let mut cosigned = Vec::new();
        for witness in &self.witnesses {
            if let Some(time) = parsed.signed_by(&witness.key)? {
                cosigned.push((witness.name.clone(), time));
            }
        }
        let by: BTreeSet<&str> = cosigned.iter().map(|(name, _)| name.as_str()).collect();
        if self.quorum.as_ref().is_none_or(|name| self.is_met(name, &by)) {
            Ok(cosigned)
        } else {
            Err(TrustError::NoQuorum)
        }
    }

    /// Groups name only what stands before them, so this ends.
    fn is_met(&self, name: &str, by: &BTreeSet<&str>) -> bool {
        match self.groups.get(name) {
            None => by.contains(name),
            Some(group) => {
                let met = group.members.iter().filter(|member| self.is_met(member, by));
                met.count() >= group.threshold
            }
        }
    }
}

/// The name of no quorum.
const NONE: &str = "none";

#[derive(Debug, Default)]
struct Reading {
    logs: Vec<(VerifierKey, Option<String>)>,
    witnesses: Vec<Witness>,
    groups: BTreeMap<String, Group>,
    /// Names that are members of a group already.
    used: BTreeSet<String>,
    quorum: Option<String>,
}

impl Reading {
    fn take(&mut self, words: &[&str]) -> Result<(), &'static str> {
        match words {
            [] => Ok(()),
            [first, ..] if first.starts_with('#') => Ok(()),
            ["log", key, url @ ..] if url.len() <= 1 => {
                let key = key_of(key, KeyKind::Log)?;
                if self.logs.iter().any(|(known, _)| known.key == key.key) {
                    return Err("repeats the key of a log");
                }
                self.logs.push((key, url.first().map(|&url| url.to_owned())));
                Ok(())
            }
            ["witness", name, key, url @ ..] if url.len() <= 1 => {
                let key = key_of(key, KeyKind::Witness)?;
                self.check_new(name)?;
                if self.witnesses.iter().any(|known| known.key.key == key.key) {
                    return Err("repeats the key of a witness");
                }
                let url = url.first().map(|&url| url.to_owned());
                self.witnesses.push(Witness { name: (*name).to_owned(), key, url });
                Ok(())
            }
            ["group", name, threshold, members @ ..] => self.take_group(name, threshold, members),
            ["quorum", name] if self.quorum.is_none() => {
                if *name != NONE && !self.is_known(name) {
                    return Err("names what is not defined before it");
                }
                self.quorum = Some((*name).to_owned());
                Ok(())
            }
            _ => Err("is no `log`, `witness`, `group` or `quorum`, or a second quorum"),
        }
    }

    fn take_group(
        &mut self,
        name: &str,
        threshold: &str,
        members: &[&str],
    ) -> Result<(), &'static str> {
        self.check_new(name)?;
        let threshold = match threshold {
            "any" => 1,
            "all" => members.len(),
            number => number.parse().map_err(|_| "has a threshold that is none")?,
        };
        if threshold == 0 || threshold > members.len() {
            return Err("has a threshold that its members cannot meet");
        }
        for &member in members {
            if !self.is_known(member) {
                return Err("names what is not defined before it");
            }
            if !self.used.insert(member.to_owned()) {
                return Err("names a member that counts already");
            }
        }
        let members = members.iter().map(|&member| member.to_owned()).collect();
        self.groups.insert(name.to_owned(), Group { threshold, members });
        Ok(())
    }

    fn is_known(&self, name: &str) -> bool {
        self.groups.contains_key(name) || self.witnesses.iter().any(|known| known.name == name)
    }

    fn check_new(&self, name: &str) -> Result<(), &'static str> {
        if name == NONE || self.is_known(name) {
            return Err("gives a name that is taken");
        }
        Ok(())
    }
}

fn key_of(text: &str, kind: KeyKind) -> Result<VerifierKey, &'static str> {
    let key = VerifierKey::parse(text).map_err(|_| "has no key of the form NAME+ID+KEY")?;
    if key.kind == kind { Ok(key) } else { Err("has a key of the other kind") }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;
    use types::Digest;

    use super::*;
    use crate::tlog::note;

    fn key(number: u8) -> SigningKey {
        SigningKey::from_bytes(&[number; 32])
    }

    fn file(quorum: &str) -> String {
        let mut text = String::from("# whom we trust\n");
        text += &format!(
            "log {} https://log.example/\n",
            VerifierKey::of_log("log", key(1).verifying_key())
        );
        for number in 2..=4 {
            let name = format!("w{number}");
            let witness = VerifierKey::of_witness(&name, key(number).verifying_key());
            text += &format!("witness {name}\t{witness}  http://127.0.0.1:{number}\n");
        }
        text + quorum
    }

    fn cosigned(by: &[u8]) -> String {
        let mut note = note::sign("log", &key(1), 5, Digest::new([1; 32])).note;
        let text = Note::parse(&note).unwrap().text.to_owned();
        for &number in by {
            note += &note::cosign(&format!("w{number}"), &key(number), 100, &text);
        }
        note
    }

    #[test]
    fn a_quorum_is_what_the_groups_say() {
        let any_two = TrustPolicy::parse(&file("group g 2 w2 w3 w4\nquorum g\n")).unwrap();
        assert_eq!(any_two.check(&cosigned(&[])), Err(TrustError::NoQuorum));
        assert_eq!(any_two.check(&cosigned(&[3])), Err(TrustError::NoQuorum));
        assert_eq!(any_two.check(&cosigned(&[3, 3])), Err(TrustError::NoQuorum));
        assert_eq!(any_two.check(&cosigned(&[4, 2])).unwrap().len(), 2);
        let nested = "group g any w3 w4\ngroup h all w2 g\nquorum h\n";
        let nested = TrustPolicy::parse(&file(nested)).unwrap();
        assert_eq!(nested.check(&cosigned(&[3, 4])), Err(TrustError::NoQuorum));
        assert!(nested.check(&cosigned(&[2, 4])).is_ok());
        let none = TrustPolicy::parse(&file("quorum none\n")).unwrap();
        assert!(none.check(&cosigned(&[])).is_ok());
        assert_eq!(none.witnesses().len(), 3);
        let other = TrustPolicy::of_log(VerifierKey::of_log("other", key(1).verifying_key()));
        assert_eq!(other.check(&cosigned(&[])), Err(NoteError::OtherOrigin.into()));
        let stranger = TrustPolicy::of_log(VerifierKey::of_log("log", key(9).verifying_key()));
        assert_eq!(stranger.check(&cosigned(&[])), Err(NoteError::NotSigned.into()));
    }

    #[test]
    fn policies_that_cannot_be_are_refused_with_their_line() {
        for (end, line) in [
            ("quorum w9\n", 6),
            ("group g 3 w2 w3\nquorum g\n", 6),
            ("group g 0 w2\nquorum g\n", 6),
            ("group g any w2 w2\nquorum g\n", 6),
            ("group g any w2\ngroup h any w2\nquorum h\n", 7),
            ("group w2 any w3\nquorum w2\n", 6),
            ("group none any w3\nquorum none\n", 6),
            ("quorum none\nquorum none\n", 7),
            ("witness x y\n", 6),
            ("anything\n", 6),
        ] {
            let refused = TrustPolicy::parse(&file(end)).unwrap_err();
            assert!(
                matches!(refused, PolicyFileError::Line { line: got, .. } if got == line),
                "{end}"
            );
        }
        assert_eq!(TrustPolicy::parse(&file("")), Err(PolicyFileError::NoQuorum));
        let swapped = file("quorum none\n").replacen("witness w2", "log", 1);
        assert!(TrustPolicy::parse(&swapped).is_err(), "a witness is no log");
    }
}
