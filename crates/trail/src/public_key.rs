//! Public keys of digest signers, as CloudTrail's ListPublicKeys gives them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::Digest as _;
use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::name::Region;

/// One key of ListPublicKeys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// The key, DER: PKCS#1 `RSAPublicKey` as documented, or X.509 SubjectPublicKeyInfo, of
    /// which AWS has published one.
    pub der: Vec<u8>,
    /// 32 lower-case hex digits; see [`fingerprint`].
    pub fingerprint: String,
    /// Start of the time in which the key signs.
    pub valid_from: Timestamp,
    /// End of the time in which the key signs.
    pub valid_to: Timestamp,
    /// The region the key signs for, where known.
    pub region: Option<Region>,
}

/// The fingerprint by which a digest names its key: lower-case hex MD5 of the DER bytes as
/// listed. A label, not security: a key is trusted for where it came from, never for this.
///
/// Not documented by AWS; holds for all four key and fingerprint pairs that AWS has published.
#[must_use]
pub fn fingerprint(der: &[u8]) -> String {
    hex::encode(md5::Md5::digest(der))
}

/// `aws cloudtrail list-public-keys` output, with the `Region` that `trailseal keys export` adds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PublicKeyList {
    /// The keys.
    #[serde(rename = "PublicKeyList")]
    pub keys: Vec<ListedKey>,
}

/// An entry of [`PublicKeyList`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListedKey {
    /// Base64 of the DER bytes.
    pub value: String,
    /// Epoch seconds (AWS CLI v1) or RFC 3339 (v2).
    pub validity_start_time: ListedTime,
    /// As the start.
    pub validity_end_time: ListedTime,
    /// See [`fingerprint`].
    pub fingerprint: String,
    /// Not AWS's own; says which region was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
}

/// A time in either form that the AWS CLI prints.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ListedTime {
    /// RFC 3339.
    Text(Timestamp),
    /// Seconds since the epoch, with a fraction.
    Epoch(f64),
}

impl From<ListedTime> for Timestamp {
    fn from(t: ListedTime) -> Self {
        match t {
            ListedTime::Text(t) => t,
            ListedTime::Epoch(seconds) => Self::from_unix(seconds.floor() as i64),
        }
    }
}

impl ListedKey {
    /// Decodes the value. The fingerprint is taken as listed, not computed.
    ///
    /// # Errors
    /// When the value is not base64.
    pub fn decode(&self) -> Result<PublicKey, base64::DecodeError> {
        Ok(PublicKey {
            der: BASE64.decode(&self.value)?,
            fingerprint: self.fingerprint.clone(),
            valid_from: self.validity_start_time.into(),
            valid_to: self.validity_end_time.into(),
            region: self.region.clone(),
        })
    }
}

impl From<&PublicKey> for ListedKey {
    fn from(key: &PublicKey) -> Self {
        Self {
            value: BASE64.encode(&key.der),
            validity_start_time: ListedTime::Text(key.valid_from),
            validity_end_time: ListedTime::Text(key.valid_to),
            fingerprint: key.fingerprint.clone(),
            region: key.region.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_time_forms_of_the_cli() {
        let list = r#"{"PublicKeyList":[
            {"Value":"AQID","ValidityStartTime":1436317441.0,"ValidityEndTime":1438909441.5,"Fingerprint":"x"},
            {"Value":"AQID","ValidityStartTime":"2015-07-08T01:04:01+00:00",
             "ValidityEndTime":"2015-08-07T01:04:01.500000+00:00","Fingerprint":"x","Region":"eu-west-1"}]}"#;
        let list: PublicKeyList = serde_json::from_str(list).unwrap();
        let keys: Vec<_> = list.keys.iter().map(|k| k.decode().unwrap()).collect();
        assert_eq!(keys[0].valid_from, keys[1].valid_from);
        assert_eq!(keys[0].valid_to, keys[1].valid_to);
        assert_eq!(keys[0].der, [1, 2, 3]);
        assert_eq!(keys[1].region.as_ref().unwrap().as_str(), "eu-west-1");
        assert_eq!(fingerprint(b"abc"), "900150983cd24fb0d6963f7d28e17f72");
    }
}
