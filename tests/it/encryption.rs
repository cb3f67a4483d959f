//! Every server-side encryption method of S3, driven as its users do: a caller asks, policies
//! decide, bytes are really encrypted. A test for each promise, named after it.

mod check;
mod keys;
mod methods;
mod roles;
mod secrets;
mod store;
