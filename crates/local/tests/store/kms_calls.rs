//! Encryption and signatures; what is refused; what is damaged on disk; what errors never tell.

use std::fs;

use local::kms::{CreateKey, KeyAndContext, KeyMetadata, KeySpec, KeyUsage, Message, Origin};
use serde_json::Value;
use trail::error::KeyError;
use trail::ports::Pairs;
use zeroize::Zeroizing;

use crate::kms_access::code;
use crate::support::{Fixture, pairs, region};

fn signing(spec: KeySpec) -> CreateKey {
    CreateKey { spec, usage: KeyUsage::SignVerify, ..CreateKey::default() }
}

#[test]
fn ciphertexts_open_under_their_key_and_context_alone() {
    let f = Fixture::new();
    let kms = f.kms();
    let key = f.store.create_key(&region("us-east-1")).unwrap().to_string();
    let other = f.store.create_key(&region("us-east-1")).unwrap().to_string();
    let context = pairs(&[("a", "b")]);
    let made = kms.encrypt(&key, b"text", &context).unwrap();
    assert_eq!(made.key.to_string(), key);
    for named in [None, Some(key.as_str())] {
        let opened = kms.decrypt(named, &made.ciphertext, &context).unwrap();
        assert_eq!(
            (opened.plaintext.as_slice(), opened.material),
            (&b"text"[..], made.material.clone())
        );
    }
    let refused = kms.decrypt(Some(&other), &made.ciphertext, &context);
    assert_eq!(code(refused), "IncorrectKeyException");
    for wrong in [Pairs::new(), pairs(&[("A", "b")]), pairs(&[("a", "B")])] {
        assert_eq!(
            kms.decrypt(None, &made.ciphertext, &wrong).err(),
            Some(KeyError::InvalidCiphertext)
        );
    }
    // Whatever bit is changed, nothing opens, and nothing but a refusal comes of it.
    for bit in 0..made.ciphertext.len() * 8 {
        let mut bad = made.ciphertext.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let error = kms.decrypt(None, &bad, &context).err().unwrap();
        let code = error.code();
        assert!(matches!(code, "InvalidCiphertextException" | "AccessDeniedException"), "{error}");
    }
    let elsewhere = f.store.kms(f.root(), &region("eu-west-1"));
    let refused = elsewhere.decrypt(None, &made.ciphertext, &context);
    assert_eq!(code(refused), "AccessDeniedException");
}

#[test]
fn a_ciphertext_is_moved_to_another_key_and_context() {
    let f = Fixture::new();
    let kms = f.kms();
    let [from, to] =
        [(); 2].map(|()| f.store.create_key(&region("us-east-1")).unwrap().to_string());
    let (old, new) = (pairs(&[("a", "old")]), pairs(&[("a", "new")]));
    let made = kms.encrypt(&from, b"text", &old).unwrap().ciphertext;
    let target = KeyAndContext { key: Some(&to), context: &new };
    let source = KeyAndContext { key: None, context: &old };
    let moved = kms.re_encrypt(&made, source, target).unwrap();
    assert_eq!(moved.key.to_string(), to);
    let opened = kms.decrypt(Some(&to), &moved.ciphertext, &new).unwrap();
    assert_eq!(opened.plaintext.as_slice(), b"text");
    for (source, target, expected) in [
        (KeyAndContext { key: Some(&to), context: &old }, target, "IncorrectKeyException"),
        (KeyAndContext { key: None, context: &new }, target, "InvalidCiphertextException"),
        (source, KeyAndContext { key: None, context: &new }, "ValidationException"),
    ] {
        assert_eq!(code(kms.re_encrypt(&made, source, target)), expected);
    }
}

#[test]
fn a_data_key_without_its_plaintext_opens_to_one() {
    let f = Fixture::new();
    let key = f.store.create_key(&region("us-east-1")).unwrap().to_string();
    let made = f.kms().generate_data_key_without_plaintext(&key, &Pairs::new()).unwrap();
    let opened = f.kms().decrypt(None, &made.ciphertext, &Pairs::new()).unwrap();
    assert_eq!(opened.plaintext.len(), 32);
}

#[test]
fn signatures_fit_their_message_raw_or_hashed() {
    let f = Fixture::new();
    let kms = f.kms();
    for (spec, bytes) in [(KeySpec::Rsa2048, 256), (KeySpec::Rsa3072, 384), (KeySpec::Rsa4096, 512)]
    {
        let key = kms.create_key(&signing(spec)).unwrap().arn.to_string();
        let signature = kms.sign(&key, Message::Raw(b"message")).unwrap();
        assert_eq!(signature.len(), bytes);
        let hash = trail::Sha256::of(b"message");
        assert_eq!(kms.sign(&key, Message::Digest(&hash.0)).unwrap(), signature);
        let again = f.reopen().kms(f.root(), &region("us-east-1"));
        again.verify(&key, Message::Digest(&hash.0), &signature).unwrap();
        let bad = "KMSInvalidSignatureException";
        assert_eq!(code(kms.verify(&key, Message::Raw(b"messagE"), &signature)), bad);
        assert_eq!(code(kms.verify(&key, Message::Raw(b"message"), &signature[1..])), bad);
        for (message, expected) in [
            (Message::Raw(&[0; 4096]), ""),
            (Message::Raw(&[0; 4097]), "ValidationException"),
            (Message::Raw(b""), "ValidationException"),
            (Message::Digest(&[0; 31]), "ValidationException"),
        ] {
            assert_eq!(code(kms.sign(&key, message)), expected);
        }
        let public = kms.get_public_key(&key).unwrap();
        assert_eq!((public.spec, &public.spki[..2]), (spec, &[0x30, 0x82][..]));
    }
}

#[test]
fn what_is_too_long_or_does_not_fit_is_refused() {
    let f = Fixture::new();
    let kms = f.kms();
    let key = f.store.create_key(&region("us-east-1")).unwrap().to_string();
    let none = Pairs::new();
    for (length, expected) in
        [(0, "ValidationException"), (4096, ""), (4097, "ValidationException")]
    {
        let made = kms.encrypt(&key, &vec![1; length], &none);
        assert_eq!(code(made), expected, "{length} bytes");
    }
    let most = kms.encrypt(&key, &[1; 4096], &none).unwrap().ciphertext;
    assert_eq!(kms.decrypt(None, &most, &none).unwrap().plaintext.len(), 4096);
    assert_eq!(code(kms.decrypt(None, &vec![1; 6145], &none)), "ValidationException");
    for (bytes, expected) in [(8191, ""), (8192, "ValidationException")] {
        let context = pairs(&[("a", &"x".repeat(bytes))]);
        assert_eq!(code(kms.generate_data_key(&key, &context)), expected);
    }
    assert_eq!(code(kms.update_key_description(&key, &"ä".repeat(8192))), "");
    assert_eq!(code(kms.update_key_description(&key, &"x".repeat(8193))), "ValidationException");
    let external = Origin::External;
    let unsupported = "UnsupportedOperationException";
    for (asked, expected) in [
        (
            CreateKey { description: "x".repeat(8193), ..CreateKey::default() },
            "ValidationException",
        ),
        (CreateKey { usage: KeyUsage::SignVerify, ..CreateKey::default() }, "ValidationException"),
        (CreateKey { spec: KeySpec::Rsa2048, ..CreateKey::default() }, unsupported),
        (CreateKey { origin: external, ..signing(KeySpec::Rsa2048) }, unsupported),
        (CreateKey { origin: external, multi_region: true, ..CreateKey::default() }, unsupported),
    ] {
        assert_eq!(code(kms.create_key(&asked)), expected, "{asked:?}");
    }
    assert_eq!(kms.list_keys().unwrap().len(), 1);
}

#[test]
fn aliases_are_pointed_at_other_keys_of_the_same_kind() {
    let f = Fixture::new();
    let kms = f.kms();
    let [one, two] =
        [(); 2].map(|()| f.store.create_key(&region("us-east-1")).unwrap().to_string());
    let signs = kms.create_key(&signing(KeySpec::Rsa2048)).unwrap().arn.to_string();
    let behind = |alias: &str| kms.describe_key(alias).map(|k: KeyMetadata| k.arn.to_string());
    kms.create_alias("alias/a", &one).unwrap();
    assert_eq!(code(kms.create_alias("alias/a", &two)), "AlreadyExistsException");
    assert_eq!(behind("alias/a"), Ok(one.clone()));
    kms.update_alias("alias/a", &two).unwrap();
    assert_eq!(behind("arn:aws:kms:us-east-1:111122223333:alias/a"), Ok(two.clone()));
    assert_eq!(code(kms.update_alias("alias/a", &signs)), "ValidationException");
    assert_eq!(code(kms.update_alias("alias/none", &one)), "NotFoundException");
    assert_eq!(code(kms.delete_alias("alias/none")), "NotFoundException");
    for wrong in ["a", "alias/", "alias/a b", &one] {
        assert_eq!(code(kms.create_alias(wrong, &one)), "ValidationException", "{wrong}");
    }
    kms.create_alias("alias/b", &one).unwrap();
    let names = |key: Option<&str>| -> Vec<String> {
        kms.list_aliases(key).unwrap().into_iter().map(|a| a.name).collect()
    };
    assert_eq!(names(None), ["alias/a", "alias/b"]);
    assert_eq!(names(Some(&one)), ["alias/b"]);
    kms.delete_alias("alias/a").unwrap();
    assert_eq!(code(kms.describe_key("alias/a")), "NotFoundException");
    assert!(kms.describe_key(&two).is_ok(), "the key stays");
}

#[test]
fn a_region_has_so_many_aliases_and_no_more() {
    let f = Fixture::new();
    let key = f.store.create_key(&region("us-east-1")).unwrap();
    let all: std::collections::BTreeMap<String, &str> =
        (0..9_999).map(|n| (format!("a{n}"), key.id.as_str())).collect();
    let path = f.dir.path().join("kms/us-east-1/aliases.json");
    fs::write(path, serde_json::to_vec(&all).unwrap()).unwrap();
    assert_eq!(code(f.kms().create_alias("alias/last", &key.id)), "");
    assert_eq!(code(f.kms().create_alias("alias/more", &key.id)), "LimitExceededException");
}

/// The key's file, and where it lies.
fn file_of(f: &Fixture, key: &str) -> (std::path::PathBuf, Value) {
    let id = key.rsplit_once('/').unwrap().1;
    let path = f.dir.path().join(format!("kms/us-east-1/{id}.json"));
    let file = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    (path, file)
}

#[test]
fn a_key_file_of_the_first_version_is_read() {
    let f = Fixture::new();
    let kms = f.kms();
    let key = f.store.create_key(&region("us-east-1")).unwrap().to_string();
    let made = kms.encrypt(&key, b"x", &Pairs::new()).unwrap().ciphertext;
    let (path, now) = file_of(&f, &key);
    let material = &now["materials"][0];
    let first = serde_json::json!({
        "arn": now["arn"], "state": "Enabled", "created": now["created"], "rotation": false,
        "policy": now["policy"],
        "materials": [{"id": material["id"], "sealed": material["sealed"]}],
    });
    fs::write(&path, first.to_string()).unwrap();
    assert!(kms.decrypt(Some(&key), &made, &Pairs::new()).is_ok());
    let about = kms.describe_key(&key).unwrap();
    assert_eq!((about.spec, about.origin), (KeySpec::SymmetricDefault, Origin::AwsKms));
    kms.rotate_key_on_demand(&key).unwrap();
    assert!(kms.decrypt(None, &made, &Pairs::new()).is_ok());
}

#[test]
fn no_changed_byte_of_sealed_material_is_used() {
    let f = Fixture::new();
    let symmetric = f.store.create_key(&region("us-east-1")).unwrap().to_string();
    let rsa = f.kms().create_key(&signing(KeySpec::Rsa2048)).unwrap().arn.to_string();
    for (key, pointers, step) in [
        (&symmetric, &["/materials/0/sealed", "/materials/0/id"][..], 1),
        (&rsa, &["/private_key"], 41),
    ] {
        let (path, whole) = file_of(&f, key);
        for pointer in pointers {
            let hex = whole.pointer(pointer).unwrap().as_str().unwrap().to_owned();
            for at in (0..hex.len()).step_by(step) {
                let mut changed = hex.clone().into_bytes();
                changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
                let mut file = whole.clone();
                *file.pointer_mut(pointer).unwrap() = String::from_utf8(changed).unwrap().into();
                fs::write(&path, file.to_string()).unwrap();
                let error = f.kms().describe_key(key).err().unwrap();
                let text = error.to_string();
                assert_eq!(error.code(), "KMSInternalException", "{pointer} {at}");
                assert!(text.contains(".json") && text.contains("material"), "{text}");
            }
        }
        fs::write(&path, whole.to_string()).unwrap();
        assert!(f.kms().describe_key(key).is_ok());
    }
}

#[test]
fn a_damaged_key_file_is_named_and_another_keys_file_refused() {
    let f = Fixture::new();
    let [one, two] =
        [(); 2].map(|()| f.store.create_key(&region("us-east-1")).unwrap().to_string());
    let (path, file) = file_of(&f, &one);
    let (other, _) = file_of(&f, &two);
    fs::copy(&path, &other).unwrap();
    let error = f.kms().describe_key(&two).unwrap_err();
    assert!(error.to_string().contains(&format!("it is the file of {one}")), "{error}");
    let whole = file.to_string();
    for bad in [&whole[..whole.len() / 2], "", "[]", &whole.replace("Enabled", "Exotic")] {
        fs::write(&path, bad).unwrap();
        let error = f.kms().describe_key(&one).unwrap_err();
        assert_eq!(error.code(), "KMSInternalException");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        assert_eq!(code(f.kms().rotate_key_on_demand(&one)), "KMSInternalException");
    }
}

#[test]
fn no_secret_is_on_disk_or_in_an_error() {
    let f = Fixture::new();
    let kms = f.kms();
    let mark = b"MARKED-SECRET-MATERIAL-32-BYTES!";
    let asked = CreateKey { origin: Origin::External, ..CreateKey::default() };
    let key = kms.create_key(&asked).unwrap().arn.to_string();
    let marked = Zeroizing::new(mark.to_vec());
    kms.import_key_material(&key, &marked, None).unwrap();
    let data_key = kms.generate_data_key(&key, &Pairs::new()).unwrap();
    let mut errors = Vec::new();
    let mut longer = marked.clone();
    longer.push(b'x');
    errors.push(kms.import_key_material(&key, &longer, None).unwrap_err());
    longer.truncate(32);
    longer[0] ^= 1;
    errors.push(kms.import_key_material(&key, &longer, None).unwrap_err());
    let wrong = pairs(&[("a", "b")]);
    errors.push(kms.decrypt(None, &data_key.wrapped, &wrong).err().unwrap());
    let (path, mut file) = file_of(&f, &key);
    file["materials"][0]["sealed"] = "00".into();
    let before = fs::read(&path).unwrap();
    fs::write(&path, file.to_string()).unwrap();
    errors.push(kms.describe_key(&key).unwrap_err());
    fs::write(&path, before).unwrap();
    let plain = data_key.plaintext.as_slice();
    let told = |bytes: &[u8], secret: &[u8]| {
        let (hex, upper) = (hex::encode(secret), hex::encode_upper(secret));
        let lists = format!("{:?}", &secret[..8]);
        let shapes =
            [&secret[..8], &hex.as_bytes()[..16], &upper.as_bytes()[..16], lists.as_bytes()];
        shapes.iter().any(|s| bytes.windows(s.len()).any(|w| w == *s))
    };
    assert!(told(b"x MARKED-SECRET", mark), "the search finds what it looks for");
    for secret in [mark.as_slice(), plain] {
        for error in &errors {
            assert!(!told(format!("{error} {error:?}").as_bytes(), secret), "{error:?}");
        }
        for path in crate::support::files(f.dir.path()) {
            assert!(!told(&fs::read(&path).unwrap(), secret), "{}", path.display());
        }
    }
}
