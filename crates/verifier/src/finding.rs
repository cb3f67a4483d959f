//! What a run can find. Findings are values: a run collects them and goes on.

use trail::{AccountId, Region, Sha256, Timestamp, TrailName};

/// What a finding means for the verdict, most severe first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Something was changed, removed, added or forged.
    Tampered,
    /// Some object, key or API could not be read or trusted.
    Unverifiable,
    /// A part of the time asked is not covered.
    Incomplete,
    /// Integrity holds; encryption, region, key or trail state is not as required.
    Noncompliant,
    /// Worth knowing.
    Info,
}

impl Class {
    /// All classes.
    pub const ALL: [Self; 5] =
        [Self::Tampered, Self::Unverifiable, Self::Incomplete, Self::Noncompliant, Self::Info];

    /// The name in reports and options.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tampered => "tampered",
            Self::Incomplete => "incomplete",
            Self::Unverifiable => "unverifiable",
            Self::Noncompliant => "noncompliant",
            Self::Info => "info",
        }
    }
}

/// How urgent a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Evidence of tampering.
    Critical,
    /// A proof is missing.
    High,
    /// A requirement is not met.
    Medium,
    /// Odd, but without known harm.
    Low,
    /// Worth knowing.
    Info,
}

impl Severity {
    /// The name in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
            Self::Info => "info",
        }
    }
}

macro_rules! codes {
    ($(
        $(#[$doc:meta])*
        $variant:ident = $code:literal, $class:ident, $severity:ident, $remedy:literal;
    )*) => {
        /// A finding's code (contract section 5). Codes of digests also exist for backfill
        /// digests, whose name begins with `backfill.` instead of `digest.`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $($(#[$doc])* $variant,)* }

        impl Code {
            /// All codes.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The code in reports.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The class it has unless the facts of the case say otherwise.
            #[must_use]
            pub fn class(self) -> Class {
                match self { $(Self::$variant => Class::$class,)* }
            }

            /// How urgent it is.
            #[must_use]
            pub fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)* }
            }

            /// What to do about it.
            #[must_use]
            pub fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy,)* }
            }
        }
    };
}

codes! {
    /// A digest that must be there is not.
    DigestMissing = "digest.missing", Tampered, Critical,
        "restore the digest from a versioned bucket, a replica or a mirror; find out who deleted it";
    /// Not gzip, not JSON, not a digest, or damaged at rest.
    DigestMalformed = "digest.malformed", Tampered, Critical,
        "restore the digest from a versioned bucket, a replica or a mirror; find out what wrote over it";
    /// Bytes follow the gzip member.
    DigestTrailingData = "digest.trailing-data", Tampered, Critical,
        "restore the digest from a versioned bucket, a replica or a mirror; find out what appended to it";
    /// Larger than any digest.
    DigestTooLarge = "digest.too-large", Tampered, Critical,
        "restore the digest from a versioned bucket, a replica or a mirror";
    /// It says of itself that it lies elsewhere.
    DigestRelocated = "digest.relocated", Tampered, Critical,
        "find out who copied or renamed it; the genuine digest belongs under the key it names";
    /// The signature does not fit the digest and the key it names.
    DigestSignatureInvalid = "digest.signature-invalid", Tampered, Critical,
        "restore the digest with its metadata from a versioned bucket, a replica or a mirror";
    /// Another algorithm than SHA-256 with RSA.
    DigestAlgorithm = "digest.algorithm-unsupported", Tampered, Critical,
        "no genuine digest names another algorithm; treat the digest as forged";
    /// An RSA key of fewer than 2048 bits.
    DigestKeyWeak = "digest.key-weak", Tampered, Critical,
        "no genuine key is that short; treat the digest as forged";
    /// Signed with a key outside its validity.
    DigestKeyValidity = "digest.key-outside-validity", Tampered, Critical,
        "a key signs only within its validity; treat the digest as forged unless the key list is wrong";
    /// No such key in the key list.
    DigestKeyUnknown = "digest.key-unknown", Tampered, Critical,
        "give the key list of the digest's time with --public-keys; if that is complete, the digest is forged";
    /// No signature beside the digest.
    DigestSignatureMissing = "digest.signature-missing", Unverifiable, High,
        "copy with metadata (trailseal mirror), or verify the original bucket";
    /// Could not be read.
    DigestUnreadable = "digest.unreadable", Unverifiable, High,
        "grant s3:GetObject and kms:Decrypt, restore the key, or retry; the message names what was refused";
    /// Previous bucket, key, hash or signature is not the predecessor's.
    DigestChainMismatch = "digest.chain-mismatch", Tampered, Critical,
        "the chain was re-cut here; compare both digests with an older copy";
    /// Two successors of one digest.
    DigestChainFork = "digest.chain-fork", Tampered, Critical,
        "two histories exist; compare both branches with an older copy";
    /// The chain leads back into itself.
    DigestChainLoop = "digest.chain-loop", Tampered, Critical,
        "no genuine chain loops; compare with an older copy";
    /// A window begins before its predecessor's end.
    DigestTimeOverlap = "digest.time-overlap", Tampered, Critical,
        "windows of one chain never overlap; compare both digests with an older copy";
    /// A window ends before its predecessor's end.
    DigestTimeReversed = "digest.time-reversed", Tampered, Critical,
        "windows of one chain only go forward; compare both digests with an older copy";
    /// The body's account or end time is not the key's.
    DigestForeign = "digest.foreign", Tampered, Critical,
        "the digest belongs to another account or time; find out who put it here";
    /// A valid name that the chain never reaches.
    DigestUnlinked = "digest.unlinked", Tampered, Critical,
        "no digest of the chain knows it; find out who put it here";
    /// A log named twice.
    DigestDuplicateEntry = "digest.duplicate-entry", Noncompliant, Low,
        "signed, but odd: ask whoever runs the trail's delivery";
    /// Names an object outside every folder of the chain.
    DigestForeignEntry = "digest.foreign-entry", Noncompliant, Low,
        "signed, but odd: ask whoever runs the trail's delivery";
    /// An entry's times are not the log's.
    DigestEventTimes = "digest.event-times", Noncompliant, Low,
        "signed, but odd: ask whoever runs the trail's delivery";
    /// A backfill digest does not say when it was made.
    BackfillTimestampMissing = "backfill.timestamp-missing", Tampered, Critical,
        "restore the digest with its metadata";
    /// A key's fingerprint is not that of its bytes.
    KeysFingerprintMismatch = "keys.fingerprint-mismatch", Unverifiable, High,
        "fetch the key list anew";
    /// Keys could not be asked for.
    KeysUnavailable = "keys.unavailable", Unverifiable, High,
        "grant cloudtrail:ListPublicKeys, or give a key list with --public-keys";
    /// Only keys that lie beside the evidence vouch for it.
    KeysUntrusted = "keys.untrusted", Unverifiable, High,
        "give a key list from another place than the evidence with --public-keys";
    /// A folder could not be listed.
    ListUnreadable = "list.unreadable", Unverifiable, High,
        "grant s3:ListBucket, or retry";
    /// Time between two digests that no digest covers.
    ChainGap = "chain.gap", Incomplete, High,
        "find out who stopped the trail or its validation, and whether on purpose";
    /// The newest part of the time asked has no digest.
    ChainTailAbsent = "chain.tail-absent", Incomplete, High,
        "check that the trail is logging; if it is, the newest digests were deleted";
    /// The oldest part of the time asked has no digest.
    ChainHeadAbsent = "chain.head-absent", Incomplete, High,
        "ask for a later --start, or restore the older digests";
    /// An account and region that must have a chain has none.
    ChainNone = "chain.none", Incomplete, High,
        "check the scope asked for; if it is right, all digests are gone or validation was never on";
    /// Does not extend what an earlier run verified.
    ChainRolledBack = "chain.rolled-back", Tampered, Critical,
        "an older state was put back; restore the newer one";
    /// A named log is not there.
    LogMissing = "log.missing", Tampered, Critical,
        "restore the log from a versioned bucket, a replica or a mirror; find out who deleted it";
    /// A log's content is not what was signed.
    LogHashMismatch = "log.hash-mismatch", Tampered, Critical,
        "restore the log from a versioned bucket, a replica or a mirror; find out who changed it";
    /// Not one complete gzip member, or damaged at rest.
    LogMalformed = "log.malformed", Tampered, Critical,
        "restore the log from a versioned bucket, a replica or a mirror; find out what wrote over it";
    /// Bytes follow the gzip member.
    LogTrailingData = "log.trailing-data", Tampered, Critical,
        "restore the log from a versioned bucket, a replica or a mirror; find out what appended to it";
    /// Larger than any log.
    LogTooLarge = "log.too-large", Tampered, Critical,
        "restore the log from a versioned bucket, a replica or a mirror";
    /// A log that no digest names, where digests name all.
    LogUnreferenced = "log.unreferenced", Tampered, Critical,
        "no digest vouches for it; find out who put it here, and do not rely on its events";
    /// Logs of a time without digests.
    LogUndigested = "log.undigested", Incomplete, Medium,
        "nothing proves these logs; find out why no digest covers their time";
    /// A late log whose backfill digest may still come.
    LogAwaitingBackfill = "log.awaiting-backfill", Incomplete, Low,
        "run again after the backfill grace";
    /// Could not be read.
    LogUnreadable = "log.unreadable", Unverifiable, High,
        "grant s3:GetObject and kms:Decrypt, restore the key, or retry; the message names what was refused";
    /// In an archive class.
    LogArchived = "log.archived", Unverifiable, Medium,
        "restore it from the archive, or leave archived logs out with --skip-archived";
    /// A record that is no event.
    EventMalformed = "event.malformed", Noncompliant, Low,
        "signed, but odd: ask whoever produces these events";
    /// An event of another account.
    EventForeignAccount = "event.foreign-account", Noncompliant, Low,
        "signed, but odd: ask whoever produces these events";
    /// An event of another region.
    EventForeignRegion = "event.foreign-region", Noncompliant, Low,
        "signed, but odd: ask whoever produces these events";
    /// An event later than its digest.
    EventFuture = "event.future", Noncompliant, Low,
        "signed, but odd: check the clock of whoever produces these events";
    /// An event a day and more older than its digest.
    EventOld = "event.old", Info, Info,
        "late events are normal after an outage";
    /// An event that changed the trail, its keys or its bucket.
    EventControlChange = "event.control-change", Info, Info,
        "check that the change was meant";
    /// Not encrypted.
    SseNone = "sse.none", Noncompliant, Medium,
        "set the trail's KMS key and encrypt the object anew";
    /// Encrypted, but not with KMS.
    SseNotKms = "sse.not-kms", Noncompliant, Medium,
        "set the trail's KMS key; older objects can be encrypted anew without changing their bytes";
    /// Another KMS key than required.
    SseWrongKey = "sse.wrong-key", Noncompliant, Medium,
        "find out who changed the key; encrypt the object anew under the right one";
    /// A customer-provided key.
    SseCustomerKey = "sse.customer-key", Noncompliant, Medium,
        "no trail writes SSE-C; find out who rewrote the object";
    /// A digest's encryption is not as demanded.
    SseDigestMode = "sse.digest-mode", Noncompliant, Medium,
        "compare with --digest-sse; AWS encrypts digests with the trail's key since 22 May 2025";
    /// A KMS key of an account that may not own keys.
    SseForeignKeyAccount = "sse.foreign-key-account", Noncompliant, Medium,
        "name the account with --key-account if it may own keys";
    /// A KMS key of another region than the bucket.
    KeyRegionMismatch = "key.region-mismatch", Noncompliant, Medium,
        "S3 takes keys of the bucket's region only; check where the objects come from";
    /// The trail's encryption changed and stayed so.
    SseChanged = "sse.changed", Info, Info,
        "check that the change was meant";
    /// Automatic rotation is off.
    KeyRotationOff = "key.rotation-off", Info, Info,
        "turn on automatic rotation of the key";
    /// The KMS key is disabled.
    KeyDisabled = "key.disabled", Noncompliant, Medium,
        "enable the key: without it logs can be neither written nor read";
    /// The KMS key will be deleted.
    KeyPendingDeletion = "key.pending-deletion", Noncompliant, High,
        "cancel the deletion: without the key every log under it is lost";
    /// The KMS key cannot be used.
    KeyUnavailable = "key.unavailable", Noncompliant, Medium,
        "check the key's state";
    /// The key's policy lets everyone decrypt.
    KeyPolicy = "key.policy", Noncompliant, High,
        "confine the statement to accounts, an organization or principals";
    /// The trail is set to write no digests.
    TrailValidationOff = "trail.validation-off", Noncompliant, Medium,
        "turn on log file validation";
    /// The trail has no KMS key.
    TrailUnencrypted = "trail.unencrypted", Noncompliant, Medium,
        "set a KMS key on the trail";
    /// The trail records one region only.
    TrailNotMultiRegion = "trail.not-multi-region", Noncompliant, Low,
        "make it a multi-region trail";
    /// The trail leaves out global services.
    TrailNoGlobalEvents = "trail.no-global-events", Noncompliant, Low,
        "include global service events";
}

/// What a finding is about: a chain, or a folder that should have one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope {
    /// The account.
    pub account: Option<AccountId>,
    /// The source region.
    pub region: Option<Region>,
    /// The trail.
    pub trail: Option<TrailName>,
}

/// One finding.
#[derive(Debug, Clone)]
pub struct Finding {
    /// What was found.
    pub code: Code,
    /// Whether it concerns a backfill digest; turns `digest.` into `backfill.`.
    pub backfill: bool,
    /// Its class in this case.
    pub class: Class,
    /// Where it belongs.
    pub scope: Scope,
    /// The object, by its original address when known.
    pub object: Option<String>,
    /// The digest that speaks of the object.
    pub digest: Option<String>,
    /// Start of the time concerned.
    pub from: Option<Timestamp>,
    /// End of the time concerned.
    pub to: Option<Timestamp>,
    /// How many things of this cause; more than one where a finding stands for several.
    pub count: u64,
    /// The objects, where a finding stands for several.
    pub objects: Vec<String>,
    /// What should have been.
    pub expected: Option<String>,
    /// What was.
    pub actual: Option<String>,
    /// One sentence for a person.
    pub message: String,
}

impl Finding {
    /// A finding of `code` in `scope`.
    pub fn new(code: Code, scope: &Scope, message: impl Into<String>) -> Self {
        Self {
            code,
            backfill: false,
            class: code.class(),
            scope: scope.clone(),
            object: None,
            digest: None,
            from: None,
            to: None,
            count: 1,
            objects: Vec::new(),
            expected: None,
            actual: None,
            message: message.into(),
        }
    }

    /// About this object.
    #[must_use]
    pub fn object(mut self, object: impl Into<String>) -> Self {
        self.object = Some(object.into());
        self
    }

    /// Said by this digest.
    #[must_use]
    pub fn digest(mut self, digest: impl Into<String>) -> Self {
        self.digest = Some(digest.into());
        self
    }

    /// Concerning this time.
    #[must_use]
    pub fn span(mut self, from: Timestamp, to: Timestamp) -> Self {
        (self.from, self.to) = (Some(from), Some(to));
        self
    }

    /// With what should have been and what was.
    #[must_use]
    pub fn values(mut self, expected: impl Into<String>, actual: impl Into<String>) -> Self {
        (self.expected, self.actual) = (Some(expected.into()), Some(actual.into()));
        self
    }

    /// In another class than the code's own.
    #[must_use]
    pub fn class(mut self, class: Class) -> Self {
        self.class = class;
        self
    }

    /// Standing for several objects.
    #[must_use]
    pub fn objects(mut self, objects: Vec<String>) -> Self {
        self.count = objects.len().max(1) as u64;
        self.objects = objects;
        self
    }

    /// The code as reports print it.
    #[must_use]
    pub fn code_text(&self) -> String {
        let code = self.code.as_str();
        match code.strip_prefix("digest.") {
            Some(tail) if self.backfill => format!("backfill.{tail}"),
            _ => code.to_owned(),
        }
    }

    /// A short name that stays the same from run to run over the same evidence.
    #[must_use]
    pub fn id(&self) -> String {
        let time = |t: Option<Timestamp>| t.map(|t| t.to_string()).unwrap_or_default();
        let text = format!(
            "{}\n{:?}\n{}\n{}\n{}\n{}",
            self.code_text(),
            self.scope,
            self.object.as_deref().unwrap_or_default(),
            self.digest.as_deref().unwrap_or_default(),
            time(self.from),
            time(self.to),
        );
        Sha256::of(text.as_bytes()).to_string()[..16].to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_speak_for_backfill_too() {
        let mut texts: Vec<_> = Code::ALL.iter().map(|c| c.as_str()).collect();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), Code::ALL.len());
        let mut finding = Finding::new(Code::DigestMissing, &Scope::default(), "x");
        let id = finding.id();
        finding.backfill = true;
        assert_eq!(finding.code_text(), "backfill.missing");
        assert_ne!(finding.id(), id);
    }
}
