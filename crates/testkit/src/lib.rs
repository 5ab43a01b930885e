//! The storage contract as tests, fixtures and faults.
