//! Where an object lies: a file per object, in a tree that mirrors the `/` of the keys.
//!
//! Every component is escaped so that any key gives a path inside its bucket, none gives
//! another's, and a file never stands where a directory must: bytes outside `[A-Za-z0-9_.-]`
//! become `%XX`, files end in `.sealed`, and a directory whose own name ends so has that dot
//! escaped. An empty component is `%`, which no other one gives; `.` and `..` are escaped whole.

use std::path::{Path, PathBuf};

use trail::error::StoreError;
use trail::limits::OBJECT_KEY_BYTES_MAX;

const SUFFIX: &str = ".sealed";
/// An escaped component; with the suffix it stays below the 255 bytes of common file systems.
const COMPONENT_BYTES_MAX: usize = 240;

/// The file of `key` under `objects`.
pub(crate) fn object_path(objects: &Path, key: &str) -> Result<PathBuf, StoreError> {
    if key.is_empty() || key.len() > OBJECT_KEY_BYTES_MAX {
        return Err(invalid(key, format!("a key has 1 to {OBJECT_KEY_BYTES_MAX} bytes")));
    }
    let (folders, name) = key.rsplit_once('/').map_or((None, key), |(f, n)| (Some(f), n));
    let mut path = match folders {
        Some(folders) => folder_path(objects, folders)?,
        None => objects.to_owned(),
    };
    path.push(checked(key, escape(name, Kind::File))?);
    Ok(path)
}

/// The directory of the keys that begin with `folders` and a `/`.
pub(crate) fn folder_path(objects: &Path, folders: &str) -> Result<PathBuf, StoreError> {
    let mut path = objects.to_owned();
    for component in folders.split('/') {
        path.push(checked(folders, escape(component, Kind::Directory))?);
    }
    Ok(path)
}

fn checked(key: &str, component: String) -> Result<String, StoreError> {
    if component.len() > COMPONENT_BYTES_MAX + SUFFIX.len() {
        let reason = format!(
            "a part between slashes is longer than the {COMPONENT_BYTES_MAX} bytes (escaped) \
             that fit a file name; shorten it"
        );
        return Err(invalid(key, reason));
    }
    Ok(component)
}

fn invalid(key: &str, reason: String) -> StoreError {
    StoreError::Invalid { what: format!("object key {key:?}"), reason }
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    File,
    Directory,
}

fn escape(component: &str, kind: Kind) -> String {
    let dots = matches!(component, "." | "..");
    let mut out = String::with_capacity(component.len() + SUFFIX.len());
    for b in component.bytes() {
        if b.is_ascii_alphanumeric() || b"_-".contains(&b) || (b == b'.' && !dots) {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    if component.is_empty() {
        out.push('%');
    }
    match (kind, out.strip_suffix(SUFFIX)) {
        (Kind::File, _) => out.push_str(SUFFIX),
        (Kind::Directory, Some(stem)) => out = format!("{stem}%2E{}", &SUFFIX[1..]),
        (Kind::Directory, None) => {}
    }
    out
}

/// The component that a file's or directory's name stands for; None when the store made no such
/// name.
pub(crate) fn unescape(name: &str, kind: Kind) -> Option<String> {
    let body = if kind == Kind::File { name.strip_suffix(SUFFIX)? } else { name };
    let mut bytes = Vec::with_capacity(body.len());
    let mut rest = body.as_bytes();
    while let [b, tail @ ..] = rest {
        if *b == b'%' && body != "%" {
            let digits = tail.get(..2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = &tail[2..];
        } else {
            if *b != b'%' {
                bytes.push(*b);
            }
            rest = tail;
        }
    }
    let component = String::from_utf8(bytes).ok()?;
    (escape(&component, kind) == name).then_some(component)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 16] = [
        "a",
        "a/b",
        "a.sealed",
        "a.sealed/x",
        "a.sealed.sealed/x",
        "..",
        "../../etc/passwd",
        ".",
        "/",
        "//",
        "a//b",
        "ü/%",
        "a%2Esealed/x",
        "%",
        "%/x",
        "\0",
    ];

    #[test]
    fn no_key_leaves_its_bucket_and_no_two_share_a_file() {
        let root = Path::new("/objects");
        let paths: Vec<_> = KEYS.iter().map(|k| object_path(root, k).unwrap()).collect();
        for (i, path) in paths.iter().enumerate() {
            let below = path.strip_prefix(root).unwrap();
            assert!(below.components().all(|c| matches!(c, std::path::Component::Normal(_))));
            assert_eq!(below.components().count(), KEYS[i].split('/').count(), "{}", KEYS[i]);
            for other in &paths[i + 1..] {
                assert!(!path.starts_with(other) && !other.starts_with(path), "{path:?} {other:?}");
            }
        }
    }

    #[test]
    fn names_give_their_component_back() {
        for component in KEYS.iter().flat_map(|k| k.split('/')) {
            for kind in [Kind::File, Kind::Directory] {
                let name = escape(component, kind);
                assert_eq!(unescape(&name, kind).as_deref(), Some(component), "{name}");
            }
        }
        for foreign in ["a", "%zz.sealed", "%61.sealed", "a b.sealed", "%C3.sealed", "a%"] {
            assert_eq!(unescape(foreign, Kind::File), None, "{foreign}");
        }
    }

    #[test]
    fn what_does_not_fit_a_file_name_is_refused() {
        let root = Path::new("/objects");
        assert!(object_path(root, &"a".repeat(240)).is_ok());
        for key in [String::new(), "ü".repeat(41), "a".repeat(248), "a/".repeat(513)] {
            assert!(object_path(root, &key).is_err(), "{key}");
        }
    }
}
