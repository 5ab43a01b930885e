//! Faults on request: what can go wrong, when it shall.
//!
//! A plan is a list of [`Rule`]s. Each request is shown to the rules in order:
//! the delays of all that fire add up, and the first fault that fires decides
//! what becomes of the request. With the same rules, seeds and order of
//! requests, the same happens again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde::{Deserialize, Serialize};

/// What goes wrong with a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
#[non_exhaustive]
pub enum Fault {
    /// An HTTP status with a text that is not an envelope, as gateways send it.
    /// The request is not done.
    Status {
        /// The HTTP status.
        status: u16,
        /// Seconds for a `Retry-After` header.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// A page in HTML, as a proxy sends it. The request is not done.
    ProxyHtml {
        /// The HTTP status.
        status: u16,
    },
    /// 503, as while a database that was idle is being resumed. The request is
    /// not done.
    Hibernated,
    /// An error in an envelope, under any code that the API knows or knew.
    Error {
        /// The code, such as `UNEXPECTED_DRIVER_ERROR`.
        code: String,
        /// Whether the request is done all the same.
        #[serde(default)]
        applied: bool,
        /// The HTTP status; servers before v1.0.33 did not always send 200.
        #[serde(default = "ok_status")]
        status: u16,
    },
    /// The rate limit of the database: `UNEXPECTED_DRIVER_ERROR`, whose text
    /// alone says so. The request is not done.
    Overloaded,
    /// The connection ends before the request is done.
    DropBefore,
    /// The request is done, then the connection ends without an answer.
    DropAfter,
    /// The request is done, and the connection ends in the middle of the answer.
    CutAnswer,
    /// The database did not confirm in time, but the request is done.
    TimeoutApplied,
    /// The database did not confirm in time, and the request is not done.
    TimeoutNotApplied,
    /// The database did not confirm in time. No read sees the writes, until the
    /// next conditional write on the same document finishes them first.
    TimeoutAppliedLater,
    /// The database did not confirm in time. Of the documents of the request,
    /// every other one is written: each is a write of its own.
    TimeoutPartlyApplied,
    /// `FAILED_CONCURRENT_OPERATIONS`, for the commands that retry; others get
    /// it without being done.
    ConcurrentFailure {
        /// Whether the first try went through all the same.
        applied: bool,
    },
    /// The first conditional write goes through and is taken for lost, as when
    /// the driver repeats a write that timed out. The server reads again and
    /// tries again: an unguarded `$inc` counts twice, a guarded update answers
    /// that it modified nothing.
    AppliedThenRepeated,
    /// A scan answers an empty page that says there is more.
    EmptyPage,
}

fn ok_status() -> u16 {
    200
}

impl Fault {
    /// 429 with `Retry-After`.
    pub fn rate_limited(retry_after: Option<u64>) -> Self {
        Self::Status { status: 429, retry_after }
    }

    /// A plain HTTP status.
    pub fn status(status: u16) -> Self {
        Self::Status { status, retry_after: None }
    }

    /// An API error; the request is not done.
    pub fn error(code: impl Into<String>) -> Self {
        Self::Error { code: code.into(), applied: false, status: ok_status() }
    }

    /// One of every kind, for tests that want to meet them all.
    ///
    /// [`Fault::AppliedThenRepeated`] and [`Fault::EmptyPage`] are left out:
    /// they are no failures.
    pub fn every_failure() -> Vec<Self> {
        vec![
            Self::rate_limited(None),
            Self::rate_limited(Some(0)),
            Self::status(500),
            Self::status(502),
            Self::status(503),
            Self::status(504),
            Self::ProxyHtml { status: 502 },
            Self::Hibernated,
            Self::Overloaded,
            Self::error("UNAVAILABLE_DATABASE"),
            Self::error("INTERNAL_SERVER_ERROR"),
            Self::DropBefore,
            Self::DropAfter,
            Self::CutAnswer,
            Self::TimeoutApplied,
            Self::TimeoutNotApplied,
            Self::TimeoutAppliedLater,
            Self::TimeoutPartlyApplied,
            Self::ConcurrentFailure { applied: false },
            Self::ConcurrentFailure { applied: true },
        ]
    }

    /// The name of the kind, as it stands in the log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::ProxyHtml { .. } => "proxyHtml",
            Self::Hibernated => "hibernated",
            Self::Error { .. } => "error",
            Self::Overloaded => "overloaded",
            Self::DropBefore => "dropBefore",
            Self::DropAfter => "dropAfter",
            Self::CutAnswer => "cutAnswer",
            Self::TimeoutApplied => "timeoutApplied",
            Self::TimeoutNotApplied => "timeoutNotApplied",
            Self::TimeoutAppliedLater => "timeoutAppliedLater",
            Self::TimeoutPartlyApplied => "timeoutPartlyApplied",
            Self::ConcurrentFailure { .. } => "concurrentFailure",
            Self::AppliedThenRepeated => "appliedThenRepeated",
            Self::EmptyPage => "emptyPage",
        }
    }
}

/// When a rule fires, among the requests that it is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "when",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
#[non_exhaustive]
pub enum When {
    /// Every time.
    Always,
    /// After `skip` requests, the next `count`.
    Next {
        /// How many requests go by first.
        #[serde(default)]
        skip: u64,
        /// How many requests it then fires for.
        count: u64,
    },
    /// With a probability, decided by a generator with this seed.
    Chance {
        /// From 0 to 1.
        probability: f64,
        /// The same seed decides the same.
        seed: u64,
    },
}

/// Which requests fail, when, and how.
///
/// ```
/// use songrec_emulator::{Fault, Rule};
/// use std::time::Duration;
///
/// // The second update of `songs` from now on is done, and its answer is lost.
/// let lost = Rule::fault(Fault::DropAfter).on("updateOne").in_collection("songs").next(1).after(1);
/// // A third of all requests fails in one of many ways, the same each time.
/// let storm = Rule::one_of(Fault::every_failure()).chance(0.3, 42);
/// // Everything takes 30 ms.
/// let far_away = Rule::delay(Duration::from_millis(30));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// The commands it is about; all of them if there are none.
    #[serde(default)]
    pub commands: Vec<String>,
    /// The collection it is about; any, and requests without one, if `None`.
    #[serde(default)]
    pub collection: Option<String>,
    /// When it fires.
    #[serde(default = "always")]
    pub timing: When,
    /// How long the request waits first.
    #[serde(default)]
    pub delay_millis: u64,
    /// What goes wrong; one of these is drawn if there are several.
    #[serde(default)]
    pub faults: Vec<Fault>,
}

fn always() -> When {
    When::Always
}

impl Rule {
    /// A fault that fires for every request.
    pub fn fault(fault: Fault) -> Self {
        Self::one_of(vec![fault])
    }

    /// One fault of a list, drawn each time.
    pub fn one_of(faults: Vec<Fault>) -> Self {
        Self {
            commands: Vec::new(),
            collection: None,
            timing: When::Always,
            delay_millis: 0,
            faults,
        }
    }

    /// Time that passes before a request is looked at.
    pub fn delay(delay: Duration) -> Self {
        Self::one_of(Vec::new()).and_delay(delay)
    }

    /// Adds time to the fault.
    #[must_use]
    pub fn and_delay(mut self, delay: Duration) -> Self {
        self.delay_millis = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// Restricts it to a command; called again, to one of several.
    #[must_use]
    pub fn on(mut self, command: impl Into<String>) -> Self {
        self.commands.push(command.into());
        self
    }

    /// Restricts it to a collection.
    #[must_use]
    pub fn in_collection(mut self, collection: impl Into<String>) -> Self {
        self.collection = Some(collection.into());
        self
    }

    /// Lets it fire for the next `count` requests, and then never again.
    #[must_use]
    pub fn next(mut self, count: u64) -> Self {
        let skip = if let When::Next { skip, .. } = self.timing { skip } else { 0 };
        self.timing = When::Next { skip, count };
        self
    }

    /// Lets this many requests go by first; once after that, unless [`Rule::next`] says more.
    #[must_use]
    pub fn after(mut self, skip: u64) -> Self {
        let count = if let When::Next { count, .. } = self.timing { count } else { 1 };
        self.timing = When::Next { skip, count };
        self
    }

    /// Lets it fire with a probability.
    #[must_use]
    pub fn chance(mut self, probability: f64, seed: u64) -> Self {
        self.timing = When::Chance { probability, seed };
        self
    }

    fn is_about(&self, command: &str, collection: Option<&str>) -> bool {
        (self.commands.is_empty() || self.commands.iter().any(|name| name == command))
            && self.collection.as_deref().is_none_or(|name| Some(name) == collection)
    }
}

/// Names a rule that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleId(u64);

impl RuleId {
    pub(crate) fn from_number(number: u64) -> Self {
        Self(number)
    }
}

/// The plan of a running emulator. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    plan: Arc<Mutex<Plan>>,
}

#[derive(Debug, Default)]
struct Plan {
    rules: Vec<Active>,
    added: u64,
}

#[derive(Debug)]
struct Active {
    id: u64,
    rule: Rule,
    random: StdRng,
    seen: u64,
    fired: u64,
}

/// What the plan says about one request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) delay: Duration,
    pub(crate) fault: Option<Fault>,
}

/// A rule and how often it has fired.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleState {
    /// Its name.
    pub id: RuleId,
    /// Requests that it was about.
    pub seen: u64,
    /// How often it fired.
    pub fired: u64,
    /// The rule.
    pub rule: Rule,
}

impl Faults {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a rule behind the others.
    pub fn add(&self, rule: Rule) -> RuleId {
        let mut plan = self.plan();
        plan.added += 1;
        let id = plan.added;
        let seed = if let When::Chance { seed, .. } = rule.timing { seed } else { id };
        plan.rules.push(Active {
            id,
            rule,
            random: StdRng::seed_from_u64(seed),
            seen: 0,
            fired: 0,
        });
        RuleId(id)
    }

    /// Removes a rule; says whether it was there.
    pub fn remove(&self, id: RuleId) -> bool {
        let mut plan = self.plan();
        let before = plan.rules.len();
        plan.rules.retain(|active| active.id != id.0);
        plan.rules.len() < before
    }

    /// Removes all rules.
    pub fn clear(&self) {
        self.plan().rules.clear();
    }

    /// How often a rule has fired; 0 for one that was removed.
    pub fn fired(&self, id: RuleId) -> u64 {
        self.plan().rules.iter().find(|active| active.id == id.0).map_or(0, |active| active.fired)
    }

    /// All rules, in order.
    pub fn list(&self) -> Vec<RuleState> {
        let state = |active: &Active| RuleState {
            id: RuleId(active.id),
            seen: active.seen,
            fired: active.fired,
            rule: active.rule.clone(),
        };
        self.plan().rules.iter().map(state).collect()
    }

    pub(crate) fn decide(&self, command: &str, collection: Option<&str>) -> Verdict {
        let mut verdict = Verdict::default();
        for active in &mut self.plan().rules {
            if !active.rule.is_about(command, collection) {
                continue;
            }
            // A fault waits for its turn; it is not used up by a request that
            // fails already.
            if verdict.fault.is_some() && !active.rule.faults.is_empty() {
                continue;
            }
            active.seen += 1;
            let fires = match active.rule.timing {
                When::Always => true,
                When::Next { skip, count } => active.seen > skip && active.seen - skip <= count,
                When::Chance { probability, .. } => active.random.random::<f64>() < probability,
            };
            if !fires {
                continue;
            }
            active.fired += 1;
            verdict.delay += Duration::from_millis(active.rule.delay_millis);
            if !active.rule.faults.is_empty() {
                let drawn = active.random.random_range(0..active.rule.faults.len());
                verdict.fault = Some(active.rule.faults[drawn].clone());
            }
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fates(faults: &Faults, requests: &[(&str, Option<&str>)]) -> Vec<Option<&'static str>> {
        requests
            .iter()
            .map(|(command, collection)| {
                faults.decide(command, *collection).fault.map(|f| f.name())
            })
            .collect()
    }

    #[test]
    fn a_rule_counts_only_what_it_is_about() {
        let faults = Faults::default();
        let id = faults.add(
            Rule::fault(Fault::DropAfter).on("updateOne").in_collection("songs").next(2).after(1),
        );
        let songs = Some("songs");

        let fates = fates(
            &faults,
            &[
                ("updateOne", songs),
                ("find", songs),
                ("updateOne", Some("x")),
                ("updateOne", songs),
                ("updateOne", songs),
                ("updateOne", songs),
            ],
        );

        let hit = Some("dropAfter");
        assert_eq!(fates, [None, None, None, hit, hit, None]);
        assert_eq!(faults.fired(id), 2);
        assert_eq!(faults.list()[0].seen, 4);
        assert!(faults.remove(id) && !faults.remove(id));
    }

    #[test]
    fn the_first_fault_decides_and_the_other_waits() {
        let faults = Faults::default();
        faults.add(Rule::delay(Duration::from_millis(5)));
        faults.add(Rule::fault(Fault::Hibernated).next(1));
        faults.add(Rule::fault(Fault::Overloaded).next(1).and_delay(Duration::from_millis(2)));

        let verdicts: Vec<_> = (0..3).map(|_| faults.decide("find", None)).collect();

        let delays: Vec<_> = verdicts.iter().map(|v| v.delay.as_millis()).collect();
        assert_eq!(delays, [5, 7, 5]);
        assert_eq!(verdicts[0].fault, Some(Fault::Hibernated));
        assert_eq!(verdicts[1].fault, Some(Fault::Overloaded));
        assert_eq!(verdicts[2].fault, None);
    }

    #[test]
    fn chance_repeats_itself() {
        let run = |seed| {
            let faults = Faults::default();
            faults.add(Rule::one_of(Fault::every_failure()).chance(0.3, seed));
            fates(&faults, &[("find", None); 1000])
        };
        let first = run(7);

        assert_eq!(first, run(7));
        assert_ne!(first, run(8));
        let fired = first.iter().flatten().count();
        assert!((250..350).contains(&fired), "{fired}");
    }

    #[test]
    fn rules_are_written_as_json() {
        let rule: Rule = serde_json::from_str(
            r#"{"commands":["find"],"timing":{"when":"next","count":2},"faults":[{"kind":"status","status":429,"retryAfter":3}]}"#,
        )
        .unwrap();
        assert_eq!(rule, Rule::fault(Fault::rate_limited(Some(3))).on("find").next(2));
        let text = serde_json::to_string(&rule).unwrap();
        assert_eq!(serde_json::from_str::<Rule>(&text).unwrap(), rule);
        assert!(serde_json::from_str::<Rule>(r#"{"fault":"x"}"#).is_err());
    }
}
