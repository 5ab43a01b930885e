//! Copies of what is far away.

use songrec_cache::Cache;

use crate::{Config, Result, keys};

/// The cache that the settings mean.
///
/// # Errors
///
/// When its folder cannot be used.
pub async fn cache(config: &Config) -> Result<Cache> {
    let folder = match config.get(keys::CACHE_FOLDER) {
        Some(folder) => folder,
        None => config.directories().cache.join("facts"),
    };
    Ok(Cache::open(folder, config.get(keys::CACHE_LIMIT)).await?)
}
