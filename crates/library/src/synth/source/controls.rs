//! What a synth can be told while it plays: the arguments of its function, and what is
//! named within it, such as `\freq.kr(440)`.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    definition::Definition,
    tree::{Arguments, Group, Node, split},
};

/// Values of a list that `440 ! 4` makes, at the most; a longer one is kept as it is written.
const LONGEST: f64 = 1024.0;
/// Controls of one synth, at the most; the others are not read.
const MOST: usize = 1_000;
/// Characters of a value that is kept as it is written, at the most.
const WRITTEN: usize = 200;

/// What a synth can be told while it plays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Control {
    /// Its name.
    pub name: String,
    /// What it is if nobody says anything: a number, a list of numbers, or null where none
    /// is written or it is worked out.
    pub default: Value,
    /// How that is written, where it is worked out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<String>,
    /// How often it is looked at.
    pub rate: ControlRate,
}

/// How often a control is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ControlRate {
    /// Once for each block.
    Kr,
    /// For each sample.
    Ar,
    /// Once, when the synth begins.
    Ir,
    /// Once for each block, and back to 0 after one: a trigger.
    Tr,
}

impl ControlRate {
    fn of(name: &str) -> Option<Self> {
        match name {
            "kr" => Some(Self::Kr),
            "ar" => Some(Self::Ar),
            "ir" => Some(Self::Ir),
            "tr" => Some(Self::Tr),
            _ => None,
        }
    }

    // What the begin of an argument's name says.
    fn of_prefix(name: &str) -> Self {
        match name.get(..2) {
            Some("t_") => Self::Tr,
            Some("i_") => Self::Ir,
            Some("a_") => Self::Ar,
            _ => Self::Kr,
        }
    }
}

/// The controls of a definition, and whether these are all.
pub(super) fn read(source: &str, definition: &Definition<'_>) -> (Vec<Control>, bool) {
    let Some(function) = definition.function else { return (Vec::new(), false) };
    let (mut controls, body) = arguments(source, &function.nodes);
    let rates = definition.rates.and_then(|nodes| nodes.iter().find_map(|node| node.group('[')));
    let rates = rates.map(|group| split(&group.nodes, ',')).unwrap_or_default();
    for (control, rate) in controls.iter_mut().zip(rates) {
        // A number is a lag.
        let rate = rate.first().and_then(Node::symbol).and_then(ControlRate::of);
        control.rate = rate.unwrap_or(control.rate);
    }
    named(source, body, &mut controls);
    // What a function from elsewhere asks for is not seen.
    let are_all = controls.len() < MOST && !calls(source, body, "SynthDef");
    (controls, are_all)
}

/// Whether something in a function makes a gate of its own.
pub(super) fn makes_gate(source: &str, function: &Group) -> bool {
    calls(source, &function.nodes, "EnvGate")
}

fn calls(source: &str, nodes: &[Node], class: &str) -> bool {
    nodes.iter().any(|node| match node {
        Node::Group(group) => calls(source, &group.nodes, class),
        Node::Token(_) => node.class(source) == Some(class),
    })
}

/// The arguments of a function, and what comes after them.
pub(super) fn arguments<'a>(source: &str, nodes: &'a [Node]) -> (Vec<Control>, &'a [Node]) {
    let (declared, body) = match nodes {
        [first, rest @ ..] if first.is_sign('|') => {
            let end = rest.iter().position(|node| node.is_sign('|')).unwrap_or(rest.len());
            (declarations(source, &rest[..end]), rest.get(end + 1..).unwrap_or_default())
        }
        [first, rest @ ..] if first.name(source) == Some("arg") => {
            let end = rest.iter().position(|node| node.is_sign(';')).unwrap_or(rest.len());
            (declarations(source, &rest[..end]), rest.get(end + 1..).unwrap_or_default())
        }
        _ => (Vec::new(), nodes),
    };
    let mut controls: Vec<Control> = Vec::new();
    for (name, value) in declared {
        let rate = ControlRate::of_prefix(name);
        add(&mut controls, control(source, name, value, rate));
    }
    (controls, body)
}

// Names with what they are given: `a = 1, b = 2`, and between `|` also without commas.
fn declarations<'a, 'n>(source: &'a str, nodes: &'n [Node]) -> Vec<(&'a str, &'n [Node])> {
    let mut found = Vec::new();
    // The rest of all arguments is no control.
    let nodes = nodes.split(|node| node.is_sign('e')).next().unwrap_or_default();
    for part in split(nodes, ',') {
        let mut rest = part;
        while let Some(name) = rest.first().and_then(|node| node.name(source)) {
            let after = &rest[1..];
            let [equals, value @ ..] = after else {
                found.push((name, after));
                break;
            };
            if !equals.is_sign('=') {
                found.push((name, &[][..]));
                rest = after;
                continue;
            }
            // The next name with something to be given begins another argument.
            let next = (1..value.len()).find(|&at| {
                let is_part =
                    value[at - 1].is_sign('.') || value[at - 1].operator(source).is_some();
                let ends = value
                    .get(at + 1)
                    .is_none_or(|node| node.is_sign('=') || node.name(source).is_some());
                value[at].name(source).is_some() && !is_part && ends
            });
            let end = next.unwrap_or(value.len());
            found.push((name, &value[..end]));
            rest = &value[end..];
        }
    }
    found
}

// Adds what is named in the function: `\freq.kr(440)`, `NamedControl.kr(\freq, 440)`.
fn named(source: &str, nodes: &[Node], controls: &mut Vec<Control>) {
    for (at, node) in nodes.iter().enumerate() {
        if let Node::Group(group) = node {
            named(source, &group.nodes, controls);
            continue;
        }
        let [Some(dot), Some(method)] = [nodes.get(at + 1), nodes.get(at + 2)] else { continue };
        let rate = method.name(source).and_then(ControlRate::of);
        let (true, Some(rate)) = (dot.is_sign('.'), rate) else { continue };
        let given = nodes.get(at + 3).and_then(|node| node.group('('));
        let given = given.map(|group| Arguments::of(source, group));
        if let Some(name) = node.symbol().filter(|name| !name.is_empty()) {
            let value = given.and_then(|given| given.get(0, "values")).unwrap_or_default();
            add(controls, control(source, name, value, rate));
        } else if node.class(source) == Some("NamedControl")
            && let Some(given) = given
            && let Some([name]) = given.get(0, "name")
            && let Some(name) = name.said()
        {
            let value = given.get(1, "values").unwrap_or_default();
            add(controls, control(source, name, value, rate));
        }
    }
}

// The first of a name counts; what it does not say a later one may.
fn add(controls: &mut Vec<Control>, new: Control) {
    let has_room = controls.len() < MOST;
    match controls.iter_mut().find(|control| control.name == new.name) {
        None if has_room => controls.push(new),
        None => {}
        Some(known) if known.default.is_null() && known.written.is_none() => {
            (known.default, known.written) = (new.default, new.written);
        }
        Some(_) => {}
    }
}

fn control(source: &str, name: &str, value: &[Node], rate: ControlRate) -> Control {
    let default = literal(source, value);
    let is_none = matches!(value, [only] if only.name(source) == Some("nil"));
    let written = match (&default, value) {
        (None, [first, .., last]) => source.get(first.span().start..last.span().end),
        (None, [only]) if !is_none => source.get(only.span()),
        _ => None,
    };
    let written = written.map(|text| text.chars().take(WRITTEN).collect());
    Control { name: name.to_owned(), default: default.unwrap_or_default(), written, rate }
}

// A value that is written down.
fn literal(source: &str, nodes: &[Node]) -> Option<Value> {
    if let Some(number) = number(source, nodes) {
        return Some(json!(number));
    }
    match nodes {
        [only] => match only {
            Node::Group(group) if group.open == '[' => {
                let values: Option<Vec<f64>> =
                    split(&group.nodes, ',').iter().map(|part| number(source, part)).collect();
                values.map(|values| json!(values))
            }
            Node::Group(group) if group.open == '(' => literal(source, &group.nodes),
            _ => None,
        },
        [sign, only] if sign.is_sign('#') => literal(source, std::slice::from_ref(only)),
        // `440 ! 4`.
        [value @ .., operator, times] if operator.operator(source) == Some("!") => {
            repeated(number(source, value)?, times.number()?)
        }
        // `440.dup(4)`.
        [value @ .., dot, method, times]
            if dot.is_sign('.') && method.name(source) == Some("dup") =>
        {
            let [times] = times.group('(')?.nodes.as_slice() else { return None };
            repeated(number(source, value)?, times.number()?)
        }
        _ => None,
    }
}

fn repeated(value: f64, times: f64) -> Option<Value> {
    let is_count = (1.0..=LONGEST).contains(&times) && times.fract() == 0.0;
    is_count.then(|| json!(vec![value; times as usize]))
}

// A number, also a negative one.
fn number(source: &str, nodes: &[Node]) -> Option<f64> {
    match nodes {
        [only] => match only.name(source) {
            Some("true") => Some(1.0),
            Some("false") => Some(0.0),
            Some("pi") => Some(std::f64::consts::PI),
            _ => only.number(),
        },
        [sign, only] if sign.operator(source) == Some("-") => only.number().map(|value| -value),
        [only, dot, method] if dot.is_sign('.') && method.name(source) == Some("neg") => {
            only.number().map(|value| -value)
        }
        _ => None,
    }
}
