// Changing what is known of songs, of one or of many at once.

import { useState } from "preact/hooks";
import { api, type Card, Problem, type Song, type Value } from "../api";
import { asProblem, complain, say, Store, useStore } from "../store";
import { count, plain } from "../words";
import { Dialog } from "./parts";

export const FIELDS: { name: string; label: string; hint?: string }[] = [
  { name: "title", label: "Title" },
  { name: "artist", label: "Artist" },
  { name: "album", label: "Album" },
  { name: "album_artist", label: "Album artist" },
  { name: "genre", label: "Genres", hint: "several with commas" },
  { name: "year", label: "Year" },
  { name: "bpm", label: "BPM" },
  { name: "key", label: "Key", hint: "such as Am, F# or 8A" },
  { name: "mood", label: "Moods", hint: "several with commas" },
  { name: "instrument", label: "Instrument" },
  { name: "loop", label: "Loop", hint: "yes or no" },
  { name: "track", label: "Track" },
  { name: "disc", label: "Disc" },
  { name: "composer", label: "Composer" },
  { name: "label", label: "Label" },
  { name: "comment", label: "Comment" },
];

const NUMBERS = new Set(["year", "bpm", "track", "disc"]);
const LISTS = new Set(["genre", "mood"]);
// A server answers each song by itself; a few at once keep it busy.
const AT_ONCE = 4;

/** What was typed, as the field holds it; an empty list or null empties it. */
function valueOf(field: string, typed: string): Value {
  const text = typed.trim();
  if (LISTS.has(field)) return text === "" ? [] : text.split(",").map((one) => one.trim()).filter(Boolean);
  if (text === "") return null;
  if (NUMBERS.has(field) && text !== "" && Number.isFinite(Number(text))) return Number(text);
  if (field === "loop") {
    if (/^(yes|true|1)$/i.test(text)) return true;
    if (/^(no|false|0)$/i.test(text)) return false;
  }
  return text;
}

/** How far a change of many songs is, and a way to end it early. */
export const progress = new Store<{ done: number; total: number; stop: () => void } | null>(null);

/** Does something with each song, a few at a time, until it is stopped. */
async function each(songs: Card[], act: (card: Card) => Promise<void>): Promise<void> {
  const queue = [...songs];
  const stop = () => void (queue.length = 0);
  let done = 0;
  const tell = () => songs.length > 1 && progress.set({ done, total: songs.length, stop });
  tell();
  const worker = async () => {
    for (let card = queue.shift(); card; card = queue.shift()) {
      try {
        await act(card);
      } catch (error) {
        stop();
        throw error;
      }
      done++;
      tell();
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: Math.min(AT_ONCE, songs.length) }, worker));
  progress.set(null);
  const failed = ends.find((end) => end.status === "rejected");
  if (failed) throw failed.reason;
}

/** Forgets songs; returns those that are gone. */
export async function forget(songs: Card[]): Promise<Card[]> {
  const gone: Card[] = [];
  await each(songs, async (card) => {
    await api.remove(card.id);
    gone.push(card);
  }).catch(complain);
  return gone;
}

/** Sets a field of songs. Returns those that changed, as rows show them. */
export async function save(songs: Card[], field: string, typed: string): Promise<Map<string, Card>> {
  return changeAll(songs, field, (id) => api.edit(id, { set: { [field]: valueOf(field, typed) } }));
}

/** Goes back to what the file says. */
export async function reset(songs: Card[], field: string): Promise<Map<string, Card>> {
  return changeAll(songs, field, (id) => api.edit(id, { unset: [field] }));
}

async function changeAll(
  songs: Card[],
  field: string,
  change: (id: string) => Promise<Song>,
): Promise<Map<string, Card>> {
  const done = new Map<string, Card>();
  const failed: { card: Card; problem: Problem }[] = [];
  await each(songs, async (card) => {
    try {
      done.set(card.id, withValues(card, await change(card.id)));
    } catch (error) {
      const problem = asProblem(error);
      failed.push({ card, problem });
      // What is refused for one song is refused for all.
      if ([400, 401, 403, 422].includes(problem.status) || problem.status === 0) throw error;
    }
  }).catch(() => undefined);
  if (failed.length > 0) {
    const { card, problem } = failed[0];
    say(`${plain(card.title)}${failed.length > 1 ? ` and ${failed.length - 1} more` : ""} did not change: ${problem.message} ${problem.tip ?? ""}`, "bad");
  }
  if (done.size > 0 && songs.length > 1) say(`${field} of ${count(done.size, "song")} changed.`, "good");
  return done;
}

/** A row with the values that a song has now. */
function withValues(card: Card, song: Song | undefined): Card {
  const values = song?.values;
  if (!values) return card;
  const value = (name: string) => values[name]?.value ?? undefined;
  const texts = (name: string) => {
    const list = value(name);
    return Array.isArray(list) ? list : list === undefined ? undefined : [String(list)];
  };
  return {
    ...card,
    title: String(value("title") ?? card.title),
    artist: value("artist") as string | undefined,
    album: value("album") as string | undefined,
    genres: texts("genre"),
    year: value("year") as number | undefined,
    bpm: value("bpm") as number | undefined,
    key: value("key") as Card["key"],
    moods: texts("mood"),
    instrument: value("instrument") as string | undefined,
    loop: value("loop") as boolean | undefined,
  };
}

/** What is being changed, where everybody sees it. */
export function Changing() {
  const now = useStore(progress);
  if (!now) return null;
  return (
    <div class="message changing" role="status">
      <span>{`Changing ${now.done} of ${now.total}`}</span>
      <progress max={now.total} value={now.done} aria-label="Songs changed" />
      <button type="button" class="text-button" onClick={now.stop}>Stop</button>
    </div>
  );
}

/** Edits one field of several songs. */
export function Edit({ songs, close, done }: {
  songs: Card[];
  close: () => void;
  done: (changed: Map<string, Card>) => void;
}) {
  const [field, choose] = useState("genre");
  const [typed, type] = useState("");
  const [busy, setBusy] = useState(false);
  const about = FIELDS.find((one) => one.name === field)!;
  const run = async (work: () => Promise<Map<string, Card>>) => {
    setBusy(true);
    const changed = await work();
    setBusy(false);
    if (changed.size > 0) {
      done(changed);
      close();
    }
  };
  return (
    <Dialog title={`Edit ${count(songs.length, "song")}`} close={close}>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void run(() => save(songs, field, typed));
        }}
      >
        <label class="field">
          <span>Field</span>
          <select value={field} onChange={(event) => choose(event.currentTarget.value)}>
            {FIELDS.map((one) => <option key={one.name} value={one.name}>{one.label}</option>)}
          </select>
        </label>
        <label class="field">
          <span>New value {about.hint && <span class="soft">{about.hint}</span>}</span>
          <input type="text" autofocus value={typed} onInput={(event) => type(event.currentTarget.value)} />
        </label>
        <p class="soft">
          Audio files stay as they are; the library keeps the edit. Without a value the field is emptied.
        </p>
        <div class="dialog-foot">
          <button type="button" class="button" disabled={busy} onClick={() => void run(() => reset(songs, field))}>
            Back to what files say
          </button>
          <button type="submit" class="button primary" disabled={busy}>
            {busy ? "Changing…" : `Set for ${count(songs.length, "song")}`}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
