// Lists of songs that sound alike, or were found.

import type { ComponentChildren } from "preact";
import { useRef, useState } from "preact/hooks";
import { api, type Card, type Explanation } from "../api";
import { endPreview, PlayButton, playAll, playing, preview, queue, toggle } from "../player";
import { address, go } from "../route";
import { asProblem, useLoad, useStore, useWritable } from "../store";
import { bpm, camelot, length, plain } from "../words";
import { IconButton, Meter, Trouble } from "./parts";
import { AddButton } from "./playlists";
import { Why } from "./why";

interface Row {
  card: Card;
  /** 0 to 1. */
  similarity?: number;
  explanation?: Explanation;
  note?: ComponentChildren;
}

/** How a song is asked why it matches. */
export type Compare = string | null;

export function SongList({ rows, compare = null, label, inOrder, actions }: {
  rows: Row[];
  /** Whether the order means something: places are shown, and a song plays on to the next. */
  inOrder?: boolean;
  /** The song that the others are compared with, if they are. */
  compare?: Compare;
  label: string;
  actions?: (card: Card) => ComponentChildren;
}) {
  const list = useRef<HTMLUListElement>(null);
  const [opened, open] = useState<string | null>(null);
  const now = useStore(playing);
  const writable = useWritable();

  const from = queue.value;
  const start = (at: number) => {
    const { card } = rows[at];
    // The same song again means pause, or go on.
    if (!inOrder || (now?.card.id === card.id && from.cards.length === rows.length)) toggle(card);
    else playAll(rows.map((row) => row.card), at);
  };

  const move = (event: KeyboardEvent) => {
    const target = event.target as HTMLElement;
    if (target.matches("input, select, textarea")) return;
    const all = [...list.current!.querySelectorAll<HTMLElement>(":scope > li")];
    const at = all.findIndex((one) => one.contains(target));
    const row = rows[at];
    const step = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1 }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey || !row) return;
    if (step !== undefined) {
      event.preventDefault();
      all[at + step]?.focus();
    } else if (event.key === " " && target === all[at]) {
      event.preventDefault();
      event.stopPropagation();
      start(at);
    } else if (event.key === "Enter" && target === all[at]) go(address(["song", row.card.id]));
    else if (event.key === "w" && target === all[at]) open(opened === row.card.id ? null : row.card.id);
  };

  const Kind = inOrder ? "ol" : "ul";
  return (
    <Kind class="songs" ref={list as never} aria-label={label} onKeyDown={move}>
      {rows.map((row, i) => {
        const { card } = row;
        const canSay = row.explanation !== undefined || compare !== null;
        const isOpen = opened === card.id && canSay;
        return (
          <li
            key={card.id}
            tabIndex={i === 0 ? 0 : -1}
            data-song={card.id}
            class={now?.card.id === card.id ? "playing" : ""}
            onPointerEnter={inOrder ? undefined : () => preview(card)}
            onPointerLeave={endPreview}
          >
            <div class="song-row">
              {inOrder && <span class="place soft">{i + 1}</span>}
              <PlayButton card={card} small start={() => start(i)} />
              <div class="song-name">
                <a href={address(["song", card.id])} dir="auto">{plain(card.title) || "Without a title"}</a>
                <span class="soft" dir="auto">
                  {[card.artist, card.album].map((part) => plain(part ?? "")).filter(Boolean).join(" · ")}
                </span>
                {row.note && <span class="row-note">{typeof row.note === "string" ? plain(row.note) : row.note}</span>}
              </div>
              <span class="song-fact genre">{plain(card.genres?.[0] ?? card.instrument ?? "")}</span>
              <span class="song-fact number">{bpm(card.bpm)}</span>
              <span class="song-fact number">{camelot(card.key)}</span>
              <span class="song-fact number">{length(card.duration)}</span>
              {row.similarity !== undefined && (
                <span class="song-likeness">
                  <Meter value={row.similarity} label={`Likeness ${row.similarity.toFixed(3)}`} />
                  <span>{row.similarity.toFixed(2)}</span>
                </span>
              )}
              <span class="song-actions">
                {canSay && (
                  <button
                    type="button"
                    class="text-button"
                    aria-expanded={isOpen}
                    onClick={() => open(isOpen ? null : card.id)}
                  >
                    Why
                  </button>
                )}
                {actions?.(card)}
                {writable && <AddButton song={card.id} title={card.title} />}
                <IconButton icon="radio" label={`Radio from ${plain(card.title)}`} small
                  act={() => go(address("radio", { like: card.id }))} />
                <IconButton icon="similar" label={`Find songs like ${plain(card.title)}`} small
                  act={() => go(address("search", { like: card.id }))} />
              </span>
            </div>
            {isOpen && (row.explanation
              ? <Why explanation={row.explanation} />
              : <AskWhy a={compare!} b={card.id} />)}
          </li>
        );
      })}
    </Kind>
  );
}

function AskWhy({ a, b }: { a: string; b: string }) {
  const { data, error, busy, reload } = useLoad(`why ${a} ${b}`, () => api.explain(a, b));
  if (error) return <Trouble problem={asProblem(error)} retry={reload} compact />;
  if (busy || !data) return <p class="soft why">Comparing…</p>;
  return <Why explanation={data} />;
}
