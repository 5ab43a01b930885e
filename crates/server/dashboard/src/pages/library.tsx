// All songs as a table, of which only what is in view is fetched and drawn.

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { api, type Card } from "../api";
import { PlayButton, playing, toggle } from "../player";
import { address, change, go, type Route } from "../route";
import { announce, complain, recall, remember, say, useStore, useWritable } from "../store";
import { Edit, forget, save } from "../ui/edit";
import { Filters } from "../ui/filters";
import { Icon } from "../ui/icon";
import { Confirm, Empty, PageHead, Popover, Trouble } from "../ui/parts";
import { AddToPlaylist } from "../ui/playlists";
import { useRows } from "../ui/rows";
import { ended } from "../jobs";
import { bpm, camelot, count, fileName, length, number, plain, size, text } from "../words";

interface Column {
  name: string;
  label: string;
  /** Pixels at least, and how much of what is left over it takes. */
  width: [number, number];
  /** What `sort=` calls it, if it can be sorted by. */
  sort?: string;
  /** The field that is edited in place. */
  field?: string;
  right?: boolean;
  show: (card: Card) => string;
}

const COLUMNS: Column[] = [
  { name: "title", label: "Title", width: [180, 2.4], sort: "title", field: "title", show: (card) => card.title },
  { name: "artist", label: "Artist", width: [120, 1.5], sort: "artist", field: "artist", show: (card) => card.artist ?? "" },
  { name: "album", label: "Album", width: [120, 1.5], sort: "album", field: "album", show: (card) => card.album ?? "" },
  { name: "genre", label: "Genre", width: [100, 1], field: "genre", show: (card) => (card.genres ?? []).join(", ") },
  { name: "year", label: "Year", width: [64, 0], sort: "year", field: "year", right: true, show: (card) => text(card.year) },
  { name: "bpm", label: "BPM", width: [64, 0], sort: "bpm", field: "bpm", right: true, show: (card) => bpm(card.bpm) },
  { name: "key", label: "Key", width: [96, 0], field: "key", show: (card) => card.key ? `${card.key} · ${camelot(card.key)}` : "" },
  { name: "mood", label: "Moods", width: [100, 1], field: "mood", show: (card) => (card.moods ?? []).join(", ") },
  { name: "instrument", label: "Instrument", width: [108, 0], field: "instrument", show: (card) => card.instrument ?? "" },
  { name: "loop", label: "Loop", width: [64, 0], field: "loop", show: (card) => text(card.loop) },
  { name: "duration", label: "Length", width: [78, 0], sort: "duration", right: true, show: (card) => length(card.duration) },
  { name: "size", label: "Size", width: [84, 0], right: true, show: (card) => size(card.size) },
  { name: "codec", label: "Codec", width: [92, 0], show: (card) => card.codec ?? "" },
  { name: "file", label: "File", width: [140, 1.5], show: (card) => fileName(card.path) },
];

const USUAL = ["title", "artist", "album", "genre", "year", "bpm", "key", "duration"];
const NARROW = ["title", "artist", "bpm", "key"];
const ROW = 36;
// Rows beyond the window, so that small movements need nothing new.
const SPARE = 12;

export function LibraryPage({ route }: { route: Route }) {
  const query = route.query;
  const q = query.get("q") ?? "";
  const filter = query.getAll("filter");
  const sort = query.get("sort") ?? "title";
  const desc = query.has("desc");
  const now = useStore(ended);
  const key = JSON.stringify([q, filter, sort, desc, now]);
  const rows = useRows<Card>(key, (offset, limit, signal) =>
    api.songs({ q, filter, sort, desc, offset, limit }, signal),
  );
  const columns = chosenColumns(query.get("columns"));
  const [typed, type] = useState(q);
  useEffect(() => type(q), [q]);
  useEffect(() => {
    if (typed === q) return;
    const timer = setTimeout(() => change({ q: typed }), 220);
    return () => clearTimeout(timer);
  }, [typed]);
  const [selected, select] = useState<Map<string, Card>>(() => new Map());
  const narrowed = q !== "" || filter.length > 0;

  return (
    <div class="library-page">
      <PageHead
        title="Library"
        note={rows.total === undefined ? "" : `${count(rows.total, "song")}${narrowed ? " match" : ""}`}
      >
        <input
          type="search"
          data-search
          class="search-box"
          placeholder="Words of titles, artists, albums…"
          aria-label="Search the library"
          value={typed}
          onInput={(event) => type(event.currentTarget.value)}
        />
        <button
          type="button"
          class="button"
          aria-pressed={sort === "added"}
          onClick={() => change(sort === "added" ? { sort: null, desc: null } : { sort: "added", desc: true })}
        >
          Newest first
        </button>
        <ColumnChoice columns={columns} />
      </PageHead>
      <div class="bar-row">
        <Filters terms={filter} set={(terms) => change({ filter: terms })} problem={rows.error} />
      </div>
      {rows.error && rows.error.status !== 400
        ? <Trouble problem={rows.error} retry={rows.reload} />
        : rows.total === 0
          ? <Nothing narrowed={narrowed} />
          : (
            <Grid
              rows={rows}
              columns={columns}
              sort={sort}
              desc={desc}
              selected={selected}
              select={select}
              listing={{ q, filter, sort, desc }}
            />
          )}
      {selected.size > 0 && (
        <Selected
          songs={[...selected.values()]}
          clear={() => select(new Map())}
          changed={rows.reload}
          patch={(ids, card) => rows.patch((row) => (ids.has(row.id) ? card(row) : row))}
        />
      )}
    </div>
  );
}

function Nothing({ narrowed }: { narrowed: boolean }) {
  const writable = useWritable();
  if (narrowed) {
    return (
      <Empty icon="search" title="No song matches">
        <p>Take a filter away, or search for fewer words. Every word has to begin a word of the song.</p>
        <a class="button" href="#/library">Show all songs</a>
      </Empty>
    );
  }
  return (
    <Empty icon="library" title="The library is empty">
      <p>Scan a folder of music or samples; nothing of it is changed.</p>
      {writable
        ? <a class="button primary" href="#/machines/jobs">Scan a folder</a>
        : <p class="soft">This server only reads. Run <code>songrec scan FOLDER</code> where the library is.</p>}
    </Empty>
  );
}

function chosenColumns(asked: string | null): Column[] {
  const names = (asked ?? (innerWidth < 600 ? null : recall("columns")))?.split(",") ?? (innerWidth < 600 ? NARROW : USUAL);
  const found = COLUMNS.filter((column) => names.includes(column.name));
  return found.length > 0 ? found : COLUMNS.slice(0, 1);
}

function ColumnChoice({ columns }: { columns: Column[] }) {
  const [open, set] = useState(false);
  const names = columns.map((column) => column.name);
  return (
    <Popover label="Columns" icon="columns" open={open} set={set}>
      <fieldset class="checks">
        <legend>Columns</legend>
        {COLUMNS.map((column) => (
          <label key={column.name}>
            <input
              type="checkbox"
              checked={names.includes(column.name)}
              onChange={() => {
                const next = COLUMNS.map((one) => one.name).filter(
                  (name) => names.includes(name) !== (name === column.name),
                );
                if (next.length === 0) return;
                remember("columns", next.join(","));
                change({ columns: next.join(",") });
              }}
            />
            {column.label}
          </label>
        ))}
        <button
          type="button"
          class="text-button"
          onClick={() => {
            remember("columns", null);
            change({ columns: null });
          }}
        >
          The usual ones
        </button>
      </fieldset>
    </Popover>
  );
}

interface GridProps {
  rows: ReturnType<typeof useRows<Card>>;
  columns: Column[];
  sort: string;
  desc: boolean;
  selected: Map<string, Card>;
  select: (songs: Map<string, Card>) => void;
  listing: { q: string; filter: string[]; sort: string; desc: boolean };
}

function Grid({ rows, columns, sort, desc, selected, select, listing }: GridProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const writable = useWritable();
  const now = useStore(playing);
  const total = rows.total ?? 0;
  const [view, setView] = useState({ first: 0, last: 40 });
  const [at, setAt] = useState<[number, number]>([0, 0]);
  const [editing, edit] = useState(false);
  const anchor = useRef(0);

  const measure = () => {
    const box = scroller.current;
    if (!box) return;
    const first = Math.max(0, Math.floor(box.scrollTop / ROW) - SPARE);
    const last = Math.min(Math.max(total - 1, 0), Math.ceil((box.scrollTop + box.clientHeight) / ROW) + SPARE);
    setView((before) => (before.first === first && before.last === last ? before : { first, last }));
    rows.show(first, last);
  };
  useEffect(() => {
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(scroller.current!);
    return () => observer.disconnect();
  }, [total, listing.q, listing.filter.join("\n"), sort, desc]);
  useEffect(() => {
    scroller.current!.scrollTop = 0;
    setAt([0, 0]);
  }, [listing.q, listing.filter.join("\n"), sort, desc]);

  // Rows are grids of their own, which agree because nothing in them sets a width.
  const template = `76px ${columns.map(({ width: [least, share] }) =>
    share > 0 ? `minmax(${least}px, ${share}fr)` : `${least}px`).join(" ")}`;
  const least = 88 + columns.reduce((sum, column) => sum + column.width[0], 0);
  const shown = useMemo(() => {
    const list: number[] = [];
    for (let i = view.first; i <= Math.min(view.last, total - 1); i++) list.push(i);
    return list;
  }, [view.first, view.last, total]);

  const moveTo = (row: number, column: number) => {
    const next: [number, number] = [
      Math.min(Math.max(row, 0), total - 1),
      Math.min(Math.max(column, 0), columns.length - 1),
    ];
    setAt(next);
    edit(false);
    const box = scroller.current!;
    const top = next[0] * ROW;
    // The head covers the first row of the window.
    if (top < box.scrollTop) box.scrollTop = top;
    else if (top + 2 * ROW > box.scrollTop + box.clientHeight) box.scrollTop = top + 2 * ROW - box.clientHeight;
    const card = rows.row(next[0]);
    if (card) announce(`${plain(card.title)}: ${columns[next[1]].label} ${plain(columns[next[1]].show(card)) || "empty"}`);
  };

  const toggleSelect = async (index: number, extend: boolean) => {
    const card = rows.row(index);
    if (!card) return;
    const next = new Map(selected);
    if (extend) {
      const [from, to] = [Math.min(anchor.current, index), Math.max(anchor.current, index)];
      try {
        for (let i = from; i <= to; i++) {
          const there = rows.row(i);
          if (there) next.set(there.id, there);
          else {
            const page = await api.songs({ ...listing, offset: i, limit: Math.min(1000, to - i + 1) });
            for (const one of page.rows) next.set(one.id, one);
            if (page.rows.length === 0) break;
            i += page.rows.length - 1;
          }
        }
      } catch (error) {
        complain(error);
      }
    } else {
      if (!next.delete(card.id)) next.set(card.id, card);
      anchor.current = index;
    }
    select(next);
    announce(`${count(next.size, "song")} selected`);
  };

  const keys = (event: KeyboardEvent) => {
    if (editing || event.ctrlKey || event.metaKey || event.altKey) return;
    const [row, column] = at;
    const pages = Math.max(1, Math.floor(scroller.current!.clientHeight / ROW) - 2);
    const moves: Record<string, [number, number]> = {
      ArrowDown: [row + 1, column], ArrowUp: [row - 1, column],
      ArrowLeft: [row, column - 1], ArrowRight: [row, column + 1],
      PageDown: [row + pages, column], PageUp: [row - pages, column],
      Home: [0, column], End: [total - 1, column],
    };
    const card = rows.row(row);
    if (moves[event.key]) moveTo(...moves[event.key]);
    else if (event.key === " " && card) {
      event.stopPropagation();
      toggle(card);
    } else if (event.key === "x") void toggleSelect(row, false);
    else if (event.key === "X") void toggleSelect(row, true);
    else if (event.key === "o" && card) go(address(["song", card.id]));
    else if ((event.key === "Enter" || event.key === "F2") && card) {
      if (!columns[column].field || !writable) go(address(["song", card.id]));
      else edit(true);
    } else if (event.key === "Escape" && selected.size > 0) select(new Map());
    else return;
    event.preventDefault();
  };

  return (
    <div
      class="grid"
      ref={scroller}
      role="grid"
      aria-label="Songs"
      aria-rowcount={total + 1}
      aria-colcount={columns.length + 1}
      aria-multiselectable="true"
      aria-activedescendant={`cell-${at[0]}-${at[1]}`}
      tabIndex={0}
      onScroll={measure}
      onKeyDown={keys}
    >
      <div class="grid-head" role="row" aria-rowindex={1} style={{ gridTemplateColumns: template, minWidth: `${least}px` }}>
        <span role="columnheader" class="unseen-head"><span class="unseen-text">Select and play</span></span>
        {columns.map((column) => {
          const on = column.sort === sort;
          return (
            <span
              key={column.name}
              role="columnheader"
              class={column.right ? "right" : ""}
              aria-sort={on ? (desc ? "descending" : "ascending") : undefined}
            >
              {column.sort
                ? (
                  <button type="button" onClick={() => change({ sort: column.sort!, desc: on && !desc })}>
                    {column.label}
                    {on && <Icon name={desc ? "down" : "up"} size={13} />}
                  </button>
                )
                : column.label}
            </span>
          );
        })}
      </div>
      <div class="grid-body" role="rowgroup" style={{ height: `${total * ROW}px`, minWidth: `${least}px` }}>
        {shown.map((index) => {
          const card = rows.row(index);
          const chosen = card !== undefined && selected.has(card.id);
          return (
            <div
              key={index}
              role="row"
              aria-rowindex={index + 2}
              aria-selected={chosen}
              class={`grid-row ${chosen ? "chosen" : ""} ${now && card?.id === now.card.id ? "playing" : ""} ${index % 2 ? "odd" : ""}`}
              style={{ top: `${index * ROW}px`, gridTemplateColumns: template, minWidth: `${least}px` }}
            >
              <span role="gridcell" class="row-tools">
                {card && (
                  <>
                    <input
                      type="checkbox"
                      tabIndex={-1}
                      aria-label={`Select ${plain(card.title)}`}
                      checked={chosen}
                      onClick={(event) => void toggleSelect(index, event.shiftKey)}
                    />
                    <PlayButton card={card} small />
                  </>
                )}
              </span>
              {columns.map((column, j) => {
                const here = at[0] === index && at[1] === j;
                if (here && editing && card && column.field) {
                  return (
                    <Cell
                      key={column.name}
                      card={card}
                      field={column.field}
                      label={column.label}
                      value={column.name === "key" ? card.key ?? "" : column.show(card)}
                      songs={chosen ? [...selected.values()] : [card]}
                      done={(changed) => {
                        edit(false);
                        scroller.current!.focus();
                        if (changed) rows.patch((row) => changed.get(row.id) ?? row);
                      }}
                    />
                  );
                }
                const shownText = card ? plain(column.show(card)) : "";
                return (
                  <span
                    key={column.name}
                    role="gridcell"
                    id={`cell-${index}-${j}`}
                    class={`${column.right ? "right" : ""} ${here ? "here" : ""} ${column.field && writable ? "editable" : ""}`}
                    title={shownText.length > 18 ? shownText : undefined}
                    dir={column.right ? undefined : "auto"}
                    onClick={() => moveTo(index, j)}
                    onDblClick={() => {
                      if (column.field && writable) edit(true);
                      else if (card) go(address(["song", card.id]));
                    }}
                  >
                    {card
                      ? column.name === "title"
                        ? <a href={address(["song", card.id])} tabIndex={-1}>{shownText || "Without a title"}</a>
                        : shownText
                      : <span class="skeleton-text" />}
                  </span>
                );
              })}
            </div>
          );
        })}
      </div>
    </div>
  );
}

function Cell({ card, field, label, value, songs, done }: {
  card: Card;
  field: string;
  label: string;
  value: string;
  songs: Card[];
  done: (changed: Map<string, Card> | null) => void;
}) {
  const box = useRef<HTMLInputElement>(null);
  const [busy, setBusy] = useState(false);
  const ending = useRef(false);
  // Before the next key, which may be a letter of the new value.
  useLayoutEffect(() => {
    box.current!.focus();
    box.current!.select();
  }, []);
  const finish = async (keep: boolean) => {
    if (ending.current) return;
    ending.current = true;
    const typed = box.current!.value.trim();
    if (!keep || typed === value) return done(null);
    setBusy(true);
    const changed = await save(songs, field, typed);
    if (changed.size === 0) {
      // What was typed stays, so that it can be put right.
      ending.current = false;
      setBusy(false);
      box.current?.focus();
      return;
    }
    done(changed);
  };
  return (
    <span role="gridcell" class="editing">
      <input
        ref={box}
        type="text"
        aria-label={`${label} of ${songs.length > 1 ? count(songs.length, "song") : plain(card.title)}`}
        defaultValue={value}
        readOnly={busy}
        onKeyDown={(event) => {
          event.stopPropagation();
          if (event.key === "Enter") void finish(true);
          else if (event.key === "Escape") void finish(false);
        }}
        onBlur={() => void finish(true)}
      />
      {songs.length > 1 && <span class="edit-many">{number(songs.length)} songs</span>}
    </span>
  );
}

function Selected({ songs, clear, changed, patch }: {
  songs: Card[];
  clear: () => void;
  changed: () => void;
  patch: (ids: Set<string>, card: (row: Card) => Card) => void;
}) {
  const writable = useWritable();
  const [asking, ask] = useState<"edit" | "forget" | "add" | null>(null);
  const forgetAll = async () => {
    const ids = (await forget(songs)).map((song) => song.id);
    if (ids.length > 0) {
      say(`${count(ids.length, "song")} forgotten; the files are as they were.`, "good", {
        label: "Undo",
        run: () => api.restore(ids).then(changed, complain),
      });
    }
    clear();
    changed();
  };
  return (
    <div class="selection-bar" role="region" aria-label="Selection">
      <strong>{count(songs.length, "song")} selected</strong>
      <a class="button" href={address("search", { like: songs.slice(0, 20).map((song) => song.id) })}>
        <Icon name="similar" size={16} /> Find similar
      </a>
      <a class="button" href={address("radio", { like: songs.slice(0, 100).map((song) => song.id) })}>
        <Icon name="radio" size={16} /> Radio
      </a>
      {songs.length === 2 && (
        <a class="button" href={address("path", { a: songs[0].id, b: songs[1].id })}><Icon name="path" size={16} /> Path between them</a>
      )}
      {writable && (
        <>
          <button type="button" class="button" onClick={() => ask("add")}><Icon name="addto" size={16} /> Add to playlist</button>
          <button type="button" class="button" onClick={() => ask("edit")}><Icon name="edit" size={16} /> Edit</button>
          <button type="button" class="button" onClick={() => ask("forget")}><Icon name="trash" size={16} /> Forget</button>
        </>
      )}
      <button type="button" class="text-button" onClick={clear}>Clear</button>
      {asking === "add" && <AddToPlaylist songs={songs.map((song) => song.id)} close={() => ask(null)} />}
      {asking === "edit" && (
        <Edit
          songs={songs}
          close={() => ask(null)}
          done={(done) => patch(new Set(done.keys()), (row) => done.get(row.id) ?? row)}
        />
      )}
      {asking === "forget" && (
        <Confirm title={`Forget ${count(songs.length, "song")}?`} label="Forget" act={() => void forgetAll()} close={() => ask(null)}>
          <p>The library forgets them; no audio file is deleted. They can be restored from the trash.</p>
        </Confirm>
      )}
    </div>
  );
}

