//! The embedded store and offline copies, through their public interface.

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod copies;
#[cfg(test)]
mod encryption;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod kms_access;
#[cfg(test)]
mod kms_calls;
#[cfg(test)]
mod kms_dates;
#[cfg(test)]
mod kms_grants;
#[cfg(test)]
mod kms_states;
#[cfg(test)]
mod opening;
#[cfg(test)]
mod support;
