//! Renderings of a verification report: one model ([`verifier::Report`]), many forms.
//!
//! Every rendering is a pure function of the report: same report, same bytes. None of them says
//! more than the run proved.

pub mod asff;
pub mod csv;
pub mod diff;
pub mod evidence;
pub mod html;
mod hub;
pub mod junit;
pub mod ndjson;
pub mod ocsf;
pub mod oscal;
pub mod past;
pub mod prometheus;
pub mod sarif;
pub mod standards;
mod visible;
