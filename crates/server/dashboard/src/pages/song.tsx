// Everything that is known of one song.

import { useEffect, useState } from "preact/hooks";
import { api, type Card, type Song, type Value, type Write } from "../api";
import { play, playing, position, seek, toggle } from "../player";
import { address, go } from "../route";
import { complain, say, useLoad, useStore, useWritable } from "../store";
import { cardOf } from "../ui/card";
import { FIELDS, reset, save } from "../ui/edit";
import { Icon } from "../ui/icon";
import { Confirm, Empty, IconButton, Trouble, Waiting } from "../ui/parts";
import { inWords, sureness } from "../ui/sound-words";
import { AddToPlaylist } from "../ui/playlists";
import { SongList } from "../ui/songs";
import { Wave } from "../ui/wave";
import { ago, camelot, count, length, number, plain, size, spoken, text, when } from "../words";

export function SongPage({ id }: { id: string }) {
  const song = useLoad(`song ${id}`, (signal) => api.song(id, signal));
  if (song.error?.status === 404) {
    return (
      <Empty icon="library" title="There is no such song">
        <p>It may have been forgotten, here or on another machine.</p>
        <a class="button" href="#/machines/trash">Look into the trash</a>
        <a class="button" href="#/library">Go to the library</a>
      </Empty>
    );
  }
  if (song.error) return <Trouble problem={song.error} retry={song.reload} />;
  if (!song.data) return <Waiting rows={8} />;
  return <Shown song={song.data} reload={song.reload} />;
}

function Shown({ song, reload }: { song: Song; reload: () => void }) {
  const card = cardOf(song);
  useEffect(() => {
    document.title = `${plain(card.title)} · songrec`;
  }, [card.title]);
  const conflicts = song.conflicts ?? [];
  return (
    <div class="song-page">
      <Head card={card} song={song} />
      {conflicts.length > 0 && (
        <p class="notice">
          <Icon name="warning" size={16} /> {count(conflicts.length, "field")} of this song {conflicts.length === 1 ? "was" : "were"} set
          differently on two machines. <a href="#/machines/conflicts">Decide</a>
        </p>
      )}
      {(song.audio.warnings ?? []).map((warning) => (
        <p class="notice" key={warning.kind}><Icon name="warning" size={16} /> {plain(warning.text)}</p>
      ))}
      <Picture card={card} />
      <div class="song-columns">
        <div class="stack">
          <Sounding song={song} />
          <Neighbors id={song.id} />
        </div>
        <div class="stack">
          <Tags song={song} card={card} changed={reload} />
          <Files song={song} />
          <Copies id={song.id} />
          <History id={song.id} revision={song.revision.number} />
        </div>
      </div>
    </div>
  );
}

function Head({ card, song }: { card: Card; song: Song }) {
  const now = useStore(playing);
  const on = now?.on === true && now.card.id === card.id;
  const writable = useWritable();
  const [asking, ask] = useState<"forget" | "add" | null>(null);
  const [bare, strip] = useState(false);
  const forget = async () => {
    try {
      await api.remove(card.id);
      say(`“${plain(card.title)}” is forgotten; its file is as it was.`, "good", {
        label: "Undo",
        run: () => api.restore([card.id]).then(() => go(address(["song", card.id])), complain),
      });
      go("#/library");
    } catch (error) {
      complain(error);
    }
  };
  return (
    <div class="song-head">
      {song.tags.art && !bare && (
        <a class="cover" href={api.artwork(card.id)} target="_blank" rel="noreferrer">
          <img src={api.artwork(card.id)} alt={`Cover of ${plain(card.title)}`} onError={() => strip(true)} />
        </a>
      )}
      <IconButton icon={on ? "pause" : "play"} label={on ? "Pause" : "Play"} kind="main large" act={() => toggle(card)} />
      <div class="song-title">
        <h1 dir="auto">{plain(card.title)}</h1>
        <p class="soft" dir="auto">
          {card.artist && <a href={address("library", { filter: `artist:"${card.artist.replaceAll('"', "")}"` })}>{plain(card.artist)}</a>}
          {card.artist && card.album && " · "}
          {card.album && <a href={address("library", { filter: `album:"${card.album.replaceAll('"', "")}"` })}>{plain(card.album)}</a>}
        </p>
        <p class="facts-line">
          {card.bpm !== undefined && <span>{Math.round(card.bpm)} BPM</span>}
          {card.key && <span>{spoken(card.key)} · {camelot(card.key)}</span>}
          <span>{length(card.duration)}</span>
          {card.genres?.map((genre) => (
            <a key={genre} href={address("library", { filter: `genre:"${genre.replaceAll('"', "")}"` })}>{plain(genre)}</a>
          ))}
          {song.cluster && (
            <a href={address(["insights", "clusters", String(song.cluster.cluster_id)])}>cluster: {plain(song.cluster.name)}</a>
          )}
        </p>
      </div>
      <div class="song-buttons">
        <a class="button primary" href={address("search", { like: card.id })}><Icon name="similar" size={16} /> Find similar</a>
        <a class="button" href={address("radio", { like: card.id })}><Icon name="radio" size={16} /> Radio</a>
        <a class="button" href={address("path", { a: card.id })}><Icon name="path" size={16} /> Path to…</a>
        <a class="button" href={address("map", { song: card.id, near: true })}><Icon name="target" size={16} /> On the map</a>
        {writable && <IconButton icon="addto" label="Add to a playlist" act={() => ask("add")} />}
        {writable && <IconButton icon="trash" label="Forget this song" act={() => ask("forget")} />}
      </div>
      {asking === "add" && <AddToPlaylist songs={[card.id]} close={() => ask(null)} />}
      {asking === "forget" && (
        <Confirm title="Forget this song?" label="Forget" act={() => void forget()} close={() => ask(null)}>
          <p>The library forgets it; no audio file is deleted. It can be restored from the trash.</p>
        </Confirm>
      )}
    </div>
  );
}

function Picture({ card }: { card: Card }) {
  const [zoom, setZoom] = useState<{ from: number; to: number } | null>(null);
  const [part, choose] = useState<{ from: number; to: number } | null>(null);
  const [missing, miss] = useState(false);
  const wave = useLoad(`wave ${card.id} ${zoom?.from} ${zoom?.to}`, (signal) =>
    api.waveform(card.id, { points: 1200, from: zoom?.from, to: zoom?.to }, signal));
  const now = useStore(playing);
  const seconds = useStore(position);
  const mine = now?.card.id === card.id;
  const [from, to] = [zoom?.from ?? 0, zoom?.to ?? card.duration];
  const at = mine ? Math.min(1, Math.max(0, (seconds - from) / (to - from))) : 0;
  return (
    <section class="card picture" aria-label="Waveform and spectrogram">
      {wave.error
        ? <Trouble problem={wave.error} retry={wave.reload} compact />
        : (
          <Wave
            data={wave.data}
            busy={wave.busy}
            at={at}
            part={part}
            choose={choose}
            seek={(share) => {
              const target = (from + share * (to - from)) / card.duration;
              if (mine) seek(target);
              else play(card, target);
            }}
            label={`Waveform of ${plain(card.title)}`}
            tall
          />
        )}
      {!missing && (
        <div class="spectrogram">
          <img
            src={api.spectrogram(card.id, 1200, 160)}
            alt={`Spectrogram of ${plain(card.title)}: low notes below, high ones above, bright where it is loud`}
            onError={() => miss(true)}
          />
          {mine && !zoom && <span class="needle" style={{ left: `${100 * at}%` }} />}
        </div>
      )}
      <div class="picture-foot soft">
        <span>{length(from)}</span>
        <span class="picture-tools">
          {part && (
            <button type="button" class="text-button" onClick={() => {
              setZoom({ from: from + part.from * (to - from), to: from + part.to * (to - from) });
              choose(null);
            }}>Magnify the chosen part</button>
          )}
          {zoom && <button type="button" class="text-button" onClick={() => setZoom(null)}>Show all</button>}
          {!part && !zoom && "Click to play from there, drag to choose a part"}
        </span>
        <span>{length(to)}</span>
      </div>
    </section>
  );
}

function Sounding({ song }: { song: Song }) {
  const said = song.features ? inWords(song.features) : [];
  return (
    <section class="card">
      <h2>How it sounds</h2>
      {said.length === 0
        ? <p class="soft">No features are stored. Scan again to measure them.</p>
        : (
          <dl class="sounding">
            {said.map((one) => (
              <div key={one.name}>
                <dt>{one.name}</dt>
                <dd>
                  <span class="sound-word">{plain(one.words)}</span>
                  <span class="soft">{one.value}{one.sure !== undefined && <em> {sureness(one.sure)}</em>}</span>
                  {one.level !== null && (
                    <span class="dot-scale" aria-hidden="true"><span style={{ left: `${100 * one.level}%` }} /></span>
                  )}
                </dd>
              </div>
            ))}
          </dl>
        )}
    </section>
  );
}

function Neighbors({ id }: { id: string }) {
  const { data, error, reload } = useLoad(`near ${id}`, (signal) => api.similar(id, { k: 10, explain: true }, signal));
  return (
    <section class="card">
      <h2>Nearest songs <a class="h-link" href={address("search", { like: id })}>More</a></h2>
      {error && <Trouble problem={error} retry={reload} compact />}
      {!data && !error && <Waiting rows={5} />}
      {data && data.results.length === 0 && <p class="soft">No other song has an embedding to compare with.</p>}
      {data && (
        <SongList
          label="Nearest songs"
          compare={id}
          rows={data.results.map((card) => ({ card, similarity: card.similarity, explanation: card.explanation }))}
        />
      )}
    </section>
  );
}

const SOURCES: Record<string, string> = {
  person: "edited", file: "from the file", import: "imported", folder: "from the folder",
  file_name: "from the file name", measured: "measured",
};

function Tags({ song, card, changed }: { song: Song; card: Card; changed: () => void }) {
  const writable = useWritable();
  const [editing, edit] = useState<string | null>(null);
  const [all, showAll] = useState(false);
  const shown = FIELDS.filter((field) => all || song.values[field.name] !== undefined || editing === field.name);
  const finish = async (field: string, typed: string | null) => {
    edit(null);
    if (typed === null || typed.trim() === text(song.values[field]?.value)) return;
    if ((await save([card], field, typed)).size > 0) changed();
  };
  return (
    <section class="card">
      <h2>
        What is known
        {writable && <button type="button" class="text-button" onClick={() => showAll(!all)}>{all ? "Fewer fields" : "All fields"}</button>}
      </h2>
      <dl class="tags">
        {shown.map((field) => {
          const said = song.values[field.name];
          const value = text(said?.value as Value);
          return (
            <div key={field.name}>
              <dt>{field.label}</dt>
              <dd>
                {editing === field.name
                  ? <Field value={value} label={field.label} done={(typed) => void finish(field.name, typed)} />
                  : writable
                    ? (
                      <button type="button" class="tag-value" dir="auto" aria-label={`Edit ${field.label}: ${value || "empty"}`}
                        onClick={() => edit(field.name)}>
                        {value || <span class="soft">empty</span>}
                        <Icon name="edit" size={14} />
                      </button>
                    )
                    : <span dir="auto">{value}</span>}
                {said && editing !== field.name && (
                  <span class={`source ${said.source}`}>
                    {SOURCES[said.source] ?? said.source}
                    {said.source === "person" && writable && (
                      <IconButton icon="undo" small label={`Back to what the file says about ${field.label}`}
                        act={() => void reset([card], field.name).then((done) => done.size > 0 && changed())} />
                    )}
                  </span>
                )}
              </dd>
            </div>
          );
        })}
      </dl>
    </section>
  );
}

function Field({ value, label, done }: { value: string; label: string; done: (typed: string | null) => void }) {
  const [typed, type] = useState(value);
  return (
    <input
      type="text"
      ref={(box) => {
        if (box !== null && document.activeElement !== box) box.focus();
      }}
      aria-label={label}
      value={typed}
      onInput={(event) => type(event.currentTarget.value)}
      onKeyDown={(event) => {
        if (event.key === "Enter") done(typed);
        else if (event.key === "Escape") {
          event.stopPropagation();
          done(null);
        }
      }}
      onBlur={() => done(typed)}
    />
  );
}

function Files({ song }: { song: Song }) {
  const { audio } = song;
  const files = song.files ?? [];
  return (
    <section class="card">
      <h2>Files and copies</h2>
      <ul class="files">
        {files.map((file) => (
          <li key={file.path}>
            <Icon name="file" size={16} />
            <span class="path" dir="auto">{plain(file.path)}</span>
            <span class="soft">{size(file.size)}</span>
          </li>
        ))}
        {song.blob && (
          <li>
            <Icon name="folder" size={16} />
            <span>The library keeps a copy of the audio</span>
            <span class="soft">{size(song.blob.size)}</span>
          </li>
        )}
        {files.length === 0 && !song.blob && <li class="soft">No file is known; it may be on another machine.</li>}
      </ul>
      <p class="soft">
        {[audio.codec, `${number(audio.sample_rate)} Hz`, audio.channels === 1 ? "mono" : audio.channels === 2 ? "stereo" : `${audio.channels} channels`,
          audio.bit_depth ? `${audio.bit_depth} bit` : "", audio.bitrate ? `${Math.round(audio.bitrate / 1000)} kbit/s` : ""]
          .filter(Boolean).join(" · ")}
      </p>
      <details>
        <summary>Embeddings and identity</summary>
        <ul class="files">
          {Object.entries(song.embeddings ?? {}).map(([model, embedding]) => (
            <li key={model}><code>{plain(model)}</code><span class="soft">{embedding.dimension} dimensions</span></li>
          ))}
        </ul>
        <p class="mono soft">{song.id}</p>
        <p class="soft">Added {when(song.added_at)}, version {song.revision.number}, changed {ago(song.updated_at)}</p>
      </details>
    </section>
  );
}

function Copies({ id }: { id: string }) {
  const same = useLoad(`copies ${id}`, (signal) => api.similar(id, { k: 10, all_copies: true }, signal));
  const near = (same.data?.results ?? []).filter((card) => card.similarity >= 0.985);
  return (
    <section class="card">
      <h2>Duplicates</h2>
      {same.error && <Trouble problem={same.error} retry={same.reload} compact />}
      {same.data && near.length === 0 && <p class="soft">No other song is nearly the same.</p>}
      {near.length > 0 && (
        <ul class="files">
          {near.map((card) => (
            <li key={card.id}>
              <Icon name="similar" size={16} />
              <a href={address(["song", card.id])} dir="auto">{plain(card.title)}</a>
              <span class="soft">{card.similarity.toFixed(3)} · {length(card.duration)} · {size(card.size)}</span>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function History({ id, revision }: { id: string; revision: number }) {
  const { data, error, reload } = useLoad(`history ${id} ${revision}`, (signal) => api.history(id, signal));
  return (
    <section class="card">
      <h2>History</h2>
      {error && <Trouble problem={error} retry={reload} compact />}
      {data && (
        <ol class="history">
          {[...data.writes].reverse().map((write) => (
            <li key={write.operation}>
              <time dateTime={write.at ?? undefined} title={when(write.at)}>{ago(write.at)}</time>
              <span>{describe(write)}</span>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}

// A write names every value that it left; most of them belong together.
function describe(write: Write): string {
  const keys = Object.keys(write.values);
  const edits = keys.filter((key) => key.startsWith("edits."));
  if (edits.length > 0) {
    const shown = new Map<string, string>();
    for (const key of edits) {
      const [field, ...rest] = key.slice("edits.".length).split("=");
      const value = rest.length > 0 ? rest.join("=") : write.values[key];
      const said = typeof value === "string" ? value.replace(/^"|"$/g, "") : text(value as Value);
      const before = shown.get(field);
      shown.set(field, before && said ? `${before}, ${said}` : before || said);
    }
    return [...shown].map(([field, value]) => `${field} set to “${plain(value) || "nothing"}”`).join("; ");
  }
  if (keys.includes("added_at")) return "Added to the library";
  const files = keys.filter((key) => key.startsWith("files."));
  if (files.length > 0) return `Found at ${plain(files[0].slice("files.".length))}`;
  const tags = keys.filter((key) => /^(tags|sources)\./.test(key)).map((key) => key.split(".").pop());
  if (tags.length > 0) return `Tags read: ${tags.join(", ")}`;
  return keys.length > 0 ? `Changed ${keys.slice(0, 4).join(", ")}` : "Written";
}
