//! The methods, one after the other.

use std::collections::BTreeSet;
use std::io::Read as _;

use encryptor::client_side::ClientKey;
use encryptor::customer_key::CustomerKey;
use encryptor::keys::SecretKey;
use local::s3::{ByteRange, Connection, DefaultSse, GetObject, PutObject, Sse};
use local::{KmsCalls, S3Client};
use md5::Digest as _;
use serde_json::json;
use trail::error::StoreError;
use trail::ports::{Pairs, PutReceipt, SseAlgorithm};

use super::store::*;

const CUSTOMER_KEY: &[u8] = b"marked-customer-key-0123456789ab";

fn customer_key() -> CustomerKey {
    CustomerKey::new(SecretKey::from_slice(CUSTOMER_KEY).unwrap())
}

fn with_key(key: CustomerKey) -> GetObject {
    GetObject { customer_key: Some(key), range: None }
}

fn put_with_key(client: &S3Client, key: &str) -> Result<PutReceipt, StoreError> {
    client.write(key, Sse::CustomerKey(customer_key()))
}

fn get_with_key(client: &S3Client, key: CustomerKey) -> Result<Vec<u8>, StoreError> {
    client.get_object(BUCKET, "c", &with_key(key))?.read_all(1 << 20)
}

#[test]
fn sse_c_needs_the_clients_key_for_every_read_and_keeps_only_a_salted_hmac_of_it() {
    let f = Fixture::new();
    let s3 = f.root();
    // New buckets block it; a setting that does not speak of the block leaves it.
    assert_eq!(answer(put_with_key(&s3, "c")), is(403, "AccessDenied"));
    s3.put_bucket_encryption(BUCKET, DefaultSse::S3, None).unwrap();
    assert_eq!(answer(put_with_key(&s3, "c")), is(403, "AccessDenied"));
    s3.put_bucket_encryption(BUCKET, DefaultSse::S3, Some(false)).unwrap();

    let receipt = put_with_key(&s3, "c").unwrap();
    assert!(receipt.sse.customer_key && receipt.sse.algorithm.is_none());
    assert_eq!(get_with_key(&s3, customer_key()).unwrap(), BODY);
    let other = || CustomerKey::new(SecretKey::from_slice(&[7; 32]).unwrap());
    assert_eq!(answer(get_with_key(&s3, other())), is(403, "AccessDenied"));
    assert_eq!(answer(s3.read("c")), is(400, "InvalidRequest"));
    let head = |get: &GetObject| s3.head_object(BUCKET, "c", get);
    assert_eq!(answer(head(&GetObject::default())), is(400, "InvalidRequest"));
    assert_eq!(answer(head(&with_key(other()))), is(403, "AccessDenied"));
    assert_eq!(head(&with_key(customer_key())).unwrap().size, BODY.len() as u64);
    // A key sent for an object that needs none is a mistake of the client.
    s3.write("plain", Sse::S3).unwrap();
    let sent = s3.get_object(BUCKET, "plain", &with_key(customer_key())).map(drop);
    assert_eq!(answer(sent), is(400, "InvalidRequest"));

    // Through a network without TLS the key would be everybody's.
    let plain = s3.clone().over(Connection::Plain);
    assert_eq!(answer(put_with_key(&plain, "d")), is(400, "InvalidRequest"));
    assert_eq!(answer(get_with_key(&plain, customer_key())), is(400, "InvalidRequest"));
    let loopback = s3.clone().over(Connection::PlainLoopback);
    assert_eq!(get_with_key(&loopback, customer_key()).unwrap(), BODY);

    // The same key for two objects leaves nothing in common, and the key itself nowhere.
    put_with_key(&s3, "d").unwrap();
    assert!(!f.holds(CUSTOMER_KEY) && !f.holds(hex(CUSTOMER_KEY).as_bytes()) && !f.holds(BODY));
    // Deleting needs no key; blocking again stops writes, not reads.
    s3.delete_object(BUCKET, "d").unwrap();
    s3.put_bucket_encryption(BUCKET, DefaultSse::S3, Some(true)).unwrap();
    assert_eq!(answer(put_with_key(&s3, "d")), is(403, "AccessDenied"));
    assert_eq!(get_with_key(&s3, customer_key()).unwrap(), BODY);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn sse_c_headers_that_do_not_fit_are_refused_with_the_codes_of_s3() {
    let key = base64(CUSTOMER_KEY);
    let md5 = "5JUWRjyfl8MPiiRyLTwUyg=="; // of another key
    let read = CustomerKey::from_headers(Some("AES256"), Some(&key), Some(md5));
    assert_eq!(read.map(drop).unwrap_err().code(), "InvalidArgument");
    let read = CustomerKey::from_headers(Some("AES128"), Some(&key), None);
    assert_eq!(read.map(drop).unwrap_err().code(), "InvalidEncryptionAlgorithmError");
    for (algorithm, key) in [(None, Some(key.as_str())), (Some("AES256"), None)] {
        let read = CustomerKey::from_headers(algorithm, key, None);
        assert_eq!(read.map(drop).unwrap_err().code(), "InvalidArgument");
    }
    let short = &CUSTOMER_KEY[..16];
    let (short, short_md5) = (base64(short), base64(&md5::Md5::digest(short)));
    let read = CustomerKey::from_headers(Some("AES256"), Some(&short), Some(&short_md5));
    assert_eq!(read.map(drop).unwrap_err().code(), "InvalidArgument");
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[test]
fn sse_s3_wraps_a_key_per_object_and_rotates_its_root_key_by_itself() {
    let f = Fixture::new();
    let s3 = f.root();
    let receipt = s3.write("old", Sse::S3).unwrap();
    assert_eq!(receipt.sse.algorithm, Some(SseAlgorithm::Aes256));
    assert_eq!(receipt.sse.kms_key, None);
    assert_eq!(receipt.etag.0, md5_hex(BODY), "the ETag is the content's MD5");
    let generations = || {
        let file = std::fs::read(f.dir.path().join("s3-root.json")).unwrap();
        let file: serde_json::Value = serde_json::from_slice(&file).unwrap();
        file["generations"].as_array().unwrap().len()
    };
    assert_eq!(generations(), 1);
    f.advance(91 * DAY);
    s3.write("new", Sse::S3).unwrap();
    assert_eq!(generations(), 2);
    assert_eq!(s3.read("old").unwrap(), BODY);
    assert_eq!(s3.read("new").unwrap(), BODY);
    // Two objects of one body share no ciphertext.
    let sealed = |key: &str| {
        let path = f.dir.path().join(format!("buckets/{BUCKET}/objects/{key}.sealed"));
        let file = std::fs::read(path).unwrap();
        file[file.len() - BODY.len() - 16..].to_vec()
    };
    assert_ne!(sealed("old"), sealed("new"));
    // No role separation: who may read the object needs nothing else.
    let reader = user("reader", &allow(&["s3:GetObject"]));
    assert_eq!(f.s3_of(&reader).read("old").unwrap(), BODY);
    assert_eq!(f.store.kms_calls(), KmsCalls { generate_data_key: 0, decrypt: 0 });
}

fn md5_hex(bytes: &[u8]) -> String {
    hex(&md5::Md5::digest(bytes))
}

#[test]
fn sse_kms_calls_generate_data_key_and_decrypt_under_the_whole_encryption_context() {
    let f = Fixture::new();
    let (s3, arn) = (f.root(), f.key());
    f.kms().create_alias("alias/trail", &arn).unwrap();
    let context = pairs(&[("aws:cloudtrail:arn", TRAIL), ("department", "audit")]);
    let sse = Sse::Kms {
        key: Some("alias/trail".to_owned()),
        context: context.clone(),
        bucket_key: Some(false),
    };
    let receipt = s3.write(KEY, sse).unwrap();
    assert_eq!(receipt.sse.algorithm, Some(SseAlgorithm::Kms));
    assert_eq!(receipt.sse.kms_key.as_deref(), Some(arn.as_str()), "the full ARN, not the alias");
    assert_ne!(receipt.etag.0, md5_hex(BODY), "the ETag is not the MD5");
    assert_eq!(s3.read(KEY).unwrap(), BODY);
    assert_eq!(f.store.kms_calls(), KmsCalls { generate_data_key: 1, decrypt: 1 });

    // A policy that demands exactly this context admits the reader; any other does not.
    let object = format!("arn:aws:s3:::{BUCKET}/{KEY}");
    let demand = |name: &str, value: &str| {
        let key = format!("kms:EncryptionContext:{name}");
        json!([
            {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"},
            {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*",
             "Condition": {"StringEquals": {key: value}}},
        ])
    };
    for (name, value, expected) in [
        ("aws:s3:arn", object.as_str(), is(200, "")),
        ("aws:cloudtrail:arn", TRAIL, is(200, "")),
        ("department", "audit", is(200, "")),
        ("department", "Audit", is(403, "AccessDenied")),
        ("aws:s3:arn", "arn:aws:s3:::audit-logs", is(403, "AccessDenied")),
        ("absent", "x", is(403, "AccessDenied")),
    ] {
        let reader = user("reader", &demand(name, value));
        assert_eq!(answer(f.s3_of(&reader).read(KEY)), expected, "{name} {value}");
    }
    // What S3 adds cannot be set by the caller.
    let foreign = pairs(&[("aws:s3:arn", "arn:aws:s3:::other/key")]);
    let sse = Sse::Kms { key: Some(arn), context: foreign, bucket_key: None };
    assert_eq!(answer(s3.write("x", sse)), is(400, "InvalidArgument"));
}

#[test]
fn the_first_upload_without_a_key_makes_the_accounts_default_key_and_later_ones_use_it() {
    let f = Fixture::new();
    let none = || Sse::Kms { key: None, context: Pairs::new(), bucket_key: None };
    let s3 = f.root();
    let first = s3.write("a", none()).unwrap().sse.kms_key.unwrap();
    assert!(first.starts_with("arn:aws:kms:us-east-1:111122223333:key/"), "{first}");
    assert_eq!(s3.write("b", none()).unwrap().sse.kms_key.as_ref(), Some(&first));
    let described = f.kms().describe_key("alias/aws/s3").unwrap();
    assert_eq!(described.arn.to_string(), first);
    // Everyone of the account who may use the bucket may use it, through S3 only.
    let reader = user("reader", &allow(&["s3:*"]));
    assert_eq!(f.s3_of(&reader).read("a").unwrap(), BODY);
    let direct = f.kms_of(&user("direct", &allow(&["kms:*"])));
    let code = direct.generate_data_key(&first, &Pairs::new()).map(drop).unwrap_err().code();
    assert_eq!(code, "AccessDeniedException");
    // It is AWS's: nobody changes it, and nobody of another account gets in.
    assert!(f.kms().disable_key(&first).is_err());
    let stranger = user_of(OTHER_ACCOUNT, "stranger", &allow(&["s3:*", "kms:*"]));
    let open_bucket = document(&[json!({
        "Effect": "Allow", "Principal": "*", "Action": "s3:*",
        "Resource": [format!("arn:aws:s3:::{BUCKET}"), format!("arn:aws:s3:::{BUCKET}/*")],
    })]);
    s3.put_bucket_policy(BUCKET, &open_bucket).unwrap();
    assert_eq!(answer(f.s3_of(&stranger).read("a")), is(403, "AccessDenied"));
    // Each region has its own.
    let west = region("eu-west-1");
    f.store.create_bucket("other-logs", &west).unwrap();
    let put = s3.put_bytes("other-logs", "a", PutObject::new(none()), BODY).unwrap();
    assert!(put.sse.kms_key.unwrap().contains(":eu-west-1:"));
}

#[test]
fn bucket_keys_spare_calls_for_a_bounded_time_per_requester() {
    let f = Fixture::new();
    let (s3, arn) = (f.root(), f.key());
    for n in 0..10_000 {
        if n % 1_000 == 0 {
            f.advance(60);
        }
        s3.write(&format!("{n}"), bucket_key(&arn)).unwrap();
    }
    let calls = f.store.kms_calls();
    assert!((2..=20).contains(&calls.generate_data_key), "{calls:?} for 10,000 puts");
    let head = s3.head_object(BUCKET, "7", &GetObject::default()).unwrap();
    assert_eq!(head.sse.bucket_key, Some(true));
    // Its context is the bucket's, so one data key serves all; each object has a key of its own.
    let policy = |value: &str| {
        json!([
            {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"},
            {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*",
             "Condition": {"StringEquals": {"kms:EncryptionContext:aws:s3:arn": value}}},
        ])
    };
    let reader = user("reader", &policy("arn:aws:s3:::audit-logs"));
    assert_eq!(f.s3_of(&reader).read("7").unwrap(), BODY);
    let wrong = user("other", &policy("arn:aws:s3:::audit-logs/7"));
    assert_eq!(answer(f.s3_of(&wrong).read("7")), is(403, "AccessDenied"));
    // Whoever comes next asks for himself: no one reads by what another was allowed.
    let before = f.store.kms_calls().decrypt;
    for n in 0..50 {
        f.s3_of(&reader).read(&format!("{n}")).unwrap();
    }
    let same = f.store.kms_calls().decrypt;
    assert!(same - before <= 1, "one Decrypt for 50 reads");
    let second = user("second", &policy("arn:aws:s3:::audit-logs"));
    f.s3_of(&second).read("7").unwrap();
    assert_eq!(f.store.kms_calls().decrypt, same + 1);
}

#[test]
fn dsse_kms_seals_two_layers_and_needs_both_keys() {
    let f = Fixture::new();
    let (s3, arn) = (f.root(), f.key());
    let dsse = || Sse::Dsse { key: Some(arn.clone()), context: Pairs::new() };
    let receipt = s3.write("two", dsse()).unwrap();
    assert_eq!(receipt.sse.algorithm, Some(SseAlgorithm::KmsDsse));
    assert_eq!(receipt.sse.bucket_key, None);
    assert_eq!(s3.read("two").unwrap(), BODY);
    // Two tags where SSE-KMS has one.
    let path = |key: &str| f.dir.path().join(format!("buckets/{BUCKET}/objects/{key}.sealed"));
    let chunks = |key: &str| {
        let file = std::fs::read(path(key)).unwrap();
        let n = u32::from_le_bytes(file[8..12].try_into().unwrap()) as usize;
        file.len() - 12 - n - 32
    };
    s3.write("one", kms(&arn)).unwrap();
    assert_eq!(chunks("one"), BODY.len() + 16);
    assert_eq!(chunks("two"), BODY.len() + 32);
    // Without the KMS key there is nothing to read, whatever the store itself has.
    f.kms().disable_key(&arn).unwrap();
    assert_eq!(answer(s3.read("two")), is(400, "KMS.DisabledException"));
    f.kms().enable_key(&arn).unwrap();
    // Without the store's own layer neither.
    let roots = f.dir.path().join("s3-root.json");
    let kept = std::fs::read(&roots).unwrap();
    let mut lost: serde_json::Value = serde_json::from_slice(&kept).unwrap();
    lost["generations"] = json!([]);
    std::fs::write(&roots, lost.to_string()).unwrap();
    assert_eq!(answer(s3.read("two")), is(500, "InternalError"));
    std::fs::write(&roots, &kept).unwrap();
    assert_eq!(s3.read("two").unwrap(), BODY);
    s3.put_bucket_encryption(BUCKET, DefaultSse::Dsse { key: Some(arn) }, None).unwrap();
    let by_default = s3.write("default", Sse::BucketDefault).unwrap();
    assert_eq!(by_default.sse.algorithm, Some(SseAlgorithm::KmsDsse));
}

#[test]
fn a_bucket_default_applies_when_the_request_says_nothing() {
    let f = Fixture::new();
    let (s3, arn) = (f.root(), f.key());
    let algorithm = |key: &str, sse: Sse| s3.write(key, sse).unwrap().sse;
    assert_eq!(algorithm("a", Sse::BucketDefault).algorithm, Some(SseAlgorithm::Aes256));
    let default = DefaultSse::Kms { key: Some(arn.clone()), bucket_key: true };
    s3.put_bucket_encryption(BUCKET, default.clone(), None).unwrap();
    assert_eq!(s3.bucket_encryption(BUCKET).unwrap().default, default);
    let sse = algorithm("b", Sse::BucketDefault);
    assert_eq!((sse.kms_key, sse.bucket_key), (Some(arn.clone()), Some(true)));
    // An explicit request wins; what it leaves open comes from the bucket.
    assert_eq!(algorithm("c", Sse::S3).algorithm, Some(SseAlgorithm::Aes256));
    let open = Sse::Kms { key: Some(arn.clone()), context: Pairs::new(), bucket_key: None };
    assert_eq!(algorithm("d", open).bucket_key, Some(true));
    // As in S3, a wrong key is taken here and refused when something is written with it.
    let wrong = DefaultSse::Kms { key: Some("alias/none".to_owned()), bucket_key: false };
    s3.put_bucket_encryption(BUCKET, wrong, None).unwrap();
    assert_eq!(answer(s3.write("e", Sse::BucketDefault)), is(400, "KMS.NotFoundException"));
}

#[test]
fn a_client_side_encrypted_object_is_nothing_to_the_store() {
    let f = Fixture::new();
    let new_key = || ClientKey::new(SecretKey::generate().unwrap(), Pairs::new()).unwrap();
    let key = new_key();
    let sealed = key.seal(BODY, pairs(&[("case", "4711")])).unwrap();
    let put = PutObject { metadata: sealed.metadata, ..PutObject::new(kms(&f.key())) };
    f.root().put_bytes(BUCKET, "client", put, &sealed.body).unwrap();
    let reader = f.root().open("client").unwrap();
    let metadata = reader.meta().metadata.clone().unwrap();
    assert_eq!(metadata["case"], "4711");
    let stored = reader.read_all(1 << 20).unwrap();
    assert!(!stored.windows(8).any(|w| w == &BODY[..8]), "the store sees ciphertext only");
    assert_eq!(key.open(&metadata, &stored).unwrap(), BODY);
    assert!(new_key().open(&metadata, &stored).is_err());
    let mut changed = stored.clone();
    changed[3] ^= 1;
    assert!(key.open(&metadata, &changed).is_err());
}

#[test]
fn a_range_reads_only_its_bytes_under_every_method() {
    let f = Fixture::new();
    let (s3, arn) = (f.root(), f.key());
    s3.put_bucket_encryption(BUCKET, DefaultSse::S3, Some(false)).unwrap();
    let body: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
    let methods: [(&str, Sse); 5] = [
        ("s3", Sse::S3),
        ("kms", kms(&arn)),
        ("bucket-key", bucket_key(&arn)),
        ("dsse", Sse::Dsse { key: Some(arn.clone()), context: Pairs::new() }),
        ("customer", Sse::CustomerKey(customer_key())),
    ];
    let mut etags = BTreeSet::new();
    for (key, sse) in methods {
        let mut writer = s3.put_object(BUCKET, key, PutObject::new(sse)).unwrap();
        for piece in body.chunks(70_001) {
            writer.write(piece).unwrap();
        }
        etags.insert(writer.finish().unwrap().etag);
        for (range, expected) in [
            (ByteRange::Between(0, 0), 0..1),
            (ByteRange::Between(65_535, 65_536), 65_535..65_537),
            (ByteRange::Between(100_000, 400_000), 100_000..400_001),
            (ByteRange::From(799_990), 799_990..800_000),
            (ByteRange::Last(5), 799_995..800_000),
            (ByteRange::Between(0, u64::MAX), 0..800_000),
        ] {
            let customer = (key == "customer").then(customer_key);
            let get = GetObject { range: Some(range), customer_key: customer };
            let reader = s3.get_object(BUCKET, key, &get).unwrap();
            assert_eq!(reader.range(), expected.start as u64..expected.end as u64);
            assert_eq!(reader.read_all(1 << 20).unwrap(), body[expected], "{key} {range:?}");
        }
        let customer = (key == "customer").then(customer_key);
        let get = GetObject { range: Some(ByteRange::From(800_000)), customer_key: customer };
        assert_eq!(answer(s3.get_object(BUCKET, key, &get)), is(416, "InvalidRange"));
    }
    assert_eq!(etags.len(), 5);
}

#[test]
fn readers_stay_compatible_a_program_that_only_knows_get_object_reads_a_log() {
    let site = crate::support::Site::new();
    site.delivered(crate::support::events(30).as_bytes(), &[]);
    let store = local::Store::open(
        &site.store(),
        &local::OpenOptions::default(),
        std::sync::Arc::new(local::SystemClock),
    )
    .unwrap();
    let s3 = store.s3_as_root();
    let request =
        trail::ports::ListRequest { prefix: "corp/AWSLogs/", start_after: None, delimiter: false };
    let listed = s3.list_objects(BUCKET, &request).unwrap().entries;
    let logs: Vec<_> = listed.iter().filter(|e| e.key.contains("/CloudTrail/")).collect();
    let mut records = 0;
    for log in &logs {
        let object = s3.open(&log.key).unwrap();
        assert_eq!(object.meta().sse.algorithm, Some(SseAlgorithm::Kms));
        let mut json = String::new();
        let bytes = object.read_all(1 << 20).unwrap();
        assert_eq!(bytes.len() as u64, log.size);
        flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut json).unwrap();
        let log: serde_json::Value = serde_json::from_str(&json).unwrap();
        records += log["Records"].as_array().unwrap().len();
    }
    assert_eq!(records, 30);
}

/// Peak memory of this process, in KiB.
#[cfg(target_os = "linux")]
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "writes 5 GiB to the disk and reads them back; run it by itself, with --ignored"]
fn an_object_of_5_gib_streams_in_constant_memory() {
    let f = Fixture::new();
    let (s3, arn) = (f.root(), f.key());
    let piece: Vec<u8> = (0..1 << 20).map(|i: u32| i.to_le_bytes()[1]).collect();
    let mut writer = s3.put_object(BUCKET, "large", PutObject::new(kms(&arn))).unwrap();
    writer.write(&piece).unwrap();
    let before = peak_memory();
    for _ in 1..5 << 10 {
        writer.write(&piece).unwrap();
    }
    assert_eq!(writer.finish().unwrap().sse.algorithm, Some(SseAlgorithm::Kms));
    let mut reader = s3.open("large").unwrap();
    let mut at = 0;
    while let Some(chunk) = reader.next_chunk().unwrap() {
        let from = at % piece.len();
        assert_eq!(chunk, &piece[from..from + chunk.len()]);
        at += chunk.len();
    }
    assert_eq!(at, 5 << 30);
    let grown = peak_memory() - before;
    assert!(grown < 16 << 10, "{grown} KiB more for 5 GiB");
}
