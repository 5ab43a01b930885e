// Songs that lead from one song to another, step by step.

import { api, type Way } from "../api";
import { change, type Route } from "../route";
import { useLoad } from "../store";
import { Filters } from "../ui/filters";
import { Icon } from "../ui/icon";
import { Empty, IconButton, PageHead, Trouble, Waiting } from "../ui/parts";
import { OneSong } from "../ui/picker";
import { Amount, ListTabs, ModelChoice, Notes, QueueHead, Setting } from "../ui/queue";
import { SongList } from "../ui/songs";
import { Tempo } from "../ui/tempo";
import { camelot, plain } from "../words";

const USUAL = 10;
const [LEAST, MOST] = [2, 100];

export function PathPage({ route }: { route: Route }) {
  const { query } = route;
  const [a, b] = [query.get("a"), query.get("b")];
  const filter = query.getAll("filter");
  const mix = query.has("mix");
  const model = query.get("model");
  const asked = Number(query.get("length") ?? USUAL);
  const length = Number.isInteger(asked) && asked >= LEAST && asked <= MOST ? asked : USUAL;
  const models = useLoad("models", async (signal) => (await api.models(signal)).rows);
  const complete = a !== null && b !== null && a !== b;
  const key = JSON.stringify([a, b, filter, mix, model, length]);
  const { data, error, busy, reload } = useLoad<Way>(complete ? key : null, (signal) =>
    api.way({ a: a!, b: b!, length, mix, filter, model: model ?? undefined }, signal));

  return (
    <div class="queue-page">
      <ListTabs value="path" />
      <PageHead title="Path" note="From one song to another in even steps of sound" />
      <section class="card asked" aria-label="Which path">
        <div class="ends">
          <OneSong id={a} set={(id) => change({ a: id })} label="From" placeholder="The first song" />
          <IconButton icon="swap" label="Turn the path round" disabled={a === null && b === null} act={() => change({ a: b, b: a })} />
          <OneSong id={b} set={(id) => change({ b: id })} label="To" placeholder="The last song" />
        </div>
        <Setting label="How long">
          <Amount label="Songs, with both ends" unit="songs, with both ends" value={length} least={LEAST} most={MOST}
            set={(value) => change({ length: value === USUAL ? null : value })} />
        </Setting>
        <Setting label="For mixing" hint="Keys beside each other on the Camelot wheel, tempos within 6 %.">
          <label class="switch">
            <input type="checkbox" checked={mix} onChange={(event) => change({ mix: event.currentTarget.checked })} />
            Each song can be mixed with the next
          </label>
        </Setting>
        <Setting label="Only">
          <Filters terms={filter} set={(terms) => change({ filter: terms })} problem={error} />
        </Setting>
        <ModelChoice models={models.data ?? []} value={model} set={(value) => change({ model: value })} />
      </section>
      {!complete
        ? (
          <Empty icon="path" title={a !== null && a === b ? "Both ends are the same song" : "Pick two songs"}>
            <p>{a !== null && a === b
              ? "A path leads to another song: take one of the ends away and pick a different one."
              : "Type their titles above, or press “Path to…” on a song’s page. The songs between them change little by little."}</p>
          </Empty>
        )
        : error
          ? error.status !== 400 || filter.length === 0 ? <Trouble problem={error} retry={reload} /> : null
          : data
            ? <Found way={data} length={length} mix={mix} busy={busy} filtered={filter.length > 0} />
            : <Waiting label="Looking for songs between them" />}
    </div>
  );
}

function Found({ way, length, mix, busy, filtered }: {
  way: Way;
  length: number;
  mix: boolean;
  busy: boolean;
  filtered: boolean;
}) {
  const { songs, notes } = way;
  const short = songs.length < length;
  return (
    <section class={`results ${busy ? "stale" : ""}`} aria-label="The path">
      <QueueHead songs={songs} duration={way.duration} busy={busy} suggest={songs.length > 0 ? `${plain(songs[0].title)} to ${plain(songs[songs.length - 1].title)}` : ""} />
      <Notes title={short ? `Shorter than you asked: ${songs.length} of ${length} songs` : undefined} notes={notes}>
        {short && (
          <div class="line">
            {mix && <button type="button" class="text-button" onClick={() => change({ mix: null })}>Without the rules for mixing</button>}
            {filtered && <button type="button" class="text-button" onClick={() => change({ filter: null })}>Without the filters</button>}
          </div>
        )}
      </Notes>
      <Tempo songs={songs} />
      <SongList
        inOrder
        label="Songs of the path, in their order"
        rows={songs.map((card, i) => ({ card, note: i === 0 ? undefined : <Step from={songs[i - 1]} to={card} strict={mix} /> }))}
      />
    </section>
  );
}

type Stop = Way["songs"][number];

/** How a song follows the one before, for who mixes them. */
function Step({ from, to, strict }: { from: Stop; to: Stop; strict: boolean }) {
  const keys = from.key && to.key ? `${camelot(from.key)} → ${camelot(to.key)}` : "";
  const change = from.bpm && to.bpm ? 100 * (to.bpm / from.bpm - 1) : null;
  const tempo = change === null ? "" : `${change < 0 ? "−" : "+"}${Math.abs(change).toFixed(1)} % tempo`;
  const unknown = keys === "" ? (tempo === "" ? "key and tempo are not known" : "a key is not known") : tempo === "" ? "a tempo is not known" : "";
  const facts = [keys, tempo, unknown].filter(Boolean).join(", ");
  return (
    <span class={`step ${to.mixes ? "mixes" : strict ? "clashes" : ""}`}>
      <Icon name={to.mixes ? "check" : strict ? "warning" : "right"} size={13} />
      {to.mixes ? "mixes: " : strict ? "does not mix: " : ""}{facts}
    </span>
  );
}
