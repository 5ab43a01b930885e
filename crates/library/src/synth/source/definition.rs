//! Where a source defines synths.

use std::ops::Range;

use super::tree::{Arguments, Group, Node};

/// `SynthDef(...)`, with what is called on it.
pub(super) struct Definition<'a> {
    /// Its name; nothing if it is put together by the program.
    pub(super) name: Option<String>,
    /// Its function, if it is written in place.
    pub(super) function: Option<&'a Group>,
    /// `rates`, as the third argument.
    pub(super) rates: Option<&'a [Node]>,
    /// `metadata`, as the sixth argument.
    pub(super) metadata: Option<&'a [Node]>,
    pub(super) span: Range<usize>,
    /// Whether its brackets close.
    pub(super) is_whole: bool,
}

/// Finds the definitions among `nodes` and within them.
pub(super) fn find<'a>(source: &'a str, nodes: &'a [Node], found: &mut Vec<Definition<'a>>) {
    let mut at = 0;
    while at < nodes.len() {
        if let Some((definition, next)) = definition(source, nodes, at) {
            found.push(definition);
            at = next;
            continue;
        }
        if let Node::Group(group) = &nodes[at] {
            find(source, &group.nodes, found);
        }
        at += 1;
    }
}

// The definition that begins here, and what comes after it.
fn definition<'a>(
    source: &'a str,
    nodes: &'a [Node],
    at: usize,
) -> Option<(Definition<'a>, usize)> {
    if nodes[at].class(source) != Some("SynthDef") {
        return None;
    }
    let mut next = at + 1;
    if nodes.get(next).is_some_and(|node| node.is_sign('.'))
        && nodes.get(next + 1).and_then(|node| node.name(source)) == Some("new")
    {
        next += 2;
    }
    let group = nodes.get(next)?.group('(')?;
    next += 1;
    let arguments = Arguments::of(source, group);
    let mut function = arguments.get(1, "ugenGraphFunc").and_then(function_of);
    let mut is_whole = group.is_closed;
    // `SynthDef(\name) { ... }`.
    if function.is_none()
        && let Some(block) = nodes.get(next).and_then(|node| node.group('{'))
    {
        function = Some(block);
        is_whole &= block.is_closed;
        next += 1;
    }
    // `.add`, `.store(...)` and the like.
    while nodes.get(next).is_some_and(|node| node.is_sign('.'))
        && nodes.get(next + 1).is_some_and(|node| node.name(source).is_some())
    {
        next += 2;
        if nodes.get(next).is_some_and(|node| node.group('(').is_some()) {
            next += 1;
        }
    }
    let span = nodes[at].span().start..nodes[next - 1].span().end;
    let definition = Definition {
        name: arguments.get(0, "name").and_then(|nodes| name_of(source, nodes)),
        function,
        rates: arguments.get(2, "rates"),
        metadata: arguments.get(5, "metadata"),
        span,
        is_whole,
    };
    Some((definition, next))
}

// `{ ... }` or `#{ ... }`, and nothing else.
fn function_of(nodes: &[Node]) -> Option<&Group> {
    match nodes {
        [only] => only.group('{'),
        [sign, only] if sign.is_sign('#') => only.group('{'),
        _ => None,
    }
}

// A name that is written down.
fn name_of(source: &str, nodes: &[Node]) -> Option<String> {
    let said = match nodes {
        [only] => only.said(),
        [only, dot, turned] if dot.is_sign('.') => {
            matches!(turned.name(source), Some("asSymbol" | "asString")).then(|| only.said())?
        }
        _ => None,
    };
    said.filter(|name| !name.trim().is_empty()).map(str::to_owned)
}
