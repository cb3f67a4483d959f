//! The store's trails, as DescribeTrails gives them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use trail::error::{KeyError, StoreError};
use trail::ports::{TrailInfo, Trails};
use trail::{ParseError, Region, TrailName};

use crate::files::{FileError, blocking, read_json};
use crate::kms::Use;
use crate::s3::request::refused;
use crate::store::{Inner, Store};

impl Store {
    /// Makes a trail; false when it is there already, in the same form. Blocks on file I/O.
    ///
    /// # Errors
    /// When its name or home region is not valid, its bucket does not exist, its key is not in
    /// the bucket's region, or it exists in another form.
    pub fn put_trail(&self, trail: &TrailInfo) -> Result<bool, StoreError> {
        let path = self.inner.trail_path(trail)?;
        self.inner.check_destination(trail)?;
        if self.inner.files.create_json(&path, trail)? {
            return Ok(true);
        }
        if read_json::<TrailInfo>(&path)?.as_ref() == Some(trail) {
            return Ok(false);
        }
        let reason = "it exists with other settings; change it, or use another name".to_owned();
        Err(StoreError::Invalid { what: format!("trail {}", trail.trail_arn), reason })
    }

    /// Makes a trail or replaces its settings (UpdateTrail). Blocks on file I/O.
    ///
    /// # Errors
    /// When its name or home region is not valid, its bucket does not exist, or its key is not
    /// in the bucket's region.
    pub fn replace_trail(&self, trail: &TrailInfo) -> Result<(), StoreError> {
        let path = self.inner.trail_path(trail)?;
        self.inner.check_destination(trail)?;
        let _lock = self.inner.files.lock("trails")?;
        Ok(self.inner.files.replace_json(&path, trail)?)
    }
}

impl Inner {
    fn trail_path(&self, trail: &TrailInfo) -> Result<PathBuf, StoreError> {
        let invalid = |e: ParseError| StoreError::Invalid {
            what: format!("trail {}", trail.trail_arn),
            reason: e.to_string(),
        };
        let name: TrailName = trail.name.parse().map_err(invalid)?;
        let region: Region = trail.home_region.parse().map_err(invalid)?;
        Ok(self.files.path("trails").join(region.as_str()).join(format!("{name}.json")))
    }

    /// The bucket must exist, and the key be one of its region, wherever the trail itself is
    /// (CloudTrail user guide, "Encrypting CloudTrail log files").
    fn check_destination(&self, trail: &TrailInfo) -> Result<(), StoreError> {
        let what = || format!("trail {}", trail.trail_arn);
        let bucket = &trail.s3_bucket_name;
        let region = self.region_of(bucket).map_err(|e| match e {
            StoreError::NoSuchBucket { .. } => {
                refused("S3BucketDoesNotExistException", what(), &e.to_string())
            }
            other => other,
        })?;
        let Some(key) = &trail.kms_key_id else { return Ok(()) };
        match self.kms_resolve(Use::direct(&self.root(&region)), &region, Some(key)) {
            Ok(_) => Ok(()),
            Err(e @ (KeyError::NotFound { .. } | KeyError::WrongRegion { .. })) => {
                Err(refused("KmsKeyNotFoundException", what(), &e.to_string()))
            }
            Err(e @ KeyError::Malformed(_)) => {
                Err(refused("InvalidKmsKeyIdException", what(), &e.to_string()))
            }
            Err(e) => Err(refused("KmsException", what(), &e.to_string())),
        }
    }

    fn trails(&self) -> Result<Vec<TrailInfo>, FileError> {
        let mut trails: Vec<TrailInfo> = Vec::new();
        for region in entries(&self.files.path("trails"))? {
            for file in entries(&region)? {
                trails.extend(read_json::<TrailInfo>(&file)?);
            }
        }
        trails.sort_by(|a, b| a.trail_arn.cmp(&b.trail_arn));
        Ok(trails)
    }
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>, FileError> {
    let failed = |e| FileError::new("listing", dir, e);
    match fs::read_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(failed(e)),
        Ok(entries) => entries.map(|e| e.map(|e| e.path()).map_err(failed)).collect(),
    }
}

#[async_trait]
impl Trails for Store {
    async fn describe_trails(&self) -> Result<Vec<TrailInfo>, KeyError> {
        let inner = Arc::clone(&self.inner);
        blocking(move || Ok(inner.trails()?)).await
    }
}
