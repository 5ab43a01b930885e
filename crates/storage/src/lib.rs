//! Where songs are kept: the contract, the cache, retries.
