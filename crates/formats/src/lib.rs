//! Files that others read and write: archives, indexes, tables, databases.

pub mod archive;
pub mod csv;
pub mod faiss;
pub mod npy;
pub mod parquet;
pub mod peers;
