//! A library in a folder, through its public interface.

mod conformance;
mod damage;
mod library;
mod processes;
