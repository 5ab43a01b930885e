// The library as a map, in two or three dimensions.

import { useEffect, useReducer, useRef, useState } from "preact/hooks";
import { api, type Card, type Neighbor, type Packed, Problem, type Similar } from "../api";
import { ended, start } from "../jobs";
import { PlayButton, toggle } from "../player";
import { address, change, go, read, type Route } from "../route";
import { audioFile, playlistFile } from "../sound";
import { announce, asProblem, complain, say, theme, useLoad, useStore, useWritable } from "../store";
import { Edit } from "../ui/edit";
import { Filters } from "../ui/filters";
import { Icon } from "../ui/icon";
import { Empty, IconButton, Segments, Trouble } from "../ui/parts";
import { AddToPlaylist } from "../ui/playlists";
import { mapData, Names, NEAR } from "../ui/place";
import { bpm, camelot, count, name, number, plain } from "../words";
import { NONE } from "../../../../../web/map/src/data";
import { glyph as drawn } from "../../../../../web/map/src/element";
import { listen } from "../../../../../web/map/src/input";
import { css } from "../../../../../web/map/src/palette";
import { type SchemeName } from "../../../../../web/map/src/scheme";
import { type Choice, State, type Tool } from "../../../../../web/map/src/state";
import { MapView } from "../../../../../web/map/src/view";

const METHODS = [
  { value: "umap", label: "UMAP" },
  { value: "tsne", label: "t-SNE" },
  { value: "pca", label: "PCA" },
];

interface Asked {
  method: string;
  dims: 2 | 3;
  model?: string;
}

export function MapPage({ shown, route }: { shown: boolean; route: Route }) {
  const last = useRef(route);
  if (shown) last.current = route;
  const { query } = last.current;
  const asked: Asked = {
    method: query.get("method") ?? "umap",
    dims: query.get("dims") === "3" ? 3 : 2,
    model: query.get("model") ?? undefined,
  };
  const key = JSON.stringify(asked);
  const now = useStore(ended);
  // A new map is only looked for when there was none, so that the view stays.
  const [turn, again] = useState(0);
  const { data, error, busy, reload } = useLoad(`${key} ${turn}`, async (signal) => {
    const [genres, clusters] = await Promise.all([
      api.map({ ...asked, color: "genre" }, signal),
      api.mapClasses({ ...asked, color: "cluster" }, signal).catch((problem: unknown) => {
        if (problem instanceof Problem && problem.status < 500 && problem.status > 0) return null;
        throw problem;
      }),
    ]);
    return { key, genres, clusters };
  });
  useEffect(() => {
    if (error) again((n) => n + 1);
  }, [now]);
  const current = data?.key === key ? data : undefined;
  return (
    <div class="map-page" hidden={!shown}>
      <h1 class="unseen-text">Map</h1>
      {current && current.genres.header.count > 0 && (
        <Stage
          key={`${key} ${turn}`}
          asked={asked}
          shown={shown}
          genres={current.genres}
          clusters={current.clusters}
        />
      )}
      {current && current.genres.header.count === 0 && (
        <Without asked={asked}>
          <Empty icon="map" title="There are no songs to show yet">
            <p>Scan a folder of music or samples, and this becomes a map of how it sounds.</p>
            <a class="button primary" href="#/machines/jobs">Scan a folder</a>
          </Empty>
        </Without>
      )}
      {error && (
        <Without asked={asked}>
          {error.status === 404 || error.code === "not_computed"
            ? <NoMap asked={asked} problem={error} />
            : <Trouble problem={error} retry={reload} />}
        </Without>
      )}
      {!current && busy && !error && (
        <div class="map-loading" role="status"><span class="spinner" /> Loading the map</div>
      )}
    </div>
  );
}

// A way back to another kind of map, where this one is not there.
function Without({ asked, children }: { asked: Asked; children: preact.ComponentChildren }) {
  return (
    <div class="map-without">
      <div class="line"><Kind asked={asked} /></div>
      {children}
    </div>
  );
}

function NoMap({ asked, problem }: { asked: Asked; problem: Problem }) {
  const writable = useWritable();
  const label = METHODS.find((one) => one.value === asked.method)?.label ?? asked.method;
  return (
    <Empty icon="map" title={`No ${asked.dims}-D map by ${label} has been made yet`}>
      <p>{problem.tip ?? "It takes a few seconds for a thousand songs, and some minutes for a hundred thousand."}</p>
      {writable
        ? (
          <button type="button" class="button primary" onClick={() => void start("map", { ...asked }).then((job) => {
            if (job) say("The map is being made. It is shown when it is done.");
          })}>Make the map</button>
        )
        : <p class="soft">This server only reads. Run <code>songrec map</code> where the library is.</p>}
    </Empty>
  );
}

function Kind({ asked }: { asked: Asked }) {
  return (
    <>
      <Segments
        label="Dimensions"
        value={String(asked.dims)}
        options={[{ value: "2", label: "2-D" }, { value: "3", label: "3-D" }]}
        choose={(dims) => change({ dims: dims === "3" ? 3 : null, at: null })}
      />
      <select
        aria-label="Method of the map"
        value={asked.method}
        onChange={(event) => change({ method: event.currentTarget.value === "umap" ? null : event.currentTarget.value, at: null })}
      >
        {METHODS.map((method) => <option key={method.value} value={method.value}>{method.label}</option>)}
      </select>
    </>
  );
}

interface Parts {
  state: State;
  view: MapView;
  names: Names;
}

interface Placed {
  name: string;
  /** Place on the map, as the renderer scales it. */
  at: [number, number, number];
  near: { song: number; card: Neighbor }[];
}

function Stage({ asked, shown, genres, clusters }: {
  asked: Asked;
  shown: boolean;
  genres: Packed;
  clusters: Packed | null;
}) {
  const [, again] = useReducer((n: number) => n + 1, 0);
  const [parts, setParts] = useState<Parts | null>(null);
  const [over, setOver] = useState(false);
  const [placed, place] = useState<Placed | null>(null);
  const [busy, setBusy] = useState(false);
  const dark = useStore(theme);

  useEffect(() => {
    const data = mapData(genres, clusters);
    const state = new State(data, data.songs.genre.some((one) => one !== null) || clusters === null ? "genre" : "cluster");
    state.theme = theme.value;
    const view = new MapView(state);
    let waiting = false;
    // Names come by the thousand; the page is drawn once for many of them.
    const told = () => {
      if (waiting) return;
      waiting = true;
      setTimeout(() => {
        waiting = false;
        view.redraw();
        again(0);
      }, 120);
    };
    const names = new Names(data, asked, told);
    listen(state, view);
    for (const event of ["scheme", "shown", "selection", "focus", "tool"] as const) state.on(event, () => again(0));
    view.setSolid(asked.dims === 3);
    const stopAddress = followAddress(state, view, names);
    names.all().catch(complain);
    setParts({ state, view, names });
    Object.assign(window, { songrecMap: { state, view, names } });
    return () => {
      stopAddress();
      names.end();
      view.end();
      // Browsers keep few contexts, and forget them late.
      view.canvas.getContext("webgl2")?.getExtension("WEBGL_lose_context")?.loseContext();
    };
  }, []);

  useEffect(() => {
    if (!parts) return;
    parts.state.theme = dark;
    parts.state.tell("theme");
  }, [dark, parts]);

  useEffect(() => {
    if (parts) parts.view.over = placed ? (context) => mark(context, parts.view, placed) : null;
    parts?.view.redraw();
  }, [placed, parts]);

  useMapKeys(shown, parts, () => place(null));

  const drop = async (file: File) => {
    if (!parts) return;
    setBusy(true);
    try {
      const answer = await api.askFile(file, file.name, { k: NEAR, model: asked.model });
      const known = answer.query.id === undefined ? -1 : await parts.names.find(answer.query.id);
      if (known >= 0) {
        place(null);
        parts.state.focusOn(known);
        parts.view.flyTo(known);
        return say(`“${plain(file.name)}” is in the library; here it is.`, "good");
      }
      const spot = await placeOf(answer, parts);
      if (!spot) say("The songs that sound like this file are not on the map. Make the map again.", "bad");
      else {
        place({ ...spot, name: file.name });
        parts.state.select(spot.near.map((one) => one.song), "replace");
        announce(`${file.name} is placed among ${count(spot.near.length, "song")}`);
      }
    } catch (error) {
      complain(error);
    } finally {
      setBusy(false);
    }
  };

  return (
    <>
      <div
        id="stage"
        class={over ? "over" : ""}
        data-tool={parts?.state.tool ?? "move"}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={(event) => {
          setOver(false);
          // The page takes playlists in.
          if (playlistFile(event.dataTransfer?.files)) return;
          event.preventDefault();
          const file = audioFile(event.dataTransfer?.files);
          if (file) void drop(file);
        }}
      >
        <canvas id="points" tabIndex={0} role="application" aria-label="Map of songs: arrows pan, plus and minus zoom, Enter chooses the song in the middle" />
        <canvas id="overlay" aria-hidden="true" />
        <Tooltip parts={parts} />
        <div class="map-tools">
          <div class="tool-group"><Kind asked={asked} /></div>
          {parts && <Tools parts={parts} />}
        </div>
        {over && <div class="drop-here"><Icon name="drop" size={32} /> Drop to find its place</div>}
        {busy && <div class="map-busy" role="status"><span class="spinner" /> Listening to the file</div>}
        {parts && <Zoom view={parts.view} />}
        <p class="map-foot">
          {[plain(genres.header.model ?? ""), genres.header.method?.toUpperCase(),
            genres.header.seed === null || genres.header.seed === undefined ? "" : `seed ${genres.header.seed}`,
            genres.header.trustworthiness ? `trustworthiness ${genres.header.trustworthiness.toFixed(2)}` : ""].filter(Boolean).join(" · ")}
        </p>
      </div>
      {parts && <Panel parts={parts} placed={placed} clear={() => {
        place(null);
        parts.state.select([], "replace");
      }} take={drop} />}
    </>
  );
}

async function placeOf(answer: Similar, { state, view, names }: Parts): Promise<Placed | null> {
  const near: Placed["near"] = [];
  for (const card of answer.results) {
    const song = await names.find(card.id);
    if (song >= 0 && state.placed[song]) near.push({ song, card });
  }
  if (near.length === 0) return null;
  // The mean of the nearest few, the more alike the more weight: methods like
  // t-SNE cannot place what they have not seen.
  const nearest = near.slice(0, 5);
  const least = nearest[nearest.length - 1].card.similarity;
  const weights = nearest.map(({ card }) => 0.05 + (card.similarity - least) / Math.max(1e-6, nearest[0].card.similarity - least));
  const sum = weights.reduce((a, b) => a + b, 0);
  const values = view.places.values;
  const at = [0, 1, 2].map((axis) =>
    nearest.reduce((total, { song }, i) => total + (values[3 * song + axis] * weights[i]) / sum, 0));
  return { name: "", at: at as Placed["at"], near };
}

/** Where a place of the map is in the window. */
function project(view: MapView, [x, y, z]: Placed["at"]): [number, number] | null {
  const m = view.camera.matrix();
  const w = m[3] * x + m[7] * y + m[11] * z + m[15];
  if (!(w > 1e-6)) return null;
  return [
    ((m[0] * x + m[4] * y + m[8] * z + m[12]) / w + 1) * 0.5 * view.camera.width,
    (1 - (m[1] * x + m[5] * y + m[9] * z + m[13]) / w) * 0.5 * view.camera.height,
  ];
}

function mark(context: CanvasRenderingContext2D, view: MapView, placed: Placed): void {
  const at = project(view, placed.at);
  if (!at) return;
  const style = getComputedStyle(document.documentElement);
  const [accent, halo] = [style.getPropertyValue("--accent"), style.getPropertyValue("--canvas")];
  const { x, y } = view.projected();
  context.strokeStyle = accent;
  context.lineWidth = 1.5;
  context.globalAlpha = 0.8;
  for (const { song } of placed.near) {
    if (Number.isNaN(x[song])) continue;
    context.beginPath();
    context.moveTo(...at);
    context.lineTo(x[song], y[song]);
    context.stroke();
  }
  context.globalAlpha = 1;
  context.beginPath();
  context.arc(at[0], at[1], 9, 0, 2 * Math.PI);
  context.fillStyle = accent;
  context.fill();
  context.lineWidth = 3;
  context.strokeStyle = halo;
  context.stroke();
  context.font = "600 12.5px Inter, system-ui, sans-serif";
  context.textAlign = "center";
  context.lineWidth = 4;
  context.strokeText(plain(placed.name), at[0], at[1] - 20);
  context.fillText(plain(placed.name), at[0], at[1] - 20);
}

function useMapKeys(shown: boolean, parts: Parts | null, unplace: () => void): void {
  useEffect(() => {
    if (!shown || !parts) return;
    const { state, view } = parts;
    const press = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      if (document.querySelector("dialog[open]") || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "Escape") {
        if (view.outline.length > 0) view.outline = [];
        else if (state.near) state.showNear(false);
        else if (state.focus >= 0) state.focusOn(-1);
        else {
          unplace();
          state.select([], "replace");
        }
        view.redraw();
        return;
      }
      const free = target === document.body || target === view.canvas || target.id === "content";
      const song = state.hover >= 0 ? state.hover : state.focus;
      if (event.key === " " && free && song >= 0) {
        event.preventDefault();
        event.stopPropagation();
        void playSong(parts, song);
      }
    };
    // Before the page's own keys, so that Space means the song under the pointer.
    document.addEventListener("keydown", press, true);
    return () => document.removeEventListener("keydown", press, true);
  }, [shown, parts]);
}

async function playSong({ state, names }: Parts, song: number): Promise<void> {
  try {
    await names.name([song]);
    toggle(cardAt(state, song));
  } catch (error) {
    complain(error);
  }
}

function cardAt(state: State, song: number): Card {
  const { songs } = state.data;
  return {
    id: songs.id[song],
    title: songs.title[song] ?? "Without a title",
    artist: songs.artist[song] ?? undefined,
    genres: songs.genre[song] === null ? [] : [songs.genre[song]!],
    bpm: songs.bpm[song] ?? undefined,
    key: (songs.key[song] ?? undefined) as Card["key"],
    duration: songs.duration[song] ?? 0,
    size: 0,
  };
}

function Tooltip({ parts }: { parts: Parts | null }) {
  const box = useRef<HTMLDivElement>(null);
  const [at, move] = useState<{ song: number; x: number; y: number } | null>(null);
  const [, again] = useReducer((n: number) => n + 1, 0);
  useEffect(() => {
    if (!parts) return;
    const { state, names } = parts;
    const element = box.current!;
    const follow = (event: Event) => {
      const here = (event as CustomEvent<[number, number] | undefined>).detail;
      if (state.hover < 0 || !here) return move(null);
      move({ song: state.hover, x: here[0], y: here[1] });
      if (state.data.songs.id[state.hover] === "") void names.name([state.hover]).then(() => again(0), () => undefined);
    };
    element.addEventListener("follow", follow);
    return () => element.removeEventListener("follow", follow);
  }, [parts]);
  const card = at && parts ? cardAt(parts.state, at.song) : null;
  const stage = box.current?.parentElement;
  const flip = at !== null && stage && at.x > stage.clientWidth - 260;
  return (
    <div
      id="tooltip"
      ref={box}
      hidden={card === null}
      style={at ? { left: `${flip ? at.x - 14 : at.x + 14}px`, top: `${at.y + 14}px`, transform: flip ? "translateX(-100%)" : undefined } : {}}
    >
      {card && (
        <>
          <strong dir="auto">{card.id === "" ? "…" : plain(card.title)}</strong>
          <span dir="auto">{plain(card.artist ?? "")}</span>
          <span class="soft">
            {[card.genres?.[0], card.bpm === undefined ? "" : `${bpm(card.bpm)} BPM`, card.key ? `${card.key} ${camelot(card.key)}` : ""]
              .filter(Boolean).map((part) => plain(part!)).join(" · ")}
          </span>
        </>
      )}
    </div>
  );
}

function Tools({ parts: { state } }: { parts: Parts }) {
  const options: { value: Tool; label: string; icon: "hand" | "rectangle" | "lasso" }[] = [
    { value: "move", label: "Move the map", icon: "hand" },
    { value: "rectangle", label: "Select a rectangle", icon: "rectangle" },
    { value: "lasso", label: "Select with a lasso; Shift adds, Alt removes", icon: "lasso" },
  ];
  return (
    <div class="tool-group">
      <Segments<Tool> label="Tool" value={state.tool} options={options} choose={(tool) => {
        state.tool = tool;
        state.tell("tool");
      }} />
    </div>
  );
}

function Zoom({ view }: { view: MapView }) {
  const by = (factor: number) => {
    view.stop();
    view.camera.zoomAt(factor, view.camera.width / 2, view.camera.height / 2);
    view.moved();
  };
  return (
    <div class="map-zoom">
      <IconButton icon="plus" label="Closer" act={() => by(1.5)} />
      <IconButton icon="minus" label="Farther" act={() => by(1 / 1.5)} />
      <IconButton icon="fit" label="Show everything" act={() => view.fit()} />
    </div>
  );
}

function Panel({ parts, placed, clear, take }: {
  parts: Parts;
  placed: Placed | null;
  clear: () => void;
  take: (file: File) => Promise<void>;
}) {
  const { state } = parts;
  const [open, setOpen] = useState(innerWidth > 700);
  return (
    <aside class={`map-panel ${open ? "open" : ""}`} aria-label="About the map">
      <button type="button" class="panel-handle" aria-expanded={open} onClick={() => setOpen(!open)}>
        <Icon name={open ? "down" : "up"} size={16} /> {open ? "Hide" : `${number(state.count)} songs, search and legend`}
      </button>
      <div class="panel-body" hidden={!open}>
        <Find parts={parts} />
        {placed && (
          <section>
            <h2>{plain(placed.name)} <IconButton icon="close" label="Take the file away" small act={clear} /></h2>
            <p class="soft">Placed between its nearest songs.</p>
            <NearList parts={parts} near={placed.near} />
          </section>
        )}
        {state.focus >= 0 && <Focus key={state.focus} parts={parts} />}
        {state.selectedCount > 0 && !placed && <Selection parts={parts} />}
        <Legend parts={parts} />
        <section>
          <h2>Select by filter</h2>
          <BySelection parts={parts} />
        </section>
        <section>
          <label class="button file-button">
            <Icon name="drop" size={16} /> Find the place of a file
            <input type="file" accept="audio/*" class="unseen-text" onChange={(event) => {
              const file = audioFile(event.currentTarget.files);
              event.currentTarget.value = "";
              if (file) void take(file);
            }} />
          </label>
        </section>
      </div>
    </aside>
  );
}

function Find({ parts }: { parts: Parts }) {
  const [typed, type] = useState("");
  const [at, move] = useState(0);
  const words = typed.trim();
  const { data, error } = useLoad(words === "" ? null : `find ${words}`, async (signal) => {
    await new Promise((resolve) => setTimeout(resolve, 140));
    signal.throwIfAborted();
    return api.songs({ q: words, limit: 8, offset: 0 }, signal);
  });
  const choose = async (card: Card | undefined) => {
    if (!card) return;
    try {
      const song = await parts.names.find(card.id);
      if (song < 0) return say(`“${plain(card.title)}” came after the map was made. Make the map again to see it.`);
      parts.state.focusOn(song);
      parts.view.flyTo(song);
      type("");
    } catch (problem) {
      complain(problem);
    }
  };
  const rows = words === "" ? [] : data?.rows ?? [];
  return (
    <section class="find">
      <input
        type="text"
        class="search-box"
        data-search
        role="combobox"
        aria-label="Find a song on the map"
        aria-expanded={words !== ""}
        aria-controls="find-results"
        aria-activedescendant={rows.length > 0 ? `find-${at}` : undefined}
        placeholder="Find a song"
        value={typed}
        onInput={(event) => {
          type(event.currentTarget.value);
          move(0);
        }}
        onKeyDown={(event) => {
          const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
          if (step !== undefined) {
            event.preventDefault();
            move((at + step + rows.length) % Math.max(1, rows.length));
          } else if (event.key === "Enter") void choose(rows[at]);
          else if (event.key === "Escape") type("");
        }}
      />
      <ul id="find-results" role="listbox" aria-label="Songs found" hidden={words === ""}>
        {error && <li class="bad" role="option" aria-selected={false}>{error.message}</li>}
        {data && rows.length === 0 && <li class="soft" role="option" aria-selected={false}>No song has these words.</li>}
        {rows.map((card, i) => (
          <li key={card.id} id={`find-${i}`} role="option" aria-selected={i === at} onClick={() => void choose(card)}>
            <span dir="auto">{plain(card.title)}</span>
            <span class="soft" dir="auto">{plain(card.artist ?? "")}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Focus({ parts }: { parts: Parts }) {
  const { state, view, names } = parts;
  const song = state.focus;
  const [named, setNamed] = useState(state.data.songs.id[song] !== "");
  useEffect(() => {
    if (!named) names.name([song]).then(() => setNamed(true), complain);
  }, []);
  const card = cardAt(state, song);
  const { data, error, reload } = useLoad(named ? `map near ${card.id}` : null, async (signal) => {
    const answer = await api.similar(card.id, { k: NEAR, model: read().query.get("model") ?? undefined }, signal);
    const near: Placed["near"] = [];
    for (const one of answer.results) {
      const place = await names.find(one.id);
      if (place >= 0) near.push({ song: place, card: one });
    }
    const ids = state.data.neighbors!.ids;
    for (let i = 0; i < NEAR; i++) ids[song * NEAR + i] = near[i]?.song ?? NONE;
    view.redraw();
    return near;
  });
  const full = useLoad(named ? `card ${card.id}` : null, (signal) => api.song(card.id, signal));
  if (full.data) state.data.songs.duration[song] = full.data.audio.duration;
  const among = data && data.length > 0 ? view.amongNearest(song, data.map((one) => one.song)) : 0;
  return (
    <section class="focus" aria-label="Chosen song">
      <div class="line">
        <PlayButton card={cardAt(state, song)} />
        <div class="song-name">
          <a href={address(["song", card.id])} dir="auto">{named ? plain(card.title) : "…"}</a>
          <span class="soft" dir="auto">{plain(card.artist ?? "")}</span>
        </div>
        <IconButton icon="close" label="Let go of the song" small act={() => state.focusOn(-1)} />
      </div>
      <p class="facts-line">
        {card.genres?.map((genre) => <span key={genre}>{plain(genre)}</span>)}
        {card.bpm !== undefined && <span>{bpm(card.bpm)} BPM</span>}
        {card.key && <span>{card.key} · {camelot(card.key)}</span>}
      </p>
      <div class="line">
        <button
          type="button"
          class="button"
          aria-pressed={state.near}
          aria-label="Lines to its nearest songs"
          title="Lines to its nearest songs"
          onClick={() => state.showNear(!state.near)}
        >
          Lines
        </button>
        <button type="button" class="button" onClick={() => view.flyTo(song)}><Icon name="target" size={16} /> Centre</button>
        <a class="button" href={address("search", { like: card.id })}><Icon name="similar" size={16} /> Similar</a>
        <a class="button" href={address("radio", { like: card.id })}><Icon name="radio" size={16} /> Radio</a>
        <a class="button" href={address("path", { a: card.id })}><Icon name="path" size={16} /> Path to…</a>
      </div>
      {error && <Trouble problem={error} retry={reload} compact />}
      {data && data.length > 0 && (
        <>
          <p class="soft">
            Its {data.length} nearest by sound; {among} of them are also nearest here. A map has to bend what has more dimensions.
          </p>
          <NearList parts={parts} near={data} />
        </>
      )}
    </section>
  );
}

function NearList({ parts: { state, view }, near }: { parts: Parts; near: Placed["near"] }) {
  return (
    <ol class="near">
      {near.map(({ song, card }) => (
        <li key={card.id}>
          <PlayButton card={card} small />
          <button type="button" dir="auto" onClick={() => {
            state.focusOn(song);
            view.flyTo(song);
          }}>{name(card)}</button>
          <span class="soft">{card.similarity.toFixed(2)}</span>
        </li>
      ))}
    </ol>
  );
}

const LISTED = 60;

function Selection({ parts }: { parts: Parts }) {
  const { state, view, names } = parts;
  const songs = state.selection();
  const writable = useWritable();
  const [editing, edit] = useState<Card[] | null>(null);
  const [adding, add] = useState<Card[] | null>(null);
  const listed = songs.slice(0, LISTED);
  const key = listed.join(" ");
  useEffect(() => {
    names.name(listed).then(undefined, complain);
  }, [key]);
  const withNames = async (act: (cards: Card[]) => void) => {
    try {
      await names.name(songs);
      act(songs.map((song) => cardAt(state, song)));
    } catch (error) {
      complain(error);
    }
  };
  return (
    <section aria-label="Selection">
      <h2>{count(songs.length, "song")} selected <button type="button" class="text-button" onClick={() => state.select([], "replace")}>Clear</button></h2>
      <div class="line">
        <button type="button" class="button" onClick={() => void withNames((cards) =>
          go(address("search", { like: cards.slice(0, 20).map((card) => card.id) })))}>
          <Icon name="similar" size={16} /> Similar
        </button>
        <button type="button" class="button" onClick={() => void withNames((cards) =>
          go(address("radio", { like: cards.slice(0, 100).map((card) => card.id) })))}>
          <Icon name="radio" size={16} /> Radio
        </button>
        {songs.length === 2 && (
          <button type="button" class="button" onClick={() => void withNames(([a, b]) => go(address("path", { a: a.id, b: b.id })))}>
            <Icon name="path" size={16} /> Path
          </button>
        )}
        {writable && (
          <button type="button" class="button" onClick={() => void withNames(add)}><Icon name="addto" size={16} /> To playlist</button>
        )}
        {writable && (
          <button type="button" class="button" onClick={() => void withNames(edit)}><Icon name="edit" size={16} /> Edit</button>
        )}
        <button type="button" class="button" onClick={() => void withNames(download)}><Icon name="file" size={16} /> CSV</button>
      </div>
      <ol class="near">
        {listed.map((song) => (
          <li key={song}>
            <button type="button" dir="auto" onClick={() => {
              state.focusOn(song);
              view.flyTo(song);
            }}>{state.data.songs.id[song] === "" ? "…" : name(cardAt(state, song))}</button>
          </li>
        ))}
      </ol>
      {songs.length > LISTED && <p class="soft">and {number(songs.length - LISTED)} more</p>}
      {adding && <AddToPlaylist songs={adding.map((card) => card.id)} close={() => add(null)} />}
      {editing && <Edit songs={editing} close={() => edit(null)} done={(changed) => {
        for (const [id, card] of changed) {
          const song = names.places.get(id);
          if (song === undefined) continue;
          state.data.songs.title[song] = card.title;
          state.data.songs.artist[song] = card.artist ?? null;
        }
        view.redraw();
      }} />}
    </section>
  );
}

function download(cards: Card[]): void {
  // A text that begins like a formula would be run by spreadsheets.
  const cell = (value: string | number | undefined) => {
    const text = plain(String(value ?? ""));
    return `"${(/^[=+\-@]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
  };
  const lines = cards.map((card) => [card.id, card.title, card.artist, card.genres?.[0], card.bpm, card.key].map(cell).join(","));
  const blob = new Blob([["id,title,artist,genre,bpm,key", ...lines].join("\r\n")], { type: "text/csv" });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = "songs.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

const MOST_BY_FILTER = 20_000;

function BySelection({ parts: { state, names } }: { parts: Parts }) {
  const [terms, setTerms] = useState<string[]>([]);
  const [problem, fail] = useState<Problem | undefined>(undefined);
  const turn = useRef(0);
  const set = async (next: string[]) => {
    setTerms(next);
    fail(undefined);
    const mine = ++turn.current;
    if (next.length === 0) return state.select([], "replace");
    try {
      const songs: number[] = [];
      await names.all();
      for (let offset = 0; offset < MOST_BY_FILTER; offset += 1000) {
        const page = await api.songs({ filter: next, offset, limit: 1000 });
        if (mine !== turn.current) return;
        for (const card of page.rows) {
          const song = names.places.get(card.id);
          if (song !== undefined) songs.push(song);
        }
        state.select(songs, "replace");
        if (offset + 1000 >= page.total || page.rows.length === 0) break;
        if (offset + 1000 >= MOST_BY_FILTER) say(`The first ${number(MOST_BY_FILTER)} of ${number(page.total)} songs are selected.`);
      }
      announce(`${count(state.selectedCount, "song")} selected`);
    } catch (error) {
      fail(asProblem(error));
      if (asProblem(error).status !== 400) complain(error);
    }
  };
  return <Filters terms={terms} set={(next) => void set(next)} problem={problem} />;
}

const SCHEMES: { name: SchemeName; label: string; needs: "names" | null }[] = [
  { name: "genre", label: "Genre", needs: null },
  { name: "cluster", label: "Cluster", needs: null },
  { name: "key", label: "Key", needs: "names" },
  { name: "bpm", label: "Tempo", needs: "names" },
  { name: "anomaly", label: "Outliers", needs: "names" },
];

function Legend({ parts }: { parts: Parts }) {
  const { state, names } = parts;
  const now = useStore(theme);
  const { scheme, hidden } = state;
  const has = (name: SchemeName) => name === "anomaly" || state.data.songs[name].some((value) => value !== null);
  const [choice, setChoice] = useState<Choice>("replace");
  const color = async (to: SchemeName) => {
    try {
      await colorBy(parts, to);
    } catch (error) {
      complain(error);
    }
  };
  const largest = Math.max(1, ...scheme.classes.map((one) => one.count));
  return (
    <section class="legend">
      <div class="line">
        <label class="inline">
          <span class="soft">Colour by</span>
          <select value={scheme.name} onChange={(event) => void color(event.currentTarget.value as SchemeName)}>
            {SCHEMES.map((one) => (
              <option key={one.name} value={one.name}
                disabled={one.needs === "names" ? !names.complete : !has(one.name)}>
                {one.label}{one.needs === "names" && !names.complete ? " (loading)" : ""}
              </option>
            ))}
          </select>
        </label>
        {hidden.size > 0 && <button type="button" class="text-button" onClick={() => state.hide([])}>Show all</button>}
      </div>
      <ul aria-label={`Legend: ${scheme.name}`}>
        {scheme.classes.map((one, i) => (
          <li key={one.id || "none"}>
            <button
              type="button"
              class="class"
              aria-pressed={!hidden.has(i)}
              title="Click hides or shows, Shift shows it alone, Alt selects it"
              onClick={(event) => {
                if (event.shiftKey) state.only(i);
                else if (event.altKey) {
                  const songs: number[] = [];
                  for (let song = 0; song < state.count; song++) if (scheme.of[song] === i) songs.push(song);
                  state.select(songs, choice);
                } else state.toggle(i);
              }}
            >
              <Glyph shape={one.shape} color={css(one.color(now))} />
              <span class="class-name" dir="auto">{plain(one.label)}</span>
              <span class="class-bar" aria-hidden="true"><span style={{ width: `${(100 * one.count) / largest}%`, background: css(one.color(now)) }} /></span>
              <span class="soft count">{number(one.count)}</span>
            </button>
          </li>
        ))}
      </ul>
      <label class="inline soft">
        A selection
        <select value={choice} onChange={(event) => {
          const next = event.currentTarget.value as Choice;
          state.choice = next;
          setChoice(next);
        }}>
          <option value="replace">replaces the last one</option>
          <option value="add">is added</option>
          <option value="remove">is taken away</option>
        </select>
      </label>
    </section>
  );
}

async function colorBy({ state, names }: Parts, to: SchemeName): Promise<void> {
  if (SCHEMES.find((one) => one.name === to)?.needs) await names.all();
  if (to === "anomaly" && !state.data.songs.anomaly.some((score) => score !== null)) {
    const { results } = await api.anomalies({ limit: 1000 });
    for (const one of results) {
      const song = names.places.get(one.id);
      // A lower score is stranger; the ramp has the strangest at its bright end.
      if (song !== undefined) state.data.songs.anomaly[song] = -one.score;
    }
  }
  state.colorBy(to);
}

function Glyph({ shape, color }: { shape: number; color: string }) {
  const box = useRef<HTMLSpanElement>(null);
  useEffect(() => box.current!.replaceChildren(drawn(shape, color)), [shape, color]);
  return <span class="glyph" ref={box} aria-hidden="true" />;
}

// The address follows the view, and the view follows an address that was opened.
function followAddress(state: State, view: MapView, names: Names): () => void {
  let timer: number | undefined;
  let written = "";
  let reading = false;
  const write = () => {
    clearTimeout(timer);
    timer = window.setTimeout(() => {
      if (reading || (read().page || "map") !== "map") return;
      const { camera } = view;
      const short = (value: number) => String(Number(value.toPrecision(4)));
      const { flat, orbit } = camera;
      const where = camera.solid
        ? [orbit.x, orbit.y, orbit.z, orbit.yaw, orbit.pitch, orbit.distance]
        : [flat.x, flat.y, flat.zoom];
      const { classes } = state.scheme;
      const most = state.hidden.size > classes.length / 2;
      const listed = classes.filter((_, i) => state.hidden.has(i) !== most).map((one) => one.label);
      const query = read().query;
      query.delete("near");
      const next = {
        at: where.map(short).join(","),
        color: state.scheme.name === "genre" ? null : state.scheme.name,
        hide: most ? null : listed,
        only: most ? listed : null,
        song: state.focus >= 0 ? state.data.songs.id[state.focus] : null,
        near: state.near,
      };
      if (JSON.stringify(next) === written) return;
      written = JSON.stringify(next);
      change(next);
    }, 260);
  };
  for (const event of ["view", "scheme", "shown", "focus"] as const) state.on(event, write);
  let last = "";
  const open = async () => {
    const route = read();
    if ((route.page || "map") !== "map" || location.hash === last) return;
    last = location.hash;
    const { query } = route;
    const mine = JSON.stringify({
      at: query.get("at"), color: query.get("color"),
      hide: query.has("only") ? null : query.getAll("hide"), only: query.has("only") ? query.getAll("only") : null,
      song: query.get("song"), near: query.has("near"),
    });
    if (mine === written) return;
    reading = true;
    try {
      await apply(query, state, view, names);
    } catch (error) {
      complain(error);
    } finally {
      reading = false;
    }
  };
  void open();
  const listenTo = () => void open();
  addEventListener("hashchange", listenTo);
  return () => {
    clearTimeout(timer);
    removeEventListener("hashchange", listenTo);
  };
}

async function apply(query: URLSearchParams, state: State, view: MapView, names: Names): Promise<void> {
  const { camera } = view;
  const where = (query.get("at") ?? "").split(",").map(Number);
  if (where.every(Number.isFinite)) {
    if (camera.solid && where.length === 6 && where[5] > 0) {
      const [x, y, z, yaw, pitch, distance] = where;
      camera.orbit = { x, y, z, yaw, pitch, distance };
    } else if (!camera.solid && where.length === 3 && where[2] > 0) {
      camera.flat = { x: where[0], y: where[1], zoom: where[2] };
    }
    view.moved();
  }
  const color = query.get("color") as SchemeName | null;
  if (color && color !== state.scheme.name && SCHEMES.some((one) => one.name === color)) {
    await colorBy({ state, view, names }, color);
  }
  const hide = new Set(query.getAll("hide"));
  const only = new Set(query.getAll("only"));
  const { classes } = state.scheme;
  const hidden = [...classes.keys()].filter((i) =>
    only.size > 0 ? !only.has(classes[i].label) : hide.has(classes[i].label));
  if (hidden.length !== state.hidden.size || hidden.some((i) => !state.hidden.has(i))) {
    // A name that no class has would hide everything.
    if (hidden.length < classes.length) state.hide(hidden);
  }
  const id = query.get("song");
  if (!id) return state.focusOn(-1);
  const song = await names.find(id);
  if (song < 0) return say("The song is not on this map; it came later, or has no embedding.");
  const isNew = state.focus !== song;
  state.focusOn(song);
  if (query.has("near")) state.showNear(true);
  if (isNew && !query.has("at")) view.flyTo(song);
}
