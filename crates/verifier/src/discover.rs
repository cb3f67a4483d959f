//! What lies below the target: roots, accounts, regions. Goes by delimiter, so that a bucket of
//! a million logs costs a listing per folder, not per object.

use std::sync::Arc;

use trail::error::StoreError;
use trail::key::DIGEST_FOLDER;
use trail::ports::{ListEntry, ListRequest, ObjectStore};
use trail::{AccountId, OrgId, Region, Timestamp};

/// Folders looked through for `AWSLogs/`; a bucket with more is no log bucket.
const ROOT_LISTINGS_MAX: usize = 1000;
/// How many folders may stand before `AWSLogs/`.
const ROOT_DEPTH_MAX: usize = 8;

/// A folder that holds an `AWSLogs/`, and where its objects were first delivered.
#[derive(Debug, Clone)]
pub(crate) struct Root {
    /// What stands before `AWSLogs/` in the store: empty, or ending in `/`.
    pub(crate) store_prefix: String,
    /// The original bucket.
    pub(crate) bucket: String,
    /// The original prefix, without a slash at its end.
    pub(crate) prefix: String,
}

impl Root {
    /// The original key of an object below this root.
    pub(crate) fn original(&self, store_key: &str) -> String {
        let tail = store_key.strip_prefix(&self.store_prefix).unwrap_or(store_key);
        if self.prefix.is_empty() { tail.to_owned() } else { format!("{}/{tail}", self.prefix) }
    }

    /// Where an object with this original address lies in the store.
    pub(crate) fn stored(&self, bucket: &str, key: &str) -> Option<String> {
        let tail = match self.prefix.as_str() {
            "" => key,
            prefix => key.strip_prefix(prefix)?.strip_prefix('/')?,
        };
        (bucket == self.bucket).then(|| format!("{}{tail}", self.store_prefix))
    }
}

/// An account's folder and what it holds.
#[derive(Debug, Clone)]
pub(crate) struct AccountPlace {
    pub(crate) root: usize,
    pub(crate) account: AccountId,
    /// `CloudTrail`, `CloudTrail-Insight`, … and `CloudTrail-Digest`, as found.
    pub(crate) folders: Vec<Folder>,
}

/// A kind's folder.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    /// Its name.
    pub(crate) name: String,
    /// Its path in the store, ending in `/`.
    pub(crate) path: String,
    /// The regions in it.
    pub(crate) regions: Vec<Region>,
    /// Objects that lie outside every region's folder.
    pub(crate) strays: Vec<ListEntry>,
}

impl Folder {
    pub(crate) fn is_digest(&self) -> bool {
        self.name == DIGEST_FOLDER
    }
}

/// A listing of a store.
pub(crate) struct Lister<'a> {
    pub(crate) store: &'a Arc<dyn ObjectStore>,
    pub(crate) bucket: &'a str,
}

impl Lister<'_> {
    /// Folders and objects directly below `prefix`.
    pub(crate) async fn children(
        &self,
        prefix: &str,
    ) -> Result<(Vec<String>, Vec<ListEntry>), StoreError> {
        self.collect(prefix, None, true).await
    }

    /// Every object below `prefix`, after `start_after`.
    pub(crate) async fn all(
        &self,
        prefix: &str,
        start_after: Option<String>,
    ) -> Result<Vec<ListEntry>, StoreError> {
        Ok(self.collect(prefix, start_after, false).await?.1)
    }

    async fn collect(
        &self,
        prefix: &str,
        mut start_after: Option<String>,
        delimiter: bool,
    ) -> Result<(Vec<String>, Vec<ListEntry>), StoreError> {
        let (mut prefixes, mut entries) = (Vec::new(), Vec::new());
        loop {
            let request = ListRequest { prefix, start_after: start_after.as_deref(), delimiter };
            let page = self.store.list(self.bucket, request).await?;
            prefixes.extend(page.prefixes);
            entries.extend(page.entries);
            match page.next {
                Some(next) => start_after = Some(next),
                None => return Ok((prefixes, entries)),
            }
        }
    }

    /// The prefixes that hold an `AWSLogs/`, at or below `prefix` (each empty or ending in `/`).
    pub(crate) async fn roots(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let prefix = match prefix.split_once("AWSLogs") {
            Some((before, after))
                if (before.is_empty() || before.ends_with('/'))
                    && (after.is_empty() || after.starts_with('/')) =>
            {
                before
            }
            _ => prefix,
        };
        let start = prefix.trim_end_matches('/');
        let mut todo =
            vec![(if start.is_empty() { String::new() } else { format!("{start}/") }, 0)];
        let (mut found, mut listings) = (Vec::new(), 0);
        while let Some((at, depth)) = todo.pop() {
            listings += 1;
            if listings > ROOT_LISTINGS_MAX {
                break;
            }
            for child in self.children(&at).await?.0 {
                if child[at.len()..] == *"AWSLogs/" {
                    found.push(at.clone());
                } else if depth < ROOT_DEPTH_MAX {
                    todo.push((child, depth + 1));
                }
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// The accounts below a root, those of organizations included.
    pub(crate) async fn accounts(
        &self,
        root: usize,
        store_prefix: &str,
    ) -> Result<Vec<AccountPlace>, StoreError> {
        let top = format!("{store_prefix}AWSLogs/");
        let mut places = Vec::new();
        let mut todo = vec![(top, false)];
        while let Some((at, in_organization)) = todo.pop() {
            for child in self.children(&at).await?.0 {
                let name = child[at.len()..].trim_end_matches('/').to_owned();
                if let Ok(account) = name.parse::<AccountId>() {
                    let folders = self.folders(&child).await?;
                    places.push(AccountPlace { root, account, folders });
                } else if !in_organization && name.parse::<OrgId>().is_ok() {
                    todo.push((child, true));
                }
            }
        }
        Ok(places)
    }

    async fn folders(&self, account_path: &str) -> Result<Vec<Folder>, StoreError> {
        let mut folders = Vec::new();
        for path in self.children(account_path).await?.0 {
            let name = path[account_path.len()..].trim_end_matches('/').to_owned();
            if !name.starts_with("CloudTrail") {
                continue;
            }
            let (children, mut strays) = self.children(&path).await?;
            let mut regions = Vec::new();
            for child in children {
                match child[path.len()..].trim_end_matches('/').parse() {
                    Ok(region) => regions.push(region),
                    Err(_) => strays.extend(self.all(&child, None).await?),
                }
            }
            folders.push(Folder { name, path, regions, strays });
        }
        Ok(folders)
    }

    /// Objects of a region's folder whose date is not before `from`.
    pub(crate) async fn dated(
        &self,
        region_path: &str,
        from: Option<Timestamp>,
    ) -> Result<Vec<ListEntry>, StoreError> {
        let after = from.map(|t| format!("{region_path}{}", t.date_folders()));
        self.all(region_path, after).await
    }
}
