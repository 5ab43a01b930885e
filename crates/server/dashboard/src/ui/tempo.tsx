// The tempo of a list from its first song to its last, with the keys on the way.

import type { Card } from "../api";
import { bpm, camelot } from "../words";

/** Songs that have room for the name of their key. */
const NAMED = 24;
const [HEIGHT, EDGE] = [64, 26];

/** Says nothing that the list under it does not; who cannot see it misses nothing. */
export function Tempo({ songs }: { songs: Card[] }) {
  const known = songs.flatMap((card, i) => (card.bpm ? [{ i, bpm: card.bpm, key: camelot(card.key) }] : []));
  if (known.length < 3) return null;
  const values = known.map((one) => one.bpm);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  // A change of a few beats is not to look like a leap.
  const range = Math.max(high - low, 12);
  const x = (i: number) => (songs.length === 1 ? 50 : 3 + (94 * i) / (songs.length - 1));
  const y = (value: number) => EDGE + (HEIGHT - EDGE - 12) * (1 - (value - low + (range - (high - low)) / 2) / range);
  const line = known.map((one, n) => `${n === 0 ? "M" : "L"}${x(one.i).toFixed(2)} ${y(one.bpm).toFixed(2)}`).join("");
  const named = known.length <= NAMED;
  return (
    <figure class="tempo" aria-hidden="true">
      <svg viewBox={`0 0 100 ${HEIGHT}`} preserveAspectRatio="none">
        <path d={line} />
      </svg>
      {known.map((one) => (
        <span key={one.i} class="tempo-dot" style={{ left: `${x(one.i)}%`, top: `${y(one.bpm)}px` }}>
          {named && <span class="tempo-key">{one.key}</span>}
        </span>
      ))}
      <figcaption class="soft">{bpm(low) === bpm(high) ? `${bpm(low)} BPM` : `${bpm(low)} to ${bpm(high)} BPM`}</figcaption>
    </figure>
  );
}
