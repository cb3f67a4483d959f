//! How an object's data keys are kept.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use trail::ports::Pairs;

/// How an object's data keys are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "sse")]
pub enum Method {
    /// SSE-S3: wrapped by a root key of the store; see [`crate::keyring::wrap_s3`].
    #[serde(rename = "AES256")]
    S3 {
        /// Generation of the root key.
        generation: u32,
        /// The data key, wrapped.
        wrapped: HexBytes,
    },
    /// SSE-KMS.
    #[serde(rename = "aws:kms")]
    Kms {
        /// The KMS key's ARN.
        arn: String,
        /// The whole encryption context.
        context: Pairs,
        /// What GenerateDataKey gave to keep: of the object's data key, or of the Bucket Key.
        wrapped: HexBytes,
        /// With a Bucket Key: the salt of [`crate::keyring::object_key`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bucket_salt: Option<HexBytes>,
    },
    /// DSSE-KMS: the inner layer under a KMS data key, the outer one under a key of the store.
    #[serde(rename = "aws:kms:dsse")]
    Dsse {
        /// The KMS key's ARN.
        arn: String,
        /// The whole encryption context.
        context: Pairs,
        /// The inner layer's key, as GenerateDataKey wrapped it.
        wrapped: HexBytes,
        /// Generation of the SSE-S3 root key.
        generation: u32,
        /// The outer layer's key; see [`crate::keyring::wrap_s3`].
        wrapped_s3: HexBytes,
    },
    /// SSE-C; see [`crate::customer_key::CustomerKey`].
    #[serde(rename = "SSE-C")]
    Customer {
        /// The salt that made the object's key of the customer's.
        salt: HexBytes,
        /// The salt of `check`.
        check_salt: HexBytes,
        /// By what the customer's key is recognised: its HMAC under `check_salt`.
        check: HexBytes,
    },
}

impl Method {
    /// How often each chunk is encrypted.
    pub(super) fn layers(&self) -> usize {
        if matches!(self, Self::Dsse { .. }) { 2 } else { 1 }
    }

    /// Gives `part` all that every chunk is bound to: what leads to the keys, in a fixed order.
    pub(super) fn each_aad_part(&self, mut part: impl FnMut(&[u8])) {
        let mut pairs = None;
        match self {
            Self::S3 { generation, wrapped } => {
                part(b"AES256");
                part(&generation.to_le_bytes());
                part(&wrapped.0);
            }
            Self::Kms { arn, context, wrapped, bucket_salt } => {
                part(b"aws:kms");
                part(arn.as_bytes());
                part(&wrapped.0);
                part(bucket_salt.as_ref().map_or(&[], |salt| &salt.0));
                pairs = Some(context);
            }
            Self::Dsse { arn, context, wrapped, generation, wrapped_s3 } => {
                part(b"aws:kms:dsse");
                part(arn.as_bytes());
                part(&wrapped.0);
                part(&generation.to_le_bytes());
                part(&wrapped_s3.0);
                pairs = Some(context);
            }
            Self::Customer { salt, check_salt, check } => {
                part(b"SSE-C");
                part(&salt.0);
                part(&check_salt.0);
                part(&check.0);
            }
        }
        // A map's order is its names' byte order, so equal contexts give equal bytes.
        for (name, value) in pairs.into_iter().flatten() {
            part(name.as_bytes());
            part(value.as_bytes());
        }
    }
}

/// Bytes that are written as hex digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HexBytes(pub Vec<u8>);

impl Serialize for HexBytes {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&hex::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for HexBytes {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(d)?;
        hex::decode(text.as_bytes()).map(Self).map_err(serde::de::Error::custom)
    }
}
