//! Whether everything is as it should be.

use songrec_core::Progress;
use songrec_storage::{Finding, VerifyOptions};

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
}
