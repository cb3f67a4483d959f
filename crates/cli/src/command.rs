//! The commands.

pub(crate) mod check;
pub(crate) mod deliver;
pub(crate) mod demo;
pub(crate) mod explain;
pub(crate) mod keys;
pub(crate) mod meta;
pub(crate) mod mirror;
pub(crate) mod report;
pub(crate) mod status;
pub(crate) mod verify;
