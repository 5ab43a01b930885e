//! Which two libraries were synced before.

use super::records::Records;
use crate::{Error, ErrorKind, Options, Pair, Result, Side, session::Session};

/// The ids of the two libraries, in the state and in the libraries themselves.
pub(crate) struct KnownLibraries<'a> {
    session: &'a Session,
    records: Records<'a>,
}

impl<'a> KnownLibraries<'a> {
    pub(crate) const fn new(session: &'a Session) -> Self {
        Self { session, records: Records::new(session) }
    }

    /// Makes sure that both libraries are those that were synced before. At the
    /// first sync, remembers which they are.
    pub(crate) async fn meet(&self, options: &Options, writes: bool) -> Result<()> {
        if std::ptr::addr_eq(self.session.backend(Side::Left), self.session.backend(Side::Right)) {
            return Err(Error::Invalid("both sides are the same library".to_owned()));
        }
        let mut known: Pair<Option<String>> =
            self.session.state().meta("libraries")?.unwrap_or_default();
        if options.adopt && known != Pair::default() {
            let mut other = false;
            for side in Side::BOTH {
                let is = self.records.read_library(side).await?.map(|(_, body)| body.library);
                other |= is != known[side];
            }
            if other && !writes {
                return Err(Error::Invalid(
                    "a library that is to be adopted cannot be planned for before".to_owned(),
                ));
            }
            if other {
                self.session.state().change(|changing| changing.forget_everything())?;
                known = Pair::default();
            }
        }
        let before = known.clone();
        for side in Side::BOTH {
            if known[side].is_some() {
                continue;
            }
            known[side] = match self.records.read_library(side).await? {
                Some((_, body)) => Some(body.library),
                None if !writes => None,
                None => match self.records.make_library(side).await {
                    // The id cannot be stored there; the next sync tries again.
                    Err(error) if is_only_read(options, side, &error) => None,
                    made => Some(made?),
                },
            };
        }
        if writes && known != before {
            self.session.state().set_meta("libraries", &known)?;
        }
        Ok(())
    }

    /// Refuses a library that is not the one that was synced before.
    pub(crate) async fn check(&self, side: Side) -> Result<()> {
        let known: Pair<Option<String>> =
            self.session.state().meta("libraries")?.unwrap_or_default();
        let Some(known) = &known[side] else { return Ok(()) };
        let is = self.records.read_library(side).await?.map(|(_, body)| body.library);
        if is.as_ref() == Some(known) {
            return Ok(());
        }
        let name = self.session.name(side).to_owned();
        Err(Error::OtherLibrary { side, name })
    }
}

/// Whether an error says that a side cannot be written which this sync only
/// reads: then nothing is announced there.
pub(super) fn is_only_read(options: &Options, side: Side, error: &Error) -> bool {
    let refused = ErrorKind::Library(songrec_storage::ErrorKind::Denied);
    let full = ErrorKind::Library(songrec_storage::ErrorKind::Full);
    let reads = !options.direction.may_write(side);
    reads && (error.kind() == refused || error.kind() == full)
}
