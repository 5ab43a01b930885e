// A waveform that can be played from, and of which a part can be chosen.

import { useEffect, useRef } from "preact/hooks";
import type { Waveform } from "../api";
import { theme, useStore } from "../store";
import { clamp } from "../../../../../web/map/src/camera";

export interface Part {
  /** Shares of the length, 0 to 1. */
  from: number;
  to: number;
}

type Peaks = Pick<Waveform, "min" | "max" | "rms">;

interface Props {
  data: Peaks | undefined;
  busy?: boolean;
  /** What plays, as a share. */
  at?: number;
  label: string;
  seek?: (share: number) => void;
  part?: Part | null;
  choose?: (part: Part | null) => void;
  tall?: boolean;
}

// A press that moves less than this share of the width is a click.
const CLICK = 0.006;

export function Wave({ data, busy, at = 0, label, seek, part, choose, tall }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const now = useStore(theme);
  const begun = useRef<number | null>(null);

  useEffect(() => {
    const element = canvas.current!;
    const draw = () => paint(element, data, at, part ?? null);
    draw();
    const observer = new ResizeObserver(draw);
    observer.observe(element);
    return () => observer.disconnect();
  }, [data, at, part?.from, part?.to, now]);

  const share = (event: PointerEvent) => {
    const box = canvas.current!.getBoundingClientRect();
    return clamp((event.clientX - box.left) / box.width, 0, 1);
  };
  const drag = (event: PointerEvent) => {
    const from = begun.current;
    if (from === null || !choose) return;
    const to = share(event);
    if (Math.abs(to - from) > CLICK) choose({ from: Math.min(from, to), to: Math.max(from, to) });
  };
  const keys = (event: KeyboardEvent) => {
    const step = { ArrowLeft: -0.02, ArrowRight: 0.02, ArrowDown: -0.02, ArrowUp: 0.02 }[event.key];
    if (step === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    const along = event.key === "ArrowLeft" || event.key === "ArrowRight";
    event.preventDefault();
    if (choose && event.shiftKey && along) {
      const from = part?.from ?? at;
      choose({ from, to: clamp((part?.to ?? from) + step, from + 0.01, 1) });
    } else if (choose && event.shiftKey && part) {
      choose({ from: clamp(part.from + step, 0, part.to - 0.01), to: part.to });
    } else if (!event.shiftKey) seek?.(clamp(at + step, 0, 1));
  };
  return (
    <div class={`wave ${tall ? "tall" : ""} ${busy && !data ? "busy" : ""}`}>
      <canvas
        ref={canvas}
        role="slider"
        tabIndex={0}
        aria-label={label}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round(100 * at)}
        aria-valuetext={part ? `from ${Math.round(100 * part.from)} to ${Math.round(100 * part.to)} percent chosen` : `${Math.round(100 * at)} percent`}
        onKeyDown={keys}
        onPointerDown={(event) => {
          canvas.current!.setPointerCapture(event.pointerId);
          begun.current = share(event);
        }}
        onPointerMove={drag}
        onPointerUp={(event) => {
          const from = begun.current;
          begun.current = null;
          if (from === null) return;
          if (Math.abs(share(event) - from) <= CLICK || !choose) seek?.(share(event));
        }}
        onPointerCancel={() => (begun.current = null)}
      />
    </div>
  );
}

function paint(canvas: HTMLCanvasElement, data: Peaks | undefined, at: number, part: Part | null) {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (width < 1 || height < 1) return;
  const ratio = Math.min(devicePixelRatio || 1, 2);
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d")!;
  context.scale(ratio, ratio);
  const style = getComputedStyle(canvas);
  const [accent, rest, weak] = ["--accent", "--wave", "--line"].map((name) => style.getPropertyValue(name).trim());
  const middle = height / 2;
  if (part) {
    context.fillStyle = accent;
    context.globalAlpha = 0.16;
    context.fillRect(part.from * width, 0, (part.to - part.from) * width, height);
    context.globalAlpha = 1;
    for (const edge of [part.from, part.to]) context.fillRect(Math.round(edge * width) - 1, 0, 2, height);
  }
  if (!data || data.max.length === 0) {
    context.fillStyle = weak;
    context.fillRect(0, middle - 0.5, width, 1);
    return;
  }
  const peak = Math.max(1e-4, ...data.max.map(Math.abs), ...data.min.map(Math.abs));
  const [bar, gap] = [2, 1];
  const bars = Math.max(1, Math.floor(width / (bar + gap)));
  const points = data.max.length;
  for (let i = 0; i < bars; i++) {
    const first = Math.floor((i / bars) * points);
    const last = Math.max(first + 1, Math.floor(((i + 1) / bars) * points));
    let [low, high, loud] = [0, 0, 0];
    for (let j = first; j < last; j++) {
      low = Math.min(low, data.min[j]);
      high = Math.max(high, data.max[j]);
      loud = Math.max(loud, data.rms[j] ?? 0);
    }
    const x = i * (bar + gap);
    const share = i / bars;
    const chosen = part ? share >= part.from && share <= part.to : share < at;
    context.fillStyle = chosen ? accent : rest;
    const scale = (middle - 1) / peak;
    context.globalAlpha = 0.5;
    context.fillRect(x, middle - high * scale - 0.5, bar, Math.max(1, (high - low) * scale));
    context.globalAlpha = 1;
    context.fillRect(x, middle - loud * scale - 0.5, bar, Math.max(1, 2 * loud * scale));
  }
  if (at > 0 && part) {
    context.fillStyle = style.getPropertyValue("--ink");
    context.fillRect(Math.round(at * width), 0, 1, height);
  }
}
