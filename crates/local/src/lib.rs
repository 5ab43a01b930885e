//! Songs as files, with a SQLite catalog.
