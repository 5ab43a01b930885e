// Pictures of counts. Each part of one is a link or a button with its number in
// words, so that they need neither colours nor a pointer.

import { useState } from "preact/hooks";
import type { Counts } from "../api";
import { classColor, COLORS, css } from "../../../../../web/map/src/palette";
import { theme, useStore } from "../store";
import { number, percent, plain } from "../words";

/** The commonest values, as bars. */
export function Bars({ counts, href, most = 12, label, colored }: {
  counts: Counts;
  href?: (value: string) => string;
  most?: number;
  label: string;
  colored?: boolean;
}) {
  const now = useStore(theme);
  const all = Object.entries(counts).sort((a, b) => b[1] - a[1]);
  const shown = all.slice(0, most);
  const largest = shown[0]?.[1] ?? 1;
  const rest = all.slice(most).reduce((sum, [, count]) => sum + count, 0);
  if (all.length === 0) return <p class="soft">Nothing is known yet.</p>;
  return (
    <ul class="bars" aria-label={label}>
      {shown.map(([value, count], i) => {
        const inner = (
          <>
            <span class="bar-name" dir="auto">{plain(value)}</span>
            <span class="bar">
              <span style={{ width: `${Math.max(0.5, (100 * count) / largest)}%`, background: colored ? (i < COLORS ? css(classColor(now, i)) : "var(--wave)") : undefined }} />
            </span>
            <span class="bar-value">{number(count)}</span>
          </>
        );
        return <li key={value}>{href ? <a href={href(value)}>{inner}</a> : inner}</li>;
      })}
      {rest > 0 && (
        <li class="soft rest">and {number(all.length - most)} more with {number(rest)} songs</li>
      )}
    </ul>
  );
}

interface Bin {
  label: string;
  count: number;
  href?: string;
}

/** Counts of ranges of a number, in their order. */
export function Histogram({ bins, label, unit }: { bins: Bin[]; label: string; unit?: string }) {
  const largest = Math.max(1, ...bins.map((bin) => bin.count));
  if (bins.every((bin) => bin.count === 0)) return <p class="soft">Nothing is known yet.</p>;
  return (
    <ul class="histogram" aria-label={label}>
      {bins.map((bin) => {
        const words = `${bin.label}${unit ? ` ${unit}` : ""}: ${number(bin.count)} songs`;
        const inner = (
          <>
            <span class="unseen-text">{words}</span>
            <span class="column-value" aria-hidden="true">{bin.count > 0 ? short(bin.count) : ""}</span>
            <span class="column"><span style={{ height: `${(100 * bin.count) / largest}%` }} /></span>
            <span class="column-name" aria-hidden="true">{bin.label}</span>
          </>
        );
        return (
          <li key={bin.label} title={words}>
            {bin.href ? <a href={bin.href}>{inner}</a> : <span>{inner}</span>}
          </li>
        );
      })}
    </ul>
  );
}

function short(count: number): string {
  if (count < 1000) return String(count);
  return count < 10_000 ? `${(count / 1000).toFixed(1)}k` : `${Math.round(count / 1000)}k`;
}

// A minus is a sign where no number stands before it: `100-120`, `-24 to -18`.
const NUMBER = /(?<![\d.])-?\d+(?:\.\d+)?/g;
const BELOW = /^\s*[<≤]|^below|^up to/;
const ABOVE = /^\s*[>≥]|over|more/;

function numbers(label: string): number[] {
  const scale = /\bh\b/.test(label) ? 3600 : /\bmin/.test(label) ? 60 : 1;
  return (label.match(NUMBER) ?? []).map((value) => Number(value) * scale);
}

/** Where a range stands among others, by its label. */
export function order(label: string): number {
  const [first = Infinity] = numbers(label);
  return first + (BELOW.test(label) ? -0.001 : ABOVE.test(label) ? 0.001 : 0);
}

/** The range that a label means, in the words of a filter, if it can be read. */
export function rangeOf(label: string): string | null {
  const [a, b] = numbers(label.replace(/(?<=\d)-/g, " "));
  if (a === undefined) return null;
  if (b !== undefined) return `${a}..${b}`;
  return BELOW.test(label) ? `..${a}` : `${a}..`;
}

const R = { out: 98, middle: 72, inner: 44 };

/** The keys as DJs turn them: neighbours mix; outside major, inside minor. */
export function Wheel({ counts, href, act, chosen, label, small }: {
  counts: Counts;
  href?: (place: number, minor: boolean) => string;
  act?: (place: number, minor: boolean) => void;
  chosen?: (place: number, minor: boolean) => boolean;
  label: (place: number, minor: boolean) => string;
  small?: boolean;
}) {
  // What the pointer is on is said in the middle, as titles would say it late.
  const [told, tell] = useState<[string, number] | null>(null);
  const places = Array.from({ length: 12 }, (_, i) => i + 1);
  const values = new Map<string, number>();
  for (const [key, count] of Object.entries(counts)) values.set(place(key), count);
  const largest = Math.max(1, ...values.values());
  const total = [...values.values()].reduce((sum, count) => sum + count, 0);
  const parts = places.flatMap((at) =>
    [false, true].map((minor) => {
      const code = `${at}${minor ? "A" : "B"}`;
      const count = values.get(code) ?? 0;
      const [r0, r1] = minor ? [R.inner, R.middle] : [R.middle, R.out];
      const words = `${label(at, minor)}${total > 0 ? `: ${number(count)} songs, ${percent(count / Math.max(total, 1))}` : ""}`;
      const [x, y] = polar((r0 + r1) / 2, at);
      const on = chosen?.(at, minor) === true;
      const shape = (
        <>
          <path d={arc(r0 + 1, r1 - 1, at)} class={`sector ${on ? "on" : ""}`}
            style={{ fillOpacity: on ? 1 : 0.06 + 0.9 * (count / largest) ** 1.3 }} />
          <text x={x} y={y} class={on || count / largest > 0.78 ? "strong" : ""}>{code}</text>
        </>
      );
      const press = (event: KeyboardEvent) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        act!(at, minor);
      };
      const over = {
        "aria-label": words,
        "data-key": code,
        onPointerEnter: () => tell([label(at, minor).split(",")[0], count]),
        onPointerLeave: () => tell(null),
      };
      return href
        ? <a key={code} href={href(at, minor)} {...over}>{shape}</a>
        : <g key={code} role="button" tabIndex={0} aria-pressed={on} {...over}
            onClick={() => act?.(at, minor)} onKeyDown={press}>{shape}</g>;
    }),
  );
  return (
    <svg class={`wheel ${small ? "small" : ""}`} viewBox="-100 -100 200 200" role="group" aria-label="Camelot wheel of keys">
      {parts}
      {total > 0 && (
        <g aria-hidden="true" class="wheel-middle">
          <text x={0} y={-4} class="wheel-total">{number(told?.[1] ?? total)}</text>
          <text x={0} y={12}>{told?.[0] ?? "songs with a key"}</text>
        </g>
      )}
    </svg>
  );
}

const TONICS = ["C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"];

function place(key: string): string {
  const minor = key.endsWith("m");
  const tonic = TONICS.indexOf(minor ? key.slice(0, -1) : key);
  const major = minor ? (tonic + 3) % 12 : tonic;
  return `${((major * 7 + 7) % 12) + 1}${minor ? "A" : "B"}`;
}

// Place 12 is at the top, as on a clock.
function polar(radius: number, at: number): [number, number] {
  const angle = ((at % 12) / 12) * 2 * Math.PI;
  return [radius * Math.sin(angle), -radius * Math.cos(angle)];
}

function arc(inner: number, outer: number, at: number): string {
  const half = 0.485;
  const point = (radius: number, where: number) => {
    const angle = (where / 12) * 2 * Math.PI;
    return `${(radius * Math.sin(angle)).toFixed(2)} ${(-radius * Math.cos(angle)).toFixed(2)}`;
  };
  return `M${point(inner, at - half)}L${point(outer, at - half)}A${outer} ${outer} 0 0 1 ${point(outer, at + half)}L${point(inner, at + half)}A${inner} ${inner} 0 0 0 ${point(inner, at - half)}Z`;
}

/** Shares of a whole in one line. */
export function Shares({ counts, total, label, ranks }: {
  counts: Counts;
  total: number;
  label: string;
  /** The place of each value among all, so that it has one colour everywhere. */
  ranks: Map<string, number>;
}) {
  const now = useStore(theme);
  const all = Object.entries(counts).sort((a, b) => b[1] - a[1]).slice(0, 6);
  const words = all.map(([value, count]) => `${plain(value)} ${percent(count / Math.max(total, 1))}`);
  return (
    <span class="shares" role="img" aria-label={`${label}: ${words.join(", ")}`} title={words.join(", ")}>
      {all.map(([value, count]) => (
        <span key={value} style={{
          width: `${(100 * count) / Math.max(total, 1)}%`,
          background: (ranks.get(value) ?? COLORS) < COLORS ? css(classColor(now, ranks.get(value)!)) : "var(--wave)",
        }} />
      ))}
    </span>
  );
}
