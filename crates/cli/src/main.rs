//! trailseal.
fn main() {}
