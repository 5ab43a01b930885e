// Which songs are meant: the terms of the filter grammar as chips, and a sheet
// in which they are clicked together.

import { useState } from "preact/hooks";
import { api, type FilterValues, type Problem } from "../api";
import { useLoad } from "../store";
import { atCamelot, filter, number, plain, spoken } from "../words";
import { Icon } from "./icon";
import { Chip, Popover, Waiting } from "./parts";
import { Wheel } from "./charts";

interface Props {
  terms: string[];
  set: (terms: string[]) => void;
  problem?: Problem;
}

export function Filters({ terms, set, problem }: Props) {
  const [open, setOpen] = useState(false);
  return (
    <div class="filters" role="group" aria-label="Filters">
      <Popover label="Filter" icon="filter" open={open} set={setOpen} kind="button quiet">
        <FilterSheet terms={terms} set={set} />
      </Popover>
      {terms.map((term) => (
        <Chip key={term} label={term} remove={() => set(terms.filter((one) => one !== term))}>
          <button
            type="button"
            class="term"
            title="Click to turn this filter round"
            onClick={() => set(terms.map((one) => (one === term ? inverse(term) : one)))}
          >
            {readable(term)}
          </button>
        </Chip>
      ))}
      {terms.length > 1 && (
        <button type="button" class="text-button" onClick={() => set([])}>Clear all</button>
      )}
      {problem && problem.status === 400 && (
        <p class="filter-problem" role="alert">{problem.message} {problem.tip}</p>
      )}
    </div>
  );
}

function inverse(term: string): string {
  return term.startsWith("-") ? term.slice(1) : `-${term}`;
}

/** A term without the punctuation of the grammar. */
function readable(term: string): string {
  const negated = term.startsWith("-");
  const [key, ...rest] = (negated ? term.slice(1) : term).split(":");
  const value = rest.join(":").replaceAll('"', "");
  if (value === "") return plain(term);
  const shown = value === "*" ? "any" : value.replace(/^(\S*?)\.\.(\S*?)$/, (_, a, b) =>
    a === "" ? `up to ${b}` : b === "" ? `from ${a}` : `${a} to ${b}`);
  return plain(`${negated ? "not " : ""}${key}: ${shown.replaceAll(",", ", ")}`);
}

/** Puts a value into, or takes it out of, the terms; values of a key are alternatives. */
function toggleValue(terms: string[], key: string, value: string): string[] {
  const wanted = filter(key, value).slice(key.length + 1);
  const at = terms.findIndex((term) => term.startsWith(`${key}:`) && !term.includes(".."));
  if (at < 0) return [...terms, `${key}:${wanted}`];
  const values = valuesOf(terms[at]);
  const next = values.includes(wanted) ? values.filter((one) => one !== wanted) : [...values, wanted];
  const rest = terms.filter((_, i) => i !== at);
  return next.length === 0 ? rest : [...rest.slice(0, at), `${key}:${next.join(",")}`, ...rest.slice(at)];
}

/** The alternatives of a term, as written, split at commas outside quotes. */
function valuesOf(term: string): string[] {
  return (term.slice(term.indexOf(":") + 1).match(/"[^"]*"|[^,]+/g) ?? []).map((one) => one.trim());
}

function has(terms: string[], key: string, value: string): boolean {
  const wanted = filter(key, value).slice(key.length + 1);
  return terms.some((term) => term.startsWith(`${key}:`) && valuesOf(term).includes(wanted));
}

const LISTS: { key: string; label: string }[] = [
  { key: "instrument", label: "Instrument" },
  { key: "mood", label: "Mood" },
  { key: "cluster", label: "Cluster" },
  { key: "playlist", label: "Playlist" },
  { key: "artist", label: "Artist" },
];

const RANGES: { name: string; label: string; step: number; unit: string }[] = [
  { name: "bpm", label: "Tempo", step: 1, unit: "BPM" },
  { name: "year", label: "Year", step: 1, unit: "" },
  { name: "duration", label: "Length", step: 1, unit: "s" },
];

function FilterSheet({ terms, set }: Omit<Props, "problem">) {
  const { data, error, busy } = useLoad("filters", (signal) => api.filters(signal));
  return (
    <div class="filter-sheet">
      <FreeTerm terms={terms} set={set} />
      {busy && !data && <Waiting rows={4} label="Loading values" />}
      {error && <p class="soft">The values could not be listed: {error.message} A filter can be typed above.</p>}
      {data && <Values name="genre" label="Genre" values={data} terms={terms} set={set} />}
      {RANGES.map((range) => <Range key={range.name} {...range} terms={terms} set={set} />)}
      <fieldset class="range">
        <legend>Loops</legend>
        {(["yes", "no"] as const).map((value) => (
          <label key={value}>
            <input type="checkbox" checked={terms.includes(`loop:${value}`)}
              onChange={() => set(terms.includes(`loop:${value}`)
                ? terms.filter((one) => one !== `loop:${value}`)
                : [...terms.filter((one) => !one.startsWith("loop:")), `loop:${value}`])} />
            {value === "yes" ? "Loops only" : "No loops"}
          </label>
        ))}
      </fieldset>
      {data && LISTS.map(({ key, label }) => (
        <Values key={key} name={key} label={label} values={data} terms={terms} set={set} />
      ))}
      <fieldset>
        <legend>Key, as a Camelot wheel</legend>
        <Wheel
          counts={Object.fromEntries((data?.key ?? []).map(({ value, count }) => [value, count]))}
          chosen={(place, minor) => has(terms, "key", atCamelot(place, minor))}
          act={(place, minor) => set(toggleValue(terms, "key", atCamelot(place, minor)))}
          label={(place, minor) => `${spoken(atCamelot(place, minor))}, ${place}${minor ? "A" : "B"}`}
          small
        />
      </fieldset>
    </div>
  );
}

function FreeTerm({ terms, set }: Omit<Props, "problem">) {
  const [text, type] = useState("");
  return (
    <form
      class="free-term"
      onSubmit={(event) => {
        event.preventDefault();
        const term = text.trim();
        if (term !== "" && !terms.includes(term)) set([...terms, term]);
        type("");
      }}
    >
      <input
        type="text"
        aria-label="A filter in words"
        placeholder="bpm:120..130, -genre:rock, key:~8A"
        value={text}
        onInput={(event) => type(event.currentTarget.value)}
      />
      <button type="submit" class="button" disabled={text.trim() === ""}>Add</button>
    </form>
  );
}

function Range({ name, label, step, unit, terms, set }: typeof RANGES[number] & Omit<Props, "problem">) {
    const at = terms.findIndex((term) => new RegExp(`^${name}:[\\d.]*\\.\\.[\\d.]*$`).test(term));
  const [low = "", high = ""] = at < 0 ? [] : terms[at].slice(name.length + 1).split("..");
  const put = (a: string, b: string) => {
    const others = terms.filter((_, i) => i !== at);
    set(a === "" && b === "" ? others : [...others, `${name}:${a}..${b}`]);
  };
  return (
    <fieldset class="range">
      <legend>{label}{unit && <span class="soft"> in {unit}</span>}</legend>
      <input type="number" step={step} min={0} aria-label={`${label} from`} placeholder="from" value={low}
        onChange={(event) => put(event.currentTarget.value, high)} />
      <span class="soft">to</span>
      <input type="number" step={step} min={0} aria-label={`${label} to`} placeholder="to" value={high}
        onChange={(event) => put(low, event.currentTarget.value)} />
    </fieldset>
  );
}

const SHOWN = 14;

function Values({ name, label, values, terms, set }: {
  name: string; label: string; values: FilterValues;
} & Omit<Props, "problem">) {
  const [all, showAll] = useState(false);
  const list = values[name];
  if (!list) return null;
  return (
    <fieldset>
      <legend>{label}</legend>
      <div class="values">
        {(all ? list : list.slice(0, SHOWN)).map(({ value, count }) => (
          <button
            key={value}
            type="button"
            class="value"
            aria-pressed={has(terms, name, value)}
            onClick={() => set(toggleValue(terms, name, value))}
          >
            {plain(value)}
            {count > 0 && <span class="soft">{number(count)}</span>}
          </button>
        ))}
        {list.length > SHOWN && (
          <button type="button" class="text-button" onClick={() => showAll(!all)}>
            {all ? "Fewer" : `${number(list.length - SHOWN)} more`}
            <Icon name={all ? "up" : "down"} size={14} />
          </button>
        )}
      </div>
    </fieldset>
  );
}
