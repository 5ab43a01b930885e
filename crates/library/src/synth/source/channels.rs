//! How many channels a synth plays, as far as that can be seen without running it.
//!
//! Follows how SuperCollider makes several channels of lists: each expression has a width,
//! operators and unit generators are as wide as the widest thing that they are given, and
//! what is not known to be so has no width that is known.

use std::collections::BTreeMap;

use super::{
    controls::{Control, arguments},
    generators::{IS_ONE, IS_TWO, KEEPS, SAYS_HOW_MANY, is_among},
    tree::{Arguments, Group, Node, split},
};

/// Channels and elements of lists that are counted, at the most.
const MOST: usize = 1024;

/// Names that are followed, at the most.
const NAMES: usize = 300;

/// How wide a value is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Width {
    Unknown,
    /// So many channels; a number has one.
    Channels(usize),
    /// A list of so many lists, of so many channels each.
    Lists(usize, usize),
}

use Width::{Channels, Lists, Unknown};

impl Width {
    // What an operator or a unit generator makes of two of these.
    fn with(self, other: Self) -> Self {
        match (self, other) {
            (Channels(a), Channels(b)) => Channels(a.max(b)),
            (Lists(a, b), Channels(1)) | (Channels(1), Lists(a, b)) => Lists(a, b),
            _ => Unknown,
        }
    }

    fn repeated(self, times: usize) -> Self {
        match self {
            _ if !(1..=MOST).contains(&times) => Unknown,
            Channels(1) => Channels(times),
            Channels(inner) => Lists(times, inner),
            Unknown | Lists(..) => Unknown,
        }
    }

    fn mixed(self) -> Self {
        match self {
            Channels(_) => Channels(1),
            Lists(_, inner) => Channels(inner),
            Unknown => Unknown,
        }
    }
}

/// What names stand for.
type Names<'a> = BTreeMap<&'a str, Width>;

/// What a call is given, and how wide it is.
#[derive(Default)]
struct Given<'a> {
    arguments: Vec<(Option<&'a str>, &'a [Node])>,
    widths: Vec<Width>,
}

impl Given<'_> {
    // Where an argument with this place or name is.
    fn place(&self, at: usize, name: &str) -> Option<usize> {
        let named = self.arguments.iter().position(|(given, _)| *given == Some(name));
        let at = Some(at).filter(|at| self.arguments.get(*at).is_some_and(|one| one.0.is_none()));
        named.or(at)
    }

    fn width(&self, at: usize, name: &str) -> Option<Width> {
        self.widths.get(self.place(at, name)?).copied()
    }

    // A number that is written down.
    fn number(&self, at: usize, name: &str) -> Option<usize> {
        match self.arguments[self.place(at, name)?].1 {
            [only] => count(only),
            _ => None,
        }
    }
}

struct Reading<'a> {
    source: &'a str,
    /// What the unit generators play that end the chain.
    played: Vec<Width>,
    /// The same of those at control rate.
    sent: Vec<Width>,
    /// Whether there are more names than are followed.
    is_lost: bool,
}

/// How many channels a function plays; nothing where that is not sure.
pub(super) fn channels(source: &str, function: &Group, controls: &[Control]) -> Option<usize> {
    let mut reading = Reading { source, played: Vec::new(), sent: Vec::new(), is_lost: false };
    let mut names = Names::new();
    if controls.len() > NAMES {
        return None;
    }
    for control in controls {
        let width = match (&control.default, &control.written) {
            (serde_json::Value::Array(values), _) => Channels(values.len()),
            (_, None) => Channels(1),
            (_, Some(_)) => Unknown,
        };
        names.insert(&control.name, width);
    }
    let (_, body) = arguments(source, &function.nodes);
    reading.statements(body, &mut names);
    if reading.is_lost {
        return None;
    }
    let ends = if reading.played.is_empty() { reading.sent } else { reading.played };
    let widths = ends.into_iter().map(|width| match width {
        Channels(channels) => Some(channels),
        Lists(..) | Unknown => None,
    });
    widths.collect::<Option<Vec<usize>>>()?.into_iter().max()
}

impl<'a> Reading<'a> {
    // Follows statements; gives the width of the last one.
    fn statements(&mut self, nodes: &'a [Node], names: &mut Names<'a>) -> Width {
        let mut last = Unknown;
        if self.is_lost {
            return last;
        }
        for statement in split(nodes, ';') {
            last = self.statement(statement, names);
        }
        last
    }

    fn statement(&mut self, nodes: &'a [Node], names: &mut Names<'a>) -> Width {
        if nodes.first().and_then(|node| node.name(self.source)) == Some("var") {
            for part in split(&nodes[1..], ',') {
                self.assigned(part, names);
            }
            return Unknown;
        }
        // `#left, right = ...` gives each one element.
        if nodes.first().is_some_and(|node| node.is_sign('#'))
            && let Some(equals) = nodes.iter().position(|node| node.is_sign('='))
        {
            let each = match self.value(&nodes[equals + 1..], names) {
                Channels(_) => Channels(1),
                Lists(_, inner) => Channels(inner),
                Unknown => Unknown,
            };
            for name in nodes[..equals].iter().filter_map(|node| node.name(self.source)) {
                self.note(name, each, names);
            }
            return Unknown;
        }
        self.assigned(nodes, names)
    }

    // `name = value`, or a value.
    fn assigned(&mut self, nodes: &'a [Node], names: &mut Names<'a>) -> Width {
        match nodes {
            [name, equals, value @ ..] if equals.is_sign('=') => {
                let width = self.value(value, names);
                if let Some(name) = name.name(self.source) {
                    self.note(name, width, names);
                }
                width
            }
            _ => self.value(nodes, names),
        }
    }

    fn note(&mut self, name: &'a str, width: Width, names: &mut Names<'a>) {
        names.insert(name, width);
        self.is_lost |= names.len() > NAMES;
    }

    // Values with operators between them, which bind from left to right.
    fn value(&mut self, nodes: &'a [Node], names: &mut Names<'a>) -> Width {
        let mut at = 0;
        let mut width = self.operand(nodes, &mut at, names);
        while at < nodes.len() {
            let operator = nodes[at].operator(self.source);
            let is_word = nodes[at].name(self.source).is_some()
                && nodes.get(at + 1).is_some_and(|node| node.is_sign(':'));
            match operator {
                Some("!") => {
                    at += 1;
                    let times = nodes.get(at).and_then(count);
                    self.operand(nodes, &mut at, names);
                    width = times.map_or(Unknown, |times| width.repeated(times));
                }
                Some(_) => {
                    at += 1;
                    width = width.with(self.operand(nodes, &mut at, names));
                }
                None if is_word => {
                    at += 2;
                    width = width.with(self.operand(nodes, &mut at, names));
                }
                None => {
                    // Something that is not understood; what is played in it still counts.
                    width = Unknown;
                    self.operand(nodes, &mut at, names);
                }
            }
        }
        width
    }

    // One value, with what is called on it. Always goes on by one node at least.
    fn operand(&mut self, nodes: &'a [Node], at: &mut usize, names: &mut Names<'a>) -> Width {
        while nodes.get(*at).is_some_and(|node| {
            node.is_sign('^') || node.is_sign('#') || node.operator(self.source) == Some("-")
        }) {
            *at += 1;
        }
        let Some(node) = nodes.get(*at) else { return Unknown };
        *at += 1;
        let mut width = match node {
            Node::Group(group) => self.group(group, names),
            // A reference to a list, as for `Klank`, is one thing.
            _ if node.is_sign('`') => {
                self.operand(nodes, at, names);
                Channels(1)
            }
            Node::Token(_) => {
                if let Some(class) = node.class(self.source) {
                    self.call(class, nodes, at, names)
                } else if let Some(name) = node.name(self.source) {
                    self.named(name, nodes, at, names)
                } else if node.is_sign(':') || node.is_sign('=') {
                    Unknown
                } else {
                    Channels(1)
                }
            }
        };
        let literal = count(node);
        let mut is_first = true;
        loop {
            match (nodes.get(*at), nodes.get(*at + 1)) {
                (Some(dot), Some(method)) if dot.is_sign('.') => {
                    *at += 2;
                    let symbol = node.symbol().filter(|_| is_first);
                    let literal = literal.filter(|_| is_first);
                    width = match (symbol, method.name(self.source)) {
                        (Some(name), Some("kr" | "ar" | "ir" | "tr")) => {
                            self.given(nodes, at, names);
                            names.get(name).copied().unwrap_or(Unknown)
                        }
                        (_, Some(method)) => self.method(width, literal, method, nodes, at, names),
                        // `function.(...)`.
                        (_, None) => {
                            if method.group('(').is_none() {
                                *at -= 1;
                            }
                            width
                        }
                    };
                }
                (Some(index), _) if index.group('[').is_some() => {
                    *at += 1;
                    width = element(width);
                }
                _ => return width,
            }
            is_first = false;
        }
    }

    fn group(&mut self, group: &'a Group, names: &mut Names<'a>) -> Width {
        match group.open {
            '[' => {
                let parts = split(&group.nodes, ',');
                let widths: Vec<Width> =
                    parts.into_iter().map(|part| self.value(part, names)).collect();
                let widest = widths.iter().copied().reduce(Width::with).unwrap_or(Unknown);
                match widest {
                    Channels(1) => Channels(widths.len()),
                    Channels(inner) if widths.iter().all(|one| *one == widest) => {
                        Lists(widths.len(), inner)
                    }
                    _ => Unknown,
                }
            }
            '{' => self.block(group, names),
            _ => {
                // `(1..4)`.
                if let [first, rest, last] = group.nodes.as_slice()
                    && rest.is_sign('r')
                {
                    let (first, last) = (first.number(), last.number());
                    let number = first.zip(last).map(|(first, last)| (last - first).abs() + 1.0);
                    let number = number.filter(|number| *number <= MOST as f64);
                    return number.map_or(Unknown, |number| Channels(number as usize));
                }
                self.statements(&group.nodes, names)
            }
        }
    }

    // What a function gives. What it assigns may be assigned any number of times.
    fn block(&mut self, group: &'a Group, names: &mut Names<'a>) -> Width {
        let (_, body) = arguments(self.source, &group.nodes);
        let mut own = names.clone();
        let parameters = &group.nodes[..group.nodes.len() - body.len()];
        for name in parameters.iter().filter_map(|node| node.name(self.source)) {
            self.note(name, Channels(1), &mut own);
        }
        let width = self.statements(body, &mut own);
        for (name, before) in names.iter_mut() {
            let is_own = parameters.iter().any(|node| node.name(self.source) == Some(name));
            if !is_own && own.get(name) != Some(before) {
                *before = Unknown;
            }
        }
        width
    }

    // The widths of what stands in brackets after a name, if anything does.
    fn given(
        &mut self,
        nodes: &'a [Node],
        at: &mut usize,
        names: &mut Names<'a>,
    ) -> Option<Given<'a>> {
        let group = nodes.get(*at).and_then(|node| node.group('('))?;
        *at += 1;
        let arguments = Arguments::of(self.source, group);
        let widths = arguments.all().map(|(_, part)| self.value(part, names)).collect();
        let arguments = arguments.all().collect();
        Some(Given { arguments, widths })
    }

    // A name, or a function that is called as `max(a, b)`.
    fn named(
        &mut self,
        name: &'a str,
        nodes: &'a [Node],
        at: &mut usize,
        names: &mut Names<'a>,
    ) -> Width {
        match self.given(nodes, at, names) {
            Some(given) => match name {
                "max" | "min" | "abs" | "tanh" | "midicps" | "if" => all(&given.widths),
                _ => Unknown,
            },
            None => match name {
                "pi" | "inf" | "true" | "false" | "nil" => Channels(1),
                _ => names.get(name).copied().unwrap_or(Unknown),
            },
        }
    }

    // `Class.method(...)`, or `Class(...)`.
    fn call(
        &mut self,
        class: &'a str,
        nodes: &'a [Node],
        at: &mut usize,
        names: &mut Names<'a>,
    ) -> Width {
        let mut method = "new";
        if nodes.get(*at).is_some_and(|node| node.is_sign('.'))
            && let Some(name) = nodes.get(*at + 1).and_then(|node| node.name(self.source))
        {
            (method, *at) = (name, *at + 2);
        }
        let given = self.given(nodes, at, names).unwrap_or_default();
        let widths = given.widths.as_slice();
        match (class, method) {
            ("Out" | "OffsetOut" | "ReplaceOut" | "XOut", "ar" | "kr") => {
                let place = if class == "XOut" { 2 } else { 1 };
                let played = given.width(place, "channelsArray").unwrap_or(Unknown);
                if method == "ar" {
                    self.played.push(played)
                } else {
                    self.sent.push(played)
                }
                played
            }
            ("Mix", "new" | "ar" | "kr") => widths.first().map_or(Unknown, |width| width.mixed()),
            ("Mix", "fill") => widths.get(1).map_or(Unknown, |width| match width {
                Channels(_) => *width,
                Lists(..) | Unknown => Unknown,
            }),
            ("Array", "fill") => match (given.number(0, "size"), widths.get(1)) {
                (Some(times), Some(width)) => width.repeated(times),
                _ => Unknown,
            },
            ("Env" | "EnvGate" | "Done" | "Signal" | "Buffer", _) => Channels(1),
            ("Select", _) => widths.get(1).map_or(Unknown, |width| element(*width)),
            ("Splay", "ar" | "kr") => match widths.first() {
                Some(Lists(..)) | None => Unknown,
                Some(_) => Channels(2),
            },
            _ if method == "new" => Unknown,
            _ if is_among(IS_TWO, class) => match all(widths) {
                Channels(1) => Channels(2),
                Channels(several) => Lists(several, 2),
                Lists(..) | Unknown => Unknown,
            },
            ("Pan4" | "BiPanB2", _) if all(widths) == Channels(1) => {
                Channels(if class == "Pan4" { 4 } else { 3 })
            }
            ("PanB2", _) if all(widths) == Channels(1) => Channels(3),
            ("PanAz" | "SplayAz", _) => given.number(0, "numChans").map_or(Unknown, Channels),
            _ if is_among(SAYS_HOW_MANY, class) => {
                let rest = widths.get(1..).map_or(Channels(1), all);
                match (given.number(0, "numChannels"), rest) {
                    (Some(channels), Channels(1)) => Channels(channels),
                    _ => Unknown,
                }
            }
            ("In" | "InFeedback" | "LocalIn", _) => {
                let place = usize::from(class != "LocalIn");
                match (given.place(place, "numChannels"), given.number(place, "numChannels")) {
                    (None, _) => Channels(1),
                    (Some(_), Some(channels)) => Channels(channels),
                    (Some(_), None) => Unknown,
                }
            }
            ("NamedControl", "kr" | "ar" | "ir" | "tr") => {
                let name = given.place(0, "name").and_then(|at| given.arguments[at].1.first());
                let name = name.and_then(Node::said);
                name.and_then(|name| names.get(name).copied()).unwrap_or(Unknown)
            }
            _ if is_among(IS_ONE, class) && matches!(method, "ar" | "kr" | "ir") => all(widths),
            _ => Unknown,
        }
    }

    fn method(
        &mut self,
        on: Width,
        literal: Option<usize>,
        method: &str,
        nodes: &'a [Node],
        at: &mut usize,
        names: &mut Names<'a>,
    ) -> Width {
        let given = self.given(nodes, at, names);
        // `5.collect { ... }`.
        let mut block = None;
        while let Some(group) = nodes.get(*at).and_then(|node| node.group('{')) {
            *at += 1;
            block = Some(self.block(group, names));
        }
        let given = given.unwrap_or_default();
        let widths = given.widths.as_slice();
        match method {
            "sum" | "mean" | "mix" => on.mixed(),
            "dup" => match (given.place(0, "n"), given.number(0, "n")) {
                (None, _) => on.repeated(2),
                (Some(_), Some(times)) => on.repeated(times),
                (Some(_), None) => Unknown,
            },
            "collect" => {
                let each = block.or_else(|| widths.first().copied()).unwrap_or(Unknown);
                match (literal, on) {
                    (Some(times), _) | (None, Channels(times)) => each.repeated(times),
                    _ => Unknown,
                }
            }
            "first" | "last" | "at" | "wrapAt" | "clipAt" | "foldAt" | "choose" => element(on),
            "size" => Channels(1),
            "value" | "poll" | "scope" | "postln" | "debug" | "reverse" | "scramble" | "rotate"
            | "kr" | "ar" => on,
            _ if is_among(KEEPS, method) => widths.iter().copied().fold(on, Width::with),
            _ => Unknown,
        }
    }
}

// What all of these together are as wide as; of nothing, one.
fn all(widths: &[Width]) -> Width {
    widths.iter().copied().fold(Channels(1), Width::with)
}

fn element(width: Width) -> Width {
    match width {
        Channels(_) => Channels(1),
        Lists(_, inner) => Channels(inner),
        Unknown => Unknown,
    }
}

// A whole number that is written down.
fn count(node: &Node) -> Option<usize> {
    let number = node.number()?;
    let is_count = (1.0..=MOST as f64).contains(&number) && number.fract() == 0.0;
    is_count.then_some(number as usize)
}
