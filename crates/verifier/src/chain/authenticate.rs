//! One digest by itself: where it lies, its algorithms, key, signature and identity.

use std::collections::HashMap;
use std::time::Duration;

use trail::Timestamp;
use trail::digest::{
    Digest, HASH_ALGORITHM, META_BACKFILL_TIME, META_SIGNATURE, META_SIGNATURE_ALGORITHM,
    SIGNATURE_ALGORITHM, signing_string,
};

use super::{Content, Context, Parsed, Standing, Walk};
use crate::finding::{Class, Code, Finding};
use crate::keys::KeySource;
use crate::signature::{KeyFault, Outcome};

/// A digest of a key's last hour may be written with the next key, and the other way round.
const KEY_TOLERANCE: Duration = Duration::from_secs(2 * 3600);
const BACKFILL_KEY_TOLERANCE: Duration = Duration::from_secs(3600);

impl Walk<'_> {
    /// Newest first, because a copy without metadata takes a signature from the successor.
    pub(super) fn authenticate_all(&mut self) {
        let mut vouched: HashMap<(&str, &str), (&str, bool)> = HashMap::new();
        let records = self.records;
        for index in (0..records.len()).rev() {
            let record = &records[index];
            let address = (record.address.0.as_str(), record.address.1.as_str());
            let standing = match self.authenticate(index, vouched.get(&address).copied()) {
                Ok(finding) => {
                    self.out.findings.extend(finding);
                    self.first_authentic = Some(index);
                    Standing::Authentic
                }
                Err(finding) => {
                    let tampered = finding.class == Class::Tampered;
                    self.faults[index] = Some(finding);
                    if tampered { Standing::Invalid } else { Standing::Unreadable }
                }
            };
            self.out.standing[index] = Some(standing);
            let Some(parsed) = record.parsed() else { continue };
            let previous =
                parsed.body.previous().zip(parsed.body.previous_digest_signature.as_deref());
            if let Some((previous, signature)) = previous {
                let authentic = standing == Standing::Authentic;
                // What an authentic successor says is never replaced by what another says.
                let entry = vouched.entry(previous).or_insert((signature, authentic));
                if authentic && !entry.1 {
                    *entry = (signature, true);
                }
            }
        }
    }

    /// Ok: authentic, perhaps with a finding all the same. `vouched`: the signature that a
    /// successor repeats, and whether that successor is authentic.
    fn authenticate(
        &mut self,
        index: usize,
        vouched: Option<(&str, bool)>,
    ) -> Result<Option<Finding>, Finding> {
        let record = &self.records[index];
        let parsed = match &record.content {
            Content::Parsed(parsed) => parsed,
            Content::Bad(code, why) => return Err(self.finding(*code, index, why.clone())),
            Content::Unreadable(why) => {
                let message = format!("could not be read: {why}");
                return Err(self.finding(Code::DigestUnreadable, index, message));
            }
        };
        let body = &parsed.body;
        let says = (body.digest_s3_bucket.as_str(), body.digest_s3_object.as_str());
        if says != (record.address.0.as_str(), record.address.1.as_str()) {
            let says = format!("s3://{}/{}", says.0, says.1);
            let message = "says that it was delivered to another place";
            return Err(self
                .finding(Code::DigestRelocated, index, message)
                .values(says, record.uri()));
        }
        self.algorithms(index, body)?;
        let own = record.metadata(META_SIGNATURE);
        let metadata_known = record.meta.as_ref().is_some_and(|m| m.metadata.is_some());
        let signature = match (own, vouched) {
            (Some(own), _) => own,
            (None, Some((signature, _))) => signature,
            (None, None) => {
                let message =
                    "has no signature: its metadata are lost, and no successor repeats it";
                return Err(self.finding(Code::DigestSignatureMissing, index, message));
            }
        };
        match self.verify(index, parsed, signature) {
            Ok(()) => {}
            Err(fault) if own.is_none() && fault.code == Code::DigestSignatureInvalid => {
                // The successor's word is only as good as the successor.
                if vouched.is_some_and(|(_, authentic)| authentic) {
                    return Err(fault);
                }
                let message = "has no signature, and the digest that should repeat it is not valid";
                return Err(self.finding(Code::DigestSignatureMissing, index, message));
            }
            Err(fault) => return Err(fault),
        }
        self.identity(index, parsed)?;
        let lost = own.is_none() && (metadata_known || !self.context.copy);
        Ok(lost.then(|| {
            let message = "has lost its signature metadata; its successor's copy of it is valid";
            self.finding(Code::DigestSignatureMissing, index, message)
        }))
    }

    fn algorithms(&self, index: usize, body: &Digest) -> Result<(), Finding> {
        let record = &self.records[index];
        let stated = [
            (SIGNATURE_ALGORITHM, Some(body.digest_signature_algorithm.as_str())),
            (SIGNATURE_ALGORITHM, record.metadata(META_SIGNATURE_ALGORITHM)),
            (HASH_ALGORITHM, body.previous_digest_hash_algorithm.as_deref()),
        ];
        let entries =
            body.log_files.iter().map(|e| (HASH_ALGORITHM, Some(e.hash_algorithm.as_str())));
        for (expected, actual) in stated.into_iter().chain(entries) {
            if let Some(actual) = actual.filter(|a| *a != expected) {
                let message = "names an algorithm that no genuine digest uses";
                let finding = self.finding(Code::DigestAlgorithm, index, message);
                return Err(finding.values(expected, actual));
            }
        }
        Ok(())
    }

    fn verify(&mut self, index: usize, parsed: &Parsed, signature: &str) -> Result<(), Finding> {
        let Context { id, ring, .. } = self.context;
        let fingerprint = &parsed.body.digest_public_key_fingerprint;
        if !ring.has_any(&id.region) {
            return Err(ring.unavailable(&id.region));
        }
        let Some(known) = ring.find(&id.region, fingerprint) else {
            let message = format!(
                "is signed with key {fingerprint}, which is not in the key list of {}",
                id.region
            );
            let finding = self.finding(Code::DigestKeyUnknown, index, message);
            let class =
                if ring.is_complete(&id.region) { Class::Tampered } else { Class::Unverifiable };
            return Err(finding.class(class));
        };
        let key = match &known.verifying {
            Ok(key) => key,
            Err(KeyFault::Weak { bits }) => {
                let message = format!("is signed with key {fingerprint} of {bits} bits");
                let finding = self.finding(Code::DigestKeyWeak, index, message);
                return Err(finding.values("2048 bits", bits.to_string()));
            }
            Err(fault) => {
                let message =
                    format!("is signed with key {fingerprint}, whose bytes are no key: {fault}");
                let finding = self.finding(Code::DigestKeyUnknown, index, message);
                return Err(finding.class(Class::Unverifiable));
            }
        };
        let message = signing_string(&parsed.body, &parsed.hash);
        let outcome = match hex::decode(signature) {
            Ok(bytes) => key.verify(message.as_bytes(), &bytes),
            Err(_) => Outcome::Invalid,
        };
        match outcome {
            Outcome::Valid => {}
            Outcome::Invalid => {
                let message =
                    format!("its signature is not that of key {fingerprint} over this digest");
                return Err(self.finding(Code::DigestSignatureInvalid, index, message));
            }
            Outcome::OtherHash(name) => {
                let message = format!("its signature was made with {name}");
                let finding = self.finding(Code::DigestAlgorithm, index, message);
                return Err(finding.values(HASH_ALGORITHM, name));
            }
        }
        self.key_validity(index, parsed, known.key.valid_from, known.key.valid_to)?;
        if known.source == KeySource::Target {
            self.out.untrusted.insert(fingerprint.clone());
        }
        *self.out.keys.entry(fingerprint.clone()).or_default() += 1;
        Ok(())
    }

    fn key_validity(
        &self,
        index: usize,
        parsed: &Parsed,
        valid_from: Timestamp,
        valid_to: Timestamp,
    ) -> Result<(), Finding> {
        let record = &self.records[index];
        let (from, to) = if record.key.backfill {
            let stated = record.metadata(META_BACKFILL_TIME);
            let made = match stated.map(Timestamp::parse_rfc3339) {
                Some(Ok(made)) => made,
                None if record.meta.as_ref().is_none_or(|m| m.metadata.is_none()) => return Ok(()),
                _ => {
                    let message = "does not say when it was made";
                    return Err(self.finding(Code::BackfillTimestampMissing, index, message));
                }
            };
            (made - BACKFILL_KEY_TOLERANCE, made + BACKFILL_KEY_TOLERANCE)
        } else {
            let written = record.meta.as_ref().and_then(|m| m.last_modified);
            let latest = written.map_or(parsed.end, |w| w.max(parsed.end));
            (parsed.end, latest + KEY_TOLERANCE)
        };
        if valid_from <= to && from <= valid_to {
            return Ok(());
        }
        let message = "is signed with a key that was not valid then";
        let finding = self.finding(Code::DigestKeyValidity, index, message);
        Err(finding.values(format!("{from} to {to}"), format!("{valid_from} to {valid_to}")))
    }

    /// What only the signer could have got wrong: the body against the key.
    fn identity(&self, index: usize, parsed: &Parsed) -> Result<(), Finding> {
        let key = &self.records[index].key;
        let account = (key.folder.account.as_str(), parsed.body.aws_account_id.as_str());
        let end = (key.end.to_string(), parsed.body.digest_end_time.clone());
        let differ = if account.0 != account.1 {
            Some(("account", account.0.to_owned(), account.1.to_owned()))
        } else if key.end != parsed.end {
            Some(("end time", end.0, end.1))
        } else if parsed.start > parsed.end {
            Some(("start time", format!("at most {}", parsed.end), parsed.start.to_string()))
        } else {
            None
        };
        match differ {
            None => Ok(()),
            Some((what, expected, actual)) => {
                let message = format!("its {what} is not that of its key");
                Err(self.finding(Code::DigestForeign, index, message).values(expected, actual))
            }
        }
    }
}
