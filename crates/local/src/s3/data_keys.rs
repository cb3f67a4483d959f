//! From an encryption method to an object's data keys, and back.

use encryptor::CryptoError;
use encryptor::customer_key::{CustomerKey, CustomerKeyError};
use encryptor::envelope::{HexBytes, Method, ObjectKeys};
use encryptor::keyring;
use encryptor::keys::{SecretKey, random};
use trail::error::{KeyError, StoreError};
use trail::ports::{DataKey, Pairs, SseAlgorithm, SseState};

use crate::kms::{Use, s3_service};
use crate::object_keys::{BucketKey, Shared};
use crate::s3::access::{Requester, arn_of};
use crate::s3::name::Name;
use crate::s3::request::{Connection, Sse, refused};
use crate::s3::settings::{Bucket, DefaultSse};
use crate::store::Inner;

const CONTEXT_ARN: &str = "aws:s3:arn";

/// What a new object is encrypted with.
pub(crate) struct NewKeys {
    pub(crate) keys: ObjectKeys,
    pub(crate) method: Method,
}

/// An SSE-KMS request, the bucket's default laid under it.
struct KmsRequest<'a> {
    key: Option<&'a str>,
    context: &'a Pairs,
    bucket_key: bool,
}

impl Inner {
    pub(crate) fn keys_for_put(
        &self,
        who: &Requester,
        bucket: &Bucket<'_>,
        name: Name<'_>,
        sse: &Sse,
    ) -> Result<NewKeys, StoreError> {
        let encryption = &bucket.settings.encryption;
        let none = Pairs::new();
        match sse {
            Sse::S3 => self.s3_keys(name),
            Sse::Kms { key, context, bucket_key } => {
                let by_default =
                    matches!(encryption.default, DefaultSse::Kms { bucket_key, .. } if bucket_key);
                let bucket_key = bucket_key.unwrap_or(by_default);
                let request = KmsRequest { key: key.as_deref(), context, bucket_key };
                self.kms_keys(who, bucket, name, &request)
            }
            Sse::Dsse { key, context } => {
                self.dsse_keys(who, bucket, name, key.as_deref(), context)
            }
            Sse::CustomerKey(key) => {
                secure_enough(who, name)?;
                if encryption.customer_keys_blocked {
                    let reason = "the bucket blocks writes with SSE-C; set its encryption with \
                                  BlockedEncryptionTypes NONE to allow them";
                    return Err(name.denied(reason));
                }
                let made = key.method_for(name.bucket, name.key);
                let (method, keys) = made.map_err(|e| name.crypto(e))?;
                Ok(NewKeys { keys, method })
            }
            Sse::BucketDefault => match &encryption.default {
                DefaultSse::S3 => self.s3_keys(name),
                DefaultSse::Kms { key, bucket_key } => {
                    let (key, bucket_key) = (key.as_deref(), *bucket_key);
                    self.kms_keys(
                        who,
                        bucket,
                        name,
                        &KmsRequest { key, context: &none, bucket_key },
                    )
                }
                DefaultSse::Dsse { key } => {
                    self.dsse_keys(who, bucket, name, key.as_deref(), &none)
                }
            },
        }
    }

    fn s3_keys(&self, name: Name<'_>) -> Result<NewKeys, StoreError> {
        let (generation, data_key, wrapped) = self.s3_data_key(name)?;
        let method = Method::S3 { generation, wrapped };
        Ok(NewKeys { keys: ObjectKeys::one(data_key), method })
    }

    /// A new data key and its wrapped form under the store's own root key.
    fn s3_data_key(&self, name: Name<'_>) -> Result<(u32, SecretKey, HexBytes), StoreError> {
        let roots = &self.secrets.s3_roots;
        let (generation, generations) = roots.for_writing(&self.files, self.clock.now())?;
        let wrap = || {
            let data_key = SecretKey::generate()?;
            let root = generations.key(generation).ok_or(CryptoError::Authentication)?;
            let wrapped = keyring::wrap_s3(root, generation, (name.bucket, name.key), &data_key)?;
            Ok((generation, data_key, HexBytes(wrapped)))
        };
        wrap().map_err(|e: CryptoError| name.crypto(e))
    }

    fn kms_keys(
        &self,
        who: &Requester,
        bucket: &Bucket<'_>,
        name: Name<'_>,
        request: &KmsRequest<'_>,
    ) -> Result<NewKeys, StoreError> {
        let subject = if request.bucket_key { None } else { Some(name.key) };
        let context = full_context(bucket, name, request.context, subject)?;
        if !request.bucket_key {
            let DataKey { plaintext, wrapped, key } = self
                .data_key_of(who, bucket, request.key, &context)
                .map_err(|e| name.key_error(e))?;
            let arn = key.to_string();
            let method =
                Method::Kms { arn, context, wrapped: HexBytes(wrapped), bucket_salt: None };
            return Ok(NewKeys { keys: ObjectKeys::one(SecretKey::new(plaintext)), method });
        }
        let derive = || {
            let via = s3_service(&bucket.region);
            let arn = self.kms_resolve(who.for_kms(&via), &bucket.region, request.key)?;
            let arn = arn.to_string();
            // Also with a key that is still cached: disabling it must bite at once.
            self.kms_usable(&bucket.region, &arn)?;
            let shared = who.sharing(&context);
            let bucket_key = self.bucket_keys.for_writing(
                bucket.name,
                &arn,
                shared,
                self.clock.now(),
                || {
                    let DataKey { plaintext, wrapped, .. } =
                        self.data_key_of(who, bucket, Some(&arn), &context)?;
                    Ok(BucketKey { key: SecretKey::new(plaintext), wrapped })
                },
            )?;
            let salt = random()?;
            let key = keyring::object_key(&bucket_key.key, &salt, name.key)?;
            let method = Method::Kms {
                arn,
                context: context.clone(),
                wrapped: HexBytes(bucket_key.wrapped.clone()),
                bucket_salt: Some(HexBytes(salt.to_vec())),
            };
            Ok(NewKeys { keys: ObjectKeys::one(key), method })
        };
        derive().map_err(|e: KeyError| name.key_error(e))
    }

    /// One layer under a data key of KMS, one under a data key of the store: whoever breaks one
    /// cipher, or steals one kind of key, has nothing.
    fn dsse_keys(
        &self,
        who: &Requester,
        bucket: &Bucket<'_>,
        name: Name<'_>,
        key: Option<&str>,
        context: &Pairs,
    ) -> Result<NewKeys, StoreError> {
        let context = full_context(bucket, name, context, Some(name.key))?;
        let inner = self.data_key_of(who, bucket, key, &context).map_err(|e| name.key_error(e))?;
        let (generation, outer, wrapped_s3) = self.s3_data_key(name)?;
        let method = Method::Dsse {
            arn: inner.key.to_string(),
            context,
            wrapped: HexBytes(inner.wrapped),
            generation,
            wrapped_s3,
        };
        Ok(NewKeys { keys: ObjectKeys::two(SecretKey::new(inner.plaintext), outer), method })
    }

    fn data_key_of(
        &self,
        who: &Requester,
        bucket: &Bucket<'_>,
        key: Option<&str>,
        context: &Pairs,
    ) -> Result<DataKey, KeyError> {
        let via = s3_service(&bucket.region);
        self.kms_generate_data_key(who.for_kms(&via), &bucket.region, key, context)
    }

    pub(crate) fn keys_for_get(
        &self,
        who: &Requester,
        bucket: &Bucket<'_>,
        name: Name<'_>,
        method: &Method,
        customer_key: Option<&CustomerKey>,
    ) -> Result<ObjectKeys, StoreError> {
        if let Some(keys) = self.customer_keys(who, name, method, customer_key)? {
            return Ok(keys);
        }
        match method {
            Method::S3 { generation, wrapped } => {
                Ok(ObjectKeys::one(self.unwrap_s3(name, *generation, wrapped)?))
            }
            Method::Kms { arn, context, wrapped, bucket_salt } => {
                let key = match bucket_salt {
                    None => self.decrypt_of(who, bucket, arn, wrapped, context),
                    Some(salt) => {
                        self.key_by_bucket_key(who, bucket, name, (arn, context, wrapped, salt))
                    }
                };
                Ok(ObjectKeys::one(key.map_err(|e| name.key_error(e))?))
            }
            Method::Dsse { arn, context, wrapped, generation, wrapped_s3 } => {
                let inner = self
                    .decrypt_of(who, bucket, arn, wrapped, context)
                    .map_err(|e| name.key_error(e))?;
                Ok(ObjectKeys::two(inner, self.unwrap_s3(name, *generation, wrapped_s3)?))
            }
            Method::Customer { .. } => Err(name.damaged("its key is its writer's")),
        }
    }

    /// The keys of an SSE-C object, once the customer's key is known to be the object's; None for
    /// any other. HeadObject asks this much too.
    pub(crate) fn customer_keys(
        &self,
        who: &Requester,
        name: Name<'_>,
        method: &Method,
        customer_key: Option<&CustomerKey>,
    ) -> Result<Option<ObjectKeys>, StoreError> {
        let is_customers = matches!(method, Method::Customer { .. });
        let Some(key) = customer_key else {
            if !is_customers {
                return Ok(None);
            }
            let reason = "the object is encrypted with SSE-C; send the key it was written with";
            return Err(refused("InvalidRequest", name.to_string(), reason));
        };
        secure_enough(who, name)?;
        let keys = key.keys_for(method, name.bucket, name.key);
        keys.map(Some).map_err(|e| match e {
            CustomerKeyError::Wrong => name.denied(e.to_string()),
            CustomerKeyError::Crypto(e) => name.crypto(e),
            _ => refused(e.code(), name.to_string(), &e.to_string()),
        })
    }

    fn unwrap_s3(
        &self,
        name: Name<'_>,
        generation: u32,
        wrapped: &HexBytes,
    ) -> Result<SecretKey, StoreError> {
        let roots = self.secrets.s3_roots.read()?;
        let root = roots
            .key(generation)
            .ok_or_else(|| name.damaged(format!("the store lacks SSE-S3 root key {generation}")))?;
        keyring::unwrap_s3(root, generation, (name.bucket, name.key), &wrapped.0)
            .map_err(|e| name.crypto(e))
    }

    fn decrypt_of(
        &self,
        who: &Requester,
        bucket: &Bucket<'_>,
        arn: &str,
        wrapped: &HexBytes,
        context: &Pairs,
    ) -> Result<SecretKey, KeyError> {
        let via = s3_service(&bucket.region);
        self.kms_decrypt_data_key(who.for_kms(&via), &bucket.region, arn, &wrapped.0, context)
    }

    fn key_by_bucket_key(
        &self,
        who: &Requester,
        bucket: &Bucket<'_>,
        name: Name<'_>,
        (arn, context, wrapped, salt): (&str, &Pairs, &HexBytes, &HexBytes),
    ) -> Result<SecretKey, KeyError> {
        // Also with a key that is still cached: disabling it must bite at once.
        self.kms_usable(&bucket.region, arn)?;
        let shared = who.sharing(context);
        let unwrap = || {
            let key = self.decrypt_of(who, bucket, arn, wrapped, context)?;
            Ok(BucketKey { key, wrapped: Vec::new() })
        };
        let now = self.clock.now();
        let bucket_key = self.bucket_keys.for_reading(&wrapped.0, shared, now, unwrap)?;
        let salt = salt.0.as_slice().try_into().map_err(|_| KeyError::InvalidCiphertext)?;
        Ok(keyring::object_key(&bucket_key.key, salt, name.key)?)
    }
}

impl Requester {
    fn sharing<'a>(&'a self, context: &'a Pairs) -> Shared<'a> {
        let source_arn = self.source_arn.as_deref();
        Shared { requester: &self.caller.principal, source_arn, context }
    }

    fn for_kms<'a>(&'a self, via: &'a str) -> Use<'a> {
        Use { caller: &self.caller, via: Some(via), source_arn: self.source_arn.as_deref() }
    }
}

/// S3 takes customer keys over TLS only; here nobody listens on the loopback interface either.
fn secure_enough(who: &Requester, name: Name<'_>) -> Result<(), StoreError> {
    if who.connection == Connection::Plain {
        let reason = "SSE-C needs TLS; treat the key as disclosed and use another";
        return Err(refused("InvalidRequest", name.to_string(), reason));
    }
    Ok(())
}

/// The pairs asked for and S3's own: the object's ARN, or the bucket's with a Bucket Key.
fn full_context(
    bucket: &Bucket<'_>,
    name: Name<'_>,
    asked: &Pairs,
    subject: Option<&str>,
) -> Result<Pairs, StoreError> {
    let arn = arn_of(bucket, subject);
    let mut context = asked.clone();
    match context.insert(CONTEXT_ARN.to_owned(), arn.clone()) {
        Some(other) if other != arn => {
            let reason = format!("the encryption context sets {CONTEXT_ARN}, which is S3's own");
            Err(name.invalid(reason))
        }
        _ => Ok(context),
    }
}

/// What the answers to puts and reads say of an object's encryption.
pub(crate) fn sse_state(method: &Method) -> SseState {
    let known = SseState { known: true, ..SseState::default() };
    match method {
        Method::S3 { .. } => SseState { algorithm: Some(SseAlgorithm::Aes256), ..known },
        Method::Kms { arn, bucket_salt, .. } => SseState {
            algorithm: Some(SseAlgorithm::Kms),
            kms_key: Some(arn.clone()),
            bucket_key: Some(bucket_salt.is_some()),
            ..known
        },
        Method::Dsse { arn, .. } => {
            SseState { algorithm: Some(SseAlgorithm::KmsDsse), kms_key: Some(arn.clone()), ..known }
        }
        Method::Customer { .. } => SseState { customer_key: true, ..known },
    }
}
