//! The machines that sync with a shared library.

use songrec_core::{Hint, Remedy};
use songrec_sync::Machine;

use crate::{Error, Library, Result};

/// The machines that sync with `library`, and how far each is.
///
/// # Errors
///
/// Those of the library.
pub async fn machines(library: &Library) -> Result<Vec<Machine>> {
    Ok(songrec_sync::machines(library.backend()).await?)
}

/// Waits no longer for the machine that `named` means: by its id, the beginning
/// of one, or its name. Gives the machine as it was; nothing if it went
/// meanwhile.
///
/// # Errors
///
/// `NotFound` if no machine is called so, `Usage` if several may be; those of
/// the library.
pub async fn retire(library: &Library, named: &str) -> Result<Option<Machine>> {
    let machines = machines(library).await?;
    let found: Vec<&Machine> = machines
        .iter()
        .filter(|machine| machine.id.starts_with(named) || machine.name == named)
        .collect();
    let machine = match found.as_slice() {
        [machine] => machine,
        [] => {
            return Err(Error::not_found(format_args!("no machine is called `{named}`"))
                .with_hint(Hint::of("{} lists them", [Remedy::Machines])));
        }
        several => {
            return Err(Error::usage(format_args!(
                "`{named}` may be any of {} machines",
                several.len()
            ))
            .with_hint(Hint::of("name it by more of its id; {} lists them", [Remedy::Machines])));
        }
    };
    Ok(songrec_sync::retire(library.backend(), &machine.id).await?)
}
