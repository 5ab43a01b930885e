use serde_json::{Value, json};

use super::*;

#[track_caller]
fn one(source: &str) -> Read {
    let mut all = read(source, None).unwrap();
    assert_eq!(all.len(), 1, "{source}");
    all.remove(0)
}

fn controls(source: &str) -> Vec<(String, Value, ControlRate)> {
    let controls = one(source).controls.into_iter();
    controls.map(|one| (one.name, one.default, one.rate)).collect()
}

fn names(source: &str) -> Vec<String> {
    one(source).controls.into_iter().map(|one| one.name).collect()
}

fn channels(body: &str) -> Option<u16> {
    one(&format!(
        "SynthDef(\\x, {{ |out = 0, freq = 440, pan = 0, n = 2, amps = #[1, 2]|\n{body} }})"
    ))
    .channels
}

#[test]
fn a_synth_in_the_usual_style() {
    let source = r#"
        // A plucked bass.
        SynthDef(\pluckBass, {
            |out = 0, freq = 55, amp = 0.3, gate = 1, pan = -0.5|
            var env = EnvGen.kr(Env.adsr(0.01, 0.3, 0.6, 0.4), gate, doneAction: Done.freeSelf);
            var sig = Saw.ar(freq * [1, 1.01]).sum;
            sig = RLPF.ar(sig, freq * 4, 0.3) * env * amp;
            Out.ar(out, Pan2.ar(sig, pan));
        }).add;
    "#;
    let read = one(source);

    assert_eq!(read.name.as_deref(), Some("pluckBass"));
    assert_eq!((read.channels, read.gate), (Some(2), Some(true)));
    assert_eq!(read.category, Some(SynthCategory::Bass));
    assert_eq!(
        controls(source),
        [
            ("out".into(), json!(0.0), ControlRate::Kr),
            ("freq".into(), json!(55.0), ControlRate::Kr),
            ("amp".into(), json!(0.3), ControlRate::Kr),
            ("gate".into(), json!(1.0), ControlRate::Kr),
            ("pan".into(), json!(-0.5), ControlRate::Kr),
        ]
    );
    let text = &source[read.span];
    assert!(text.starts_with("SynthDef(") && text.ends_with(").add"), "{text}");
}

#[test]
fn arguments_in_every_style() {
    let of = |name: &str, value: Value| (name.to_owned(), value, ControlRate::Kr);
    for source in [
        r"SynthDef(\x, { arg a = 1, b, c = #[1, 2]; Out.ar(a, DC.ar(b)) })",
        r"SynthDef(\x, { |a = 1, b, c = #[1, 2]| Out.ar(a, DC.ar(b)) })",
        r"SynthDef(\x, { |a = 1 b c = #[1, 2]| Out.ar(a, DC.ar(b)) })",
        r"SynthDef(\x, { |a=1, b, c=#[1,2] ... rest| Out.ar(a, DC.ar(b)) })",
        r"SynthDef.new(\x, { |a = (1), b = nil, c = ([1, 2])| Out.ar(a, DC.ar(b)) })",
        r"SynthDef(\x) { |a = 1, b, c = #[1, 2]| Out.ar(a, DC.ar(b)) }.add",
        r"SynthDef(name: \x, ugenGraphFunc: { |a = 1, b, c = #[1, 2]| Out.ar(a, DC.ar(b)) })",
        r"SynthDef(\x, { Out.ar(\a.kr(1), DC.ar(\b.kr)); \c.kr([1, 2]); \a.kr })",
        r"SynthDef(\x, { \a.kr; \b.kr; \c.kr([1, 2]); \a.kr(1); \a.kr(7) })",
        r"SynthDef(\x, { NamedControl.kr(\a, 1); \b.kr; NamedControl.kr('c', [1, 2]) })",
        "SynthDef(\\x, { /* |z = 1| */ |a = 1, /* not */ b, // it\n c = #[1, 2]| 0 })",
    ] {
        let expected = [of("a", json!(1.0)), of("b", json!(null)), of("c", json!([1.0, 2.0]))];
        assert_eq!(controls(source), expected, "{source}");
    }
}

#[test]
fn rates_are_those_that_are_said() {
    let of = |name: &str, rate| (name.to_owned(), json!(0.0), rate);
    assert_eq!(
        controls(
            r"SynthDef(\x, { |t_a = 0, i_b = 0, a_c = 0, d = 0, e = 0, f = 0|
            \g.tr(0); \h.ar(0); \i.ir(0) }, [nil, nil, nil, \ir, 0.1, \tr])"
        ),
        [
            of("t_a", ControlRate::Tr),
            of("i_b", ControlRate::Ir),
            of("a_c", ControlRate::Ar),
            of("d", ControlRate::Ir),
            of("e", ControlRate::Kr),
            of("f", ControlRate::Tr),
            of("g", ControlRate::Tr),
            of("h", ControlRate::Ar),
            of("i", ControlRate::Ir),
        ]
    );
}

#[test]
fn a_default_that_is_worked_out_is_kept_as_it_is_written() {
    let read = one(r"SynthDef(\x, { arg freq = 60.midicps, n = -1, up = 2pi, many = (0 ! 3);
        \list.kr(0.5 ! 4); \twice.kr(0.1.dup(2)); \huge.kr(0 ! 9999999) })");

    let all: Vec<(Value, Option<&str>)> =
        read.controls.iter().map(|one| (one.default.clone(), one.written.as_deref())).collect();
    assert_eq!(
        all,
        [
            (json!(null), Some("60.midicps")),
            (json!(-1.0), None),
            (json!(std::f64::consts::TAU), None),
            (json!([0.0, 0.0, 0.0]), None),
            (json!([0.5, 0.5, 0.5, 0.5]), None),
            (json!([0.1, 0.1]), None),
            (json!(null), Some("0 ! 9999999")),
        ]
    );
}

#[test]
fn what_is_in_comments_texts_and_inner_functions_is_no_argument() {
    assert_eq!(
        names(
            r#"SynthDef(\x, { |freq = 440| // |not = 1|
            var x = "\notThis.kr(1) SynthDef(\\no, {})", y = 'a.kr(2)', c = $|;
            /* \nor.kr(3) /* nested */ \this.kr(4) */
            Out.ar(0, Mix.fill(3, { |i| SinOsc.ar(freq * \ratio.kr(1.5) * i) })) })"#
        ),
        ["freq", "ratio"]
    );
}

#[test]
fn channels_are_counted_where_they_are_sure() {
    for (body, expected) in [
        ("Out.ar(out, SinOsc.ar(freq))", Some(1)),
        ("Out.ar(out, SinOsc.ar([freq, freq + 1]))", Some(2)),
        ("Out.ar(out, [SinOsc.ar(freq), Saw.ar(freq), WhiteNoise.ar])", Some(3)),
        ("Out.ar(out, SinOsc.ar(freq) ! 2)", Some(2)),
        ("Out.ar(out, SinOsc.ar(freq).dup)", Some(2)),
        ("Out.ar(out, { WhiteNoise.ar }.dup(4) * 0.1)", Some(4)),
        ("Out.ar(out, { WhiteNoise.ar(0.1) } ! 2)", Some(2)),
        ("Out.ar(out, Pan2.ar(SinOsc.ar(freq), pan))", Some(2)),
        ("OffsetOut.ar(out, Pan2.ar(SinOsc.ar(freq), pan, 0.1))", Some(2)),
        ("XOut.ar(out, 0.5, In.ar(out, 2))", Some(2)),
        ("ReplaceOut.ar(out, In.ar(out))", Some(1)),
        ("Out.ar(out, Splay.ar(SinOsc.ar([1, 2, 3, 4] * freq)))", Some(2)),
        ("Out.ar(out, PanAz.ar(6, SinOsc.ar(freq), pan))", Some(6)),
        ("Out.ar(out, Mix([Pan2.ar(Saw.ar(freq)), Pan2.ar(Saw.ar(99))]))", Some(2)),
        ("Out.ar(out, Mix(SinOsc.ar([1, 2, 3])))", Some(1)),
        ("Out.ar(out, Mix.fill(8, { |i| SinOsc.ar(freq * i) }))", Some(1)),
        ("Out.ar(out, 5.collect { |i| SinOsc.ar(freq * (i + 1)) }.sum)", Some(1)),
        ("Out.ar(out, Array.fill(3, { Saw.ar(freq) }))", Some(3)),
        ("Out.ar(out, PlayBuf.ar(2, 0, BufRateScale.kr(0)))", Some(2)),
        ("Out.ar(out, PlayBuf.ar(n, 0))", None),
        ("Out.ar(bus: out, channelsArray: Saw.ar(freq) ! 3)", Some(3)),
        ("Out.ar(out, amps * SinOsc.ar(freq))", Some(2)),
        ("var a, b = Saw.ar(freq); a = b ! 2; a = a.tanh * 0.3; Out.ar(out, a)", Some(2)),
        ("var a = Saw.ar(freq ! 4); Out.ar(out, a[0])", Some(1)),
        ("var l, r; #l, r = FreeVerb2.ar(Saw.ar(1), Saw.ar(2)); Out.ar(out, [l, r])", Some(2)),
        ("var a = Saw.ar(freq); Out.ar(out, a); Out.ar(7, Pan2.ar(a))", Some(2)),
        ("var a = Saw.ar(freq); 3.do { a = a + [a, a] }; Out.ar(out, a)", None),
        (
            "var a = Saw.ar(freq); 3.do { |i| a = AllpassN.ar(a, 0.1, 0.1) }; Out.ar(out, a)",
            Some(1),
        ),
        ("Out.ar(out, SomethingOfMine.ar(freq))", None),
        ("Out.ar(out, [SomethingOfMine.ar(freq), 0])", None),
        ("Out.ar(out, sig)", None),
        ("Out.ar(out, Saw.ar(freq) ! n)", None),
        ("Out.kr(out, LFNoise1.kr(1))", Some(1)),
        ("Saw.ar(freq)", None),
        ("Out.ar(out, Klank.ar(`[[200, 300], nil, [1, 1]], Impulse.ar(2)))", Some(1)),
        ("Out.ar(out, EnvGen.ar(Env.perc(0.1, [1, 2])) * WhiteNoise.ar)", Some(1)),
        ("Out.ar(out, (SinOsc.ar(freq) * Env.perc.kr(2)).neg.clip(-1, 1))", Some(1)),
        ("var z; z = { |f| Saw.ar(f) }; Out.ar(out, z.value(freq) ! 2)", Some(2)),
        ("Out.ar(out, Select.ar(pan, [Saw.ar(freq), Pulse.ar(freq)]))", Some(1)),
        ("{ Out.ar(out, Saw.ar(freq) ! 2) }.value", Some(2)),
        ("Out.ar(out, { Pan2.ar(Saw.ar(freq)) } ! 3)", None),
        ("Out.ar(out, Mix({ Pan2.ar(Saw.ar(freq)) } ! 3))", Some(2)),
    ] {
        assert_eq!(channels(body), expected, "{body}");
    }
    let named = one(r"SynthDef(\x, { Out.ar(0, SinOsc.ar(\freqs.kr([1, 2, 3]))) })");
    assert_eq!(named.channels, Some(3));
}

#[test]
fn a_gate_is_an_argument_or_that_of_a_unit_generator() {
    let gate = |source: &str| one(source).gate;
    assert_eq!(gate(r"SynthDef(\x, { |gate = 1| Out.ar(0, DC.ar(gate)) })"), Some(true));
    assert_eq!(gate(r"SynthDef(\x, { Linen.kr(\gate.kr(1), doneAction: 2) })"), Some(true));
    assert_eq!(gate(r"SynthDef(\x, { EnvGate.new })"), Some(true));
    assert_eq!(gate(r"SynthDef(\x, { |freq| var gate = Impulse.kr(1); gate })"), Some(false));
    assert_eq!(gate(r"SynthDef(\x, graph)"), None);
    assert_eq!(gate(r"SynthDef(\x, { SynthDef.wrap(graph) })"), None);
}

#[test]
fn a_category_is_what_metadata_comments_names_and_inputs_say() {
    let named = |name: &str| one(&format!("SynthDef(\\{name}, {{ Out.ar(0, Saw.ar) }})")).category;
    for (name, expected) in [
        ("fatBass", Some(SynthCategory::Bass)),
        ("bass_2", Some(SynthCategory::Bass)),
        ("bassDrum", Some(SynthCategory::Drum)),
        ("kick909", Some(SynthCategory::Drum)),
        ("softPads", Some(SynthCategory::Pad)),
        ("superLead", Some(SynthCategory::Lead)),
        ("myReverb", Some(SynthCategory::Fx)),
        ("bassLead", None),
        ("kalimba", None),
        ("leader", None),
        ("padded", None),
    ] {
        assert_eq!(named(name), expected, "{name}");
    }
    let plain = r"SynthDef(\x, { Out.ar(0, Saw.ar) }, metadata: (tags: [\warm, \pad]))";
    assert_eq!(one(plain).category, Some(SynthCategory::Pad));
    let said = "// Category: lead\nSynthDef(\\bass, { Out.ar(0, Saw.ar) })";
    assert_eq!(one(said).category, Some(SynthCategory::Lead));
    let effect = r"SynthDef(\x, { |in, out| Out.ar(out, FreeVerb.ar(In.ar(in, 2))) })";
    assert_eq!(one(effect).category, Some(SynthCategory::Fx));
    let folder = read(r"SynthDef(\x, { Saw.ar })", Some("/a/drums/x.scd")).unwrap();
    assert_eq!(folder[0].category, Some(SynthCategory::Drum));
}

#[test]
fn several_synths_of_one_file_are_all_found() {
    let source = r#"
        (
        s.waitForBoot {
            SynthDef(\a, { |x = 1| Out.ar(0, Saw.ar(x)) }).add;
            SynthDef("b", { |y| Out.ar(0, Saw.ar(y)) }).store(dir: "x");
            // SynthDef(\c, { }).add;
            5.do { |i| SynthDef("voice" ++ i, { Out.ar(i, Saw.ar) }).add };
            SynthDef.new('d e', { |z| Out.ar(0, Saw.ar(z)) }).play;
            SynthDef(name, { Out.ar(0, Saw.ar) });
            SynthDef("f".asSymbol, { Out.ar(0, Saw.ar) }).send(s);
        }
        )
    "#;
    let names: Vec<_> = read(source, None).unwrap().into_iter().map(|one| one.name).collect();

    let name = |text: &str| Some(text.to_owned());
    assert_eq!(names, [name("a"), name("b"), None, name("d e"), None, name("f")]);
}

#[test]
fn what_is_no_synth_is_said() {
    for source in ["", "// SynthDef(\\x, {})", "\"SynthDef(\\x, {})\"", "Synth(\\x)", "SynthDef"] {
        assert_eq!(read(source, None).unwrap_err(), NONE, "{source}");
    }
    let open = read("\n\nSynthDef(\\x, { Saw.ar(", None).unwrap_err();
    assert!(open.contains("line 3"), "{open}");
    let deep = format!("SynthDef(\\x, {{ {} }})", "(".repeat(10_000));
    assert!(read(&deep, None).unwrap_err().contains("too deep"));
    let large = format!("SynthDef(\\x, {{}}){}", " ".repeat(LARGEST_SOURCE));
    assert!(read(&large, None).unwrap_err().contains("bytes"));
    let many = "SynthDef(\\x, {});".repeat(MOST + 1);
    assert!(read(&many, None).unwrap_err().contains("SynthDefs"));
}

mod hostile {
    use proptest::prelude::*;

    use super::super::{LARGEST_SOURCE, read};

    /// What code is made of, so that random code is not all refused at once.
    const PIECES: [&str; 36] = [
        "SynthDef",
        "(",
        ")",
        "{",
        "}",
        "[",
        "]",
        "|",
        ";",
        ",",
        ".",
        "\\x",
        "\"a\"",
        "'b'",
        "=",
        "#",
        "!",
        "-",
        "440",
        "Out.ar(0, ",
        "Pan2.ar(",
        "\\f.kr(",
        "arg ",
        "var ",
        "a",
        "ar",
        ".dup(",
        "/*",
        "*/",
        "//",
        "\n",
        "$",
        "Mix",
        "..",
        ":",
        "`",
    ];

    proptest! {
        #[test]
        fn no_bytes_make_it_fall(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&String::from_utf8_lossy(&bytes), Some("/a/b.scd"));
        }

        #[test]
        fn no_code_makes_it_fall(
            pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..120),
        ) {
            let code = pieces.concat();
            for source in [code.clone(), format!("SynthDef(\\x, {{ {code} }})")] {
                for one in read(&source, None).unwrap_or_default() {
                    prop_assert!(source.get(one.span.clone()).is_some());
                }
            }
        }
    }

    #[test]
    fn the_largest_source_is_read_in_a_short_time() {
        let begun = std::time::Instant::now();
        for piece in ["a + ", "a = b; ", "[1, ", "Saw.ar(", "\\a.kr(1); ", "{ |a| ", ".a", "x y "] {
            let depth = if piece.contains(['[', '(', '{']) { 90 } else { usize::MAX };
            let times = depth.min((LARGEST_SOURCE - 100) / piece.len());
            let close: String = piece
                .repeat(times)
                .chars()
                .rev()
                .filter_map(|c| match c {
                    '[' => Some(']'),
                    '(' => Some(')'),
                    '{' => Some('}'),
                    _ => None,
                })
                .filter(|_| depth < usize::MAX)
                .collect();
            let source = format!("SynthDef(\\x, {{ {}{close} }})", piece.repeat(times));
            let _ = read(&source, None);
        }
        // Far more than it takes, far less than what grows with the square of it would.
        assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
    }
}
