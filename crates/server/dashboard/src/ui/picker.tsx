// Songs that a reader names: chips of those that are chosen, and a box that finds more.

import { useEffect, useRef, useState } from "preact/hooks";
import { api, type Card } from "../api";
import { address } from "../route";
import { announce, useLoad } from "../store";
import { name, plain } from "../words";
import { cardOf } from "./card";
import { Icon } from "./icon";
import { Chip, IconButton } from "./parts";

/** Songs whose chips are shown before somebody asks for all of them. */
const SHOWN = 8;

/** What a song is called, once that is known. */
export function useSongName(id: string | undefined): string {
  const { data } = useLoad(id === undefined ? null : `name ${id}`, (signal) => api.song(id!, signal));
  return data ? name(cardOf(data)) : "";
}

/** A song that was chosen. It may be gone by now, which its chip says. */
export function Liked({ id, tone = "like", bare, remove }: {
  id: string;
  tone?: "like" | "unlike";
  /** Without the word before its name. */
  bare?: boolean;
  remove: () => void;
}) {
  const { data, error } = useLoad(`name ${id}`, (signal) => api.song(id, signal));
  const shown = data
    ? name(cardOf(data))
    : error?.status === 404 ? "not in the library any more" : id.slice(0, 8);
  return (
    <Chip label={shown} remove={remove} href={error ? undefined : address(["song", id])}>
      {!bare && <><span class={tone}>{tone}</span> </>}<bdi>{shown}</bdi>
    </Chip>
  );
}

/** Songs that something begins with, and a box for more of them. */
export function Seeds({ ids, set, label, most }: {
  ids: string[];
  set: (ids: string[]) => void;
  label: string;
  /** As many as the server takes. */
  most: number;
}) {
  const [all, showAll] = useState(false);
  const shown = all ? ids : ids.slice(0, SHOWN);
  return (
    <div class="liked" role="group" aria-label={label}>
      {shown.map((id) => (
        <Liked key={id} id={id} bare remove={() => set(ids.filter((one) => one !== id))} />
      ))}
      {ids.length > SHOWN && (
        <button type="button" class="text-button" aria-expanded={all} onClick={() => showAll(!all)}>
          {all ? "Fewer" : `and ${ids.length - SHOWN} more`}
        </button>
      )}
      {ids.length > 1 && <button type="button" class="text-button" onClick={() => set([])}>Clear</button>}
      {ids.length < most && <Picker pick={(card) => set([...ids.filter((id) => id !== card.id), card.id])} />}
    </div>
  );
}

/** One song: its name with a way to take it back, or a box that finds it. */
export function OneSong({ id, set, label, placeholder }: {
  id: string | null;
  set: (id: string | null) => void;
  label: string;
  placeholder: string;
}) {
  return (
    <div class="one-song" role="group" aria-label={label}>
      <span class="soft one-song-label">{label}</span>
      {id === null
        ? <Picker pick={(card) => set(card.id)} label={label} placeholder={placeholder} />
        : <Liked key={id} id={id} bare remove={() => set(null)} />}
    </div>
  );
}

/** A box that finds songs by their words. The arrows move, Enter takes. */
export function Picker({ pick, avoid, label = "Add a song", placeholder = "Add a song by its title or artist" }: {
  pick: (card: Card) => void;
  /** For what should sound otherwise, where that means something. */
  avoid?: (card: Card) => void;
  label?: string;
  placeholder?: string;
}) {
  const [typed, type] = useState("");
  const [at, move] = useState(0);
  const box = useRef<HTMLInputElement>(null);
  const words = typed.trim();
  const { data, error } = useLoad(words === "" ? null : `pick ${words}`, async (signal) => {
    await new Promise((resolve) => setTimeout(resolve, 150));
    signal.throwIfAborted();
    return { words, rows: (await api.songs({ q: words, limit: 6, offset: 0 }, signal)).rows };
  });
  // Rows of other words would be taken by who types fast.
  const rows = data?.words === words ? data.rows : [];
  // Enter before the answer is there means its first song.
  const hurried = useRef<string | null>(null);
  useEffect(() => move(0), [words]);
  useEffect(() => {
    if (data === undefined || hurried.current !== data.words) return;
    hurried.current = null;
    if (data.rows[0]) take(data.rows[0]);
  }, [data]);
  const take = (card: Card, to = pick) => {
    to(card);
    type("");
    announce(`${name(card)} is chosen`);
    box.current?.focus();
  };
  return (
    <div class="picker">
      <Icon name="plus" size={16} />
      <input
        ref={box}
        type="search"
        data-search
        aria-label={label}
        placeholder={placeholder}
        value={typed}
        onInput={(event) => type(event.currentTarget.value)}
        onKeyDown={(event) => {
          const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
          if (step !== undefined && rows.length > 0) {
            event.preventDefault();
            const next = (at + step + rows.length) % rows.length;
            move(next);
            announce(name(rows[next]));
          } else if (event.key === "Enter" && words !== "") {
            event.preventDefault();
            if (rows[at]) take(rows[at]);
            else hurried.current = words;
          } else if (event.key === "Escape" && typed !== "") {
            event.stopPropagation();
            type("");
          }
        }}
      />
      {words !== "" && (data || error) && (
        <ul class="picks" aria-label="Songs found">
          {error && <li class="bad">{error.message}</li>}
          {data && data.rows.length === 0 && <li class="soft">No song has these words.</li>}
          {(data?.rows ?? []).map((card, i) => (
            <li key={card.id} class={i === at ? "at" : ""}>
              <button type="button" dir="auto" onClick={() => take(card)}>{name(card)}</button>
              {avoid && <IconButton icon="ban" small label={`Unlike ${plain(card.title)}`} act={() => take(card, avoid)} />}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
