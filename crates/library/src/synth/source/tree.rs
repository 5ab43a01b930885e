//! Tokens within their brackets.

use std::ops::Range;

use super::token::{Kind, Token, tokens};

/// Brackets within brackets, at the most: more than any person writes.
const DEEPEST: usize = 200;

/// A token, or what stands in brackets.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Token(Token),
    Group(Group),
}

/// What stands in brackets.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Group {
    /// `(`, `[` or `{`.
    pub(super) open: char,
    pub(super) nodes: Vec<Node>,
    /// With its brackets, in bytes.
    pub(super) span: Range<usize>,
    /// Whether it ends with its own bracket.
    pub(super) is_closed: bool,
}

/// The nodes of a source; nothing if they nest too deep. A bracket that closes nothing is
/// passed over; one that does not close ends where what it is in ends.
pub(super) fn nodes(source: &str) -> Option<Vec<Node>> {
    let mut open: Vec<Group> = Vec::new();
    let mut done = Vec::new();
    let close = |open: &mut Vec<Group>, done: &mut Vec<Node>, end: usize, is_closed: bool| {
        let Some(mut group) = open.pop() else { return };
        (group.span.end, group.is_closed) = (end, is_closed);
        open.last_mut().map_or(done, |outer| &mut outer.nodes).push(Node::Group(group));
    };
    for token in tokens(source) {
        match token.kind {
            Kind::Sign(sign @ ('(' | '[' | '{')) => {
                if open.len() == DEEPEST {
                    return None;
                }
                let (nodes, is_closed) = (Vec::new(), false);
                open.push(Group { open: sign, nodes, span: token.span, is_closed });
            }
            Kind::Sign(sign @ (')' | ']' | '}')) => {
                let wanted = match sign {
                    ')' => '(',
                    ']' => '[',
                    _ => '{',
                };
                if open.iter().any(|group| group.open == wanted) {
                    while open.last().is_some_and(|group| group.open != wanted) {
                        close(&mut open, &mut done, token.span.start, false);
                    }
                    close(&mut open, &mut done, token.span.end, true);
                }
            }
            _ => {
                open.last_mut().map_or(&mut done, |outer| &mut outer.nodes).push(Node::Token(token))
            }
        }
    }
    while !open.is_empty() {
        close(&mut open, &mut done, source.len(), false);
    }
    Some(done)
}

impl Node {
    pub(super) fn span(&self) -> Range<usize> {
        match self {
            Self::Token(token) => token.span.clone(),
            Self::Group(group) => group.span.clone(),
        }
    }

    pub(super) fn group(&self, open: char) -> Option<&Group> {
        match self {
            Self::Group(group) if group.open == open => Some(group),
            _ => None,
        }
    }

    pub(super) fn is_sign(&self, sign: char) -> bool {
        matches!(self, Self::Token(Token { kind: Kind::Sign(other), .. }) if *other == sign)
    }

    /// The text of a name that begins with a small letter.
    pub(super) fn name<'a>(&self, source: &'a str) -> Option<&'a str> {
        self.text_of(source, &Kind::Name)
    }

    /// The text of a name that begins with a capital letter.
    pub(super) fn class<'a>(&self, source: &'a str) -> Option<&'a str> {
        self.text_of(source, &Kind::Class)
    }

    pub(super) fn operator<'a>(&self, source: &'a str) -> Option<&'a str> {
        self.text_of(source, &Kind::Operator)
    }

    fn text_of<'a>(&self, source: &'a str, kind: &Kind) -> Option<&'a str> {
        match self {
            Self::Token(token) if token.kind == *kind => source.get(token.span.clone()),
            _ => None,
        }
    }

    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Token(Token { kind: Kind::Number(value), .. }) => *value,
            _ => None,
        }
    }

    /// What a symbol or a text says.
    pub(super) fn said(&self) -> Option<&str> {
        match self {
            Self::Token(Token { kind: Kind::Symbol(text) | Kind::Text(text), .. }) => Some(text),
            _ => None,
        }
    }

    pub(super) fn symbol(&self) -> Option<&str> {
        match self {
            Self::Token(Token { kind: Kind::Symbol(text), .. }) => Some(text),
            _ => None,
        }
    }
}

/// The parts between signs such as `,`. An end without anything is none.
pub(super) fn split(nodes: &[Node], sign: char) -> Vec<&[Node]> {
    let mut parts: Vec<&[Node]> = nodes.split(|node| node.is_sign(sign)).collect();
    if parts.last().is_some_and(|last| last.is_empty()) {
        parts.pop();
    }
    parts
}

/// What a call is given.
pub(super) struct Arguments<'a> {
    source: &'a str,
    parts: Vec<&'a [Node]>,
}

impl<'a> Arguments<'a> {
    pub(super) fn of(source: &'a str, group: &'a Group) -> Self {
        Self { source, parts: split(&group.nodes, ',') }
    }

    /// The argument at a place, or with this name; nothing if it is not given.
    pub(super) fn get(&self, at: usize, name: &str) -> Option<&'a [Node]> {
        let named = self.parts.iter().find_map(|part| match part {
            [first, colon, rest @ ..]
                if first.name(self.source) == Some(name) && colon.is_sign(':') =>
            {
                Some(rest)
            }
            _ => None,
        });
        let at = self.parts.get(at).copied().filter(|part| !self.is_named(part));
        named.or(at).filter(|part| !part.is_empty())
    }

    /// All of them, with their names if they have some.
    pub(super) fn all(&self) -> impl Iterator<Item = (Option<&'a str>, &'a [Node])> + '_ {
        self.parts.iter().map(|part| match self.is_named(part) {
            true => (part[0].name(self.source), &part[2..]),
            false => (None, *part),
        })
    }

    fn is_named(&self, part: &[Node]) -> bool {
        matches!(part, [first, colon, ..] if first.name(self.source).is_some() && colon.is_sign(':'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_that_do_not_fit_end_where_they_can() {
        let source = "( a [ b ) c ] } d";
        let nodes = nodes(source).unwrap();

        let group = nodes[0].group('(').unwrap();
        assert!(group.is_closed && &source[group.span.clone()] == "( a [ b )");
        let inner = group.nodes[1].group('[').unwrap();
        assert!(!inner.is_closed && inner.nodes[0].name(source) == Some("b"));
        let rest: Vec<_> = nodes[1..].iter().filter_map(|node| node.name(source)).collect();
        assert_eq!(rest, ["c", "d"]);
    }

    #[test]
    fn what_nests_too_deep_is_refused() {
        assert!(nodes(&"(".repeat(DEEPEST)).is_some());
        assert!(nodes(&"[".repeat(DEEPEST + 1)).is_none());
    }

    #[test]
    fn arguments_are_found_by_place_and_name() {
        let source = "(1, b: 2, 3)";
        let nodes = nodes(source).unwrap();
        let arguments = Arguments::of(source, nodes[0].group('(').unwrap());

        let number = |at, name: &str| arguments.get(at, name)?[0].number();
        assert_eq!(number(0, "a"), Some(1.0));
        assert_eq!(number(9, "b"), Some(2.0));
        assert_eq!(number(1, "c"), None);
        assert_eq!(arguments.all().count(), 3);
    }
}
