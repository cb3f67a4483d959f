//! What each call answers in each state (KMS developer guide, "Key states of AWS KMS keys").

use local::kms::{
    CreateGrant, CreateKey, KeyAndContext, KeySpec, KeyUsage, KmsClient, Message, Origin,
};
use local::kms::{KeyState, ReplicateKey};
use trail::error::KeyError;
use trail::ports::Pairs;
use zeroize::Zeroizing;

use crate::support::{Fixture, pairs, region};

const OK: &str = "";
const DISABLED: &str = "DisabledException";
const STATE: &str = "KMSInvalidStateException";
const UNSUPPORTED: &str = "UnsupportedOperationException";

/// A key with an alias, a grant, a ciphertext and a signature, all made while it was enabled.
struct Subject {
    kms: KmsClient,
    key: String,
    /// Another key, enabled, with `alias/other`.
    other: String,
    grant: String,
    ciphertext: Vec<u8>,
    signature: Vec<u8>,
}

pub(crate) fn material() -> Zeroizing<Vec<u8>> {
    Zeroizing::new(vec![7; 32])
}

fn grant_for(kms: &KmsClient, key: &str, operation: &str) -> Result<String, KeyError> {
    let grant = CreateGrant {
        grantee_principal: "arn:aws:iam::111122223333:user/alice".to_owned(),
        operations: vec![operation.to_owned()],
        ..CreateGrant::default()
    };
    kms.create_grant(key, &grant)
}

impl Subject {
    fn new(kms: KmsClient, asked: &CreateKey, other: &str, state: KeyState) -> Self {
        let other = other.to_owned();
        let key = kms.create_key(asked).unwrap().arn.to_string();
        kms.create_alias("alias/other", &other).unwrap();
        if asked.origin == Origin::External {
            kms.import_key_material(&key, &material(), None).unwrap();
        }
        kms.create_alias("alias/own", &key).unwrap();
        let (mut ciphertext, mut signature) = (Vec::new(), Vec::new());
        if asked.usage == KeyUsage::EncryptDecrypt {
            ciphertext = kms.encrypt(&key, b"x", &Pairs::new()).unwrap().ciphertext;
        } else {
            signature = kms.sign(&key, Message::Raw(b"x")).unwrap();
        }
        let grant = grant_for(&kms, &key, "DescribeKey").unwrap();
        match state {
            KeyState::Enabled => {}
            KeyState::Disabled => kms.disable_key(&key).unwrap(),
            KeyState::PendingImport => kms.delete_imported_key_material(&key).unwrap(),
            _ => assert!(kms.schedule_key_deletion(&key, None).unwrap().is_some()),
        }
        assert_eq!(kms.describe_key(&key).unwrap().state, state);
        Self { kms, key, other, grant, ciphertext, signature }
    }
}

type Call = fn(&Subject) -> Result<(), KeyError>;

fn check(asked: &CreateKey, states: &[KeyState], table: &[(&str, Call, &[&str])]) {
    let f = Fixture::new();
    let other = CreateKey { origin: Origin::AwsKms, ..asked.clone() };
    let other = f.kms().create_key(&other).unwrap().arn.to_string();
    for (name, call, expected) in table {
        for (state, expected) in states.iter().zip(*expected) {
            let subject = Subject::new(f.kms(), asked, &other, *state);
            let code = call(&subject).map_or_else(|e| e.code(), |()| OK);
            assert_eq!(code, *expected, "{name} while {}", state.as_str());
            for alias in ["alias/own", "alias/other"] {
                let _ = subject.kms.delete_alias(alias);
            }
        }
    }
}

#[test]
fn symmetric_keys_answer_by_their_state() {
    use KeyState::{Disabled, Enabled, PendingDeletion};
    let none = &[OK, DISABLED, STATE];
    let any = &[OK, OK, OK];
    let living = &[OK, OK, STATE];
    check(
        &CreateKey::default(),
        &[Enabled, Disabled, PendingDeletion],
        &[
            ("GenerateDataKey", |s| s.kms.generate_data_key(&s.key, &Pairs::new()).map(drop), none),
            (
                "GenerateDataKeyWithoutPlaintext",
                |s| s.kms.generate_data_key_without_plaintext(&s.key, &Pairs::new()).map(drop),
                none,
            ),
            ("Encrypt", |s| s.kms.encrypt(&s.key, b"x", &Pairs::new()).map(drop), none),
            ("Decrypt", |s| s.kms.decrypt(None, &s.ciphertext, &Pairs::new()).map(drop), none),
            ("ReEncrypt from", |s| re_encrypt(s, None, &s.other), none),
            (
                "ReEncrypt to",
                |s| {
                    let from = s.kms.encrypt(&s.other, b"x", &Pairs::new())?.ciphertext;
                    let (pairs, key) = (Pairs::new(), Some(s.key.as_str()));
                    let from_key = KeyAndContext { key: None, context: &pairs };
                    s.kms
                        .re_encrypt(&from, from_key, KeyAndContext { key, context: &pairs })
                        .map(drop)
                },
                none,
            ),
            ("CreateGrant", |s| grant_for(&s.kms, &s.key, "Decrypt").map(drop), none),
            ("EnableKey", |s| s.kms.enable_key(&s.key), living),
            ("DisableKey", |s| s.kms.disable_key(&s.key), living),
            ("EnableKeyRotation", |s| s.kms.enable_key_rotation(&s.key, None), none),
            ("DisableKeyRotation", |s| s.kms.disable_key_rotation(&s.key), none),
            ("RotateKeyOnDemand", |s| s.kms.rotate_key_on_demand(&s.key), none),
            ("GetKeyRotationStatus", |s| s.kms.key_rotation_status(&s.key).map(drop), any),
            ("ListKeyRotations", |s| s.kms.list_key_rotations(&s.key).map(drop), any),
            ("DescribeKey", |s| s.kms.describe_key(&s.key).map(drop), any),
            ("GetKeyPolicy", |s| s.kms.get_key_policy(&s.key).map(drop), any),
            (
                "PutKeyPolicy",
                |s| s.kms.put_key_policy(&s.key, &s.kms.get_key_policy(&s.key)?, false),
                any,
            ),
            ("ListGrants", |s| s.kms.list_grants(&s.key).map(drop), any),
            ("RevokeGrant", |s| s.kms.revoke_grant(&s.key, &s.grant), any),
            ("RetireGrant", |s| s.kms.retire_grant(&s.key, &s.grant), any),
            (
                "CreateAlias",
                |s| {
                    let _ = s.kms.delete_alias("alias/own");
                    s.kms.create_alias("alias/own", &s.key)
                },
                living,
            ),
            ("UpdateAlias to it", |s| s.kms.update_alias("alias/other", &s.key), living),
            ("UpdateAlias from it", |s| s.kms.update_alias("alias/own", &s.other), any),
            ("DeleteAlias", |s| s.kms.delete_alias("alias/own"), any),
            ("ListAliases", |s| s.kms.list_aliases(Some(&s.key)).map(drop), any),
            ("UpdateKeyDescription", |s| s.kms.update_key_description(&s.key, "x"), living),
            (
                "ScheduleKeyDeletion",
                |s| s.kms.schedule_key_deletion(&s.key, None).map(drop),
                living,
            ),
            ("CancelKeyDeletion", |s| s.kms.cancel_key_deletion(&s.key), &[STATE, STATE, OK]),
            (
                "ImportKeyMaterial",
                |s| s.kms.import_key_material(&s.key, &material(), None),
                &[UNSUPPORTED; 3],
            ),
            (
                "DeleteImportedKeyMaterial",
                |s| s.kms.delete_imported_key_material(&s.key),
                &[UNSUPPORTED; 3],
            ),
            ("GetPublicKey", |s| s.kms.get_public_key(&s.key).map(drop), &[UNSUPPORTED; 3]),
            ("ReplicateKey", |s| replicate(s).map(drop), &[UNSUPPORTED, DISABLED, STATE]),
            (
                "Sign",
                |s| s.kms.sign(&s.key, Message::Raw(b"x")).map(drop),
                &["InvalidKeyUsageException", DISABLED, STATE],
            ),
        ],
    );
}

#[test]
fn imported_keys_answer_by_their_state() {
    use KeyState::{Disabled, Enabled, PendingDeletion, PendingImport};
    let none = &[OK, DISABLED, STATE, STATE];
    let living = &[OK, OK, STATE, OK];
    let never = &[UNSUPPORTED; 4];
    let any = &[OK; 4];
    check(
        &CreateKey { origin: Origin::External, ..CreateKey::default() },
        &[Enabled, Disabled, PendingDeletion, PendingImport],
        &[
            ("Encrypt", |s| s.kms.encrypt(&s.key, b"x", &Pairs::new()).map(drop), none),
            ("Decrypt", |s| s.kms.decrypt(None, &s.ciphertext, &Pairs::new()).map(drop), none),
            ("ReEncrypt from", |s| re_encrypt(s, None, &s.other), none),
            ("CreateGrant", |s| grant_for(&s.kms, &s.key, "Decrypt").map(drop), none),
            ("EnableKey", |s| s.kms.enable_key(&s.key), &[OK, OK, STATE, STATE]),
            ("DisableKey", |s| s.kms.disable_key(&s.key), &[OK, OK, STATE, STATE]),
            ("EnableKeyRotation", |s| s.kms.enable_key_rotation(&s.key, None), never),
            ("DisableKeyRotation", |s| s.kms.disable_key_rotation(&s.key), never),
            ("RotateKeyOnDemand", |s| s.kms.rotate_key_on_demand(&s.key), never),
            ("GetKeyRotationStatus", |s| s.kms.key_rotation_status(&s.key).map(drop), never),
            ("DescribeKey", |s| s.kms.describe_key(&s.key).map(drop), any),
            (
                "PutKeyPolicy",
                |s| s.kms.put_key_policy(&s.key, &s.kms.get_key_policy(&s.key)?, false),
                any,
            ),
            ("RetireGrant", |s| s.kms.retire_grant(&s.key, &s.grant), any),
            ("DeleteAlias", |s| s.kms.delete_alias("alias/own"), any),
            ("UpdateAlias to it", |s| s.kms.update_alias("alias/other", &s.key), living),
            ("UpdateKeyDescription", |s| s.kms.update_key_description(&s.key, "x"), living),
            (
                "ScheduleKeyDeletion",
                |s| s.kms.schedule_key_deletion(&s.key, None).map(drop),
                living,
            ),
            (
                "CancelKeyDeletion",
                |s| s.kms.cancel_key_deletion(&s.key),
                &[STATE, STATE, OK, STATE],
            ),
            ("ImportKeyMaterial", |s| s.kms.import_key_material(&s.key, &material(), None), living),
            ("DeleteImportedKeyMaterial", |s| s.kms.delete_imported_key_material(&s.key), any),
        ],
    );
}

#[test]
fn signing_keys_answer_by_their_state() {
    use KeyState::{Disabled, Enabled, PendingDeletion};
    let none = &[OK, DISABLED, STATE];
    let never = &[UNSUPPORTED; 3];
    let (spec, usage) = (KeySpec::Rsa2048, KeyUsage::SignVerify);
    check(
        &CreateKey { spec, usage, ..CreateKey::default() },
        &[Enabled, Disabled, PendingDeletion],
        &[
            ("Sign", |s| s.kms.sign(&s.key, Message::Raw(b"x")).map(drop), none),
            ("Verify", |s| s.kms.verify(&s.key, Message::Raw(b"x"), &s.signature), none),
            ("GetPublicKey", |s| s.kms.get_public_key(&s.key).map(drop), none),
            ("EnableKeyRotation", |s| s.kms.enable_key_rotation(&s.key, None), never),
            ("GetKeyRotationStatus", |s| s.kms.key_rotation_status(&s.key).map(drop), never),
            (
                "Encrypt",
                |s| s.kms.encrypt(&s.key, b"x", &Pairs::new()).map(drop),
                &["InvalidKeyUsageException", DISABLED, STATE],
            ),
            (
                "GenerateDataKey",
                |s| s.kms.generate_data_key(&s.key, &Pairs::new()).map(drop),
                &["InvalidKeyUsageException", DISABLED, STATE],
            ),
        ],
    );
}

#[test]
fn a_primary_key_is_replicated_only_while_it_is_enabled() {
    use KeyState::{Disabled, Enabled, PendingDeletion};
    check(
        &CreateKey { multi_region: true, ..CreateKey::default() },
        &[Enabled, Disabled, PendingDeletion],
        &[("ReplicateKey", |s| replicate(s).map(drop), &[OK, DISABLED, STATE])],
    );
}

fn re_encrypt(s: &Subject, from: Option<&str>, to: &str) -> Result<(), KeyError> {
    let (none, some) = (Pairs::new(), pairs(&[("a", "b")]));
    let from = KeyAndContext { key: from, context: &none };
    let to = KeyAndContext { key: Some(to), context: &some };
    s.kms.re_encrypt(&s.ciphertext, from, to).map(drop)
}

fn replicate(s: &Subject) -> Result<local::kms::KeyMetadata, KeyError> {
    let replica = ReplicateKey {
        region: region("eu-west-1"),
        policy: None,
        bypass_policy_lockout_safety_check: false,
        description: String::new(),
    };
    s.kms.replicate_key(&s.key, &replica)
}
