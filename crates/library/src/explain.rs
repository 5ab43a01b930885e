//! Why two songs sound alike, from what is stored of them.

use serde::Serialize;
use songrec_core::{FeatureGroups, Features, Key, Song, SongId, SongSummary};

use crate::{Library, Result};

/// Why two songs match, or do not.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// What they have in common, the strongest first.
    pub reasons: Vec<Reason>,
    /// Every group of values that says something about one of them, the most
    /// alike first. Without a beat in either, nothing is said of rhythm.
    pub groups: Vec<GroupMatch>,
    /// Single values side by side.
    pub facts: Vec<Fact>,
    /// In one line, in which of the compared respects they are alike and in which
    /// they are not: a model may find two songs near that differ in some of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// What could not be compared, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Something two songs have in common.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reason {
    /// What it is about, such as `rhythm and tempo`.
    pub label: String,
    /// In a musician's words.
    pub description: String,
    /// How strong it is, 0 to 1.
    pub score: f64,
}

/// How alike two songs are in one group of values.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupMatch {
    /// The group, such as `mfcc`.
    pub group: &'static str,
    /// What it stands for.
    pub label: &'static str,
    /// Cosine of the two groups of values, −1 to 1.
    pub cosine: f64,
    /// How alike they sound in this respect, 0 to 1: 1 is the same, 0.5 a
    /// usual difference between two songs of one kind.
    pub score: f64,
}

/// One value of both songs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fact {
    /// What it is.
    pub name: &'static str,
    /// Its unit, if it has one.
    pub unit: &'static str,
    /// The first song's, as text.
    pub left: String,
    /// The second song's.
    pub right: String,
    /// What a musician would say about the pair.
    pub remark: String,
    /// Whether it is alike in both; nothing where the groups of values say so.
    #[serde(skip)]
    pub alike: Option<bool>,
}

/// Two songs and why they match.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExplainedPair {
    /// The first song.
    pub left: SongSummary,
    /// The second song.
    pub right: SongSummary,
    /// Their similarity under the model that searches compare by, if both
    /// were embedded by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub similarity: Option<f64>,
    /// Why.
    #[serde(flatten)]
    pub explanation: Explanation,
}

/// A group counts as a reason from this score on.
const REASON: f64 = 0.6;
/// Below this score two songs differ in a group: by more than one and a half times
/// what is usual.
const DIFFERENT: f64 = 0.3;

/// What is alike in the pitch classes of songs of which not both have a key.
const NO_KEY: &str = "the same pitches are prominent";

struct Group {
    name: &'static str,
    label: &'static str,
    // What it is called in a list.
    word: &'static str,
    alike: &'static str,
    values: fn(&FeatureGroups) -> &[f32],
    // The root-mean-square difference that is usual between two songs of one
    // kind, in the unit of the values. From the example audio and from drum
    // kits, orchestral and electronic pieces: the median over pairs of one
    // kind, to one digit.
    usual: f64,
}

const GROUPS: [Group; 6] = [
    Group {
        name: "mfcc",
        label: "tone and vocals",
        word: "timbre",
        alike: "the same kind of tone colour: similar instruments or voices",
        values: |groups| groups.mfcc.get(1..).unwrap_or_default(),
        usual: 12.0,
    },
    Group {
        name: "chroma",
        label: "tune and melody",
        word: "harmony",
        alike: "the same notes are prominent: a similar key or harmony",
        values: |groups| &groups.chroma,
        usual: 0.15,
    },
    Group {
        name: "spectral_contrast",
        label: "texture and background",
        word: "texture",
        alike: "a similar texture: as dense or as clear from bass to treble",
        values: |groups| &groups.spectral_contrast,
        usual: 3.0,
    },
    Group {
        name: "rhythm",
        label: "rhythm and tempo",
        word: "rhythm",
        alike: "a similar pulse: tempo, steadiness and strength of the beats",
        values: |groups| &groups.rhythm,
        usual: 0.0,
    },
    Group {
        name: "zcr",
        label: "noise and voice",
        word: "noisiness",
        alike: "about as noisy or as tonal as each other",
        values: |groups| &groups.zcr,
        usual: 0.04,
    },
    Group {
        name: "rms",
        label: "loudness pattern",
        word: "envelope",
        alike: "about as loud, with similar swings between loud and soft",
        values: |groups| &groups.rms,
        usual: 0.06,
    },
];

/// Why `left` and `right` match: from their stored features alone, without
/// reading any audio.
pub fn explain(left: &Song, right: &Song) -> Explanation {
    let (Some(left_features), Some(right_features)) = (&left.features, &right.features) else {
        return Explanation {
            reasons: Vec::new(),
            groups: Vec::new(),
            facts: Vec::new(),
            verdict: None,
            note: Some(
                "the sound of at least one of them was never analysed: scan it again".to_owned(),
            ),
        };
    };
    let facts =
        facts(&SongSummary::of(left), left_features, &SongSummary::of(right), right_features);
    let (Some(left_groups), Some(right_groups)) = (&left_features.groups, &right_features.groups)
    else {
        let note = "at least one of them is too short or too quiet to compare in detail".to_owned();
        let verdict = verdict(&[], &facts);
        return Explanation {
            reasons: Vec::new(),
            groups: Vec::new(),
            facts,
            verdict,
            note: Some(note),
        };
    };
    let tempo = |features: &Features| features.bpm.map(f64::from).filter(|bpm| *bpm > 0.0);
    let tempos = [tempo(left_features), tempo(right_features)];
    let mut groups: Vec<GroupMatch> = GROUPS
        .iter()
        .filter_map(|group| compare(group, left_groups, right_groups, tempos))
        .collect();
    groups.sort_by(|a, b| b.score.total_cmp(&a.score));
    let has_keys = left_features.sure_key().is_some() && right_features.sure_key().is_some();
    let mut reasons: Vec<Reason> = groups
        .iter()
        .filter(|group| group.score >= REASON)
        .map(|matched| {
            let group = GROUPS.iter().find(|group| group.name == matched.group);
            Reason {
                label: matched.label.to_owned(),
                description: match group.expect("made from the groups") {
                    group if group.name == "chroma" && !has_keys => NO_KEY.to_owned(),
                    group => group.alike.to_owned(),
                },
                score: matched.score,
            }
        })
        .collect();
    if reasons.is_empty()
        && let Some(best) = groups.first()
    {
        reasons.push(Reason {
            label: best.label.to_owned(),
            description: "the least different of what was compared, but not alike".to_owned(),
            score: best.score,
        });
    }
    let verdict = verdict(&groups, &facts);
    Explanation { reasons, groups, facts, verdict, note: None }
}

// In which respects two songs are alike, and in which they differ.
fn verdict(groups: &[GroupMatch], facts: &[Fact]) -> Option<String> {
    // The pulse is said by the tempo, where both have one.
    let has_tempo = facts.iter().any(|fact| fact.name == "tempo");
    let words = |group: &&GroupMatch| {
        let named = GROUPS.iter().find(|known| known.name == group.group);
        named.expect("made from the groups").word
    };
    let of = |is_meant: fn(f64) -> bool| -> Vec<&'static str> {
        let meant = groups.iter().filter(|group| is_meant(group.score));
        meant.filter(|group| !(has_tempo && group.group == "rhythm")).map(|g| words(&g)).collect()
    };
    let (mut alike, mut differ) = (of(|score| score >= REASON), of(|score| score < DIFFERENT));
    for fact in facts {
        match fact.alike {
            Some(true) => alike.push(fact.name),
            Some(false) => differ.push(fact.name),
            None => {}
        }
    }
    let similar = format!("similar in {}", listed(&alike));
    let differs = if differ.len() == 1 { "differs" } else { "differ" };
    let different = format!("{} {differs}", listed(&differ));
    match (alike.is_empty(), differ.is_empty()) {
        (true, true) => None,
        (false, true) => Some(similar),
        (true, false) => Some(different),
        (false, false) => Some(format!("{similar}; {different}")),
    }
}

// `a, b and c`.
fn listed(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

// What says nothing about either song is left out: two single hits, neither of
// which has a beat, have no pulse in common. `tempos` are those of the songs that
// have one: the first value of the group is a tempo of whatever sounds.
fn compare(
    group: &Group,
    left: &FeatureGroups,
    right: &FeatureGroups,
    tempos: [Option<f64>; 2],
) -> Option<GroupMatch> {
    let (left, right) = ((group.values)(left), (group.values)(right));
    if left.is_empty() || left.len() != right.len() {
        return None;
    }
    let is_rhythm = group.name == "rhythm";
    let says_nothing = left.iter().chain(right).all(|value| *value == 0.0);
    if says_nothing || (is_rhythm && tempos == [None, None]) {
        return None;
    }
    let score = if is_rhythm {
        match tempos {
            [Some(l), Some(r)] => rhythm_score((l, r), left, right),
            _ => 0.0,
        }
    } else {
        let squares: f64 =
            left.iter().zip(right).map(|(l, r)| (f64::from(*l) - f64::from(*r)).powi(2)).sum();
        nearness((squares / left.len() as f64).sqrt(), group.usual)
    };
    Some(GroupMatch { group: group.name, label: group.label, cosine: cosine(left, right), score })
}

// 1 for no difference, one half for the usual one, towards 0 beyond.
fn nearness(difference: f64, usual: f64) -> f64 {
    1.0 / (1.0 + (difference / usual).powi(2))
}

// Tempo in ratios, because 60 and 63 BPM differ as 120 and 126 do, and a
// double or half tempo is the same pulse counted otherwise; the rest in its
// own units.
fn rhythm_score(tempos: (f64, f64), left: &[f32], right: &[f32]) -> f64 {
    let value = |values: &[f32], at: usize| values.get(at).map_or(0.0, |v| f64::from(*v));
    let octaves = (tempos.0 / tempos.1).log2().abs();
    let tempo = nearness(octaves, 0.06).max(0.8 * nearness((octaves - 1.0).abs(), 0.06));
    let steadiness = nearness(value(left, 1) - value(right, 1), 0.05);
    let strength = nearness(value(left, 2) - value(right, 2), 0.5);
    let swing = nearness(value(left, 3) - value(right, 3), 0.7);
    0.4 * tempo + 0.2 * (steadiness + strength + swing)
}

fn cosine(left: &[f32], right: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let norms = (dot(left, left) * dot(right, right)).sqrt();
    if norms > 0.0 { (dot(left, right) / norms).clamp(-1.0, 1.0) } else { 0.0 }
}

fn facts(
    left_summary: &SongSummary,
    left: &Features,
    right_summary: &SongSummary,
    right: &Features,
) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let (Some(l), Some(r)) = (left_summary.bpm, right_summary.bpm) {
        facts.push(Fact {
            name: "tempo",
            unit: "BPM",
            left: format!("{l:.1}"),
            right: format!("{r:.1}"),
            remark: tempo_remark(l, r),
            // As far as a DJ's deck is turned; a double tempo is the same pulse.
            alike: Some({
                let octaves = (l / r).log2().abs();
                octaves.min((octaves - 1.0).abs()) < 0.06
            }),
        });
    }
    if let (Some(l), Some(r)) = (left_summary.key, right_summary.key) {
        let text = |key: Key| format!("{key} ({})", key.camelot());
        facts.push(Fact {
            name: "key",
            unit: "",
            left: text(l),
            right: text(r),
            remark: key_remark(l, r),
            alike: Some(l == r || l.compatible().contains(&r)),
        });
    }
    let mut number =
        |name, unit, l: Option<f32>, r: Option<f32>, remark: fn(f64, f64) -> String| {
            if let (Some(l), Some(r)) = (l, r) {
                let (left, right) = (format!("{l:.1}"), format!("{r:.1}"));
                let remark = remark(l.into(), r.into());
                facts.push(Fact { name, unit, left, right, remark, alike: None });
            }
        };
    number("loudness", "LUFS", left.loudness_lufs, right.loudness_lufs, |l, r| {
        level_remark(l - r, "louder")
    });
    number("brightness", "Hz", left.spectral_centroid_hz, right.spectral_centroid_hz, |l, r| {
        ratio_remark(l / r, "brighter")
    });
    number("dynamic range", "dB", left.dynamic_range_db, right.dynamic_range_db, |l, r| {
        if (l - r).abs() < 3.0 {
            "as lively".to_owned()
        } else {
            level_remark(l - r, "more dynamic")
        }
    });
    if let (Some(l), Some(r)) = (&left_summary.instrument, &right_summary.instrument) {
        let remark = if l == r { "the same instrument" } else { "different instruments" };
        facts.push(Fact {
            name: "instrument",
            unit: "",
            left: l.clone(),
            right: r.clone(),
            remark: remark.to_owned(),
            alike: Some(l == r),
        });
    }
    facts.push(Fact {
        name: "length",
        unit: "s",
        left: format!("{:.2}", left_summary.duration),
        right: format!("{:.2}", right_summary.duration),
        remark: if left_summary.duration > 0.0 && right_summary.duration > 0.0 {
            ratio_remark(left_summary.duration / right_summary.duration, "longer")
        } else {
            "one of them is empty".to_owned()
        },
        alike: None,
    });
    facts
}

fn tempo_remark(left: f64, right: f64) -> String {
    let octaves = (left / right).log2();
    if octaves.abs() < 0.03 {
        "the same tempo".to_owned()
    } else if (octaves.abs() - 1.0).abs() < 0.03 {
        "one is twice the other: the same pulse, counted otherwise".to_owned()
    } else {
        format!("{:.0} % apart", (left.max(right) / left.min(right) - 1.0) * 100.0)
    }
}

fn key_remark(left: Key, right: Key) -> String {
    if left == right {
        "the same key".to_owned()
    } else if left.compatible().contains(&right) {
        "keys that mix well".to_owned()
    } else {
        "distant keys".to_owned()
    }
}

fn level_remark(difference: f64, more: &str) -> String {
    if difference.abs() < 1.5 {
        return "about the same".to_owned();
    }
    let which = if difference > 0.0 { "first" } else { "second" };
    format!("the {which} is {:.0} dB {more}", difference.abs())
}

fn ratio_remark(ratio: f64, more: &str) -> String {
    if !ratio.is_finite() || ratio <= 0.0 {
        return "not comparable".to_owned();
    }
    if (0.87..=1.15).contains(&ratio) {
        return "about the same".to_owned();
    }
    let which = if ratio > 1.0 { "first" } else { "second" };
    format!("the {which} is {:.1} times {more}", ratio.max(1.0 / ratio))
}

/// Why the songs `left` and `right` match.
///
/// # Errors
///
/// When one of them does not exist.
pub async fn explain_songs(library: &Library, left: &str, right: &str) -> Result<ExplainedPair> {
    let mut songs = crate::find::songs(library, &[left, right]).await?.into_iter();
    let (left, right) = (songs.next(), songs.next());
    let (left, right) = left.zip(right).expect("there is one for each name");
    let model = library.search_model().await?;
    let ids: [SongId; 2] = [left.id, right.id];
    let embeddings = library.backend.embeddings().get(&model, &ids).await?;
    let spec =
        library.backend.embeddings().models().await?.into_iter().find(|spec| spec.name == model);
    let similarity = match (embeddings.as_slice(), spec) {
        ([Some(l), Some(r)], Some(spec)) => {
            Some(spec.metric.compare(&l.embedding.vector, &r.embedding.vector).0)
        }
        _ => None,
    };
    Ok(ExplainedPair {
        left: SongSummary::of(&left),
        right: SongSummary::of(&right),
        similarity,
        explanation: explain(&left, &right),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use songrec_core::{AudioProperties, Digest, Timestamp};

    fn song(seed: u8, groups: FeatureGroups) -> Song {
        let mut song =
            Song::new(Digest::of(&[seed]), AudioProperties::default(), Timestamp::UNIX_EPOCH);
        let bpm = groups.rhythm.first().copied().filter(|bpm| *bpm > 0.0);
        song.features = Some(Features { bpm, groups: Some(groups), ..Features::default() });
        song
    }

    fn without_a_beat(mut song: Song) -> Song {
        song.features.as_mut().unwrap().bpm = None;
        song
    }

    fn groups() -> FeatureGroups {
        FeatureGroups {
            mfcc: (0..20).map(|i| i as f32 - 10.0).collect(),
            chroma: vec![0.5; 12],
            spectral_contrast: vec![20.0; 7],
            rhythm: vec![120.0, 0.01, 1.0, 1.0],
            zcr: vec![0.1, 0.05],
            rms: vec![0.2, 0.1],
        }
    }

    #[test]
    fn a_song_matches_itself_in_every_group() {
        let explanation = explain(&song(1, groups()), &song(2, groups()));

        assert_eq!(explanation.reasons.len(), 6);
        assert!(explanation.groups.iter().all(|group| group.score == 1.0), "{explanation:?}");
    }

    #[test]
    fn only_what_is_alike_is_a_reason() {
        let mut other = groups();
        other.mfcc.iter_mut().for_each(|value| *value += 60.0);
        other.rhythm[0] = 180.0;
        other.rhythm[2] = 4.0;

        let explanation = explain(&song(1, groups()), &song(2, other));

        let labels: Vec<_> =
            explanation.reasons.iter().map(|reason| reason.label.as_str()).collect();
        assert!(labels.contains(&"tune and melody"));
        assert!(!labels.contains(&"tone and vocals") && !labels.contains(&"rhythm and tempo"));
    }

    #[test]
    fn a_double_tempo_is_nearly_the_same_pulse() {
        let mut double = groups();
        double.rhythm[0] = 240.0;
        let mut other = groups();
        other.rhythm[0] = 170.0;

        let score = |groups| {
            let explanation = explain(&song(1, self::groups()), &song(2, groups));
            explanation.groups.iter().find(|group| group.group == "rhythm").unwrap().score
        };

        assert!(score(double) > 0.9);
        assert!(score(other) < 0.7);
    }

    #[test]
    fn two_hits_without_a_beat_have_no_pulse_in_common() {
        let labels = |explanation: &Explanation| -> Vec<String> {
            explanation.reasons.iter().map(|reason| reason.label.clone()).collect()
        };
        let (one, two) = (song(1, groups()), song(2, groups()));
        let (hit, other_hit) = (without_a_beat(one.clone()), without_a_beat(two.clone()));

        let neither = explain(&hit, &other_hit);
        let only_one = explain(&one, &other_hit);

        assert!(neither.groups.iter().all(|group| group.group != "rhythm"), "{neither:?}");
        assert_eq!(neither.reasons.len(), 5);
        assert!(!labels(&only_one).contains(&"rhythm and tempo".to_owned()), "{only_one:?}");
        assert_eq!(labels(&explain(&one, &two)).len(), 6);
    }

    #[test]
    fn tempo_and_key_are_praised_only_where_they_are_known() {
        let (mut one, mut two) = (song(1, groups()), song(2, groups()));
        let rhythm = |explanation: &Explanation| {
            explanation.groups.iter().find(|group| group.group == "rhythm").unwrap().score
        };
        for song in [&mut one, &mut two] {
            let features = song.features.as_mut().unwrap();
            (features.key, features.key_confidence) = ("Am".parse().ok(), Some(0.9));
        }
        let praised = |explanation: &Explanation| {
            explanation.reasons.iter().any(|reason| reason.description.contains("key"))
        };
        let both = explain(&one, &two);

        two.features.as_mut().unwrap().key_confidence = Some(0.2);
        two.features.as_mut().unwrap().bpm = Some(97.0);
        let unlike = explain(&one, &two);

        assert!(praised(&both) && !praised(&unlike), "{unlike:?}");
        // The values of the groups still have the same tempo.
        assert!(rhythm(&both) == 1.0 && rhythm(&unlike) < 0.7, "{unlike:?}");
    }

    #[test]
    fn what_is_nothing_in_both_is_left_out() {
        let mut silent = groups();
        silent.rms = vec![0.0, 0.0];

        let explanation = explain(&song(1, silent.clone()), &song(2, silent));

        assert!(explanation.groups.iter().all(|group| group.group != "rms"), "{explanation:?}");
    }

    #[test]
    fn the_verdict_says_where_the_values_disagree() {
        let mut slower = groups();
        slower.rhythm[0] = 85.0;
        let mut louder = groups();
        louder.rms = vec![0.6, 0.3];

        let verdict = |groups| explain(&song(1, self::groups()), &song(2, groups)).verdict;

        let same = verdict(groups()).unwrap();
        assert!(same.contains("timbre") && same.contains("tempo"), "{same}");
        assert!(!same.contains("differ"), "{same}");
        let slower = verdict(slower).unwrap();
        assert!(
            slower.starts_with("similar in ") && slower.ends_with("; tempo differs"),
            "{slower}"
        );
        let louder = verdict(louder).unwrap();
        assert!(louder.ends_with("; envelope differs"), "{louder}");
    }

    #[test]
    fn what_was_never_analysed_is_said() {
        let mut other = song(2, groups());
        other.features = None;

        assert!(explain(&song(1, groups()), &other).note.is_some());
    }
}
