// Features of a song in words, with where each lies between little and much.

import type { Features } from "../api";
import { camelot, spoken } from "../words";

export interface Said {
  name: string;
  words: string;
  /** The number behind it, with its unit. */
  value: string;
  /** Where it lies in what is usual in music, 0 to 1; null for names. */
  level: number | null;
  /** How sure the analysis is, 0 to 1. */
  sure?: number;
}

/** What is less sure is as likely wrong as right, and is not said. */
const SURE = 0.5;

/** The first word whose limit is above the value. */
function word(value: number, limits: [number, string][]): string {
  return limits.find(([limit]) => value < limit)?.[1] ?? limits[limits.length - 1][1];
}

function level(value: number, low: number, high: number): number {
  return Math.min(1, Math.max(0, (value - low) / (high - low)));
}

/** Frequencies are heard by their ratios. */
function pitch(hz: number, low: number, high: number): number {
  return level(Math.log2(hz), Math.log2(low), Math.log2(high));
}

export function inWords(features: Features): Said[] {
  const out: Said[] = [];
  const say = (
    value: number | undefined,
    make: (value: number) => Omit<Said, "sure">,
    sure?: number,
  ) => {
    if (value !== undefined && Number.isFinite(value)) out.push({ ...make(value), sure });
  };
  say(features.bpm, (bpm) => ({
    name: "Tempo",
    words: word(bpm, [[70, "very slow"], [95, "slow"], [115, "moderate"], [135, "quick"], [165, "fast"], [Infinity, "very fast"]]),
    value: `${bpm.toFixed(1)} BPM`,
    level: level(bpm, 50, 200),
  }), features.bpm_confidence);
  if (features.key && (features.key_confidence ?? 1) >= SURE) {
    out.push({
      name: "Key", words: spoken(features.key), value: camelot(features.key), level: null,
      sure: features.key_confidence,
    });
  }
  say(features.loudness_lufs, (lufs) => ({
    name: "Loudness",
    words: word(lufs, [[-35, "very quiet"], [-23, "quiet"], [-16, "moderate"], [-10, "loud"], [Infinity, "very loud"]]),
    value: `${lufs.toFixed(1)} LUFS`,
    level: level(lufs, -45, -5),
  }));
  say(features.dynamic_range_db, (range) => ({
    name: "Dynamics",
    words: word(range, [[6, "flat and dense"], [14, "even"], [25, "lively"], [Infinity, "from very quiet to loud"]]),
    value: `${range.toFixed(0)} dB`,
    level: level(range, 0, 50),
  }));
  say(features.spectral_centroid_hz, (hz) => ({
    name: "Brightness",
    words: word(hz, [[600, "very dark"], [1300, "dark"], [2300, "balanced"], [4000, "bright"], [Infinity, "very bright"]]),
    value: `${Math.round(hz)} Hz`,
    level: pitch(Math.max(hz, 50), 200, 8000),
  }));
  say(features.spectral_bandwidth_hz, (hz) => ({
    name: "Width of the spectrum",
    words: word(hz, [[800, "narrow"], [1800, "medium"], [Infinity, "wide"]]),
    value: `${Math.round(hz)} Hz`,
    level: pitch(Math.max(hz, 50), 200, 6000),
  }));
  say(features.spectral_flatness, (flatness) => ({
    name: "Noise",
    words: word(flatness, [[0.005, "pure tones"], [0.05, "tonal"], [0.2, "somewhat noisy"], [Infinity, "noisy"]]),
    value: flatness < 0.0005 ? "under 0.001" : flatness.toFixed(3),
    level: level(Math.log10(Math.max(flatness, 1e-4)), -4, 0),
  }));
  say(features.onset_rate, (rate) => ({
    name: "Events",
    words: word(rate, [[0.7, "sparse"], [2.5, "some"], [5, "busy"], [Infinity, "very busy"]]),
    value: `${rate.toFixed(1)} a second`,
    level: level(rate, 0, 8),
  }));
  say(features.pitch_salience, (salience) => ({
    name: "Pitch",
    words: word(salience, [[0.25, "hardly any"], [0.5, "some"], [Infinity, "clear"]]),
    value: salience.toFixed(2),
    level: level(salience, 0, 1),
  }));
  say(features.tuning_hz, (hz) => ({
    name: "Tuning",
    words: Math.abs(hz - 440) < 3 ? "concert pitch" : hz < 440 ? "lower than usual" : "higher than usual",
    value: `A = ${hz.toFixed(1)} Hz`,
    level: null,
  }));
  const { instrument, heard_instrument: heard } = features;
  if (instrument && (features.instrument_confidence ?? 1) >= SURE) {
    const by = features.named_instrument ? "by the file's name" : heard ? "by ear" : "";
    out.push({
      name: "Instrument", words: instrument.replaceAll("_", " "), value: by, level: null,
      sure: features.instrument_confidence,
    });
  }
  if (heard && heard !== instrument) {
    out.push({
      name: "Heard", words: heard.replaceAll("_", " "), value: "by ear", level: null,
      sure: features.heard_instrument_probability,
    });
  }
  if ((features.vocal_probability ?? 0) >= SURE) {
    out.push({ name: "Voice", words: "a voice", value: "by ear", level: null, sure: features.vocal_probability });
  }
  if (features.is_loop !== undefined) {
    out.push({ name: "Loop", words: features.is_loop ? "repeats seamlessly" : "does not loop", value: "", level: null });
  }
  if (features.moods?.length) {
    out.push({ name: "Mood", words: features.moods.join(", "), value: "", level: null });
  }
  const silence = (features.silence_start_s ?? 0) + (features.silence_end_s ?? 0);
  if (silence > 0.5) {
    out.push({
      name: "Silence",
      words: `${(features.silence_start_s ?? 0).toFixed(1)} s at the start, ${(features.silence_end_s ?? 0).toFixed(1)} s at the end`,
      value: "", level: null,
    });
  }
  return out;
}

/** How sure, in a word. */
export function sureness(sure: number | undefined): string {
  if (sure === undefined) return "";
  return sure < 0.3 ? "a guess" : sure < 0.6 ? "likely" : "sure";
}
