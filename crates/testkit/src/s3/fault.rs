//! What can go wrong with a request to S3, and when it shall.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the variants say it")]
pub enum Operation {
    Put,
    Get,
    Head,
    Delete,
    DeleteMany,
    List,
    BeginParts,
    PutPart,
    CompleteParts,
    AbortParts,
    Other,
}

impl Operation {
    /// What a method on a path with a query asks for.
    pub(super) fn of(method: &str, path: &str, query: &str) -> Self {
        let has = |name: &str| query.split('&').any(|part| part.split('=').next() == Some(name));
        let of_object =
            path.trim_start_matches('/').split_once('/').is_some_and(|(_, key)| !key.is_empty());
        match (method, of_object) {
            ("PUT", true) if has("partNumber") => Self::PutPart,
            ("PUT", true) => Self::Put,
            ("POST", true) if has("uploads") => Self::BeginParts,
            ("POST", true) if has("uploadId") => Self::CompleteParts,
            ("POST", false) if has("delete") => Self::DeleteMany,
            ("DELETE", true) if has("uploadId") => Self::AbortParts,
            ("DELETE", true) => Self::Delete,
            ("GET", true) => Self::Get,
            ("HEAD", true) => Self::Head,
            ("GET", false) => Self::List,
            _ => Self::Other,
        }
    }
}

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends before the request is done.
    DropBefore,
    /// The request is done, then the connection ends without an answer.
    DropAfter,
    /// The request is done, and 500 is answered.
    ErrorAfter,
    /// 503 `SlowDown`; the request is not done.
    SlowDown,
    /// 409 `ConditionalRequestConflict`, on conditional writes alone; the
    /// request is not done.
    Conflict,
    /// Of what is downloaded half comes, then the connection ends. Requests
    /// that download nothing go well.
    CutBody,
}

impl Fault {
    /// One of every kind.
    pub const fn every() -> [Self; 6] {
        [
            Self::DropBefore,
            Self::DropAfter,
            Self::ErrorAfter,
            Self::SlowDown,
            Self::Conflict,
            Self::CutBody,
        ]
    }
}

/// Which requests fail, when, and how.
///
/// ```
/// use songrec_testkit::s3::{Fault, Operation, Rule};
/// use std::time::Duration;
///
/// // The next upload is done, and its answer is lost.
/// let lost = Rule::fault(Fault::DropAfter).on(Operation::Put).next(1);
/// // A third of all requests fails in one of many ways, the same each time.
/// let storm = Rule::one_of(&Fault::every()).chance(0.3, 42);
/// // Everything takes 30 ms longer.
/// let far_away = Rule::delay(Duration::from_millis(30));
/// ```
#[derive(Clone, Debug)]
pub struct Rule {
    faults: Vec<Fault>,
    operations: Vec<Operation>,
    delay: Duration,
    left: Option<u64>,
    chance: Option<(f64, u64)>,
}

impl Rule {
    /// A fault for every request.
    pub fn fault(fault: Fault) -> Self {
        Self::one_of(&[fault])
    }

    /// One fault of a list for every request, drawn each time.
    pub fn one_of(faults: &[Fault]) -> Self {
        Self {
            faults: faults.to_vec(),
            operations: Vec::new(),
            delay: Duration::ZERO,
            left: None,
            chance: None,
        }
    }

    /// Time that passes before a request is looked at, and nothing wrong with
    /// it otherwise.
    pub fn delay(delay: Duration) -> Self {
        Self { delay, ..Self::one_of(&[]) }
    }

    /// Only for this operation; called again, for one of several.
    #[must_use]
    pub fn on(mut self, operation: Operation) -> Self {
        self.operations.push(operation);
        self
    }

    /// Only for the next `count` requests.
    #[must_use]
    pub fn next(mut self, count: u64) -> Self {
        self.left = Some(count);
        self
    }

    /// Only with a probability, drawn from a seed.
    #[must_use]
    pub fn chance(mut self, probability: f64, seed: u64) -> Self {
        self.chance = Some((probability, seed));
        self
    }
}

/// Names a rule that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleId(u64);

/// The rules of a server, and what it was asked.
#[derive(Debug, Default)]
pub(super) struct Plan {
    state: Mutex<FaultState>,
}

#[derive(Debug, Default)]
struct FaultState {
    rules: Vec<Active>,
    added: u64,
    requests: BTreeMap<Operation, u64>,
    injected: u64,
}

#[derive(Debug)]
struct Active {
    id: RuleId,
    rule: Rule,
    random: StdRng,
    fired: u64,
}

/// What becomes of one request.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Verdict {
    pub(super) delay: Duration,
    pub(super) fault: Option<Fault>,
}

impl Plan {
    fn state(&self) -> MutexGuard<'_, FaultState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, rule: Rule) -> RuleId {
        let mut state = self.state();
        state.added += 1;
        let id = RuleId(state.added);
        let seed = rule.chance.map_or(0, |(_, seed)| seed);
        state.rules.push(Active { id, rule, random: StdRng::seed_from_u64(seed), fired: 0 });
        id
    }

    pub(super) fn remove(&self, id: RuleId) {
        self.state().rules.retain(|active| active.id != id);
    }

    pub(super) fn clear(&self) {
        self.state().rules.clear();
    }

    pub(super) fn fired(&self, id: RuleId) -> u64 {
        self.state().rules.iter().find(|active| active.id == id).map_or(0, |active| active.fired)
    }

    pub(super) fn injected(&self) -> u64 {
        self.state().injected
    }

    pub(super) fn requests(&self) -> BTreeMap<Operation, u64> {
        self.state().requests.clone()
    }

    pub(super) fn forget_requests(&self) {
        self.state().requests.clear();
    }

    /// Counts a request and says what becomes of it: the delays of all rules
    /// that fire add up, and the first fault counts.
    pub(super) fn judge(&self, operation: Operation) -> Verdict {
        let mut state = self.state();
        *state.requests.entry(operation).or_default() += 1;
        let mut verdict = Verdict::default();
        for active in &mut state.rules {
            let rule = &mut active.rule;
            if !rule.operations.is_empty() && !rule.operations.contains(&operation) {
                continue;
            }
            if rule.chance.is_some_and(|(probability, _)| !active.random.random_bool(probability)) {
                continue;
            }
            match &mut rule.left {
                Some(0) => continue,
                Some(left) => *left -= 1,
                None => {}
            }
            active.fired += 1;
            verdict.delay += rule.delay;
            if verdict.fault.is_none() {
                verdict.fault = rule.faults.choose(&mut active.random).copied();
            }
        }
        state.injected += u64::from(verdict.fault.is_some());
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart() {
        for (method, target, operation) in [
            ("PUT", "/b/audio/9c/9c1e", Operation::Put),
            ("PUT", "/b/k?partNumber=1&uploadId=x", Operation::PutPart),
            ("POST", "/b/k?uploads", Operation::BeginParts),
            ("POST", "/b/k?uploadId=x", Operation::CompleteParts),
            ("DELETE", "/b/k?uploadId=x", Operation::AbortParts),
            ("POST", "/b?delete", Operation::DeleteMany),
            ("GET", "/b?list-type=2", Operation::List),
            ("GET", "/b/k?X-Amz-Signature=1", Operation::Get),
            ("PUT", "/b", Operation::Other),
        ] {
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            assert_eq!(Operation::of(method, path, query), operation, "{method} {target}");
        }
    }

    #[test]
    fn a_seed_always_fails_the_same_requests() {
        let drawn = || {
            let plan = Plan::default();
            plan.add(Rule::one_of(&Fault::every()).chance(0.3, 7));
            (0..200).map(|_| plan.judge(Operation::Get).fault).collect::<Vec<_>>()
        };

        let first = drawn();

        assert_eq!(first, drawn());
        let failed = first.iter().flatten().count();
        assert!((40..80).contains(&failed), "{failed} of 200");
    }

    #[test]
    fn a_rule_fires_as_often_as_it_says() {
        let plan = Plan::default();
        let rule = plan.add(Rule::fault(Fault::SlowDown).on(Operation::Put).next(2));
        plan.add(Rule::delay(Duration::from_millis(3)));

        let faults: Vec<_> = [Operation::Get, Operation::Put, Operation::Put, Operation::Put]
            .map(|operation| plan.judge(operation))
            .into_iter()
            .collect();

        assert!(faults.iter().all(|verdict| verdict.delay == Duration::from_millis(3)));
        let faults: Vec<_> = faults.into_iter().map(|verdict| verdict.fault).collect();
        assert_eq!(faults, [None, Some(Fault::SlowDown), Some(Fault::SlowDown), None]);
        assert_eq!((plan.fired(rule), plan.injected()), (2, 2));
        assert_eq!(plan.requests()[&Operation::Put], 3);
    }
}
