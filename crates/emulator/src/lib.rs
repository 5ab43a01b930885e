//! The Data API on one machine.
