//! AWS's own vector, and every part of an object changed in turn.

use proptest::prelude::*;

use super::*;

fn secret(byte: u8) -> SecretKey {
    SecretKey::new(Zeroizing::new([byte; KEY_BYTES]))
}

fn named(byte: u8, name: &str) -> ClientKey {
    ClientKey::new(secret(byte), Pairs::from([("key".to_owned(), name.to_owned())])).unwrap()
}

fn unnamed(byte: u8) -> ClientKey {
    ClientKey::new(secret(byte), Pairs::new()).unwrap()
}

/// An object that AWS's Go client reads (amazon-s3-encryption-client-go,
/// v3/client/decryption_client_v3_test.go, `GetMockV3Object`), with the data key that its key
/// service unwraps.
#[test]
fn an_object_of_aws_own_client_opens_and_is_made_again() {
    let data_key = SecretKey::from_slice(
        &BASE64_STANDARD.decode("lP6AbIQTmptyb/+WQq+ubDw+w7na0T1LGSByZGuaono=").unwrap(),
    )
    .unwrap();
    let (id, commitment) =
        ("sE9zLb4tsEBJkvEhLMZFxMj9oZJBbQ6ZOgOqHA==", "6JOSx47RkdyfciJkNauuC4RpkMcWZY4a+i1RzQ==");
    let plaintext = hex::decode(
        "8f2c59c6dbfcacf356f3da40788cbde67ca38161a4702cbcf757af663e1c24a600001b2f500417dbf5a050f5\
         7db6737422b2ed6a44c75e0d",
    )
    .unwrap();
    let body = hex::decode(
        "2d4ff4dafe27f69f628872d82b5a1002ed1a21b8485d532bd8159f6487945b3641af5865fc0a029a36500536\
         00c6d213625b9a0cc9c239577c09f3423dedc5641e88b6835824417c",
    )
    .unwrap();
    let key = unnamed(1);
    let message_id = bytes(NAME_MESSAGE_ID, "", id).unwrap();
    let sealed = key.seal_with(&data_key, &message_id, [9; 12], &plaintext, Pairs::new()).unwrap();
    assert_eq!(sealed.body, body);
    assert_eq!(sealed.metadata["x-amz-i"], id);
    assert_eq!(sealed.metadata["x-amz-d"], commitment);
    assert_eq!(sealed.metadata["x-amz-c"], "115");
    assert_eq!(sealed.metadata["x-amz-w"], "02");
    assert_eq!(key.open(&sealed.metadata, &body).unwrap(), plaintext);
}

#[test]
fn the_envelope_joins_the_callers_metadata() {
    let own = Pairs::from([("case".to_owned(), "4711".to_owned())]);
    let sealed = named(1, "2026").seal(b"evidence", own).unwrap();
    let names: Vec<_> = sealed.metadata.keys().map(String::as_str).collect();
    assert_eq!(names, ["case", "x-amz-3", "x-amz-c", "x-amz-d", "x-amz-i", "x-amz-m", "x-amz-w"]);
    assert_eq!(sealed.metadata["x-amz-m"], r#"{"key":"2026"}"#);
    assert!(!sealed.body.windows(8).any(|w| w == b"evidence"));
    assert_eq!(named(1, "2026").open(&sealed.metadata, &sealed.body).unwrap(), b"evidence");
    // Two objects of one plaintext have nothing in common but the key's name.
    let again = named(1, "2026").seal(b"evidence", Pairs::new()).unwrap();
    assert_ne!(again.body, sealed.body);
    for name in ["x-amz-3", "x-amz-d", "x-amz-i"] {
        assert_ne!(again.metadata[name], sealed.metadata[name]);
    }
}

#[test]
fn an_unnamed_key_leaves_the_description_out() {
    let sealed = unnamed(1).seal(b"x", Pairs::new()).unwrap();
    assert!(!sealed.metadata.contains_key("x-amz-m"));
    let mut metadata = sealed.metadata.clone();
    metadata.insert("x-amz-m".into(), "{}".into());
    assert_eq!(unnamed(1).open(&metadata, &sealed.body).unwrap(), b"x");
}

#[test]
fn each_change_has_its_own_error() {
    let key = named(1, "2026");
    let sealed = key.seal(b"evidence", Pairs::new()).unwrap();
    let other = key.seal(b"evidence", Pairs::new()).unwrap();
    let open = |change: &dyn Fn(&mut Sealed)| {
        let mut changed = sealed.clone();
        change(&mut changed);
        assert_ne!(changed, sealed);
        key.open(&changed.metadata, &changed.body).unwrap_err()
    };
    let put = |name: &'static str, value: &str| {
        let value = value.to_owned();
        open(&move |s| drop(s.metadata.insert(name.to_owned(), value.clone())))
    };
    use ClientSideError::*;
    assert_eq!(named(2, "2026").open(&sealed.metadata, &sealed.body), Err(DataKey));
    assert_eq!(named(1, "2027").open(&sealed.metadata, &sealed.body), Err(OtherKey));
    assert_eq!(unnamed(1).open(&sealed.metadata, &sealed.body), Err(OtherKey));
    assert_eq!(put("x-amz-m", r#"{"key":"2027"}"#), OtherKey);
    assert_eq!(put("x-amz-3", &other.metadata["x-amz-3"]), Commitment);
    assert_eq!(put("x-amz-i", &other.metadata["x-amz-i"]), Commitment);
    assert_eq!(put("x-amz-d", &other.metadata["x-amz-d"]), Commitment);
    assert_eq!(put("x-amz-c", "116"), Unsupported { name: "x-amz-c", expected: "115" });
    assert_eq!(put("x-amz-w", "12"), Unsupported { name: "x-amz-w", expected: "02" });
    for (name, values) in [
        ("x-amz-3", &["", "!", "AAAA"][..]),
        ("x-amz-i", &["", "!", "AAAA"]),
        ("x-amz-d", &["", "!", "AAAA"]),
        ("x-amz-m", &["", "[]", "{", r#"{"a":1}"#]),
    ] {
        for value in values {
            assert!(matches!(put(name, value), Malformed { name: n, .. } if n == name), "{value}");
        }
    }
    for name in ["x-amz-c", "x-amz-w", "x-amz-3", "x-amz-i", "x-amz-d"] {
        assert_eq!(open(&|s| drop(s.metadata.remove(name))), Missing { name });
    }
    assert_eq!(open(&|s| drop(s.metadata.remove("x-amz-m"))), OtherKey);
    for name in OLDER_NAMES {
        assert_eq!(put(name, "x"), Mixed { name });
    }
    assert_eq!(open(&|s| s.body.clone_from(&other.body)), Body);
    assert_eq!(open(&|s| s.metadata.clone_from(&other.metadata)), Body);
    assert_eq!(open(&|s| s.body.push(0)), Body);
    for cut in [0, 1, 15, 16, 23] {
        assert_eq!(open(&|s| s.body.truncate(cut)), Body);
    }
}

#[test]
fn no_flipped_bit_of_the_envelope_or_the_body_is_taken() {
    let key = unnamed(1);
    let sealed = key.seal(b"evidence", Pairs::new()).unwrap();
    for bit in 0..sealed.body.len() * 8 {
        let mut body = sealed.body.clone();
        body[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(key.open(&sealed.metadata, &body), Err(ClientSideError::Body));
    }
    for (name, expected) in [
        ("x-amz-3", ClientSideError::DataKey),
        ("x-amz-i", ClientSideError::Commitment),
        ("x-amz-d", ClientSideError::Commitment),
    ] {
        let bytes = BASE64_STANDARD.decode(&sealed.metadata[name]).unwrap();
        for bit in 0..bytes.len() * 8 {
            let (mut metadata, mut bytes) = (sealed.metadata.clone(), bytes.clone());
            bytes[bit / 8] ^= 1 << (bit % 8);
            metadata.insert(name.to_owned(), BASE64_STANDARD.encode(bytes));
            assert_eq!(key.open(&metadata, &sealed.body).as_ref(), Err(&expected), "{name} {bit}");
        }
    }
}

/// Another data key under which the same body opens too would be the attack that a commitment
/// is there against; here the attacker even has the wrapping key.
#[test]
fn a_body_that_opens_is_refused_when_the_commitment_is_not_its_keys() {
    let key = unnamed(1);
    let (data_key, id) = (secret(7), [3; COMMITMENT_BYTES]);
    let sealed = key.seal_with(&data_key, &id, [9; 12], b"evidence", Pairs::new()).unwrap();
    assert!(key.open(&sealed.metadata, &sealed.body).is_ok());
    let mut metadata = sealed.metadata;
    metadata.insert("x-amz-d".into(), BASE64_STANDARD.encode([0; COMMITMENT_BYTES]));
    assert_eq!(key.open(&metadata, &sealed.body), Err(ClientSideError::Commitment));
}

#[test]
fn bounds_and_reserved_names() {
    let key = unnamed(1);
    // Never touched, so it takes no memory.
    let long = vec![0; BODY_BYTES_MAX + TAG_BYTES + 1];
    let bytes = BODY_BYTES_MAX + 1;
    let too_long = ClientSideError::BodyTooLong { bytes };
    assert_eq!(key.seal(&long[..bytes], Pairs::new()), Err(too_long.clone()));
    let sealed = key.seal(b"", Pairs::new()).unwrap();
    assert_eq!(key.open(&sealed.metadata, &long), Err(too_long));
    assert_eq!(key.open(&sealed.metadata, &sealed.body).unwrap(), b"");

    let envelope: usize = sealed.metadata.iter().map(|(n, v)| n.len() + v.len()).sum();
    let own = |len: usize| Pairs::from([("n".to_owned(), "v".repeat(len))]);
    let room = USER_METADATA_BYTES_MAX - envelope - 1;
    assert!(key.seal(b"", own(room)).is_ok());
    let bytes = USER_METADATA_BYTES_MAX + 1;
    let refused = ClientSideError::MetadataTooLong { bytes };
    assert_eq!(key.seal(b"", own(room + 1)), Err(refused));

    for name in ["x-amz-3", "X-Amz-M", "x-amz-anything"] {
        let own = Pairs::from([(name.to_owned(), String::new())]);
        let refused = ClientSideError::Reserved { name: name.to_owned() };
        assert_eq!(key.seal(b"", own), Err(refused));
    }
    for text in ["ä", "a\n", "\u{7f}"] {
        for pair in [(text, "v"), ("n", text)] {
            let description = Pairs::from([(pair.0.to_owned(), pair.1.to_owned())]);
            let refused = ClientKey::new(secret(1), description).err();
            assert_eq!(refused, Some(ClientSideError::Description));
        }
    }
}

#[test]
fn errors_hold_nothing_of_the_keys_or_the_plaintext() {
    let marker = b"MARKED-KEY-0123456789-ABCDEFGHI!";
    let key = ClientKey::new(SecretKey::from_slice(marker).unwrap(), Pairs::new()).unwrap();
    let data_key = SecretKey::from_slice(marker).unwrap();
    let id = [3; COMMITMENT_BYTES];
    let sealed = key.seal_with(&data_key, &id, [9; 12], marker, Pairs::new()).unwrap();
    let mut errors = vec![unnamed(2).open(&sealed.metadata, &sealed.body).unwrap_err()];
    for name in sealed.metadata.keys() {
        for value in ["", &BASE64_STANDARD.encode([1; 28]), &BASE64_STANDARD.encode(marker)] {
            let mut metadata = sealed.metadata.clone();
            metadata.insert(name.clone(), value.to_owned());
            errors.push(key.open(&metadata, &sealed.body).unwrap_err());
        }
    }
    errors.push(key.open(&sealed.metadata, marker).unwrap_err());
    for error in errors {
        let text = format!("{error} {error:?}");
        for part in ["MARKED", &hex::encode(marker)[..12], &BASE64_STANDARD.encode(marker)[..12]] {
            assert!(!text.contains(part), "{text}");
        }
    }
}

proptest! {
    #[test]
    fn any_body_comes_back(
        body in proptest::collection::vec(any::<u8>(), 0..2000),
        name in "[ -~]{0,40}",
    ) {
        let key = named(5, &name);
        let sealed = key.seal(&body, Pairs::new()).unwrap();
        prop_assert_eq!(sealed.body.len(), body.len() + 16);
        prop_assert_eq!(key.open(&sealed.metadata, &sealed.body), Ok(body));
    }

    #[test]
    fn no_metadata_makes_it_fall(
        metadata in proptest::collection::btree_map("x-amz-[c3widm]", ".{0,90}", 0..7),
    ) {
        prop_assert!(unnamed(1).open(&metadata, &[0; 40]).is_err());
    }
}
