//! Whether everything is as it should be, and nothing is there for nothing.

use std::time::Duration;

use songrec_core::Progress;
use songrec_storage::{Finding, Swept, VerifyOptions};

use crate::{Library, Result};

impl Library {
    /// Checks the library, and repairs what can be repaired without losing
    /// anything.
    ///
    /// # Errors
    ///
    /// When the check itself cannot be done; what it finds is no error.
    pub async fn verify(
        &self,
        options: &VerifyOptions,
        progress: &dyn Progress,
    ) -> Result<Vec<Finding>> {
        Ok(self.backend.verify(options, progress).await?)
    }

    /// Removes embeddings and copies of audio that no song names, none of them
    /// younger than `min_age`. What a deleted song named stays as long as it
    /// can be restored.
    ///
    /// # Errors
    ///
    /// When the library cannot be read or written.
    pub async fn sweep(&self, min_age: Duration) -> Result<Swept> {
        Ok(self.backend.sweep(min_age).await?)
    }
}
