//! The life of a key as objects feel it, and where keys may be.

use local::SystemClock;
use local::kms::{CreateKey, KeySpec, KeyState, KeyUsage, Origin, ReplicateKey};
use local::s3::{GetObject, PutObject};
use trail::error::KeyError;
use trail::ports::{Pairs, TrailInfo};
use zeroize::Zeroizing;

use super::store::*;
use crate::support::Site;

#[test]
fn the_life_of_a_key_gives_the_errors_that_kms_gives() {
    let f = Fixture::new();
    let (s3, kms_client, arn) = (f.root(), f.kms(), f.key());
    s3.write("a", kms(&arn)).unwrap();
    s3.write("b", bucket_key(&arn)).unwrap();
    let both = |expected: (u16, String)| {
        for key in ["a", "b"] {
            assert_eq!(answer(s3.read(key)), expected, "read {key}");
        }
        assert_eq!(answer(s3.write("c", kms(&arn))), expected, "write");
        assert_eq!(answer(s3.write("c", bucket_key(&arn))), expected, "write, Bucket Key");
    };
    both(is(200, ""));
    kms_client.disable_key(&arn).unwrap();
    both(is(400, "KMS.DisabledException"));
    kms_client.enable_key(&arn).unwrap();
    both(is(200, ""));

    for days in [0, 6, 31] {
        let refused = kms_client.schedule_key_deletion(&arn, Some(days)).unwrap_err();
        assert_eq!(refused.code(), "ValidationException");
    }
    kms_client.schedule_key_deletion(&arn, Some(7)).unwrap();
    both(is(400, "KMS.KMSInvalidStateException"));
    f.advance(6 * DAY);
    kms_client.cancel_key_deletion(&arn).unwrap();
    both(is(400, "KMS.DisabledException"));
    kms_client.enable_key(&arn).unwrap();
    both(is(200, ""));

    // Rotation keeps what was written readable, and writes with new material.
    let material = || kms_client.describe_key(&arn).unwrap().current_material;
    let first = material();
    kms_client.rotate_key_on_demand(&arn).unwrap();
    let second = material();
    assert_ne!(first, second);
    kms_client.enable_key_rotation(&arn, Some(90)).unwrap();
    f.advance(91 * DAY);
    s3.write("later", kms(&arn)).unwrap();
    assert_ne!(second, material());
    both(is(200, ""));
    let wrong = kms_client.enable_key_rotation(&arn, Some(89)).unwrap_err();
    assert_eq!(wrong.code(), "ValidationException");

    // When the window has passed, everything under the key is lost for ever.
    kms_client.schedule_key_deletion(&arn, Some(7)).unwrap();
    f.advance(7 * DAY);
    both(is(400, "KMS.NotFoundException"));
    let code = kms_client.cancel_key_deletion(&arn).unwrap_err().code();
    assert_eq!(code, "NotFoundException");
    assert!(s3.head_object(BUCKET, "a", &GetObject::default()).is_ok(), "listed, never read");
}

#[test]
fn imported_material_expires_and_the_same_material_brings_objects_back() {
    let f = Fixture::new();
    let kms_client = f.kms();
    let asked = CreateKey { origin: Origin::External, ..CreateKey::default() };
    let arn = kms_client.create_key(&asked).unwrap().arn.to_string();
    let s3 = f.root();
    assert_eq!(answer(s3.write("a", kms(&arn))), is(400, "KMS.KMSInvalidStateException"));
    let material = Zeroizing::new(b"marked-imported-material-1234567".to_vec());
    let until = f.now() + std::time::Duration::from_secs(3600);
    kms_client.import_key_material(&arn, &material, Some(until)).unwrap();
    s3.write("a", kms(&arn)).unwrap();
    assert!(!f.holds(&material));
    f.advance(3600);
    assert_eq!(answer(s3.read("a")), is(400, "KMS.KMSInvalidStateException"));
    assert_eq!(kms_client.describe_key(&arn).unwrap().state, KeyState::PendingImport);
    let other =
        kms_client.import_key_material(&arn, &Zeroizing::new(vec![9; 32]), None).unwrap_err();
    assert_eq!(other.code(), "IncorrectKeyMaterialException");
    kms_client.import_key_material(&arn, &material, None).unwrap();
    assert_eq!(s3.read("a").unwrap(), BODY);
}

#[test]
fn the_region_rule_at_write_a_foreign_key_is_refused_before_anything_is_stored() {
    let f = Fixture::new();
    let west = region("eu-west-1");
    let elsewhere = f.store.create_key(&west).unwrap();
    let before = f.files().len();
    let s3 = f.root();
    let id = elsewhere.id.as_str();
    for key in [elsewhere.to_string().as_str(), id, "alias/none"] {
        for sse in [kms(key), bucket_key(key)] {
            assert_eq!(answer(s3.write("x", sse)), is(400, "KMS.NotFoundException"), "{key}");
        }
    }
    let error = s3.write("x", kms(&elsewhere.to_string())).unwrap_err().to_string();
    assert!(error.contains("us-east-1") && error.contains("eu-west-1"), "{error}");
    assert_eq!(f.files().len(), before, "nothing was stored");
    // A replica of a multi-Region key is a key of its own region: S3 takes no other.
    let asked = CreateKey { multi_region: true, ..CreateKey::default() };
    let primary = f.kms().create_key(&asked).unwrap().arn;
    let asked = ReplicateKey {
        region: west.clone(),
        policy: None,
        bypass_policy_lockout_safety_check: false,
        description: String::new(),
    };
    let replica = f.kms().replicate_key(&primary.to_string(), &asked).unwrap().arn;
    assert_eq!(primary.id, replica.id);
    assert_eq!(answer(s3.write("x", kms(&replica.to_string()))), is(400, "KMS.NotFoundException"));
    f.store.create_bucket("west-logs", &west).unwrap();
    let put = PutObject::new(kms(&replica.to_string()));
    s3.put_bytes("west-logs", "x", put, BODY).unwrap();
    // Keys that sign cannot encrypt.
    let signing =
        CreateKey { spec: KeySpec::Rsa2048, usage: KeyUsage::SignVerify, ..CreateKey::default() };
    let signing = f.kms().create_key(&signing).unwrap().arn.to_string();
    assert_eq!(answer(s3.write("x", kms(&signing))), is(400, "KMS.InvalidKeyUsageException"));
}

#[test]
fn the_region_rule_at_trail_creation() {
    let f = Fixture::new();
    let elsewhere = f.store.create_key(&region("eu-west-1")).unwrap().to_string();
    let trail = |bucket: &str, key: &str| TrailInfo {
        name: "main".to_owned(),
        s3_bucket_name: bucket.to_owned(),
        s3_key_prefix: None,
        include_global_service_events: true,
        is_multi_region_trail: true,
        // The trail itself may be anywhere; bucket and key must be together.
        home_region: "eu-west-1".to_owned(),
        trail_arn: TRAIL.replace("us-east-1", "eu-west-1"),
        log_file_validation_enabled: true,
        kms_key_id: Some(key.to_owned()),
        is_organization_trail: false,
    };
    let before = f.files().len();
    let code = |bucket: &str, key: &str| {
        f.store.put_trail(&trail(bucket, key)).map_err(|e| e.code().into_owned())
    };
    assert_eq!(code(BUCKET, &elsewhere), Err("KmsKeyNotFoundException".to_owned()));
    assert_eq!(code(BUCKET, "alias/none"), Err("KmsKeyNotFoundException".to_owned()));
    assert_eq!(code(BUCKET, "no key"), Err("InvalidKmsKeyIdException".to_owned()));
    let here = f.key();
    let nowhere = code("no-such-bucket", &here);
    assert_eq!(nowhere, Err("S3BucketDoesNotExistException".to_owned()));
    assert_eq!(f.files().len(), before + 1, "one key, no trail");
    assert_eq!(code(BUCKET, &here), Ok(true));
}

#[test]
fn a_delivery_with_a_key_of_another_region_stores_nothing() {
    let site = Site::new();
    site.delivered(b"", &[]);
    let store = local::Store::open(
        &site.store(),
        &local::OpenOptions::default(),
        std::sync::Arc::new(SystemClock),
    )
    .unwrap();
    let elsewhere = store.create_key(&region("eu-west-1")).unwrap().to_string();
    let before = crate::support::contents(&site.store());
    let outcome = site.deliver().args(&["--set"]).arg(format!("encryption.kms_key={elsewhere}"));
    let outcome = outcome.arg("-").stdin(crate::support::events(3).as_bytes()).run().exits(2);
    outcome.says(&["eu-west-1", "us-east-1"]);
    assert_eq!(crate::support::contents(&site.store()), before);
}

#[test]
fn digest_signing_keys_rotate_with_overlapping_validity_and_stay_listed() {
    let f = Fixture::new();
    let keys = f.store.signing_keys();
    let home = &f.home;
    let first = keys.generate(home, f.now()).unwrap();
    f.advance(30 * DAY);
    let second = keys.rotate(home, f.now()).unwrap();
    assert_ne!(first.fingerprint, second.fingerprint);
    assert!(second.valid_from < first.valid_to, "a digest of the time between finds a key");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    use trail::ports::{PublicKeys as _, SigningKeys as _};
    let signer = runtime.block_on(keys.signer(home, f.now())).unwrap();
    assert_eq!(signer.public_key().fingerprint, second.fingerprint);
    let listed = runtime.block_on(keys.list_public_keys(home, f.now(), f.now())).unwrap();
    assert_eq!(listed.len(), 2, "both are valid now");
    for key in [&first, &second] {
        assert!(runtime.block_on(keys.owns(home, &key.fingerprint)).unwrap());
    }
}

#[test]
fn errors_of_the_key_service_carry_its_own_names() {
    let f = Fixture::new();
    let missing = f.kms().describe_key("alias/none").map(drop);
    assert!(matches!(missing, Err(KeyError::NotFound { .. })));
    let arn = f.key();
    let wrong = f.kms().encrypt(&arn, b"x", &Pairs::new()).unwrap();
    let opened = f.kms().decrypt(None, &wrong.ciphertext, &pairs(&[("a", "b")])).map(drop);
    assert_eq!(opened.unwrap_err().code(), "InvalidCiphertextException");
}
