//! Rates and percentiles between two snapshots.
#[derive(Debug)]
pub struct Status;
