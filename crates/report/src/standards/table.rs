//! The table of controls. Ids are those of the frameworks; titles are in our own words.
//!
//! Rows come from the mappings that Prowler publishes (`prowler/compliance/aws`) and from AWS
//! Security Hub's control pages, but for those marked *from memory*, which nobody here has
//! compared with the framework's text.

use Framework::{Cis5, Cis7, Hipaa, Iso27001, Nist, Pci, Soc2};
use Question::{
    Encryption, Integrity, KeyRotation, KeyState, MultiRegion, Origin, Retention, Unseen,
    Validation,
};

/// A published standard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framework {
    /// CIS Amazon Web Services Foundations Benchmark v5.
    Cis5,
    /// CIS Amazon Web Services Foundations Benchmark v7.
    Cis7,
    /// PCI DSS.
    Pci,
    /// NIST SP 800-53.
    Nist,
    /// AICPA Trust Services Criteria.
    Soc2,
    /// HIPAA Security Rule.
    Hipaa,
    /// ISO/IEC 27001, Annex A.
    Iso27001,
}

impl Framework {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Cis5 | Cis7 => "CIS AWS Foundations Benchmark",
            Pci => "PCI DSS",
            Nist => "NIST SP 800-53",
            Soc2 => "SOC 2",
            Hipaa => "HIPAA Security Rule",
            Iso27001 => "ISO/IEC 27001",
        }
    }

    /// Its version.
    #[must_use]
    pub fn version(self) -> &'static str {
        match self {
            Cis5 => "5.0.0",
            Cis7 => "7.0.0",
            Pci => "4.0.1",
            Nist => "Rev. 5",
            Soc2 => "TSC 2017",
            Hipaa => "45 CFR 164",
            Iso27001 => "2022",
        }
    }
}

/// What a control asks that a run can say something about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Is log file validation on: do signed digests cover the time asked?
    Validation,
    /// Are the logs as they were signed, and all there?
    Integrity,
    /// Is every digest signed with a key that is known to be its region's?
    Origin,
    /// Are the logs that were read encrypted with a KMS key?
    Encryption,
    /// Are the KMS keys rotated?
    KeyRotation,
    /// Can the KMS keys be used, and not by everyone?
    KeyState,
    /// Does the trail record every region?
    MultiRegion,
    /// Are the logs of the last so many days there, as they were signed?
    Retention(i64),
    /// Nothing that a run sees.
    Unseen,
}

/// A control.
pub(crate) struct Row {
    pub(crate) framework: Framework,
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) question: Question,
    /// What the control asks beyond the question; empty when the question is all of it.
    pub(crate) rest: &'static str,
}

impl Row {
    /// As findings cite it.
    pub(crate) fn requirement(&self) -> String {
        format!("{} {}/{}", self.framework.name(), self.framework.version(), self.id)
    }
}

const fn row(
    framework: Framework,
    id: &'static str,
    title: &'static str,
    question: Question,
    rest: &'static str,
) -> Row {
    Row { framework, id, title, question, rest }
}

// The longest that so many years can be, so that a leap day claims nothing too much.
const YEAR: i64 = 366;
const SIX_YEARS: i64 = 2192;

#[rustfmt::skip]
pub(crate) const ROWS: &[Row] = &[
    row(Cis5, "3.1", "The trail records every region", MultiRegion, ""),
    row(Cis5, "3.2", "Log file validation is on", Validation, ""),
    row(Cis5, "3.4", "Access to the log bucket is logged", Unseen, "the bucket's access logging"),
    row(Cis5, "3.5", "Logs are encrypted at rest with KMS keys", Encryption, ""),
    row(Cis5, "3.6", "KMS keys are rotated", KeyRotation, ""),
    row(Cis7, "4.1", "The trail records every region", MultiRegion, ""),
    row(Cis7, "4.2", "Log file validation is on", Validation, ""),
    row(Cis7, "4.4", "Access to the log bucket is logged", Unseen, "the bucket's access logging"),
    row(Cis7, "4.5", "Logs are encrypted at rest with KMS keys", Encryption, ""),
    row(Cis7, "4.6", "KMS keys are rotated", KeyRotation, ""),

    row(Pci, "3.5.1", "Stored account numbers are unreadable", Encryption,
        "whether logs hold account numbers, and the other places that may"),
    // From memory.
    row(Pci, "3.6.1", "Keys that protect account data are protected", KeyState,
        "who holds the keys, and the procedures for them"),
    // From memory.
    row(Pci, "3.7.4", "Keys are changed at the end of their period", KeyRotation,
        "the period that was set"),
    row(Pci, "10.3.1", "Only those who need to can read audit logs", Unseen,
        "who may read the logs"),
    row(Pci, "10.3.2", "Audit logs are protected from being changed", Integrity,
        "who may write to the bucket"),
    row(Pci, "10.3.3", "Audit logs are promptly backed up to a central place", Unseen,
        "backups, and how soon they are made"),
    row(Pci, "10.3.4", "Changes of audit logs are detected and raise an alert", Integrity,
        "that somebody is alerted"),
    // From memory.
    row(Pci, "10.4.1", "Audit logs are reviewed daily", Unseen, "reviews"),
    row(Pci, "10.5.1", "Audit logs of 12 months are kept, 3 of them at hand",
        Retention(YEAR), ""),

    row(Nist, "AU-4", "Storage for audit logs suffices", Unseen, "the capacity of the storage"),
    row(Nist, "AU-9", "Audit information is protected from change and deletion", Integrity,
        "who may read or write it, and that an alert is raised"),
    row(Nist, "AU-9(2)", "Audit records are stored on a separate system", Unseen,
        "where copies are kept"),
    row(Nist, "AU-9(3)", "Cryptography protects the integrity of audit information", Integrity, ""),
    row(Nist, "AU-9(4)", "Few users manage audit logging", Unseen, "who may manage it"),
    row(Nist, "AU-10", "Actions cannot be disowned", Origin,
        "who acted: the signature is the log service's, not the actor's"),
    row(Nist, "AU-11", "Audit records are kept for the period set", Retention(YEAR),
        "the period that was set"),
    row(Nist, "CP-9", "Backups are made", Unseen, "backups"),
    row(Nist, "SC-12", "Keys are established and managed", KeyState,
        "how keys are made, shared and destroyed"),
    row(Nist, "SC-13", "Cryptography of the kinds required is used", Origin,
        "whether validated modules did it; digests use SHA-256 with RSA"),
    row(Nist, "SC-28", "Information at rest is protected", Encryption,
        "information other than these logs"),
    row(Nist, "SC-28(1)", "Information at rest is protected by cryptography", Encryption,
        "information other than these logs"),
    row(Nist, "SI-7", "Unauthorized changes are detected and acted upon", Integrity,
        "what is done about them, and software and firmware"),
    row(Nist, "SI-7(1)", "Integrity is checked as often as required", Integrity,
        "how often it is checked, and software and firmware"),
    // From memory.
    row(Nist, "SI-7(7)", "Detection and response work together", Unseen, "the response"),

    row(Soc2, "CC6.1", "Logical access to information is protected", Encryption,
        "everything about access but the encryption of logs"),
    row(Soc2, "CC6.7", "Information is protected when moved or removed", Encryption,
        "everything but the encryption of logs"),
    row(Soc2, "CC7.2", "Systems are monitored for anomalies", Validation, "the monitoring"),
    row(Soc2, "CC7.3", "Security events are evaluated", Unseen, "the evaluation"),
    row(Soc2, "PI1.3", "Processing is complete and accurate", Integrity,
        "processing other than the delivery of these logs"),
    row(Soc2, "A1.2", "Backups and recovery are in place", Unseen, "backups and recovery"),

    row(Hipaa, "164.312(a)(2)(iv)", "Health information can be encrypted and decrypted",
        Encryption, "information other than these logs"),
    row(Hipaa, "164.312(b)", "Activity is recorded and examined", Validation,
        "the examination, and systems that do not log here"),
    row(Hipaa, "164.312(c)(1)", "Health information is protected from change and destruction",
        Integrity, "information other than these logs"),
    row(Hipaa, "164.312(c)(2)", "A mechanism confirms that health information is unchanged",
        Integrity, "information other than these logs"),
    row(Hipaa, "164.312(e)(2)(ii)", "Health information is encrypted where appropriate",
        Encryption, "information other than these logs"),
    // From memory.
    row(Hipaa, "164.316(b)(2)(i)", "Documentation is kept for six years",
        Retention(SIX_YEARS), "documentation other than these logs"),

    // From memory.
    row(Iso27001, "A.8.15", "Logs are made, stored, protected and analysed", Integrity,
        "which events are recorded, who may reach the logs, and their analysis"),
    // From memory.
    row(Iso27001, "A.8.24", "Cryptography is used by rule, keys included", Encryption,
        "the rules, and how keys are managed"),
];

/// Findings that leave the proof of a chain open, besides those against it.
const OPEN_CHAIN: &[&str] = &["digest.", "backfill.", "chain.", "keys.", "list."];
/// Findings that leave the proof of the logs open.
const OPEN_LOGS: &[&str] = &["digest.", "backfill.", "chain.", "keys.", "list.", "log."];

impl Question {
    /// The codes whose findings are evidence against what is asked.
    pub(crate) fn against(self) -> &'static [&'static str] {
        match self {
            Validation => &[
                "trail.validation-off",
                "chain.gap",
                "chain.tail-absent",
                "chain.none",
                "log.undigested",
            ],
            Integrity => &["digest.", "backfill.", "chain.rolled-back", "log.", "version."],
            Origin => &["digest.", "backfill.", "chain.rolled-back"],
            Encryption => &["sse.", "trail.unencrypted"],
            KeyRotation => &["key.rotation-off"],
            KeyState => &[
                "key.policy",
                "key.disabled",
                "key.pending-deletion",
                "key.unavailable",
                "key.region-mismatch",
                "sse.foreign-key-account",
            ],
            MultiRegion => &["trail.not-multi-region", "trail.no-global-events"],
            Retention(_) => &[
                "digest.missing",
                "log.missing",
                "log.hash-mismatch",
                "log.malformed",
                "log.trailing-data",
                "log.too-large",
                "version.",
                "chain.gap",
                "chain.rolled-back",
            ],
            Unseen => &[],
        }
    }

    /// Whether only evidence of tampering speaks against it; what is signed but odd does not.
    pub(crate) fn is_of_integrity(self) -> bool {
        matches!(self, Integrity | Origin)
    }

    /// The codes whose findings leave it open when a proof is missing.
    pub(crate) fn open(self) -> &'static [&'static str] {
        match self {
            Validation | Origin => OPEN_CHAIN,
            Integrity | Retention(_) => OPEN_LOGS,
            Encryption => &["log.unreadable", "log.archived", "list."],
            KeyRotation | KeyState | MultiRegion | Unseen => &[],
        }
    }

    /// All codes that bear on it.
    pub(crate) fn codes(self) -> Vec<&'static str> {
        let mut codes = self.against().to_vec();
        codes.extend(self.open().iter().filter(|c| !self.against().contains(c)));
        codes
    }

    /// The parts of the report that bear on it.
    pub(crate) fn facts(self) -> &'static [&'static str] {
        match self {
            Validation => &["coverage", "summary.coverage", "summary.digests"],
            Integrity => &["coverage", "summary.coverage", "summary.digests", "summary.logs"],
            Origin => &["keys", "summary.digests"],
            Encryption => &["encryption", "summary.logs"],
            Retention(_) => &["coverage", "summary.logs"],
            KeyRotation | KeyState | MultiRegion | Unseen => &[],
        }
    }
}
