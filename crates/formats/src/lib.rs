//! Files that others read and write: archives, indexes, tables, databases.

pub mod archive;
