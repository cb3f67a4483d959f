//! What dates bring about: deletion, rotation, expiry; and what multi-Region keys share.

use std::collections::BTreeSet;

use local::kms::RotationType;
use local::kms::{
    CreateKey, KeySpec, KeyState, KeyUsage, KmsClient, Message, Origin, ReplicateKey,
};
use trail::Region;
use trail::ports::{KeyService as _, Pairs};
use zeroize::Zeroizing;

use crate::kms_access::{code, key_policy};
use crate::support::{Fixture, files, region};

const DAY: i64 = 86_400;

fn new_key(kms: &KmsClient) -> String {
    kms.create_key(&CreateKey::default()).unwrap().arn.to_string()
}

fn id(arn: &str) -> &str {
    arn.rsplit_once('/').unwrap().1
}

fn encrypt(kms: &KmsClient, key: &str) -> Vec<u8> {
    kms.encrypt(key, b"text", &Pairs::new()).unwrap().ciphertext
}

fn opens(kms: &KmsClient, ciphertext: &[u8]) -> bool {
    kms.decrypt(None, ciphertext, &Pairs::new()).is_ok_and(|d| d.plaintext.as_slice() == b"text")
}

#[test]
fn a_key_is_deleted_on_its_day_with_its_aliases_and_not_before() {
    let f = Fixture::new();
    let kms = f.kms();
    for days in [7, 30] {
        let key = new_key(&kms);
        let ciphertext = encrypt(&kms, &key);
        kms.create_alias("alias/doomed", &key).unwrap();
        let asked = (days != 30).then_some(days);
        let date = kms.schedule_key_deletion(&key, asked).unwrap().unwrap();
        let path = f.dir.path().join(format!("kms/us-east-1/{}.json", id(&key)));
        for _ in 0..days {
            assert_eq!(kms.describe_key("alias/doomed").unwrap().deletion_date, Some(date));
            assert_eq!(
                code(kms.decrypt(None, &ciphertext, &Pairs::new())),
                "KMSInvalidStateException"
            );
            assert!(path.exists());
            f.clock.advance(DAY);
        }
        assert_eq!(code(kms.cancel_key_deletion(&key)), "NotFoundException");
        assert!(!path.exists(), "its material is gone from the disk");
        for name in [key.as_str(), id(&key), "alias/doomed"] {
            assert_eq!(code(kms.describe_key(name)), "NotFoundException");
        }
        assert_eq!(code(kms.decrypt(None, &ciphertext, &Pairs::new())), "AccessDeniedException");
        assert!(kms.list_aliases(None).unwrap().is_empty());
        assert!(kms.list_keys().unwrap().is_empty());
    }
}

#[test]
fn a_deletion_takes_seven_to_thirty_days_and_can_be_cancelled_to_the_last_second() {
    let f = Fixture::new();
    let kms = f.kms();
    let key = new_key(&kms);
    for days in [0, 6, 31] {
        assert_eq!(code(kms.schedule_key_deletion(&key, Some(days))), "ValidationException");
    }
    let ciphertext = encrypt(&kms, &key);
    kms.enable_key_rotation(&key, Some(90)).unwrap();
    kms.schedule_key_deletion(&key, Some(7)).unwrap();
    assert_eq!(kms.key_rotation_status(&key).unwrap().period_days, None, "not while pending");
    f.clock.advance(7 * DAY - 1);
    kms.cancel_key_deletion(&key).unwrap();
    f.clock.advance(DAY);
    assert_eq!(kms.describe_key(&key).unwrap().state, KeyState::Disabled);
    assert_eq!(kms.key_rotation_status(&key).unwrap().period_days, Some(90));
    assert!(!opens(&kms, &ciphertext));
    kms.enable_key(&key).unwrap();
    assert!(opens(&kms, &ciphertext));
}

#[test]
fn listing_alone_deletes_what_is_due() {
    let f = Fixture::new();
    let kms = f.kms();
    let (doomed, kept) = (new_key(&kms), new_key(&kms));
    kms.schedule_key_deletion(&doomed, Some(7)).unwrap();
    f.clock.advance(7 * DAY);
    let listed: Vec<_> = f.reopen().kms(f.root(), &region("us-east-1")).list_keys().unwrap();
    assert_eq!(listed.iter().map(ToString::to_string).collect::<Vec<_>>(), [kept]);
    assert_eq!(files(&f.dir.path().join("kms")).len(), 1);
}

#[test]
fn rotation_by_period_and_on_demand_keeps_old_ciphertexts_readable() {
    let f = Fixture::new();
    let kms = f.kms();
    let key = new_key(&kms);
    for days in [0, 89, 2561] {
        assert_eq!(code(kms.enable_key_rotation(&key, Some(days))), "ValidationException");
    }
    kms.enable_key_rotation(&key, None).unwrap();
    let status = kms.key_rotation_status(&key).unwrap();
    assert_eq!(status.period_days, Some(365));
    let mut made = vec![encrypt(&kms, &key)];
    let material = || kms.describe_key(&key).unwrap().current_material.unwrap();
    let first = material();
    f.clock.advance(365 * DAY - 1);
    kms.enable_key_rotation(&key, Some(365)).unwrap();
    assert_eq!(kms.key_rotation_status(&key).unwrap(), status, "the same period goes on");
    assert_eq!(material(), first, "not a second too early");
    f.clock.advance(1);
    made.push(encrypt(&kms, &key));
    assert_ne!(material(), first);
    kms.rotate_key_on_demand(&key).unwrap();
    made.push(encrypt(&kms, &key));
    let next = kms.key_rotation_status(&key).unwrap().next.unwrap();
    assert_eq!(next.seconds_since(status.next.unwrap()), 365 * DAY, "unmoved by the demand");
    // A disabled key waits, and is rotated as soon as it is used again.
    kms.disable_key(&key).unwrap();
    f.clock.advance(3 * 365 * DAY);
    let before = material();
    kms.enable_key(&key).unwrap();
    made.push(encrypt(&kms, &key));
    assert_ne!(material(), before);
    kms.disable_key_rotation(&key).unwrap();
    f.clock.advance(1000 * DAY);
    assert_eq!(kms.key_rotation_status(&key).unwrap().next, None);
    let rotations = kms.list_key_rotations(&key).unwrap();
    let why: Vec<_> = rotations.iter().map(|r| r.why).collect();
    use RotationType::{Automatic, OnDemand};
    assert_eq!(why, [Automatic, OnDemand, Automatic]);
    let elsewhere = f.reopen().kms(f.root(), &region("us-east-1"));
    let mut materials = BTreeSet::new();
    for ciphertext in &made {
        assert!(opens(&kms, ciphertext));
        materials.insert(elsewhere.decrypt(None, ciphertext, &Pairs::new()).unwrap().material);
    }
    assert_eq!(materials.len(), 4, "Decrypt tells which material it was");
    assert!(materials.contains(&first) && materials.contains(&rotations[2].material));
}

#[test]
fn a_key_is_rotated_on_demand_twenty_five_times() {
    let f = Fixture::new();
    let kms = f.kms();
    let key = new_key(&kms);
    let first = encrypt(&kms, &key);
    for _ in 0..25 {
        kms.rotate_key_on_demand(&key).unwrap();
    }
    assert_eq!(code(kms.rotate_key_on_demand(&key)), "LimitExceededException");
    assert_eq!(kms.list_key_rotations(&key).unwrap().len(), 25);
    assert!(opens(&kms, &first));
}

#[test]
fn many_processes_that_find_a_rotation_due_make_one() {
    let f = Fixture::new();
    let kms = f.kms();
    let key = new_key(&kms);
    kms.enable_key_rotation(&key, Some(90)).unwrap();
    f.clock.advance(90 * DAY);
    let materials: BTreeSet<String> = std::thread::scope(|scope| {
        let encrypt = || {
            let kms = f.reopen().kms(f.root(), &region("us-east-1"));
            kms.encrypt(&key, b"x", &Pairs::new()).unwrap().material
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(encrypt)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert_eq!(materials.len(), 1);
    assert_eq!(kms.list_key_rotations(&key).unwrap().len(), 1);
}

fn bytes(of: u8) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(vec![of; 32])
}

#[test]
fn imported_material_expires_and_only_the_same_comes_back() {
    let f = Fixture::new();
    let kms = f.kms();
    let asked = CreateKey { origin: Origin::External, ..CreateKey::default() };
    let about = kms.create_key(&asked).unwrap();
    assert_eq!((about.state, about.current_material), (KeyState::PendingImport, None));
    let key = about.arn.to_string();
    let in_days = |days: i64| {
        f.clock.advance(days * DAY);
        let then = trail::ports::Clock::now(&*f.clock);
        f.clock.advance(-days * DAY);
        Some(then)
    };
    for end in [in_days(0), in_days(366)] {
        assert_eq!(code(kms.import_key_material(&key, &bytes(1), end)), "ValidationException");
    }
    let wrong = "IncorrectKeyMaterialException";
    let short = Zeroizing::new(vec![1; 31]);
    assert_eq!(code(kms.import_key_material(&key, &short, None)), wrong);
    kms.import_key_material(&key, &bytes(1), in_days(10)).unwrap();
    let about = kms.describe_key(&key).unwrap();
    assert_eq!((about.state, about.valid_to), (KeyState::Enabled, in_days(10)));
    let ciphertext = encrypt(&kms, &key);
    let path = f.dir.path().join(format!("kms/us-east-1/{}.json", id(&key)));
    let sealed = || std::fs::read_to_string(&path).unwrap().contains("\"sealed\"");
    f.clock.advance(10 * DAY - 1);
    assert!(opens(&kms, &ciphertext) && sealed());
    f.clock.advance(1);
    assert_eq!(code(kms.decrypt(None, &ciphertext, &Pairs::new())), "KMSInvalidStateException");
    assert!(!sealed(), "expired material is gone from the disk");
    let about = kms.describe_key(&key).unwrap();
    assert_eq!((about.state, about.valid_to), (KeyState::PendingImport, None));
    assert_eq!(code(kms.import_key_material(&key, &bytes(2), None)), wrong);
    kms.import_key_material(&key, &bytes(1), None).unwrap();
    assert!(opens(&f.reopen().kms(f.root(), &region("us-east-1")), &ciphertext));
    // Imported again while it is there, it stays disabled if it was, and knows no other material.
    kms.disable_key(&key).unwrap();
    kms.import_key_material(&key, &bytes(1), in_days(1)).unwrap();
    assert_eq!(code(kms.import_key_material(&key, &bytes(3), None)), wrong);
    assert_eq!(kms.describe_key(&key).unwrap().state, KeyState::Disabled);
    kms.delete_imported_key_material(&key).unwrap();
    assert_eq!(kms.describe_key(&key).unwrap().state, KeyState::PendingImport);
    assert!(!sealed());
    kms.import_key_material(&key, &bytes(1), None).unwrap();
    assert!(opens(&kms, &ciphertext));
}

fn replica_in(to: &str) -> ReplicateKey {
    ReplicateKey {
        region: region(to),
        policy: None,
        bypass_policy_lockout_safety_check: false,
        description: "a replica".to_owned(),
    }
}

struct MultiRegion {
    f: Fixture,
    primary: KmsClient,
    replica: KmsClient,
    key: String,
    twin: String,
}

/// A primary key in us-east-1 and a replica in eu-west-1.
fn multi_region(asked: &CreateKey) -> MultiRegion {
    let f = Fixture::new();
    let (primary, replica) = (f.kms(), f.store.kms(f.root(), &region("eu-west-1")));
    let asked = CreateKey { multi_region: true, ..asked.clone() };
    let key = primary.create_key(&asked).unwrap().arn.to_string();
    let twin = primary.replicate_key(&key, &replica_in("eu-west-1")).unwrap().arn.to_string();
    MultiRegion { f, primary, replica, key, twin }
}

#[test]
fn replicas_share_id_and_material_and_nothing_else() {
    let MultiRegion { f, primary, replica, key, twin } = multi_region(&CreateKey::default());
    assert!(id(&key).starts_with("mrk-") && id(&key).len() == 36);
    assert_eq!(twin, key.replace("us-east-1", "eu-west-1"));
    let made = [encrypt(&primary, &key), encrypt(&replica, &twin)];
    for kms in [&primary, &replica] {
        assert!(made.iter().all(|m| opens(kms, m)));
    }
    let about = replica.describe_key(&twin).unwrap();
    let keys = about.multi_region.clone().unwrap();
    assert_eq!(keys.primary.to_string(), key);
    assert_eq!(keys.replicas, [twin.parse().unwrap()]);
    assert_eq!(primary.describe_key(&key).unwrap().multi_region, Some(keys));
    assert_eq!(about.description, "a replica");
    // State, aliases and policy are each one's own.
    replica.disable_key(&twin).unwrap();
    assert!(opens(&primary, &made[1]) && !opens(&replica, &made[0]));
    replica.enable_key(&twin).unwrap();
    replica.create_alias("alias/twin", &twin).unwrap();
    assert_eq!(code(primary.describe_key("alias/twin")), "NotFoundException");
    replica.put_key_policy(&twin, &key_policy(&[]), false).unwrap();
    assert_ne!(primary.get_key_policy(&key).unwrap(), replica.get_key_policy(&twin).unwrap());
    // Neither key can be named in the other's region.
    assert_eq!(code(primary.describe_key(&twin)), "NotFoundException");
    for (kms, named, to, expected) in [
        (&primary, &key, "eu-west-1", "AlreadyExistsException"),
        (&primary, &key, "us-east-1", "AlreadyExistsException"),
        (&primary, &key, "cn-north-1", "ValidationException"),
        (&replica, &twin, "us-west-2", "UnsupportedOperationException"),
    ] {
        assert_eq!(code(kms.replicate_key(named, &replica_in(to))), expected, "{to}");
    }
    let keys = primary.describe_key(&key).unwrap().multi_region.unwrap();
    assert_eq!(keys.replicas, [twin.parse().unwrap()], "a refusal changes nothing");
    let single = new_key(&primary);
    let refused = primary.replicate_key(&single, &replica_in("us-west-2"));
    assert_eq!(code(refused), "UnsupportedOperationException");
    let west = f.store.kms(f.root(), &region("us-west-2"));
    assert!(west.list_keys().unwrap().is_empty());
}

#[test]
fn a_rotation_of_the_primary_reaches_its_replicas_at_once() {
    let MultiRegion { f, primary, replica, key, twin } = multi_region(&CreateKey::default());
    let old = encrypt(&replica, &twin);
    let refused = "UnsupportedOperationException";
    assert_eq!(code(replica.rotate_key_on_demand(&twin)), refused);
    assert_eq!(code(replica.enable_key_rotation(&twin, None)), refused);
    primary.enable_key_rotation(&key, Some(90)).unwrap();
    assert_eq!(replica.key_rotation_status(&twin).unwrap().period_days, Some(90));
    let material = |kms: &KmsClient, key: &str| kms.describe_key(key).unwrap().current_material;
    let first = material(&primary, &key);
    f.clock.advance(90 * DAY);
    // The replica is the first to be used after the date.
    let second = material(&replica, &twin);
    assert_ne!(second, first);
    assert_eq!(material(&primary, &key), second);
    primary.rotate_key_on_demand(&key).unwrap();
    assert_eq!(material(&replica, &twin), material(&primary, &key));
    assert!(opens(&primary, &old) && opens(&replica, &old));
}

#[test]
fn a_primary_key_is_deleted_after_its_replicas() {
    let MultiRegion { f, primary, replica, key, twin } = multi_region(&CreateKey::default());
    let ciphertext = encrypt(&primary, &key);
    assert_eq!(primary.schedule_key_deletion(&key, Some(10)).unwrap(), None);
    let about = primary.describe_key(&key).unwrap();
    assert_eq!(about.state, KeyState::PendingReplicaDeletion);
    assert_eq!((about.deletion_date, about.pending_deletion_window_days), (None, Some(10)));
    assert_eq!(code(primary.enable_key(&key)), "KMSInvalidStateException");
    assert_eq!(code(primary.schedule_key_deletion(&key, None)), "KMSInvalidStateException");
    f.clock.advance(1000 * DAY);
    assert!(opens(&replica, &ciphertext), "the replica lives on");
    let replica_end = replica.schedule_key_deletion(&twin, Some(7)).unwrap().unwrap();
    f.clock.advance(9 * DAY);
    // Nobody looked at the replica since; its end counts all the same.
    let about = primary.describe_key(&key).unwrap();
    assert_eq!(about.state, KeyState::PendingDeletion);
    assert_eq!(about.deletion_date.unwrap().seconds_since(replica_end), 10 * DAY);
    assert_eq!(code(replica.describe_key(&twin)), "NotFoundException");
    assert!(about.multi_region.unwrap().replicas.is_empty());
    f.clock.advance(8 * DAY - 1);
    assert!(primary.describe_key(&key).is_ok());
    f.clock.advance(1);
    assert_eq!(code(primary.describe_key(&key)), "NotFoundException");
    assert!(files(&f.dir.path().join("kms")).is_empty());
}

#[test]
fn a_replica_can_be_made_again_and_a_cancelled_primary_stays() {
    let MultiRegion { f, primary, replica, key, twin } = multi_region(&CreateKey::default());
    primary.schedule_key_deletion(&key, None).unwrap();
    primary.cancel_key_deletion(&key).unwrap();
    primary.enable_key(&key).unwrap();
    replica.schedule_key_deletion(&twin, Some(7)).unwrap();
    f.clock.advance(7 * DAY);
    let again = primary.replicate_key(&key, &replica_in("eu-west-1")).unwrap();
    assert_eq!((again.arn.to_string(), again.state), (twin.clone(), KeyState::Enabled));
    assert!(opens(&replica, &encrypt(&primary, &key)));
    // A primary that lists a replica without a file: a process stopped in between.
    let path = f.dir.path().join(format!("kms/eu-west-1/{}.json", id(&twin)));
    std::fs::remove_file(path).unwrap();
    assert!(primary.replicate_key(&key, &replica_in("eu-west-1")).is_ok());
}

#[test]
fn signing_keys_can_be_replicated_too() {
    let (spec, usage) = (KeySpec::Rsa2048, KeyUsage::SignVerify);
    let asked = CreateKey { spec, usage, ..CreateKey::default() };
    let MultiRegion { f: _f, primary, replica, key, twin } = multi_region(&asked);
    let signature = primary.sign(&key, Message::Raw(b"x")).unwrap();
    replica.verify(&twin, Message::Raw(b"x"), &signature).unwrap();
    let (a, b) = (primary.get_public_key(&key).unwrap(), replica.get_public_key(&twin).unwrap());
    assert_eq!((a.spki, a.spec), (b.spki, KeySpec::Rsa2048));
}

#[tokio::test]
async fn the_port_tells_rotation_for_keys_that_can_rotate_alone() {
    let f = Fixture::new();
    let (kms, home) = (f.kms(), Region::clone(&region("us-east-1")));
    let key = new_key(&kms);
    let rotation = async |key: &str| f.store.describe_key(&home, key).await.unwrap().rotation;
    assert_eq!(rotation(&key).await, Some(false));
    kms.enable_key_rotation(&key, None).unwrap();
    assert_eq!(rotation(&key).await, Some(true));
    let asked = CreateKey { origin: Origin::External, ..CreateKey::default() };
    let imported = kms.create_key(&asked).unwrap().arn.to_string();
    assert_eq!(rotation(&imported).await, None);
}
