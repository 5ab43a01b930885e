//! Which paths of a collection are indexed: the allow and deny lists.

use std::collections::HashMap;

use crate::json::{Object, Value};
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
struct Branch(HashMap<String, Branch>);

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

    /// The document, cut down to what is indexed of it.
    pub(crate) fn indexed<'a>(&'a self, document: &'a Object) -> Indexed<'a> {
        match self.rule {
            Rule::Everything => Indexed::All(document),
            Rule::Nothing => Indexed::Part(Object::new()),
            Rule::Allow | Rule::Deny => {
                let mut part = document.clone();
                part.remove("$vector");
                if self.rule == Rule::Allow {
                    self.root.keep(&mut part);
                } else {
                    self.root.drop(&mut part);
                }
                Indexed::Part(part)
            }
        }
    }
}

/// The indexed part of a document.
#[derive(Debug)]
pub(crate) enum Indexed<'a> {
    All(&'a Object),
    Part(Object),
}

impl Indexed<'_> {
    pub(crate) fn object(&self) -> &Object {
        match self {
            Self::All(object) => object,
            Self::Part(object) => object,
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

    fn covers(&self, segments: &[String]) -> bool {
        let Some((first, rest)) = segments.split_first() else { return false };
        match self.0.get(first) {
            None => false,
            Some(next) => next.0.is_empty() || next.covers(rest),
        }
    }

    fn keep(&self, object: &mut Object) {
        object.retain(|name, value| match self.0.get(name) {
            None => is_special(name),
            Some(next) => {
                if !next.0.is_empty() {
                    each_object(value, &mut |object| next.keep(object));
                }
                true
            }
        });
    }

    fn drop(&self, object: &mut Object) {
        object.retain(|name, value| match self.0.get(name) {
            None => true,
            Some(next) if next.0.is_empty() => false,
            Some(next) => {
                each_object(value, &mut |object| next.drop(object));
                true
            }
        });
    }
}

/// The object itself, or the objects in an array: lists pass through arrays.
fn each_object(value: &mut Value, apply: &mut impl FnMut(&mut Object)) {
    match value {
        Value::Object(object) => apply(object),
        Value::Array(values) => values.iter_mut().for_each(|value| each_object(value, apply)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

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
    fn documents_are_cut_through_arrays() {
        let Value::Object(document) =
            parse(r#"{"_id":1,"a":[{"x":1,"y":2},3],"b":2}"#, 100).unwrap()
        else {
            unreachable!()
        };
        let text = |indexing: Indexing| {
            Value::Object(indexing.indexed(&document).object().clone()).to_string()
        };

        assert_eq!(text(Indexing::deny(&paths(&["a.x"]))), r#"{"_id":1,"a":[{"y":2},3],"b":2}"#);
        assert_eq!(text(Indexing::allow(&paths(&["a.x"]))), r#"{"a":[{"x":1},3]}"#);
        assert_eq!(text(Indexing::deny(&paths(&["*"]))), "{}");
    }
}
