//! The sealed object: one file that holds an object's header in clear and its bytes encrypted.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | magic `tsealed\n` |
//! | 4 | length of the header, n, little endian |
//! | n | header: JSON, [`Header`]; padded with spaces |
//! | 32 | HMAC-SHA-256 over everything before it, under the store's header key |
//! | rest | chunks: each the ciphertext of up to 65,536 bytes of plaintext, and its 16-byte tag |
//!
//! Chunks follow the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015) with
//! AES-256-GCM. Nonce: 7 zero bytes, the chunk's number (u32, big endian), 1 in the last chunk
//! and else 0. The zeros are no risk: a data key encrypts one object only, so no nonce comes
//! twice. An empty object is one empty last chunk.
//!
//! AAD: SHA-256 of these parts, each behind its length (u64, little endian): the domain
//! `trailseal chunk/v2`, the layer (1 byte, 1), bucket, key, and the method's parts; a number is
//! 4 bytes, little endian, and a context its names and values in the byte order of the names:
//!
//! | method | parts |
//! |---|---|
//! | [`Method::S3`] | `AES256`, generation, wrapped key |
//! | [`Method::Kms`] | `aws:kms`, ARN, wrapped key, Bucket Key salt or nothing, context |
//! | [`Method::Dsse`] | `aws:kms:dsse`, ARN, wrapped key, generation, second wrapped key, context |
//! | [`Method::Customer`] | `SSE-C`, salt, check salt, check |
//!
//! So chunks can be written before the header, whose size and hashes are known only after them;
//! [`Writer`] does so.
//!
//! With DSSE every chunk is sealed twice, under two keys: `C1 || T1` by the inner one, then all
//! of it by the outer one (layer 2 in its AAD), which adds `T2`. Both layers use the same nonce.
//!
//! As in S3, names, size and user metadata stay readable; unlike there, they are authenticated:
//! the MAC covers the header with bucket and key in it, and the header gives the length of the
//! file. So a header that was edited, exchanged or cut is refused by [`read_header`] before any
//! key is unwrapped, and a changed byte of the rest by [`open`] or [`Reader`].
//!
//! Version 1 differs in the AAD alone, which is SHA-256 of all bytes before the chunks, and knows
//! [`Method::S3`] and [`Method::Kms`] only. It is read, and no longer written.
//!
//! ```
//! use std::io::Cursor;
//!
//! use encryptor::envelope::{self, HexBytes, Method, ObjectKeys, Reader, Writer};
//! use encryptor::keyring::wrap_s3;
//! use encryptor::keys::{RootSecret, SecretKey};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (root, data_key) = (SecretKey::generate()?, SecretKey::generate()?);
//! let mac_key = RootSecret::generate()?.header_mac_key()?;
//! let wrapped = HexBytes(wrap_s3(&root, 1, ("logs", "today"), &data_key)?);
//! let (method, keys) = (Method::S3 { generation: 1, wrapped }, ObjectKeys::one(data_key));
//!
//! let file = Cursor::new(Vec::new());
//! let mut writer = Writer::new(file, "logs", "today", method, &keys, 100)?;
//! writer.write(b"who did ")?;
//! writer.write(b"what, and when")?;
//! let file = writer.finish(&"any facts", &mac_key)?.into_inner();
//!
//! let opened = envelope::read_header::<String>(&file, &mac_key, "logs", "today")?;
//! assert_eq!(opened.header.size, 22);
//! let mut reader = Reader::new(Cursor::new(&file), &opened, &keys, 8..12)?;
//! assert_eq!(reader.next_chunk()?, Some(&b"what"[..]));
//! assert_eq!(reader.next_chunk()?, None);
//! # Ok(())
//! # }
//! ```

mod chunks;
mod header;
mod method;
mod read;
mod write;

pub use chunks::{CHUNK_BYTES, ObjectKeys};
pub use header::{HEADER_BYTES_MAX, Header, Opened, VERSION, header_len, read_header};
pub use method::{HexBytes, Method};
pub use read::{Reader, open};
pub use write::{Writer, seal};
