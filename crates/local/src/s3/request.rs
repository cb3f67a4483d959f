//! What a client asks of an object, with the names of the S3 API.

use std::ops::Range;

use encryptor::customer_key::CustomerKey;
use trail::error::StoreError;
use trail::ports::{Pairs, Precondition, SseRequest};

/// How a request reached the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// From within this process, or over TLS: nobody else saw it.
    Private,
    /// Over plain HTTP, without leaving this machine.
    PlainLoopback,
    /// Over plain HTTP, through a network.
    Plain,
}

impl Connection {
    /// The value of `aws:SecureTransport`.
    pub(crate) fn secure(self) -> bool {
        self == Self::Private
    }
}

/// Server-side encryption as a request asks for it.
pub enum Sse {
    /// The request says nothing: the bucket's default.
    BucketDefault,
    /// SSE-S3.
    S3,
    /// SSE-KMS.
    Kms {
        /// Key id, key ARN, alias name or alias ARN; None: the account's `aws/s3` key.
        key: Option<String>,
        /// Pairs that join the default `aws:s3:arn` in the encryption context.
        context: Pairs,
        /// Whether a Bucket Key is used; None: as the bucket's default says.
        bucket_key: Option<bool>,
    },
    /// DSSE-KMS: two layers, each under a data key of its own.
    Dsse {
        /// As for SSE-KMS.
        key: Option<String>,
        /// As for SSE-KMS.
        context: Pairs,
    },
    /// SSE-C.
    CustomerKey(CustomerKey),
}

impl Sse {
    /// The value of `x-amz-server-side-encryption`, as policies compare it.
    pub(crate) fn header(&self) -> Option<&'static str> {
        match self {
            Self::BucketDefault | Self::CustomerKey(_) => None,
            Self::S3 => Some("AES256"),
            Self::Kms { .. } => Some("aws:kms"),
            Self::Dsse { .. } => Some("aws:kms:dsse"),
        }
    }

    /// The value of `x-amz-server-side-encryption-aws-kms-key-id`.
    pub(crate) fn key_header(&self) -> Option<&str> {
        match self {
            Self::Kms { key, .. } | Self::Dsse { key, .. } => key.as_deref(),
            _ => None,
        }
    }
}

impl From<&SseRequest> for Sse {
    fn from(request: &SseRequest) -> Self {
        match request {
            SseRequest::S3 => Self::S3,
            SseRequest::Kms { key, context, bucket_key } => Self::Kms {
                key: Some(key.clone()),
                context: context.clone(),
                bucket_key: Some(*bucket_key),
            },
        }
    }
}

/// PutObject, without the object's bytes.
pub struct PutObject {
    /// How it is to be encrypted.
    pub sse: Sse,
    /// When it may take place; None: whatever is there is replaced.
    pub precondition: Option<Precondition>,
    /// User metadata, names without `x-amz-meta-`.
    pub metadata: Pairs,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Content-Encoding`.
    pub content_encoding: Option<String>,
    /// `x-amz-acl`; looked at by policies alone, because the owner has every object here.
    pub acl: Option<String>,
}

impl PutObject {
    /// A put that replaces what is there.
    #[must_use]
    pub fn new(sse: Sse) -> Self {
        Self {
            sse,
            precondition: None,
            metadata: Pairs::new(),
            content_type: None,
            content_encoding: None,
            acl: None,
        }
    }
}

/// A range of an object's bytes (RFC 9110, section 14.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// `bytes=FIRST-LAST`, both included.
    Between(u64, u64),
    /// `bytes=FIRST-`
    From(u64),
    /// `bytes=-N`: the last N.
    Last(u64),
}

impl ByteRange {
    /// The bytes it means in an object of `size` bytes; None when there are none.
    pub(crate) fn of(self, size: u64) -> Option<Range<u64>> {
        let range = match self {
            Self::Between(first, last) => first..last.saturating_add(1).min(size),
            Self::From(first) => first..size,
            Self::Last(n) => size.saturating_sub(n)..size,
        };
        (range.start < range.end).then_some(range)
    }
}

/// GetObject and HeadObject.
#[derive(Default)]
pub struct GetObject {
    /// Which bytes; None: all.
    pub range: Option<ByteRange>,
    /// The key of an SSE-C object.
    pub customer_key: Option<CustomerKey>,
}

/// A refusal that S3 has a name for.
pub(crate) fn refused(code: &'static str, what: impl Into<String>, reason: &str) -> StoreError {
    StoreError::Refused { code, what: what.into(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_http() {
        for (range, size, expected) in [
            (ByteRange::Between(0, 0), 5, Some(0..1)),
            (ByteRange::Between(1, 99), 5, Some(1..5)),
            (ByteRange::Between(3, 2), 5, None),
            (ByteRange::Between(5, 9), 5, None),
            (ByteRange::Between(0, u64::MAX), 5, Some(0..5)),
            (ByteRange::From(4), 5, Some(4..5)),
            (ByteRange::From(5), 5, None),
            (ByteRange::Last(2), 5, Some(3..5)),
            (ByteRange::Last(9), 5, Some(0..5)),
            (ByteRange::Last(0), 5, None),
            (ByteRange::Last(1), 0, None),
        ] {
            assert_eq!(range.of(size), expected, "{range:?} of {size}");
        }
    }
}
