// What radios, paths and rules have in common: how much is asked for, and the list
// that comes of it.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { Card, Model } from "../api";
import { playAll } from "../player";
import { useWritable } from "../store";
import { count, plain, span } from "../words";
import { Icon } from "./icon";
import { Tabs } from "./parts";
import { AddToPlaylist } from "./playlists";

/** The pages where lists are made, of which playlists are the first. */
export function ListTabs({ value }: { value: "playlists" | "radio" | "path" }) {
  return (
    <Tabs
      label="Lists"
      value={value}
      tabs={[
        { value: "playlists", label: "Playlists", href: "#/playlists" },
        { value: "radio", label: "Radio", href: "#/radio" },
        { value: "path", label: "Path", href: "#/path" },
      ]}
    />
  );
}

/** A whole number within limits, which counts once it is typed to its end. */
export function Amount({ label, value, least, most, set, unit, optional }: {
  label: string;
  value: number | null;
  least: number;
  most: number;
  set: (value: number | null) => void;
  unit?: string;
  /** What stands there where nothing is said, if nothing may be. */
  optional?: string;
}) {
  const shown = value === null ? "" : String(value);
  // What is being typed; nothing where it counts already.
  const [typing, type] = useState<string | null>(null);
  const typed = typing ?? shown;
  const keep = () => {
    type(null);
    const number = Math.round(Number(typed));
    if (typed.trim() === "" && optional !== undefined) return value === null ? undefined : set(null);
    if (typed.trim() === "" || !Number.isFinite(number)) return;
    const fits = Math.min(Math.max(number, least), most);
    if (fits !== value) set(fits);
  };
  return (
    <label class="amount">
      <input
        type="number"
        inputMode="numeric"
        min={least}
        max={most}
        step={1}
        aria-label={label}
        placeholder={optional}
        value={typed}
        onInput={(event) => type(event.currentTarget.value)}
        onChange={keep}
        onKeyDown={(event) => {
          if (event.key !== "Enter") return;
          // It counts; the form around it is not sent.
          event.preventDefault();
          keep();
        }}
      />
      {unit && <span class="soft">{unit}</span>}
    </label>
  );
}

/** A setting with its name, as a row of a form. */
export function Setting({ label, hint, whole, children }: {
  label: string;
  hint?: ComponentChildren;
  /** Whether it needs the whole width. */
  whole?: boolean;
  children: ComponentChildren;
}) {
  return (
    <div class={`setting ${whole ? "whole" : ""}`} role="group" aria-label={label}>
      <span class="setting-name">{label}</span>
      <div class="setting-value">{children}</div>
      {hint && <p class="setting-hint soft">{hint}</p>}
    </div>
  );
}

/** The model by which songs are compared, where there are several. */
export function ModelChoice({ models, value, set }: {
  models: Model[];
  value: string | null;
  set: (model: string | null) => void;
}) {
  if (models.length < 2) return null;
  return (
    <Setting label="Compare by">
      <select aria-label="Compare by" value={value ?? ""} onChange={(event) => set(event.currentTarget.value || null)}>
        <option value="">the usual model</option>
        {models.map((model) => (
          <option key={model.name} value={model.name} title={model.description}>{model.name}</option>
        ))}
      </select>
    </Setting>
  );
}

/** Over a list: how long it is, and what can be done with it. */
export function QueueHead({ songs, duration, busy, suggest, children }: {
  songs: Card[];
  /** Seconds. */
  duration: number;
  busy: boolean;
  /** How a playlist of it would be called. */
  suggest: string;
  children?: ComponentChildren;
}) {
  const writable = useWritable();
  const [saving, save] = useState(false);
  return (
    <div class="queue-head">
      <p class="queue-facts" role="status">
        {busy ? "Listening…" : <><strong>{count(songs.length, "song")}</strong>{duration > 0 && <span class="soft"> · {span(duration)}</span>}</>}
      </p>
      <div class="line">
        <button type="button" class="button primary" disabled={songs.length === 0} onClick={() => playAll(songs)}>
          <Icon name="play" size={16} /> Play all
        </button>
        {children}
        {writable && (
          <button type="button" class="button" disabled={songs.length === 0} onClick={() => save(true)}>
            <Icon name="addto" size={16} /> Save as playlist
          </button>
        )}
      </div>
      {saving && <AddToPlaylist songs={songs.map((song) => song.id)} suggest={suggest} close={() => save(false)} />}
    </div>
  );
}

/** Why a list is as it is, and what would make it longer. */
export function Notes({ title, notes, children }: {
  title?: string;
  notes: string[];
  children?: ComponentChildren;
}) {
  if (notes.length === 0 && title === undefined) return null;
  return (
    <div class="notice notes">
      <Icon name="info" size={16} />
      <div>
        {title && <strong>{title}</strong>}
        {notes.length === 1
          ? <p>{sentence(notes[0])}</p>
          : notes.length > 1 && <ul>{notes.map((note) => <li key={note}>{sentence(note)}</li>)}</ul>}
        {children}
      </div>
    </div>
  );
}

// The server puts names between marks of code; a name may have some of its own.
function quoted(text: string): string {
  const named = /^`(.*)`(?=,? (?:which|cannot) )/.exec(text);
  return named ? `“${named[1]}”${text.slice(named[0].length)}` : text.replace(/`([^`]*)`/g, "“$1”");
}

function sentence(note: string): string {
  const text = quoted(plain(note).trim());
  return text === "" ? "" : `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}
