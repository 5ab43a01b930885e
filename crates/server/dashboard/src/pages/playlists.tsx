// Playlists: all of them, and one with its songs, which are dragged into their order.

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { api, type Card, type Entry, type Playlist, type PlaylistShown, type Problem } from "../api";
import { PlayButton, playAll, playing, toggle } from "../player";
import { address, go, type Route } from "../route";
import { announce, complain, say, useLoad, useStore, useWritable } from "../store";
import { ImportPage } from "./import";
import { RulePage } from "./rule";
import { Icon } from "../ui/icon";
import { Chip, Confirm, Empty, IconButton, PageHead, Popover, Trouble, Waiting } from "../ui/parts";
import { PlaylistName } from "../ui/playlists";
import { ListTabs } from "../ui/queue";
import { ago, bpm, camelot, count, length, number, plain, span } from "../words";

export function PlaylistsPage({ route }: { route: Route }) {
  const [id, part] = route.rest;
  if (id === undefined) return <All />;
  if (id === "import") return <ImportPage />;
  if (id === "rule") return <RulePage id={null} route={route} />;
  return part === "rule" ? <RulePage key={id} id={id} route={route} /> : <One key={id} id={id} />;
}

function All() {
  const { data, error, reload } = useLoad("playlists", (signal) => api.playlists(signal));
  const writable = useWritable();
  const [making, make] = useState(false);
  const create = async (name: string) => {
    try {
      const made = await api.newPlaylist(name, []);
      go(address(["playlists", made.id]));
    } catch (problem) {
      complain(problem);
    }
  };
  return (
    <div class="playlists-page">
      <ListTabs value="playlists" />
      <PageHead title="Playlists">
        {writable && (
          <>
            <button type="button" class="button primary" onClick={() => make(true)}><Icon name="plus" size={16} /> New playlist</button>
            <a class="button" href={address(["playlists", "rule"])}><Icon name="filter" size={16} /> New smart playlist</a>
            <a class="button" href={address(["playlists", "import"])}><Icon name="drop" size={16} /> Import</a>
          </>
        )}
      </PageHead>
      {error && <Trouble problem={error} retry={reload} />}
      {!data && !error && <Waiting />}
      {data && data.playlists.length === 0 && data.unreadable.length === 0 && (
        <Empty icon="playlist" title="There are no playlists">
          <p>Select songs in the library, on the map or in a search, and add them to one; let a radio fill it; or bring one of another player.</p>
          <div class="line">
            <a class="button" href="#/library">Go to the library</a>
            <a class="button" href="#/radio">Start a radio</a>
          </div>
        </Empty>
      )}
      {data && data.playlists.length > 0 && (
        <ul class="playlist-list" aria-label="Playlists">
          {data.playlists.map((playlist) => (
            <li key={playlist.id}>
              <a class="playlist-card" href={address(["playlists", playlist.id])}>
                <span class="playlist-icon"><Icon name={playlist.rule ? "filter" : "playlist"} size={20} /></span>
                <span class="playlist-about">
                  <strong dir="auto">{plain(playlist.name)}</strong>
                  <span class="soft">{[about(playlist), `changed ${ago(playlist.updated_at)}`].join(" · ")}</span>
                  {playlist.beside && <span class="soft">another version, which a sync kept</span>}
                </span>
              </a>
            </li>
          ))}
        </ul>
      )}
      {data?.unreadable.map((one) => (
        <p class="notice" key={one.id}><Icon name="warning" size={16} /> {plain(one.why)}</p>
      ))}
      {making && <PlaylistName title="New playlist" label="Make it" act={(name) => void create(name)} close={() => make(false)} />}
    </div>
  );
}

function about(playlist: Playlist): string {
  return playlist.rule ? "follows a rule" : count(playlist.songs ?? 0, "song");
}

/** Songs of the first page, and of one request at the most. */
const PAGE = 200;
const MOST = 1000;

function One({ id }: { id: string }) {
  const [limit, more] = useState(PAGE);
  const { data, error, reload } = useLoad(`playlist ${id} ${limit}`, (signal) => api.playlist(id, limit, signal));
  useEffect(() => {
    if (data) document.title = `${plain(data.name)} · songrec`;
  }, [data?.name]);
  if (error) return <Failed id={id} problem={error} reload={reload} />;
  if (!data) return <Waiting rows={8} />;
  const all = data.songs ?? 0;
  return (
    <div class="playlists-page">
      <Head playlist={data} reload={reload} />
      {(data.notes ?? []).map((note) => <p class="notice" key={note}><Icon name="info" size={16} /> {plain(note)}</p>)}
      {all === 0
        ? (
          <Empty icon="playlist" title="It has no songs">
            <p>{data.rule ? "No song passes its rule." : "Select songs in the library, on the map or in a search, and add them."}</p>
            {data.rule ? null : <a class="button" href="#/library">Go to the library</a>}
          </Empty>
        )
        : <Entries playlist={data} reload={reload} />}
      {data.entries.length < all && limit < MOST && (
        <button type="button" class="button more" onClick={() => more(MOST)}>Show more of {number(all)}</button>
      )}
      {limit >= MOST && all > MOST && (
        <p class="soft">The first {number(MOST)} of {number(all)} songs; the <a href={address("library", { filter: `playlist:${id}` })}>library</a> lists all.</p>
      )}
    </div>
  );
}

// It may not be there; or it is, and its rule names what is gone.
function Failed({ id, problem, reload }: { id: string; problem: Problem; reload: () => void }) {
  const writable = useWritable();
  const lists = useLoad(problem.status > 0 && problem.status < 500 ? `is there ${id}` : null, (signal) => api.playlists(signal));
  const known = lists.data?.playlists.find((one) => one.id === id);
  if (problem.status === 404 && lists.data && !known) {
    return (
      <Empty icon="playlist" title="There is no such playlist">
        <p>It may have been deleted, here or on another machine.</p>
        <a class="button" href="#/playlists">All playlists</a>
      </Empty>
    );
  }
  return (
    <div class="playlists-page">
      <p><a class="back" href="#/playlists">All playlists</a></p>
      {known && <PageHead title={plain(known.name)} />}
      <Trouble problem={problem} retry={reload} />
      {known?.rule && writable && (
        <p class="rule-line"><a class="button" href={address(["playlists", id, "rule"])}><Icon name="edit" size={16} /> Edit the rule</a></p>
      )}
    </div>
  );
}

/** Songs of a playlist that a radio goes on from. */
const SEEDS = 20;

/** So many of a list, evenly spread over it. */
function spread<T>(all: T[], most: number): T[] {
  return all.length <= most ? all : Array.from({ length: most }, (_, i) => all[Math.floor((i * all.length) / most)]);
}

function cards(playlist: PlaylistShown): Card[] {
  return playlist.entries.flatMap((entry) => (entry.card ? [entry.card] : []));
}

function Head({ playlist, reload }: { playlist: PlaylistShown; reload: () => void }) {
  const writable = useWritable();
  const [asking, ask] = useState<"rename" | "delete" | null>(null);
  const [exporting, setExporting] = useState(false);
  const songs = cards(playlist);
  const rename = async (name: string) => {
    try {
      await api.changePlaylist(playlist.id, { name });
      reload();
    } catch (error) {
      complain(error);
    }
  };
  const remove = async () => {
    try {
      await api.deletePlaylist(playlist.id);
      say(`The playlist “${plain(playlist.name)}” is deleted; its songs are as they were.`, "good");
      go("#/playlists");
    } catch (error) {
      complain(error);
    }
  };
  const facts = [
    count(playlist.songs ?? 0, "song"),
    playlist.duration > 0 ? span(playlist.duration) : "",
    playlist.missing > 0 ? `${number(playlist.missing)} not in the library any more` : "",
    `changed ${ago(playlist.updated_at)}`,
  ].filter(Boolean);
  return (
    <>
      <p><a class="back" href="#/playlists">All playlists</a></p>
      <PageHead title={plain(playlist.name)} note={facts.join(" · ")}>
        <button type="button" class="button primary" disabled={songs.length === 0} onClick={() => playAll(songs)}>
          <Icon name="play" size={16} /> Play all
        </button>
        {songs.length > 0 && (
          <a class="button" href={address("radio", { like: [...new Set(spread(songs, SEEDS).map((song) => song.id))] })}>
            <Icon name="radio" size={16} /> Radio
          </a>
        )}
        <Popover label="Export" icon="file" open={exporting} set={setExporting}>
          <ul class="plain-list exports" aria-label="Formats">
            {EXPORTS.map(([format, label]) => (
              <li key={format}>
                <a href={api.playlistFile(playlist.id, format)} download onClick={() => setExporting(false)}>
                  <strong>.{format}</strong> <span class="soft">{label}</span>
                </a>
              </li>
            ))}
          </ul>
        </Popover>
        {writable && (
          <>
            <button type="button" class="button" onClick={() => ask("rename")}><Icon name="edit" size={16} /> Rename</button>
            <IconButton icon="trash" label="Delete this playlist" act={() => ask("delete")} />
          </>
        )}
      </PageHead>
      {playlist.rule && (
        <p class="rule-line">
          <span class="soft">By its rule:</span>
          {(playlist.rule.filter ?? []).map((term) => <Chip key={term}>{plain(term)}</Chip>)}
          {(playlist.rule.like ?? []).map((seed) => (
            <Chip key={seed.song} href={address(["song", seed.song])}><span class="like">like</span> {plain(seed.title)}</Chip>
          ))}
          {playlist.rule.length && <span class="soft">at most {count(playlist.rule.length, "song")}</span>}
          {writable && <a class="text-button" href={address(["playlists", playlist.id, "rule"])}><Icon name="edit" size={14} /> Edit the rule</a>}
        </p>
      )}
      {asking === "rename" && (
        <PlaylistName title="Rename the playlist" label="Rename" value={playlist.name} act={(name) => void rename(name)} close={() => ask(null)} />
      )}
      {asking === "delete" && (
        <Confirm title={`Delete “${plain(playlist.name)}”?`} label="Delete" act={() => void remove()} close={() => ask(null)}>
          <p>The playlist goes, here and with the next sync on other machines. Its songs stay.</p>
        </Confirm>
      )}
    </>
  );
}

const EXPORTS: [string, string][] = [
  ["m3u8", "most players"],
  ["xspf", "VLC and others, as XML"],
  ["jspf", "the same as JSON"],
];

/** Where an entry that is dragged would go. */
interface Drag {
  key: string;
  from: number;
  to: number;
  /** Pixels from where it was taken. */
  by: number;
}

function Entries({ playlist, reload }: { playlist: PlaylistShown; reload: () => void }) {
  const writable = useWritable() && !playlist.rule;
  const now = useStore(playing);
  const list = useRef<HTMLOListElement>(null);
  // What was moved is shown at once; the next answer says how it is.
  const [entries, setEntries] = useState(playlist.entries);
  useEffect(() => setEntries(playlist.entries), [playlist]);
  const [drag, setDrag] = useState<Drag | null>(null);
  const focusNext = useRef<string | null>(null);
  useLayoutEffect(() => {
    const key = focusNext.current;
    if (key === null) return;
    focusNext.current = null;
    list.current?.querySelector<HTMLElement>(`[data-key="${key}"] .handle`)?.focus();
  });

  const move = async (from: number, to: number) => {
    const entry = entries[from];
    if (!entry?.key || to === from || to < 0 || to >= entries.length) return;
    const next = [...entries];
    next.splice(to, 0, ...next.splice(from, 1));
    setEntries(next);
    announce(`${plain(entry.title)} is at place ${to + 1} of ${playlist.songs}`);
    try {
      await api.changePlaylist(playlist.id, { move: { entries: [entry.key], to: to + 1 } });
    } catch (error) {
      complain(error);
      reload();
    }
  };
  const remove = async (entry: Entry) => {
    if (!entry.key) return;
    setEntries(entries.filter((one) => one !== entry));
    try {
      await api.removeFromPlaylist(playlist.id, [entry.key]);
      const place = entries.indexOf(entry) + 1;
      say(`“${plain(entry.title)}” is taken out.`, "good", entry.missing ? undefined : {
        label: "Undo",
        run: () => void api.addToPlaylist(playlist.id, [entry.song], place).then(reload, complain),
      });
    } catch (error) {
      complain(error);
    }
    reload();
  };

  const begin = (event: PointerEvent, at: number) => {
    if (event.button !== 0) return;
    event.preventDefault();
    const handle = event.currentTarget as HTMLElement;
    handle.focus();
    handle.setPointerCapture(event.pointerId);
    const rows = [...list.current!.querySelectorAll<HTMLElement>(":scope > li")].map((row) => row.getBoundingClientRect());
    const began = event.clientY;
    const scrolled = list.current!.closest(".content")!;
    const top = scrolled.scrollTop;
    let last = at;
    const follow = (moved: PointerEvent) => {
      const by = moved.clientY - began + scrolled.scrollTop - top;
      const middle = rows[at].top + rows[at].height / 2 + by;
      last = rows.findIndex((row) => middle < row.bottom);
      if (last < 0) last = rows.length - 1;
      setDrag({ key: entries[at].key!, from: at, to: last, by });
    };
    const end = (ended: PointerEvent) => {
      handle.removeEventListener("pointermove", follow);
      handle.removeEventListener("pointerup", end);
      handle.removeEventListener("pointercancel", end);
      setDrag(null);
      if (ended.type === "pointerup") void move(at, last);
    };
    handle.addEventListener("pointermove", follow);
    handle.addEventListener("pointerup", end);
    handle.addEventListener("pointercancel", end);
  };
  const keys = (event: KeyboardEvent, at: number) => {
    const to = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: entries.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    focusNext.current = entries[at].key ?? null;
    void move(at, Math.min(Math.max(to, 0), entries.length - 1));
  };
  // Among those that can be played.
  const before = (at: number) => entries.slice(0, at).filter((entry) => entry.card).length;
  // Rows give way to the one that is dragged.
  const shift = (at: number): string | undefined => {
    if (!drag) return undefined;
    if (at === drag.from) return `translateY(${drag.by}px)`;
    const height = list.current?.firstElementChild?.getBoundingClientRect().height ?? 0;
    if (at > drag.from && at <= drag.to) return `translateY(${-height}px)`;
    if (at < drag.from && at >= drag.to) return `translateY(${height}px)`;
    return undefined;
  };

  return (
    <ol class={`entries ${drag ? "dragging" : ""}`} ref={list} aria-label="Songs of the playlist">
      {entries.map((entry, at) => (
        <li
          key={entry.key ?? `${entry.song} ${at}`}
          data-key={entry.key}
          class={`${entry.missing ? "gone" : ""} ${drag?.from === at ? "held" : ""} ${now?.card.id === entry.song ? "playing" : ""}`}
          style={{ transform: shift(at) ?? "" }}
        >
          {writable && (
            <button
              type="button"
              class="handle"
              aria-label={`Move ${plain(entry.title)}, place ${at + 1}: arrow keys`}
              title="Drag, or arrow keys"
              onPointerDown={(event) => begin(event, at)}
              onKeyDown={(event) => keys(event, at)}
            >
              <Icon name="handle" size={16} />
            </button>
          )}
          <span class="place soft">{at + 1}</span>
          {entry.card
            ? <PlayButton card={entry.card} small start={() => (now?.card.id === entry.song ? toggle() : playAll(entries.flatMap((one) => (one.card ? [one.card] : [])), before(at)))} />
            : <span class="no-play" title="It is not in the library any more"><Icon name="ban" size={16} /></span>}
          <span class="song-name">
            {entry.card
              ? <a href={address(["song", entry.song])} dir="auto">{plain(entry.title) || "Without a title"}</a>
              : <span dir="auto">{plain(entry.title)}</span>}
            <span class="soft" dir="auto">
              {entry.missing ? "not in the library any more" : [entry.artist, entry.card?.album].map((part) => plain(part ?? "")).filter(Boolean).join(" · ")}
            </span>
          </span>
          <span class="song-fact number">{bpm(entry.card?.bpm)}</span>
          <span class="song-fact number">{camelot(entry.card?.key)}</span>
          <span class="song-fact number length">{entry.card ? length(entry.card.duration) : ""}</span>
          {writable && <IconButton icon="close" label={`Take ${plain(entry.title)} out`} small act={() => void remove(entry)} />}
        </li>
      ))}
    </ol>
  );
}
