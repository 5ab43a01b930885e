//! The library in memory, and what the kit puts before a library.

mod alternating;
mod faulty;
mod memory;
