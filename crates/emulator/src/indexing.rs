//! Which paths of a collection are indexed: the allow and deny lists.

use std::collections::HashMap;

use crate::json::Value;
use crate::path::Path;

/// The `indexing` option of a collection.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Indexing {
    rule: Rule,
    root: Branch,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Rule {
    #[default]
    Everything,
    Nothing,
    Allow,
    Deny,
}

/// One level of the listed paths; a branch without members covers all below it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Branch(HashMap<String, Branch>);

impl Indexing {
    pub(crate) fn allow(paths: &[Path]) -> Self {
        if matches!(paths, [only] if only.as_str() == "*") {
            return Self::default();
        }
        Self { rule: Rule::Allow, root: Branch::of(paths) }
    }

    pub(crate) fn deny(paths: &[Path]) -> Self {
        if matches!(paths, [only] if only.as_str() == "*") {
            return Self { rule: Rule::Nothing, root: Branch::default() };
        }
        Self { rule: Rule::Deny, root: Branch::of(paths) }
    }

    /// Whether filters and sorts may name this path.
    pub(crate) fn covers(&self, path: &Path) -> bool {
        if is_special(path.as_str()) {
            return self.rule != Rule::Deny || !self.root.covers(path.segments());
        }
        match self.rule {
            Rule::Everything => true,
            Rule::Nothing => false,
            Rule::Allow => self.root.covers(path.segments()),
            Rule::Deny => !self.root.covers(path.segments()),
        }
    }

    /// What the deny list names below this path.
    pub(crate) fn hidden_below(&self, path: &Path) -> Option<&Branch> {
        if self.rule != Rule::Deny {
            return None;
        }
        let branch =
            path.segments().iter().try_fold(&self.root, |branch, name| branch.0.get(name))?;
        (!branch.0.is_empty()).then_some(branch)
    }

    /// What is indexed of a document.
    pub(crate) fn of_document(&self) -> Indexed<'_> {
        match self.rule {
            Rule::Everything => Indexed::All,
            Rule::Nothing => Indexed::Nothing,
            Rule::Allow => Indexed::Only(&self.root),
            Rule::Deny => Indexed::AllBut(&self.root),
        }
    }
}

/// What is indexed of an object. Elements of arrays are as the array: lists
/// pass through them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Indexed<'a> {
    All,
    Nothing,
    Only(&'a Branch),
    AllBut(&'a Branch),
}

impl<'a> Indexed<'a> {
    /// What is indexed of a member; `None` if nothing of it.
    pub(crate) fn member(self, name: &str) -> Option<Self> {
        let listed = |branch: &'a Branch| branch.0.get(name);
        match self {
            Self::All => Some(Self::All),
            Self::Nothing => None,
            Self::Only(branch) => match listed(branch) {
                None => is_special(name).then_some(Self::All),
                Some(next) if next.0.is_empty() => Some(Self::All),
                Some(next) => Some(Self::Only(next)),
            },
            Self::AllBut(branch) => match listed(branch) {
                None => Some(Self::All),
                Some(next) if next.0.is_empty() => None,
                Some(next) => Some(Self::AllBut(next)),
            },
        }
    }
}

/// These have columns of their own; an allow list need not name them.
fn is_special(path: &str) -> bool {
    matches!(path, "$vector" | "$vectorize" | "$lexical")
}

impl Branch {
    fn of(paths: &[Path]) -> Self {
        let mut root = Self::default();
        // Shorter paths first, so that a path covers those below it.
        let mut paths: Vec<_> = paths.iter().collect();
        paths.sort_by_key(|path| path.segments().len());
        'paths: for path in paths {
            let mut branch = &mut root;
            for (depth, segment) in path.segments().iter().enumerate() {
                let known = branch.0.contains_key(segment);
                branch = branch.0.entry(segment.clone()).or_default();
                if known && branch.0.is_empty() && depth + 1 < path.segments().len() {
                    continue 'paths;
                }
            }
        }
        root
    }

    /// `value` without the members that are listed.
    pub(crate) fn strip(&self, value: &Value) -> Value {
        match value {
            Value::Object(object) => {
                let kept = object.iter().filter_map(|(name, value)| match self.0.get(name) {
                    None => Some((name.to_owned(), value.clone())),
                    Some(next) if next.0.is_empty() => None,
                    Some(next) => Some((name.to_owned(), next.strip(value))),
                });
                Value::Object(kept.collect())
            }
            Value::Array(values) => Value::Array(values.iter().map(|v| self.strip(v)).collect()),
            other => other.clone(),
        }
    }

    fn covers(&self, segments: &[String]) -> bool {
        let Some((first, rest)) = segments.split_first() else { return false };
        match self.0.get(first) {
            None => false,
            Some(next) => next.0.is_empty() || next.covers(rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(list: &[&str]) -> Vec<Path> {
        list.iter().map(|p| Path::parse(p).unwrap()).collect()
    }

    fn covered(indexing: &Indexing, path: &str) -> bool {
        indexing.covers(&Path::parse(path).unwrap())
    }

    #[test]
    fn a_denied_path_covers_everything_under_it() {
        let indexing = Indexing::deny(&paths(&["payload.text", "payload", "a&.b"]));

        assert!(!covered(&indexing, "payload") && !covered(&indexing, "payload.text.x"));
        assert!(!covered(&indexing, "a&.b") && covered(&indexing, "a.b"));
        assert!(covered(&indexing, "other") && covered(&indexing, "_id"));
    }

    #[test]
    fn an_allowed_path_covers_everything_under_it_and_vectors() {
        let indexing = Indexing::allow(&paths(&["tag", "card.year"]));

        assert!(covered(&indexing, "tag.0") && covered(&indexing, "card.year"));
        assert!(!covered(&indexing, "card") && !covered(&indexing, "_id"));
        assert!(covered(&indexing, "$vector") && covered(&indexing, "$lexical"));
    }

    #[test]
    fn stars_are_everything_and_nothing() {
        assert!(covered(&Indexing::allow(&paths(&["*"])), "x"));
        assert!(!covered(&Indexing::deny(&paths(&["*"])), "x"));
    }

    #[test]
    fn members_are_followed_as_deep_as_lists_go() {
        let is_indexed = |indexing: &Indexing, path: &[&str]| {
            let indexed = path.iter().try_fold(indexing.of_document(), |at, name| at.member(name));
            indexed.is_some()
        };
        let (deny, allow) = (Indexing::deny(&paths(&["a.x"])), Indexing::allow(&paths(&["a.x"])));

        for (path, denied, allowed) in [
            (&["_id"][..], false, false),
            (&["a"], false, true),
            (&["a", "x"], true, true),
            (&["a", "x", "y"], true, true),
            (&["a", "y"], false, false),
            (&["b"], false, false),
            (&["$vector"], false, true),
        ] {
            assert_eq!(is_indexed(&deny, path), !denied, "{path:?}");
            assert_eq!(is_indexed(&allow, path), allowed, "{path:?}");
        }
        assert!(!is_indexed(&Indexing::deny(&paths(&["*"])), &["a"]));
        assert!(is_indexed(&Indexing::allow(&paths(&["*"])), &["a"]));
    }
}
