// Songs that go on from songs: how many, how varied, and how far apart those of one
// artist are. All of it is in the address, so that the same list comes back.

import { useEffect, useState } from "preact/hooks";
import { api, type Radio } from "../api";
import { address, change, type Route } from "../route";
import { complain, say, useLoad } from "../store";
import { Filters } from "../ui/filters";
import { Icon } from "../ui/icon";
import { Empty, PageHead, Segments, Trouble, Waiting } from "../ui/parts";
import { Seeds, useSongName } from "../ui/picker";
import { Amount, ListTabs, ModelChoice, Notes, QueueHead, Setting } from "../ui/queue";
import { SongList } from "../ui/songs";
import { count, number } from "../words";

/** Songs that it goes on from, and songs of one, as many as the server takes. */
const SEEDS = 100;
const MOST = 1000;
const USUAL = { length: 25, minutes: 60, variety: 0.3 };
const LONGEST = 10_000;
const WIDEST = 50;

interface Wanted {
  like: string[];
  length: number | null;
  minutes: number | null;
  variety: number;
  artist: number;
  album: number;
  seed: number;
  filter: string[];
  model: string | null;
}

function read(query: URLSearchParams): Wanted {
  const whole = (name: string, most: number) => {
    const value = Number(query.get(name));
    return query.has(name) && Number.isInteger(value) && value >= 0 && value <= most ? value : null;
  };
  const variety = Number(query.get("variety") ?? USUAL.variety);
  const minutes = whole("minutes", LONGEST);
  return {
    like: query.getAll("like").slice(0, SEEDS),
    minutes: minutes || null,
    length: minutes ? null : whole("length", MOST) || USUAL.length,
    variety: variety >= 0 && variety <= 1 ? variety : USUAL.variety,
    artist: whole("artist", WIDEST) ?? 0,
    album: whole("album", WIDEST) ?? 0,
    seed: whole("seed", 2 ** 32) ?? 0,
    filter: query.getAll("filter"),
    model: query.get("model"),
  };
}

export function RadioPage({ route }: { route: Route }) {
  const wanted = read(route.query);
  const models = useLoad("models", async (signal) => (await api.models(signal)).rows);
  const { like, length, minutes, variety, artist, album, seed, filter, model } = wanted;
  const key = JSON.stringify(wanted);
  const { data, error, busy, reload } = useLoad<Radio>(like.length === 0 ? null : key, (signal) =>
    api.radio({
      like, variety, seed, filter, spacing: { artist, album },
      length: length ?? undefined, minutes: minutes ?? undefined, model: model ?? undefined,
    }, signal));

  return (
    <div class="queue-page">
      <ListTabs value="radio" />
      <PageHead title="Radio" note="Songs that go on from those you pick" />
      <section class="card asked" aria-label="What the radio plays">
        <Setting whole label="Goes on from">
          <Seeds ids={like} set={(ids) => change({ like: ids })} label="Songs that it goes on from" most={SEEDS} />
        </Setting>
        <Setting label="How long">
          <Segments<"songs" | "minutes">
            label="Measured in"
            value={minutes === null ? "songs" : "minutes"}
            options={[{ value: "songs", label: "Songs" }, { value: "minutes", label: "Minutes" }]}
            choose={(unit) => change(unit === "minutes" ? { length: null, minutes: USUAL.minutes } : { minutes: null })}
          />
          {minutes === null
            ? <Amount label="Songs" value={length} least={1} most={MOST} set={(value) => change({ length: value === USUAL.length ? null : value })} />
            : <Amount label="Minutes" value={minutes} least={1} most={LONGEST} set={(value) => change({ minutes: value })} />}
        </Setting>
        <Variety value={variety} />
        <Setting label="Spacing" hint="At least so many songs between two of one artist or album.">
          <Amount label="Songs between two of one artist" unit="artist" value={artist} least={0} most={WIDEST} set={(value) => change({ artist: value || null })} />
          <Amount label="Songs between two of one album" unit="album" value={album} least={0} most={WIDEST} set={(value) => change({ album: value || null })} />
        </Setting>
        <Setting label="Only">
          <Filters terms={filter} set={(terms) => change({ filter: terms })} problem={error} />
        </Setting>
        <ModelChoice models={models.data ?? []} value={model} set={(value) => change({ model: value })} />
      </section>
      {like.length === 0
        ? <Begin />
        : error
          ? error.status !== 400 || filter.length === 0 ? <Trouble problem={error} retry={reload} /> : null
          : data
            ? <Found radio={data} wanted={wanted} busy={busy} />
            : <Waiting label="Listening" />}
    </div>
  );
}

function Begin() {
  const [busy, setBusy] = useState(false);
  const anywhere = async () => {
    setBusy(true);
    try {
      const { total } = await api.songs({ limit: 1, offset: 0 });
      if (total === 0) return say("The library has no songs yet. Scan a folder first, under Machines.");
      const offset = Math.floor(Math.random() * total);
      const [card] = (await api.songs({ limit: 1, offset })).rows;
      if (card) change({ like: [card.id] }, false);
    } catch (error) {
      complain(error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Empty icon="radio" title="Pick a song to go on from">
      <p>
        Type its title or artist above, or press the radio button of a song in any list. Several songs
        together give what lies between them.
      </p>
      <button type="button" class="button" disabled={busy} onClick={() => void anywhere()}>Begin with any song</button>
    </Empty>
  );
}

function Variety({ value }: { value: number }) {
  // Where the handle is while it is moved.
  const [moved, move] = useState<number | null>(null);
  const at = moved ?? value;
  useEffect(() => {
    if (moved === null) return;
    // A handle that is still being moved asks for nothing.
    const timer = setTimeout(() => {
      move(null);
      change({ variety: moved === USUAL.variety ? null : String(moved) });
    }, 250);
    return () => clearTimeout(timer);
  }, [moved]);
  return (
    <Setting label="Variety">
      <input
        type="range"
        class="slider"
        aria-label="Variety"
        aria-valuetext={`${Math.round(100 * at)} percent: ${varied(at)}`}
        min={0}
        max={1}
        step={0.05}
        value={at}
        onInput={(event) => move(Number(event.currentTarget.value))}
      />
      <span class="soft varied">{varied(at)}</span>
    </Setting>
  );
}

function varied(variety: number): string {
  if (variety === 0) return "the most alike, in their order";
  return variety < 0.25 ? "close" : variety < 0.55 ? "some surprises" : variety < 0.85 ? "many surprises" : "far and wide";
}

function Found({ radio, wanted, busy }: { radio: Radio; wanted: Wanted; busy: boolean }) {
  const first = useSongName(wanted.like[0]);
  const { songs, notes, duration } = radio;
  const short = wanted.minutes === null ? songs.length < (wanted.length ?? 0) : duration < 60 * wanted.minutes;
  const more = wanted.like.length - 1;
  // Without chance every seed gives the same list.
  const fixed = wanted.variety === 0;
  return (
    <section class={`results ${busy ? "stale" : ""}`} aria-label="The radio">
      <QueueHead songs={songs} duration={duration} busy={busy} suggest={`Radio: ${first}${more > 0 ? ` and ${number(more)} more` : ""}`}>
        <button
          type="button"
          class="button"
          disabled={fixed || busy}
          title={fixed ? "With no variety it is always the same list" : "The same settings, drawn anew"}
          onClick={() => change({ seed: 1 + Math.floor(Math.random() * 2 ** 31) }, false)}
        >
          <Icon name="again" size={16} /> Another one
        </button>
      </QueueHead>
      <Notes
        title={short && songs.length > 0
          ? `Shorter than you asked: ${count(songs.length, "song")} ${wanted.minutes === null ? `of ${number(wanted.length ?? 0)}` : `for ${count(wanted.minutes, "minute")}`}`
          : undefined}
        notes={notes}
      >
        {short && songs.length > 0 && (
          <div class="line">
            {wanted.artist + wanted.album > 0 && (
              <button type="button" class="text-button" onClick={() => change({ artist: null, album: null })}>Without the spacing</button>
            )}
            {wanted.filter.length > 0 && (
              <button type="button" class="text-button" onClick={() => change({ filter: null })}>Without the filters</button>
            )}
          </div>
        )}
      </Notes>
      {songs.length === 0
        ? (
          <Empty icon="radio" title="No song goes on from there">
            <p>{wanted.filter.length > 0
              ? "No other song passes the filters. Take one away."
              : "The library has no other song with an embedding to compare with. Scan more music, then try again."}</p>
            {wanted.filter.length > 0
              ? <button type="button" class="button" onClick={() => change({ filter: null })}>Without the filters</button>
              : <a class="button" href={address(["machines", "jobs"])}>Scan a folder</a>}
          </Empty>
        )
        : (
          <SongList
            inOrder
            label="Songs of the radio, in their order"
            compare={wanted.like.length === 1 ? wanted.like[0] : null}
            rows={songs.map((card) => ({ card, similarity: card.similarity }))}
          />
        )}
    </section>
  );
}
