//! Models and services on servers that fail, lie, and lead elsewhere.
#![cfg(feature = "remote")]
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod faulty;
mod hostile;
mod web;
