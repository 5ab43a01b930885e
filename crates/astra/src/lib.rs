//! Songs as documents in DataStax Astra DB and objects in S3.
