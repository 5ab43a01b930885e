//! Asking before something is lost.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::Result;
use songrec_library::Error;

use crate::terminal;

/// Whether the person at the terminal agrees to `question`.
///
/// # Errors
///
/// When there is nobody to ask.
pub(crate) fn confirm(question: &str, yes: bool) -> Result<bool> {
    if yes {
        return Ok(true);
    }
    if !io::stdin().is_terminal() {
        return Err(Error::usage("this needs to be confirmed, and there is nobody to ask")
            .with_hint("`--yes` confirms it")
            .into());
    }
    terminal::err().write_all(format!("{question} [y/N] ").as_bytes())?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
