// Songs by words, by a sound in words, by songs that are liked, or by a file.

import { useEffect, useRef, useState } from "preact/hooks";
import { api, type Card, type Comparing, type Page, type Similar } from "../api";
import { onHover, setOnHover } from "../player";
import { address, change, go, type Route } from "../route";
import { decode, playPart, type Sound, stopPart, Undecodable } from "../sound";
import { asProblem, complain, say, Store, useLoad, useStore, useWritable } from "../store";
import { Drop } from "../ui/drop";
import { Filters } from "../ui/filters";
import { Icon } from "../ui/icon";
import { Empty, IconButton, PageHead, Segments, Trouble, Waiting } from "../ui/parts";
import { Liked, Picker } from "../ui/picker";
import { SongList } from "../ui/songs";
import { type Part, Wave } from "../ui/wave";
import { count, length, name, number, plain } from "../words";

// A file cannot be in the address; it lasts as long as the page.
const brought = new Store<{ file: File; sound: Sound | null; trouble: string | null } | null>(null);

/** Searches by a file from another page. */
export function bring(file: File): void {
  void take(file);
  location.hash = address("search", { by: "file" });
}

async function take(file: File): Promise<void> {
  stopPart();
  brought.set({ file, sound: null, trouble: null });
  try {
    const sound = await decode(file);
    if (brought.value?.file === file) brought.set({ file, sound, trouble: null });
  } catch (error) {
    if (brought.value?.file !== file) return;
    brought.set({ file, sound: null, trouble: (error as Error).message });
    if (!(error instanceof Undecodable)) {
      brought.set(null);
      complain(error);
    }
  }
}

type By = "words" | "sound" | "songs" | "file";
const PAGE = 50;

export function SearchPage({ route }: { route: Route }) {
  const { query } = route;
  const like = query.getAll("like");
  const unlike = query.getAll("unlike");
  const by: By = (query.get("by") as By | null) ?? (like.length > 0 ? "songs" : "words");
  const filter = query.getAll("filter");
  const models = useLoad("models", async (signal) => (await api.models(signal)).rows);
  const readers = (models.data ?? []).filter((model) => model.reads_text);
  const hover = useStore(onHover);

  return (
    <div class="search-page">
      <PageHead title="Search">
        <label class="switch">
          <input type="checkbox" checked={hover} onChange={(event) => setOnHover(event.currentTarget.checked)} />
          Play on hover
        </label>
      </PageHead>
      <div class="asking">
        <Segments<By>
          label="Search by"
          value={by}
          options={[
            { value: "words", label: "Words" },
            { value: "file", label: "A file" },
            { value: "sound", label: "A sound in words" },
            { value: "songs", label: "Songs you like" },
          ]}
          choose={(value) => change({ by: value, q: value === "words" || value === "sound" ? query.get("q") : null }, false)}
        />
        {by === "words" && <Words q={query.get("q") ?? ""} placeholder="Title, artist, album, genre, mood, path" />}
        {by === "sound" && (
          <>
            <Words q={query.get("q") ?? ""} slow placeholder="a dark drone with distant bells" />
            {models.data && readers.length === 0 && (
              <p class="notice">
                <Icon name="info" size={16} /> No model here reads words. Add one that does, such as a CLAP model,
                with <code>songrec model add FOLDER</code>, then scan again.
              </p>
            )}
          </>
        )}
        {by === "file" && <FileQuestion from={query.get("from")} to={query.get("to")} />}
        {by === "songs" && <LikedSongs like={like} unlike={unlike} />}
        <div class="bar-row inside">
          <Filters terms={filter} set={(terms) => change({ filter: terms })} />
          {by !== "words" && models.data && models.data.length > 1 && (
            <label class="inline">
              <span class="soft">Compare by</span>
              <select
                value={query.get("model") ?? ""}
                onChange={(event) => change({ model: event.currentTarget.value })}
              >
                <option value="">the usual model</option>
                {(by === "sound" ? readers : models.data).map((model) => (
                  <option key={model.name} value={model.name} title={model.description}>{model.name}</option>
                ))}
              </select>
            </label>
          )}
        </div>
      </div>
      {by === "words"
        ? <ByWords q={query.get("q") ?? ""} filter={filter} />
        : <ByLikeness by={by} route={route} like={like} unlike={unlike} filter={filter} />}
    </div>
  );
}

function Words({ q, placeholder, slow }: { q: string; placeholder: string; slow?: boolean }) {
  const [typed, type] = useState(q);
  const box = useRef<HTMLInputElement>(null);
  useEffect(() => type(q), [q]);
  useEffect(() => {
    if (typed === q) return;
    // Embedding words takes longer than looking them up.
    const timer = setTimeout(() => change({ q: typed }), slow ? 600 : 200);
    return () => clearTimeout(timer);
  }, [typed]);
  useEffect(() => {
    if (matchMedia("(hover: hover)").matches) box.current!.focus();
  }, []);
  return (
    <div class="big-search">
      <Icon name={slow ? "sound" : "search"} size={20} />
      <input
        ref={box}
        type="search"
        data-search
        aria-label={slow ? "A sound in words" : "Words"}
        placeholder={placeholder}
        value={typed}
        onInput={(event) => type(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter") change({ q: typed });
          else if (event.key === "ArrowDown") {
            event.preventDefault();
            document.querySelector<HTMLElement>(".songs > li")?.focus();
          }
        }}
      />
      <kbd aria-hidden="true">/</kbd>
    </div>
  );
}

function FileQuestion({ from, to }: { from: string | null; to: string | null }) {
  const held = useStore(brought);
  const [at, move] = useState<number | null>(null);
  const writable = useWritable();
  useEffect(() => stopPart, []);
  if (!held) {
    return (
      <Drop take={(file) => void take(file)}>
        <strong>Drop an audio file here</strong>
        <p class="soft">It is compared with the library, and not kept. WAV, FLAC, MP3, M4A, Ogg and more, up to 100 MiB.</p>
      </Drop>
    );
  }
  const { sound, file } = held;
  const part = partOf(from, to, sound?.duration);
  const choose = (chosen: Part | null) => {
    const length = sound?.duration ?? 0;
    change({
      from: chosen ? (chosen.from * length).toFixed(2) : null,
      to: chosen ? (chosen.to * length).toFixed(2) : null,
    });
  };
  const add = async () => {
    const show = (id: string | undefined) =>
      id === undefined ? undefined : { label: "Show", run: () => go(address(["song", id])) };
    try {
      const { id } = await api.upload(file);
      say(`“${plain(file.name)}” is in the library now.`, "good", show(id));
    } catch (error) {
      const problem = asProblem(error);
      if (problem.status === 409) say("This recording is in the library already.", "plain", show(problem.song));
      else complain(error);
    }
  };
  return (
    <div class="brought">
      <div class="brought-head">
        <IconButton
          icon={at === null ? "play" : "stop"}
          label={at === null ? (part ? "Play the chosen part" : "Play the file") : "Stop"}
          disabled={!sound}
          kind="main"
          act={() => (at === null ? playPart(sound!, part, move) : stopPart())}
        />
        <div class="song-name">
          <strong dir="auto">{plain(file.name)}</strong>
          <span class="soft">
            {sound
              ? part
                ? `${length((part.to - part.from) * sound.duration)} of ${length(sound.duration)} chosen; only that part is compared`
                : `${length(sound.duration)}; drag on the waveform to choose a part`
              : held.trouble ?? "Reading…"}
          </span>
        </div>
        {part && <button type="button" class="text-button" onClick={() => choose(null)}>The whole file</button>}
        {writable && (
          <button type="button" class="button" onClick={() => void add()}><Icon name="plus" size={16} /> Add to the library</button>
        )}
        <IconButton icon="close" label="Take the file away" act={() => {
          stopPart();
          brought.set(null);
          change({ from: null, to: null });
        }} />
      </div>
      {(sound || held.trouble === null) && (
        <Wave
          data={sound?.peaks}
          busy={!sound}
          at={at ?? 0}
          part={part}
          choose={sound ? choose : undefined}
          seek={sound ? (share) => playPart(sound, { from: share, to: part && share < part.to ? part.to : 1 }, move) : undefined}
          label="Waveform of the file; drag to choose a part"
          tall
        />
      )}
    </div>
  );
}

function partOf(from: string | null, to: string | null, duration: number | undefined): Part | null {
  if (from === null || to === null || !duration) return null;
  const [a, b] = [Number(from) / duration, Number(to) / duration];
  return a >= 0 && b > a ? { from: Math.min(a, 1), to: Math.min(b, 1) } : null;
}

function LikedSongs({ like, unlike }: { like: string[]; unlike: string[] }) {
  return (
    <div class="liked">
      {like.map((id) => (
        <Liked key={id} id={id} remove={() => change({ like: like.filter((one) => one !== id) })} />
      ))}
      {unlike.map((id) => (
        <Liked key={id} id={id} tone="unlike" remove={() => change({ unlike: unlike.filter((one) => one !== id) })} />
      ))}
      <Picker
        pick={(card) => change({ by: "songs", like: [...like.filter((id) => id !== card.id), card.id] })}
        avoid={(card) => change({ by: "songs", unlike: [...unlike.filter((id) => id !== card.id), card.id] })}
      />
    </div>
  );
}

function ByWords({ q, filter }: { q: string; filter: string[] }) {
  const [limit, more] = useState(PAGE);
  const key = JSON.stringify([q, filter]);
  useEffect(() => more(PAGE), [key]);
  const asked = q !== "" || filter.length > 0;
  const { data, error, busy, reload } = useLoad<Page<Card>>(asked ? `${key} ${limit}` : null, (signal) =>
    api.songs({ q, filter, limit, offset: 0 }, signal),
  );
  if (!asked) {
    return (
      <Empty icon="sound" title="Find by words, or by ear">
        <p>Type words above, drop a file to find what sounds like it, or click filters together.</p>
        <Ideas />
      </Empty>
    );
  }
  if (error) return <Trouble problem={error} retry={reload} />;
  if (!data) return <Waiting />;
  if (data.rows.length === 0) return <NotFound />;
  return (
    <section class={`results ${busy ? "stale" : ""}`} aria-label="Results">
      <p class="soft results-head" role="status">{count(data.total, "song")}</p>
      <SongList label="Songs found" rows={data.rows.map((card) => ({ card }))} />
      {data.rows.length < data.total && limit < 1000 && (
        <button type="button" class="button more" onClick={() => more(Math.min(1000, limit * 2))}>
          Show more of {number(data.total)}
        </button>
      )}
      {limit >= 1000 && data.total > 1000 && (
        <a class="button more" href={address("library", { q, filter })}>All of them in the library</a>
      )}
    </section>
  );
}

function Ideas() {
  const { data } = useLoad("filters", (signal) => api.filters(signal));
  const ideas = [
    ...(data?.genre ?? []).slice(0, 4).map((one) => ["genre", one.value]),
    ...(data?.mood ?? []).slice(0, 3).map((one) => ["mood", one.value]),
    ...(data?.instrument ?? []).slice(0, 3).map((one) => ["instrument", one.value]),
  ];
  if (ideas.length === 0) return null;
  return (
    <div class="values">
      {ideas.map(([key, value]) => (
        <a key={key + value} class="value" href={address("search", { filter: `${key}:${/[ ,]/.test(value) ? `"${value}"` : value}` })}>
          {plain(value)}
        </a>
      ))}
    </div>
  );
}

function NotFound() {
  return (
    <Empty icon="search" title="Nothing was found">
      <p>Take a filter away, use fewer words, or search by a sound.</p>
    </Empty>
  );
}

const MOST = 200;

function ByLikeness({ by, route, like, unlike, filter }: {
  by: By;
  route: Route;
  like: string[];
  unlike: string[];
  filter: string[];
}) {
  const { query } = route;
  const held = useStore(brought);
  const [k, setK] = useState(20);
  const q = query.get("q")?.trim() ?? "";
  const [from, to] = [query.get("from"), query.get("to")];
  const model = query.get("model") ?? undefined;
  const asked = by === "file" ? held !== null && (held.sound !== null || held.trouble !== null)
    : by === "sound" ? q !== "" : like.length > 0;
  const file = held ? `${held.file.name} ${held.file.size} ${held.file.lastModified}` : "";
  const key = JSON.stringify([by, filter, model, k, by === "file" ? [file, from, to] : by === "sound" ? q : [like, unlike]]);
  const load = async (signal: AbortSignal): Promise<Similar> => {
    const comparing: Comparing = { k, model, filter, explain: true };
    if (by === "sound") return api.ask({ ...comparing, text: q }, signal);
    if (by === "songs") {
      return api.ask({
        ...comparing,
        like: like.map((song) => ({ song })),
        unlike: unlike.map((song) => ({ song })),
      }, signal);
    }
    // A part that is still being dragged is not sent at each step.
    await new Promise((resolve) => setTimeout(resolve, 350));
    signal.throwIfAborted();
    return api.askFile(held!.file, held!.file.name, {
      ...comparing,
      from: from === null ? undefined : Number(from),
      to: to === null ? undefined : Number(to),
    }, signal);
  };
  const { data, error, busy, reload } = useLoad<Similar>(asked ? key : null, load);
  if (!asked) {
    if (by === "file") return null;
    return (
      <Empty icon={by === "sound" ? "sound" : "similar"} title={by === "sound" ? "Say how it sounds" : "Pick songs that you like"}>
        <p>{by === "sound"
          ? "Describe a sound as you would to a friend; songs are ordered by how well they fit."
          : "Results lie between the songs you pick, and away from those you mark as unlike."}</p>
      </Empty>
    );
  }
  if (error) return <Trouble problem={error} retry={reload} />;
  if (!data) return <Waiting label="Listening" />;
  const results = data.results ?? [];
  return (
    <section class={`results ${busy ? "stale" : ""}`} aria-label="Results">
      <p class="soft results-head" role="status">
        {busy ? "Listening…" : `${count(results.length, "song")} by ${plain(data.model)}`}
        {(data.notes ?? []).map((note) => <span key={note}> · {plain(note)}</span>)}
      </p>
      {by === "songs" && like.length > 0 && (
        <p class="line results-ways">
          <a class="button" href={address("radio", { like })}><Icon name="radio" size={16} /> Radio from {like.length === 1 ? "it" : "them"}</a>
          {like.length <= 2 && (
            <a class="button" href={address("path", { a: like[0], b: like[1] })}>
              <Icon name="path" size={16} /> {like.length === 1 ? "Path to another song" : "Path between them"}
            </a>
          )}
        </p>
      )}
      {by === "file" && data.query.id && (
        <p class="notice good">
          <Icon name="check" size={16} />
          <span>This recording is in the library: <a href={address(["song", data.query.id])}>{name(data.query)}</a></span>
        </p>
      )}
      {data.shortfall && <p class="notice"><Icon name="info" size={16} /> {plain(data.shortfall)}</p>}
      {results.length === 0
        ? <NotFound />
        : (
          <SongList
            label="Similar songs, the nearest first"
            compare={by === "songs" && like.length === 1 ? like[0] : null}
            rows={results.map((card) => ({ card, similarity: card.similarity, explanation: card.explanation }))}
            actions={(card) => (
              <>
                <IconButton icon="plus" small label={`More like ${plain(card.title)}`}
                  act={() => change({ by: "songs", like: [...like, card.id], q: null }, false)} />
                <IconButton icon="ban" small label={`Less like ${plain(card.title)}`}
                  act={() => change({ by: "songs", like: like.length > 0 ? like : null, unlike: [...unlike, card.id] }, false)} />
              </>
            )}
          />
        )}
      {results.length >= k && k < MOST && (
        <button type="button" class="button more" onClick={() => setK(Math.min(MOST, k * 2))}>Show more</button>
      )}
    </section>
  );
}
