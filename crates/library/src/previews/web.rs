//! Where previews meet HTTP: all of it is in `songrec_models::remote`.

#[cfg(feature = "bridge")]
pub(super) use self::over_http::Web;
#[cfg(not(feature = "bridge"))]
pub(super) use self::without::Web;

#[cfg(feature = "bridge")]
mod over_http {
    use std::{path::Path, time::Duration};

    use songrec_core::RetryPolicy;
    use songrec_models::remote::{self, Problem, RemoteError, Token, WebOptions};

    use crate::{
        Config, Error, ErrorKind, Result, keys,
        previews::service::{PreviewService, Question},
    };

    /// A service is asked this often if it fails for a moment: it is not ours, and others ask
    /// it as well.
    const ATTEMPTS: u32 = 4;
    /// Who is asked to wait longer than this says so.
    const LONGEST_WAIT: Duration = Duration::from_secs(60);

    #[derive(Debug)]
    pub(in crate::previews) struct Web {
        web: remote::Web,
        name: &'static str,
        limit: u64,
    }

    impl Web {
        pub(in crate::previews) fn new(
            service: &dyn PreviewService,
            config: &Config,
        ) -> Result<Self> {
            let name = service.name();
            let timeout = config.get(keys::PREVIEWS_TIMEOUT).max(1);
            let options = WebOptions {
                per_minute: service.per_minute(),
                timeout: Duration::from_secs(timeout.try_into().unwrap_or(u64::MAX)),
                retry: RetryPolicy {
                    attempts: ATTEMPTS,
                    first_pause: Duration::from_millis(250),
                    longest_wait: LONGEST_WAIT,
                    // A long answer that breaks off is worth a second attempt.
                    total: Duration::from_secs(90)
                        .saturating_add(Duration::from_secs(timeout as u64)),
                    ..RetryPolicy::default()
                },
                key: service.key().map(|(scheme, key)| (scheme, Token::new(key))),
            };
            let web = remote::Web::new(service.base(), options)
                .map_err(|error| explained(name, "could not be asked", error))?;
            Ok(Self { web, name, limit: config.get(keys::PREVIEWS_MAX_SIZE) })
        }

        /// What `read` makes of the answer.
        pub(in crate::previews) async fn ask<T>(
            &self,
            question: &Question,
            read: impl Fn(&[u8]) -> Result<T, String>,
        ) -> Result<T> {
            let answer = self.web.document(question.path, &question.parameters, read).await;
            answer.map_err(|error| explained(self.name, "does not answer as it should", error))
        }

        /// Writes a preview to a file; gives its size.
        pub(in crate::previews) async fn fetch(
            &self,
            url: &str,
            to: &Path,
            progress: impl Fn(u64),
        ) -> Result<u64> {
            let size = self.web.file(url, to, self.limit, progress).await;
            size.map_err(|error| explained(self.name, "did not give the preview", error))
        }

        /// Bytes of a preview, at the most.
        pub(in crate::previews) const fn limit(&self) -> u64 {
            self.limit
        }
    }

    fn explained(name: &str, what: &str, error: RemoteError) -> Error {
        let kind = match error.problem() {
            Problem::Config => ErrorKind::Usage,
            Problem::NotThere => ErrorKind::NotFound,
            Problem::Denied => ErrorKind::Denied,
            Problem::Unreachable
            | Problem::Timeout
            | Problem::Busy
            | Problem::Failed
            | Problem::Garbage
            | Problem::Resting => ErrorKind::Temporary,
            Problem::Refused | Problem::TooMuch | Problem::WrongDimension => ErrorKind::Failed,
        };
        let hint = error.hint().to_owned();
        Error::new(kind, format_args!("`{name}` {what}")).because(error).with_hint(hint)
    }
}

#[cfg(not(feature = "bridge"))]
mod without {
    use std::path::Path;

    use crate::{
        Config, Error, Result,
        previews::service::{PreviewService, Question},
    };

    /// There is none.
    #[derive(Debug)]
    pub(in crate::previews) enum Web {}

    impl Web {
        pub(in crate::previews) fn new(service: &dyn PreviewService, _: &Config) -> Result<Self> {
            let (name, base) = (service.name(), service.base());
            let _ = (service.per_minute(), service.key());
            Err(Error::usage(format_args!("`{name}` at `{base}` cannot be asked"))
                .because("this songrec was built without the feature `bridge`")
                .with_hint("use a songrec with it"))
        }

        pub(in crate::previews) async fn ask<T>(
            &self,
            _: &Question,
            _: impl Fn(&[u8]) -> Result<T, String>,
        ) -> Result<T> {
            match *self {}
        }

        pub(in crate::previews) async fn fetch(
            &self,
            _: &str,
            _: &Path,
            _: impl Fn(u64),
        ) -> Result<u64> {
            match *self {}
        }

        pub(in crate::previews) const fn limit(&self) -> u64 {
            match *self {}
        }
    }
}
