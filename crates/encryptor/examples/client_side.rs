//! Evidence sealed before it leaves: the store gets a body that it cannot read, and the envelope
//! as the object's user metadata. AWS's S3 Encryption Client reads it with the same AES key.
//!
//! `cargo run -p encryptor --example client_side`

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use encryptor::client_side::{ClientKey, Sealed};
use encryptor::keys::SecretKey;
use trail::ports::Pairs;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let description = Pairs::from([("key".into(), "evidence-2026".into())]);
    // In use, 32 bytes from wherever the key is guarded: `SecretKey::from_slice`.
    let key = ClientKey::new(SecretKey::generate()?, description)?;

    let own = Pairs::from([("case".into(), "4711".into())]);
    let Sealed { metadata, mut body } = key.seal(b"who knew what, and when", own)?;
    println!("to the store: {} bytes, and as user metadata", body.len());
    for (name, value) in &metadata {
        println!("  x-amz-meta-{name}: {value}");
    }

    let opened = key.open(&metadata, &body)?;
    println!("from the store: {}", String::from_utf8(opened)?);

    body[0] ^= 1;
    match key.open(&metadata, &body) {
        Ok(_) => Err("a changed body was taken".into()),
        Err(refused) => {
            println!("with one bit changed: {refused}");
            Ok(())
        }
    }
}
