//! Keyspaces: making them, and what collections they hold.

use std::{fmt, time::Duration};

use reqwest::Url;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::{
    Client, Collection, CollectionSettings, Error, Problem, Repeat, Request, Result, causes, place,
};

const DEVOPS: &str = "https://api.astra.datastax.com";
/// How long a keyspace takes to be there, and how often to look.
const KEYSPACE_WAIT: Duration = Duration::from_secs(120);
const KEYSPACE_LOOK: Duration = Duration::from_secs(3);

/// One keyspace of a database.
#[derive(Clone)]
pub struct Keyspace {
    client: Client,
    name: String,
}

impl Client {
    /// The names of all keyspaces.
    ///
    /// # Errors
    ///
    /// Those of any request.
    pub async fn keyspaces(&self) -> Result<Vec<String>> {
        let answer =
            self.send::<_, IgnoredAny>(&[], read("findKeyspaces", &json!({}))).await?.check()?;
        Ok(answer.status.keyspaces.unwrap_or_default())
    }

    /// Makes a keyspace and waits until it is there; nothing if it is. On
    /// Astra this goes through the DevOps API, which the token has to allow.
    ///
    /// # Errors
    ///
    /// Those of any request, and `TimedOut` if it takes more than two minutes.
    pub async fn create_keyspace(&self, name: &str) -> Result<()> {
        if !self.endpoint().is_astra() {
            let command = json!({"name": name});
            let request = schema("createKeyspace", &command);
            self.send::<_, IgnoredAny>(&[], request).await?.check()?;
            return Ok(());
        }
        let failed = |problem, why: &dyn fmt::Display| {
            Error::new(problem, "create keyspace", format_args!("`{name}`"), why)
        };
        let database = self.endpoint().database().unwrap_or_default();
        let url = Url::parse(&format!("{DEVOPS}/v2/databases/{database}/keyspaces/{name}"))
            .map_err(|error| failed(Problem::Refused, &error))?;
        let response = self
            .inner
            .http
            .post(url)
            .bearer_auth(self.inner.token.expose())
            .timeout(self.inner.timeouts.schema)
            .send()
            .await
            .map_err(|error| failed(super::problem_of(&error), &causes(&error.without_url())))?;
        let status = response.status();
        // 409: somebody else just made it.
        if !status.is_success() && status.as_u16() != 409 {
            let problem = match status.as_u16() {
                401 => Problem::Denied,
                403 => Problem::Forbidden,
                other => Problem::of_status(other, false, ""),
            };
            return Err(failed(problem, &format!("the DevOps API answered {status}")));
        }
        let start = tokio::time::Instant::now();
        while !self.keyspaces().await?.iter().any(|known| known == name) {
            if start.elapsed() > KEYSPACE_WAIT {
                return Err(failed(Problem::TimedOut, &"it is not there yet"));
            }
            tokio::time::sleep(KEYSPACE_LOOK).await;
        }
        Ok(())
    }

    /// Deletes a keyspace with everything in it; nothing if there is none.
    /// Not on Astra, where only the portal does that.
    ///
    /// # Errors
    ///
    /// Those of any request.
    pub async fn drop_keyspace(&self, name: &str) -> Result<()> {
        let command = json!({"name": name});
        self.send::<_, IgnoredAny>(&[], schema("dropKeyspace", &command)).await?.check()?;
        Ok(())
    }
}

impl Keyspace {
    pub(super) const fn new(client: Client, name: String) -> Self {
        Self { client, name }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The client that reaches it.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// A collection, which need not exist yet.
    pub fn collection(&self, name: impl Into<String>) -> Collection {
        Collection::new(self.client.clone(), self.name.clone(), name.into())
    }

    /// All collections with their settings.
    ///
    /// # Errors
    ///
    /// Those of any request.
    pub async fn collections(&self) -> Result<Vec<CollectionSettings>> {
        let command = json!({"options": {"explain": true}});
        let path = [self.name.as_str()];
        let answer = self
            .client
            .send::<_, IgnoredAny>(&path, read("findCollections", &command))
            .await?
            .check()?;
        serde_json::from_value(answer.status.collections.unwrap_or(Value::Array(Vec::new())))
            .map_err(|error| Error::new(Problem::BadAnswer, "findCollections", place(&path), error))
    }

    /// Makes a collection; nothing if it is there with the same settings.
    ///
    /// # Errors
    ///
    /// `CollectionDiffers` if it is there with others, `TooManyCollections` and
    /// `TooManyIndexes` if there is no room.
    pub async fn create_collection(&self, settings: &CollectionSettings) -> Result<()> {
        let request = schema("createCollection", settings);
        self.client.send::<_, IgnoredAny>(&[&self.name], request).await?.check()?;
        Ok(())
    }

    /// Deletes a collection with everything in it; nothing if there is none.
    ///
    /// # Errors
    ///
    /// Those of any request.
    pub async fn delete_collection(&self, name: &str) -> Result<()> {
        let command = json!({"name": name});
        let request = schema("deleteCollection", &command);
        self.client.send::<_, IgnoredAny>(&[&self.name], request).await?.check()?;
        Ok(())
    }
}

impl fmt::Debug for Keyspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyspace").field("name", &self.name).finish_non_exhaustive()
    }
}

const fn read<'a, C>(name: &'static str, command: &'a C) -> Request<'a, C> {
    Request { name, command, repeat: Repeat::Always, slow: false }
}

// Schema changes are idempotent, and slow.
const fn schema<'a, C>(name: &'static str, command: &'a C) -> Request<'a, C> {
    Request { name, command, repeat: Repeat::Always, slow: true }
}
