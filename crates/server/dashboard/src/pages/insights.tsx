// The library as pictures: counts, clusters, what is unlike the rest, and what
// is there twice. Whatever is clicked becomes a filter.

import { useState } from "preact/hooks";
import { api, type Anomalies, type Cluster, type Duplicate, type Stats } from "../api";
import { ended, start } from "../jobs";
import { address, change, go, type Route } from "../route";
import { complain, say, useLoad, useStore, useWritable } from "../store";
import { Bars, Histogram, order, rangeOf, Shares, Wheel } from "../ui/charts";
import { Icon } from "../ui/icon";
import { Confirm, Dialog, Empty, IconButton, Meter, PageHead, Tabs, Trouble, Waiting } from "../ui/parts";
import { SongList } from "../ui/songs";
import { ago, atCamelot, count, fileName, filter, length, number, percent, plain, size, span, spoken } from "../words";

const TABS = [
  { value: "statistics", label: "Statistics" },
  { value: "clusters", label: "Clusters" },
  { value: "outliers", label: "Outliers" },
  { value: "duplicates", label: "Duplicates" },
];

export function Insights({ route }: { route: Route }) {
  const tab = route.rest[0] ?? "statistics";
  return (
    <div class="insights-page">
      <PageHead title="Insights" />
      <Tabs label="Insights" value={tab} tabs={TABS.map((one) => ({ ...one, href: address(["insights", one.value]) }))} />
      {tab === "clusters"
        ? route.rest[1] !== undefined ? <OneCluster key={route.rest[1]} name={route.rest[1]} /> : <Clusters />
        : tab === "outliers" ? <Outliers route={route} />
          : tab === "duplicates" ? <Duplicates route={route} />
            : <Statistics />}
    </div>
  );
}

const library = (...terms: string[]) => address("library", { filter: terms });

function Statistics() {
  const now = useStore(ended);
  const { data, error, reload } = useLoad(`stats ${now}`, (signal) => api.stats(signal));
  if (error) return <Trouble problem={error} retry={reload} />;
  if (!data) return <Waiting rows={8} />;
  if (data.total_songs === 0) {
    return (
      <Empty icon="insights" title="There is nothing to count yet">
        <p>Scan a folder of music or samples first.</p>
        <a class="button primary" href="#/machines/jobs">Scan a folder</a>
      </Empty>
    );
  }
  return <Pictures stats={data} />;
}

function bins(counts: Record<string, number>, href?: (label: string) => string | undefined) {
  return Object.entries(counts)
    .sort((a, b) => order(a[0]) - order(b[0]))
    .map(([label, count]) => ({ label: plain(label), count, href: href?.(label) }));
}

function Pictures({ stats }: { stats: Stats }) {
  const range = (key: string) => (label: string) => {
    const terms = rangeOf(label);
    return terms === null ? undefined : library(`${key}:${terms}`);
  };
  const warned = Object.values(stats.warnings).reduce((sum, count) => sum + count, 0);
  return (
    <>
      <dl class="tiles">
        <Tile value={number(stats.total_songs)} label="songs" href="#/library" />
        <Tile value={span(stats.total_duration)} label="of audio" />
        <Tile value={size(stats.total_size)} label="in files" />
        <Tile value={number(stats.artists)} label="artists" href={address("library", { sort: "artist" })} />
        <Tile value={number(stats.albums)} label="albums" href={address("library", { sort: "album" })} />
        <Tile value={number(stats.loops)} label="loops" href={library("loop:yes")} />
      </dl>
      <div class="pictures">
        <section class="card">
          <h2>Genres</h2>
          <Bars counts={stats.genres} colored label="Songs of each genre" href={(value) => library(filter("genre", value))} />
        </section>
        <section class="card">
          <h2>Keys</h2>
          <p class="soft">Neighbours on the wheel mix well: major outside, minor inside.</p>
          <Wheel
            counts={stats.keys}
            href={(place, minor) => library(filter("key", atCamelot(place, minor)))}
            label={(place, minor) => `${spoken(atCamelot(place, minor))}, ${place}${minor ? "A" : "B"}`}
          />
        </section>
        <section class="card">
          <h2>Tempo <span class="soft">BPM</span></h2>
          <Histogram label="Songs of each tempo" unit="BPM" bins={bins(stats.tempos, range("bpm"))} />
        </section>
        <section class="card">
          <h2>Loudness <span class="soft">LUFS</span></h2>
          <Histogram label="Songs of each loudness" unit="LUFS" bins={bins(stats.sound.loudness)} />
        </section>
        <section class="card">
          <h2>Length</h2>
          <Histogram label="Songs of each length" bins={bins(stats.lengths, range("duration"))} />
        </section>
        <section class="card">
          <h2>Instruments</h2>
          <Bars counts={stats.instruments} label="Songs of each instrument" href={(value) => library(filter("instrument", value))} />
        </section>
        <section class="card">
          <h2>Formats</h2>
          <Bars counts={stats.codecs} most={8} label="Songs of each codec" />
        </section>
        <section class="card">
          <h2>Health</h2>
          <ul class="health">
            <Health good={stats.without_audio === 0} text={stats.without_audio === 0 ? "Every song has its audio" : `${count(stats.without_audio, "song")} without audio`} />
            <Health good={stats.without_embedding === 0} text={stats.without_embedding === 0 ? "Every song can be compared" : `${count(stats.without_embedding, "song")} cannot be compared yet`} />
            <Health good={warned === 0} text={warned === 0 ? "No damaged audio" : `${count(warned, "song")} with warnings`} href={warned > 0 ? library("warning:*") : undefined} />
            <Health good={!stats.sound.near_duplicates} text={`${count(stats.sound.near_duplicates, "near duplicate")}${stats.sound.compared < stats.total_songs ? ` among ${number(stats.sound.compared)} songs` : ""}`} href="#/insights/duplicates" />
            <Health good={stats.sound.silent_start + stats.sound.silent_end === 0} text={`${number(stats.sound.silent_start)} begin and ${number(stats.sound.silent_end)} end with silence`} />
          </ul>
          <h3>Models</h3>
          <ul class="files">
            {stats.models.map((model) => (
              <li key={model.name}>
                <code>{plain(model.name)}</code>
                <Meter value={model.songs / Math.max(1, stats.total_songs)} label={`${percent(model.songs / Math.max(1, stats.total_songs))} of the songs`} />
                <span class="soft">{number(model.songs)}</span>
              </li>
            ))}
          </ul>
        </section>
      </div>
    </>
  );
}

function Tile({ value, label, href }: { value: string; label: string; href?: string }) {
  return (
    <div class="tile">
      <dt>{label}</dt>
      <dd>{href ? <a href={href}>{value}</a> : value}</dd>
    </div>
  );
}

function Health({ good, text, href }: { good: boolean; text: string; href?: string }) {
  return (
    <li class={good ? "good" : "doubtful"}>
      <Icon name={good ? "check" : "warning"} size={16} />
      {href ? <a href={href}>{text}</a> : text}
    </li>
  );
}

function Clusters() {
  const now = useStore(ended);
  const { data, error, reload } = useLoad(`clusters ${now}`, (signal) => api.clusters(signal));
  const [making, make] = useState(false);
  const writable = useWritable();
  const [deleting, ask] = useState(false);
  const remove = async () => {
    try {
      await api.removeClusters();
      say("The clusters are deleted; songs are as they were.", "good");
      reload();
    } catch (problem) {
      complain(problem);
    }
  };
  const none = error?.status === 404 || (data !== undefined && !Array.isArray(data.clusters));
  if (error && !none) return <Trouble problem={error} retry={reload} />;
  if (!data && !none) return <Waiting />;
  const ranks = ranked(data?.clusters ?? []);
  const again = writable && (
    <button type="button" class="button" onClick={() => make(true)}>
      <Icon name="sync" size={16} /> {none ? "Make clusters" : "Make them again"}
    </button>
  );
  return (
    <>
      {none
        ? (
          <Empty icon="insights" title="There are no clusters yet">
            <p>Clusters group songs that sound alike. Making them takes seconds for thousands of songs.</p>
            {again || <p class="soft">This server only reads. Run <code>songrec cluster</code> where the library is.</p>}
          </Empty>
        )
        : (
          <>
            <div class="line">
              <p class="soft">
                {count(data!.clusters.length, "cluster")} by {plain(data!.method)} and {plain(data!.model)}, made {ago(data!.made_at)}
                {data!.silhouette !== null && `, silhouette ${data!.silhouette.toFixed(2)}`}
                {data!.noise > 0 && `, ${count(data!.noise, "song")} in none`}
              </p>
              <span class="line">
                {again}
                {writable && <IconButton icon="trash" label="Delete the clusters" act={() => ask(true)} />}
              </span>
            </div>
            <ul class="clusters">
              {[...data!.clusters].sort((a, b) => b.size - a.size).map((cluster) => (
                <ClusterCard key={cluster.cluster_id} cluster={cluster} total={data!.songs} ranks={ranks} />
              ))}
            </ul>
          </>
        )}
      {making && <MakeClusters close={() => make(false)} />}
      {deleting && (
        <Confirm title="Delete the clusters?" label="Delete" act={() => void remove()} close={() => ask(false)}>
          <p>Their names go, too, and rules of playlists that name one find no song. Songs stay as they are; clusters can be made again.</p>
        </Confirm>
      )}
    </>
  );
}

// Genres from the commonest in all clusters, which is the order of their colours.
function ranked(clusters: Cluster[]): Map<string, number> {
  const all = new Map<string, number>();
  for (const { genres } of clusters) {
    for (const [genre, count] of Object.entries(genres)) all.set(genre, (all.get(genre) ?? 0) + count);
  }
  return new Map([...all].sort((a, b) => b[1] - a[1]).map(([genre], i) => [genre, i]));
}

function ClusterCard({ cluster, total, ranks }: { cluster: Cluster; total: number; ranks: Map<string, number> }) {
  return (
    <li class="card cluster">
      <h2><a href={address(["insights", "clusters", String(cluster.cluster_id)])} dir="auto">{plain(cluster.name)}</a></h2>
      <p class="cluster-size"><strong>{number(cluster.size)}</strong> <span class="soft">songs, {percent(cluster.size / Math.max(1, total))}</span></p>
      <Shares counts={cluster.genres} total={cluster.size} label="Genres" ranks={ranks} />
      <p class="soft ellipsis">{Object.entries(cluster.genres).sort((a, b) => b[1] - a[1]).slice(0, 3).map(([genre]) => plain(genre)).join(", ")}</p>
      <dl class="mini">
        {cluster.purity !== null && <div><dt>one genre</dt><dd>{percent(cluster.purity)}</dd></div>}
        <div><dt>tight</dt><dd>{percent(Math.max(0, cluster.tightness))}</dd></div>
      </dl>
      <div class="line">
        <a class="text-button" href={library(`cluster:${cluster.cluster_id}`)}>Songs</a>
        <a class="text-button" href={address("map", { color: "cluster", only: String(cluster.name) })}>On the map</a>
      </div>
    </li>
  );
}

function OneCluster({ name }: { name: string }) {
  const { data, error, reload } = useLoad(`cluster ${name}`, (signal) => api.cluster(name, signal));
  const writable = useWritable();
  const [typed, type] = useState<string | null>(null);
  if (error) return <Trouble problem={error} retry={reload} />;
  if (!data) return <Waiting />;
  const rename = async (event: Event) => {
    event.preventDefault();
    try {
      await api.renameCluster(data.cluster_id, typed!.trim());
      say(`The cluster is called “${plain(typed!.trim())}” now, on every machine that syncs.`, "good");
      type(null);
      reload();
    } catch (problem) {
      complain(problem);
    }
  };
  return (
    <>
      <p><a href="#/insights/clusters" class="back"><Icon name="left" size={16} /> All clusters</a></p>
      <div class="line">
        {typed === null
          ? <h2 class="large" dir="auto">{plain(data.name)} {writable && <IconButton icon="edit" label="Rename the cluster" small act={() => type(data.name)} />}</h2>
          : (
            <form class="line" onSubmit={rename}>
              <input type="text" aria-label="Name of the cluster" autofocus value={typed} onInput={(event) => type(event.currentTarget.value)} />
              <button type="submit" class="button primary" disabled={typed.trim() === ""}>Rename</button>
              <button type="button" class="button" onClick={() => type(null)}>Keep</button>
            </form>
          )}
        <a class="button" href={library(`cluster:${data.cluster_id}`)}>In the library</a>
      </div>
      <div class="pictures two">
        <section class="card">
          <h2>Genres</h2>
          <Bars counts={data.genres} colored label="Genres of the cluster" href={(value) => library(`cluster:${data.cluster_id}`, filter("genre", value))} />
        </section>
        <section class="card">
          <h2>Most typical songs <span class="soft">of {number(data.size)}</span></h2>
          <SongList label="Songs of the cluster" rows={(data.songs ?? []).slice(0, 30).map((card) => ({ card }))} />
        </section>
      </div>
    </>
  );
}

function MakeClusters({ close }: { close: () => void }) {
  const [method, choose] = useState("kmeans");
  const [k, setK] = useState("12");
  const run = async (event: Event) => {
    event.preventDefault();
    const job = await start("cluster", method === "kmeans" ? { method, k: Number(k) } : { method });
    if (job) {
      close();
      go(address(["machines", "jobs"], { job: job.id }));
    }
  };
  return (
    <Dialog title="Make clusters" close={close}>
      <form class="stack" onSubmit={run}>
        <label class="field">
          <span>Method</span>
          <select value={method} onChange={(event) => choose(event.currentTarget.value)}>
            <option value="kmeans">k-means: every song in one of k groups</option>
            <option value="dbscan">DBSCAN: dense groups, the rest in none</option>
            <option value="hdbscan">HDBSCAN: groups of different density</option>
          </select>
        </label>
        {method === "kmeans" && (
          <label class="field">
            <span>How many</span>
            <input type="number" min={2} max={500} value={k} onInput={(event) => setK(event.currentTarget.value)} />
          </label>
        )}
        <p class="soft">Names given by hand stay with the groups that they fit.</p>
        <div class="dialog-foot"><button type="submit" class="button primary">Make them</button></div>
      </form>
    </Dialog>
  );
}

function Outliers({ route }: { route: Route }) {
  const method = route.query.get("method") ?? "forest";
  const contamination = Number(route.query.get("contamination") ?? "0.05");
  const now = useStore(ended);
  const { data, error, busy, reload } = useLoad<Anomalies>(`anomalies ${method} ${contamination} ${now}`, (signal) =>
    api.anomalies({ method, contamination, limit: 200 }, signal));
  const writable = useWritable();
  const missing = error?.code === "not_computed" || error?.status === 404;
  const compute = () => start("anomalies", { method, contamination });
  return (
    <>
      <div class="line">
        <p class="soft">
          {data ? `${number(data.anomalies)} of ${number(data.songs)} songs are unlike the others, by ${plain(data.model)}.` : "Songs that are like no others."}
        </p>
        <label class="inline">
          <span class="soft">At most</span>
          <select value={String(contamination)} onChange={(event) => change({ contamination: event.currentTarget.value })}>
            {[0.01, 0.02, 0.05, 0.1].map((share) => <option key={share} value={String(share)}>{percent(share)} of the songs</option>)}
          </select>
        </label>
      </div>
      {error && !missing && <Trouble problem={error} retry={reload} />}
      {missing && (
        <Empty icon="target" title="Outliers were not looked for yet">
          <p>{error.tip ?? "It takes some seconds for each 10,000 songs."}</p>
          {writable && <button type="button" class="button primary" onClick={() => void compute()}>Look for them</button>}
        </Empty>
      )}
      {busy && !data && !error && <Waiting label="Looking for outliers" />}
      {data && data.results.length === 0 && (
        <Empty icon="check" title="No song stands out"><p>Allow a larger share to see the least typical ones.</p></Empty>
      )}
      {data && data.results.length > 0 && (
        <>
          <Strip results={data.results} />
          <section class="card">
            <SongList
              label="Outliers, the strangest first"
              rows={data.results.map((one) => ({ card: one, note: one.reasons.map(plain).join("; ") }))}
            />
          </section>
        </>
      )}
    </>
  );
}

// How far out each is, as marks on a line; each is the way to its song.
function Strip({ results }: { results: Anomalies["results"] }) {
  const low = Math.min(...results.map((one) => one.score));
  const high = Math.max(...results.map((one) => one.score));
  return (
    <section class="card">
      <h2>How far out <span class="soft">left: strangest</span></h2>
      <div class="strip">
        {results.map((one) => (
          <a
            key={one.id}
            href={address(["song", one.id])}
            tabIndex={-1}
            style={{ left: `${2 + 96 * ((one.score - low) / (high - low || 1))}%` }}
            title={`${plain(one.title)}: ${one.score.toFixed(3)}`}
            aria-label={`${plain(one.title)}, score ${one.score.toFixed(3)}`}
          />
        ))}
      </div>
    </section>
  );
}

function Duplicates({ route }: { route: Route }) {
  const near = route.query.get("near");
  const { data, error, busy, reload } = useLoad(`duplicates ${near}`, (signal) =>
    api.duplicates(near === null ? null : Number(near), signal));
  return (
    <>
      <div class="line">
        <p class="soft">{near === null ? "The same recording in several files." : "Different recordings that sound almost the same."}</p>
        <label class="inline">
          <span class="soft">Show</span>
          <select value={near ?? ""} onChange={(event) => change({ near: event.currentTarget.value || null })}>
            <option value="">the same recording</option>
            <option value="0.99">likeness of 0.99 and more</option>
            <option value="0.97">likeness of 0.97 and more</option>
            <option value="0.95">likeness of 0.95 and more</option>
          </select>
        </label>
      </div>
      {error && <Trouble problem={error} retry={reload} />}
      {busy && !data && <Waiting />}
      {data && data.rows.length === 0 && (
        <Empty icon="check" title="Nothing is there twice">
          <p>{near === null ? "Look for near duplicates too: other encodings, edits and masters." : "Lower the likeness to see more."}</p>
        </Empty>
      )}
      <ul class="stack plain-list">
        {data?.rows.map((one) => <Twice key={"files" in one ? one.id : one.songs[0]?.id} one={one} />)}
      </ul>
    </>
  );
}

function Twice({ one }: { one: Duplicate }) {
  if ("files" in one) {
    return (
      <li class="card">
        <h2><a href={address(["song", one.id])} dir="auto">{plain(one.title)}</a> <span class="soft">{size(one.wasted)} could be freed</span></h2>
        <ul class="files">
          {one.files.map((file) => (
            <li key={file.path}>
              <Icon name="file" size={16} />
              <span class="path" dir="auto">{plain(file.path)}</span>
              <span class="soft">{size(file.size)}{file.identical ? " · the same bytes" : ""}</span>
            </li>
          ))}
        </ul>
      </li>
    );
  }
  return (
    <li class="card">
      <h2>{count(one.songs.length, "song")} <span class="soft">likeness {one.similarity.toFixed(3)}</span></h2>
      <SongList
        label="Near duplicates"
        rows={one.songs.map((card) => ({ card, note: `${fileName(card.path)} · ${length(card.duration)} · ${size(card.size)}` }))}
      />
    </li>
  );
}

