// The same songs as a table, for screen readers and for sorting. Only the rows
// in view are in the document.

import { announce, byId, element, set } from "./element";
import { clusterName } from "./scheme";
import type { Finder } from "./search";
import type { State } from "./state";
import { anomaly, artist, bpm, count, duration, plain, title } from "./words";

const ROW = 28;
const SPARE = 8;
// Browsers draw nothing beyond some 16 million pixels; longer lists are
// scrolled in larger steps.
const TALLEST = 12_000_000;

interface Column {
  name: string;
  /** Whether what it holds is short. */
  narrow: boolean;
  text(song: number): string;
  value(song: number): string | number | null;
}

export function table(state: State, finder: Finder): void {
  const { songs, clusters } = state.data;
  const columns: Column[] = [
    named("Title", (song) => title(state.data, song)),
    named("Artist", (song) => artist(state.data, song)),
    named("Album", (song) => plain(songs.album[song] ?? "")),
    named("Genre", (song) => plain(songs.genre[song] ?? "")),
    numbered("BPM", songs.bpm, bpm),
    named("Key", (song) => plain(songs.key[song] ?? "")),
    numbered("Length", songs.duration, duration),
    clusters.size > 0 || songs.cluster.some((id) => id !== null)
      ? named("Cluster", (song) => {
          const id = songs.cluster[song];
          return id === null ? "" : plain(clusterName(state.data, id));
        })
      : null,
    numbered("Anomaly", songs.anomaly, anomaly),
  ].filter((column) => column !== null);

  const scroller = byId("table-scroll");
  const grid = byId("table");
  const body = byId("rows");
  const which = byId<HTMLSelectElement>("table-which");
  let rows: number[] = [];
  let sorted = { column: -1, down: false };
  let active = 0;

  const heads = columns.map((column, i) => {
    const narrow = column.narrow ? "narrow" : null;
    const head = element("th", {
      scope: "col",
      role: "columnheader",
      "aria-colindex": i + 2,
      class: narrow,
    });
    const sort = element("button", { type: "button" }, column.name);
    sort.addEventListener("click", () => {
      sorted = { column: i, down: sorted.column === i && !sorted.down };
      fromTheTop();
      announce(`Sorted by ${column.name}, ${sorted.down ? "descending" : "ascending"}`);
    });
    head.append(sort);
    return head;
  });
  byId("heads").append(
    element("th", { scope: "col", role: "columnheader", "aria-colindex": 1 }, "Selected"),
    ...heads,
  );
  set(grid, { "aria-colcount": columns.length + 1 });

  const fill = () => {
    // It is filled when it is shown.
    if (state.page !== "table") return;
    const wanted = which.value;
    const among = state.query.trim() === "" ? [...state.shown.keys()] : finder.find(state.query);
    rows = among.filter((song) => {
      if (wanted === "selected") return state.selected[song] === 1;
      return wanted === "all" || state.shown[song] === 1;
    });
    const column = columns[sorted.column];
    if (column) rows = inOrder(rows, column, sorted.down);
    heads.forEach((head, i) => {
      const order = sorted.down ? "descending" : "ascending";
      set(head, { "aria-sort": i === sorted.column ? order : null });
    });
    byId("table-count").textContent = count(rows.length, "song");
    set(grid, { "aria-rowcount": rows.length + 1 });
    active = Math.min(active, Math.max(rows.length - 1, 0));
    draw();
  };

  const fromTheTop = () => {
    active = 0;
    scroller.scrollTop = 0;
    fill();
  };

  // How far the list moves for a pixel of the scroll bar.
  const stretch = () => {
    const all = rows.length * ROW;
    const room = scroller.clientHeight;
    return all <= TALLEST ? 1 : (all - room) / (TALLEST - room);
  };
  const head = () => byId("heads").offsetHeight;

  const draw = () => {
    const had = body.contains(document.activeElement);
    const factor = stretch();
    const top = scroller.scrollTop * factor;
    const first = Math.max(0, Math.floor(top / ROW) - SPARE);
    const last = Math.min(rows.length, Math.ceil((top + scroller.clientHeight) / ROW) + SPARE);
    const drawn: Node[] = [];
    for (let i = first; i < last; i++) drawn.push(row(i));
    byId("table-space").style.height = `${Math.min(rows.length * ROW, TALLEST) + head()}px`;
    grid.style.transform = `translateY(${scroller.scrollTop - top + first * ROW}px)`;
    // The head keeps its place while the rows below it move.
    byId("heads").style.transform = `translateY(${top - first * ROW}px)`;
    body.replaceChildren(...drawn);
    if (had) body.querySelector<HTMLElement>("[tabindex='0']")?.focus({ preventScroll: true });
  };

  const row = (i: number): HTMLTableRowElement => {
    const song = rows[i];
    const made = element("tr", {
      role: "row",
      "aria-rowindex": i + 2,
      "aria-selected": String(state.selected[song] === 1),
      tabindex: i === active ? 0 : -1,
      "data-row": i,
      class: song === state.focus ? "focus" : null,
    });
    const check = element("input", {
      type: "checkbox",
      tabindex: -1,
      "aria-label": `Select ${title(state.data, song)}`,
    });
    check.checked = state.selected[song] === 1;
    made.append(element("td", { role: "gridcell", "aria-colindex": 1 }, check));
    columns.forEach((column, at) => {
      const cell = { role: "gridcell", "aria-colindex": at + 2, dir: "auto" };
      made.append(element("td", cell, column.text(song)));
    });
    return made;
  };

  const activate = (i: number) => {
    if (rows.length === 0) return;
    active = Math.min(Math.max(i, 0), rows.length - 1);
    const factor = stretch();
    const top = scroller.scrollTop * factor;
    const room = scroller.clientHeight - head();
    if (active * ROW < top) scroller.scrollTop = (active * ROW) / factor;
    if ((active + 1) * ROW > top + room) scroller.scrollTop = ((active + 1) * ROW - room) / factor;
    draw();
    body.querySelector<HTMLElement>("[tabindex='0']")?.focus({ preventScroll: true });
  };
  const tick = (i: number) => {
    const song = rows[i];
    state.select([song], state.selected[song] ? "remove" : "add");
  };

  scroller.addEventListener("scroll", () => requestAnimationFrame(draw));
  new ResizeObserver(draw).observe(scroller);
  body.addEventListener("click", (event) => {
    const target = event.target as HTMLElement;
    const i = Number(target.closest("tr")?.dataset.row);
    if (target instanceof HTMLInputElement) tick(i);
    else {
      active = i;
      state.focusOn(rows[i]);
    }
  });
  body.addEventListener("keydown", (event) => {
    const page = Math.max(1, Math.floor(scroller.clientHeight / ROW) - 2);
    const to: Record<string, number> = {
      ArrowDown: active + 1,
      ArrowUp: active - 1,
      PageDown: active + page,
      PageUp: active - page,
      Home: 0,
      End: rows.length - 1,
    };
    if (event.key in to) activate(to[event.key]);
    else if (event.key === "Enter") state.focusOn(rows[active]);
    else if (event.key === " ") tick(active);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  which.addEventListener("change", fromTheTop);
  state.on("query", fromTheTop);
  state.on("shown", fill);
  state.on("focus", () => state.page === "table" && draw());
  state.on("selection", () => {
    if (which.value === "selected") fill();
    else if (state.page === "table") draw();
  });
  state.on("page", () => {
    if (state.page !== "table") return;
    fill();
    const at = rows.indexOf(state.focus);
    if (at >= 0) {
      active = at;
      scroller.scrollTop = (at * ROW - scroller.clientHeight / 2) / stretch();
      draw();
    }
  });
}

function named(name: string, text: (song: number) => string): Column {
  return { name, narrow: name === "Key", text, value: (song) => text(song).toLocaleLowerCase("en") || null };
}

function numbered(
  name: string,
  values: (number | null)[],
  write: (value: number | null) => string,
): Column | null {
  if (!values.some((value) => value !== null)) return null;
  return { name, narrow: true, text: (song) => write(values[song]), value: (song) => values[song] };
}

// What is unknown comes last, whichever way the rest is sorted.
function inOrder(rows: number[], column: Column, down: boolean): number[] {
  const known: [string | number, number][] = [];
  const unknown: number[] = [];
  for (const song of rows) {
    const value = column.value(song);
    if (value === null) unknown.push(song);
    else known.push([value, song]);
  }
  const letters = new Intl.Collator("en", { numeric: true });
  const compare = (a: string | number, b: string | number) =>
    typeof a === "number" && typeof b === "number" ? a - b : letters.compare(String(a), String(b));
  known.sort((a, b) => (down ? compare(b[0], a[0]) : compare(a[0], b[0])) || a[1] - b[1]);
  return [...known.map(([, song]) => song), ...unknown];
}
