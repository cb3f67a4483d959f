//! Marked keys of every kind go through a whole run; none is found in the store or in an error.

use std::fmt::{Debug, Display};

use encryptor::client_side::ClientKey;
use encryptor::customer_key::CustomerKey;
use encryptor::keys::SecretKey;
use local::kms::{CreateKey, Origin};
use local::s3::{DefaultSse, GetObject, PutObject, Sse};
use local::{OpenOptions, Store};
use trail::ports::Pairs;
use zeroize::Zeroizing;

use super::store::*;
use crate::support::fixture;

const MARKS: [&[u8; 32]; 3] = [
    b"MARKED-customer-key-------------",
    b"MARKED-imported-material--------",
    b"MARKED-client-side-key----------",
];

/// Error texts of a run, as a user or a log would see them.
#[derive(Default)]
struct Texts(String);

impl Texts {
    #[track_caller]
    fn of<T, E: Display + Debug>(&mut self, refused: Result<T, E>) {
        let Err(e) = refused else { panic!("it was not refused") };
        self.0.push_str(&format!("{e}\n{e:?}\n{e:#?}\n"));
    }
}

/// The forms in which bytes might leak: raw, hex, base64, a list of numbers.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    use base64::Engine as _;
    let hex: String = secret.iter().map(|b| format!("{b:02x}")).collect();
    let base64 = base64::engine::general_purpose::STANDARD.encode(secret);
    let numbers: Vec<String> = secret.iter().map(ToString::to_string).collect();
    let numbers = numbers[..8].join(", ");
    vec![secret.to_vec(), hex.into_bytes(), base64.into_bytes(), numbers.into_bytes()]
}

#[test]
fn no_marked_key_is_in_the_store_or_in_an_error() {
    let f = Fixture::new();
    let (s3, kms_client) = (f.root(), f.kms());
    let mut texts = Texts::default();
    let key = |bytes: &[u8]| SecretKey::from_slice(bytes).unwrap();
    let [customer, imported, client] = MARKS;

    s3.put_bucket_encryption(BUCKET, DefaultSse::S3, Some(false)).unwrap();
    s3.write("c", Sse::CustomerKey(CustomerKey::new(key(customer)))).unwrap();
    texts.of(s3.read("c"));
    let wrong = CustomerKey::new(key(b"MARKED-customer-key-another-----"));
    let get = GetObject { customer_key: Some(wrong), range: None };
    texts.of(s3.get_object(BUCKET, "c", &get).map(drop));
    let garbled = CustomerKey::from_headers(
        Some("AES256"),
        Some(std::str::from_utf8(customer).unwrap()),
        Some("x"),
    );
    texts.of(garbled.map(drop));

    let asked = CreateKey { origin: Origin::External, ..CreateKey::default() };
    let arn = kms_client.create_key(&asked).unwrap().arn.to_string();
    let material = Zeroizing::new(imported.to_vec());
    kms_client.import_key_material(&arn, &material, None).unwrap();
    let other = Zeroizing::new(b"MARKED-imported-material-another".to_vec());
    texts.of(kms_client.import_key_material(&arn, &other, None).map(drop));
    texts.of(kms_client.import_key_material(&f.key(), &material, None).map(drop));
    s3.write("k", kms(&arn)).unwrap();
    let data_key = kms_client.generate_data_key(&arn, &Pairs::new()).unwrap();
    let wrong_context = pairs(&[("a", "b")]);
    texts.of(kms_client.decrypt(None, &data_key.wrapped, &wrong_context).map(drop));

    let client = ClientKey::new(key(client), Pairs::new()).unwrap();
    let sealed = client.seal(BODY, Pairs::new()).unwrap();
    texts.of(client.open(&sealed.metadata, b"another body, long enough to have a tag"));
    let put = PutObject { metadata: sealed.metadata, ..PutObject::new(Sse::S3) };
    s3.put_bytes(BUCKET, "client", put, &sealed.body).unwrap();

    let pem = std::fs::read_to_string(fixture("keys/throwaway-test-signing-key.pem")).unwrap();
    let to = f.now() + std::time::Duration::from_secs(3600);
    f.store.signing_keys().import_pem(&f.home, &pem, (f.now(), to)).unwrap();
    let cut = &pem[..pem.len() / 2];
    texts.of(f.store.signing_keys().import_pem(&f.home, cut, (f.now(), to)));

    // A store that was meddled with says so, and nothing else.
    let root = std::fs::read_to_string(f.dir.path().join("root.key")).unwrap();
    let copy = tempfile::tempdir().unwrap();
    crate::support::copy_tree(f.dir.path(), copy.path());
    std::fs::write(copy.path().join("root.key"), root.replace(&root[..2], "0x")).unwrap();
    let clock = std::sync::Arc::new(local::SystemClock);
    texts.of(Store::open(copy.path(), &OpenOptions::default(), clock).map(drop));

    let pem_line = pem.lines().nth(3).unwrap().as_bytes().to_vec();
    let mut secrets: Vec<Vec<u8>> = MARKS.iter().flat_map(|m| forms(*m)).collect();
    secrets.push(b"MARKED".to_vec());
    secrets.push(pem_line);
    secrets.extend(forms(data_key.plaintext.as_slice()));
    for secret in &secrets {
        let shown = String::from_utf8_lossy(secret);
        assert!(!f.holds(secret), "{shown} is in the store");
        assert!(!texts.0.as_bytes().windows(secret.len()).any(|w| w == secret), "{shown}");
    }
    let root = root.trim();
    assert!(!texts.0.contains(&root[2..]), "the root secret is in an error");
    let elsewhere = f.files().into_iter().filter(|(path, _)| !path.ends_with("root.key"));
    for (path, file) in elsewhere {
        let found = file.windows(root.len()).any(|w| w == root.as_bytes());
        assert!(!found, "the root secret is in {}", path.display());
    }
}
