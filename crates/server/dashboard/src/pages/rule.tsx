// The rule of a smart playlist, with the songs that it gives before it is kept.

import { useState } from "preact/hooks";
import { api, type Card, type Playlist, Problem } from "../api";
import { address, change, go, type Route } from "../route";
import { asProblem, say, useLoad, useWritable } from "../store";
import { cardOf } from "../ui/card";
import { Filters } from "../ui/filters";
import { Empty, PageHead, Trouble, Waiting } from "../ui/parts";
import { Seeds } from "../ui/picker";
import { Amount, ListTabs, Notes, Setting } from "../ui/queue";
import { SongList } from "../ui/songs";
import { count, number, plain } from "../words";

/** Songs that a rule begins with, and songs that it gives, at the most. */
const SEEDS = 20;
const MOST = 10_000;
/** What a rule gives where it has songs to be like and no length. */
const USUAL = 25;
/** Songs of the list that is shown before the rule is kept. */
const SHOWN = 100;

interface Rule {
  filter: string[];
  like: string[];
  length: number | null;
}

export function RulePage({ id, route }: { id: string | null; route: Route }) {
  const writable = useWritable();
  // From the list, because a rule that cannot be followed has to be changed all the more.
  const lists = useLoad(id === null ? null : `rule of ${id}`, async (signal) => (await api.playlists(signal)).playlists);
  const playlist = lists.data?.find((one) => one.id === id);
  if (writable && (id === null || (playlist && (playlist.rule || playlist.songs === 0)))) {
    return <Editor playlist={playlist ?? null} query={route.query} />;
  }
  return (
    <div class="queue-page">
      <ListTabs value="playlists" />
      <PageHead title={id === null ? "New smart playlist" : "Edit the rule"} />
      {!writable
        ? (
          <Empty icon="lock" title="This server only reads">
            <p>Start it without <code>--read-only</code> to change what playlists hold.</p>
            <a class="button" href={address(id === null ? "playlists" : ["playlists", id])}>Back</a>
          </Empty>
        )
        : lists.error
          ? <Trouble problem={lists.error} retry={lists.reload} />
          : !lists.data
            ? <Waiting rows={6} />
            : playlist
              ? (
                <Empty icon="playlist" title="This playlist has songs of its own">
                  <p>A playlist has songs or a rule. Make another one for the rule.</p>
                  <a class="button" href={address(["playlists", "rule"])}>New smart playlist</a>
                </Empty>
              )
              : (
                <Empty icon="playlist" title="There is no such playlist">
                  <p>It may have been deleted, here or on another machine.</p>
                  <a class="button" href="#/playlists">All playlists</a>
                </Empty>
              )}
    </div>
  );
}

function Editor({ playlist, query }: { playlist: Playlist | null; query: URLSearchParams }) {
  const kept = playlist?.rule;
  // What is changed is in the address, so that a reload loses nothing.
  const edited = playlist === null || query.has("edited");
  const length = Number(query.get("length"));
  const rule: Rule = edited
    ? { filter: query.getAll("filter"), like: query.getAll("like").slice(0, SEEDS), length: length >= 1 && length <= MOST ? Math.floor(length) : null }
    : { filter: kept?.filter ?? [], like: (kept?.like ?? []).map((seed) => seed.song), length: kept?.length ?? null };
  const set = (part: Partial<Rule>) => change({ ...rule, ...part, edited: playlist !== null });
  const [name, setName] = useState(playlist?.name ?? "");
  const [busy, setBusy] = useState(false);
  const [failed, fail] = useState<Problem | null>(null);
  const says = rule.filter.length > 0 || rule.like.length > 0;
  const preview = usePreview(rule);
  const words = name.trim();
  const able = says && words !== "" && !busy && preview.error === undefined;
  const renamed = playlist !== null && words !== playlist.name;
  const back = address(playlist === null ? "playlists" : ["playlists", playlist.id]);

  const save = async () => {
    setBusy(true);
    fail(null);
    // Songs that are gone cannot be named again.
    const question = { filter: rule.filter, like: rule.like.filter((song) => !preview.gone.includes(song)), length: rule.length ?? undefined };
    try {
      const made = playlist === null
        ? await api.newSmartPlaylist(words, question)
        : await api.changePlaylist(playlist.id, { rule: question, name: renamed ? words : undefined }, playlist.version);
      say(`“${plain(made.name)}” follows ${playlist === null ? "its" : "the new"} rule.`, "good");
      go(address(["playlists", made.id]));
    } catch (error) {
      fail(asProblem(error));
      setBusy(false);
    }
  };

  return (
    <div class="queue-page">
      <ListTabs value="playlists" />
      <p><a class="back" href={back}>{playlist === null ? "All playlists" : plain(playlist.name)}</a></p>
      <PageHead title={playlist === null ? "New smart playlist" : "Edit the rule"} note="Its songs are worked out anew each time it is opened" />
      {/* No form, because the filters in it are one. */}
      <div class="stack">
        <section class="card asked" aria-label="The rule">
          <Setting whole label="Name">
            <input type="text" class="grow" aria-label="Name of the playlist" required maxLength={200} placeholder="Such as Late evening"
              value={name} onInput={(event) => setName(event.currentTarget.value)}
              onKeyDown={(event) => event.key === "Enter" && able && void save()} />
          </Setting>
          <Setting whole label="Only" hint={rule.filter.length === 0 ? "Every song passes." : undefined}>
            <Filters terms={rule.filter} set={(filter) => set({ filter })} problem={preview.error} />
          </Setting>
          <Setting whole label="Sounds like" hint={rule.like.length === 0 ? "Without songs here, all that pass are listed by title." : undefined}>
            <Seeds ids={rule.like} set={(like) => set({ like })} label="Songs that the others sound like" most={SEEDS} />
          </Setting>
          <Setting whole label="At most">
            <Amount label="Songs at the most" unit="songs" optional={rule.like.length > 0 ? String(USUAL) : "all"} value={rule.length} least={1} most={MOST}
              set={(length) => set({ length })} />
          </Setting>
          <div class="line rule-foot">
            <button type="button" class="button primary" disabled={!able} onClick={() => void save()}>
              {busy ? "Saving…" : playlist === null ? "Make the playlist" : "Save the rule"}
            </button>
            <a class="button" href={back}>Cancel</a>
            {!says && <span class="soft">A rule has a filter, or a song to sound like.</span>}
            {says && words === "" && <span class="soft">It needs a name.</span>}
          </div>
        </section>
        {failed && <Trouble problem={failed} />}
      </div>
      {says
        ? <Preview preview={preview} />
        : (
          <Empty icon="filter" title="The rule says nothing yet">
            <p>Add a filter, such as a genre and a range of tempo, or a song that the others should sound like. The list appears here before anything is kept.</p>
          </Empty>
        )}
    </div>
  );
}

interface Previewed {
  songs: Card[] | undefined;
  /** How many there are in all. */
  total: number;
  notes: string[];
  /** Ids of songs to be like that are no more. */
  gone: string[];
  error: Problem | undefined;
  busy: boolean;
  reload: () => void;
}

/** The songs that a rule gives, as the server works them out once it is kept. */
function usePreview({ filter, like, length }: Rule): Previewed {
  const says = filter.length > 0 || like.length > 0;
  const { data, error, busy, reload } = useLoad(says ? JSON.stringify([filter, like, length]) : null, async (signal) => {
    if (like.length === 0) {
      const most = length ?? MOST;
      const { rows, total } = await api.songs({ filter, sort: "title", limit: Math.min(SHOWN, most), offset: 0 }, signal);
      return { songs: rows, total: Math.min(total, most), notes: [], gone: [] };
    }
    const gone: string[] = [];
    const seeds = (await Promise.all(like.map((id) => api.song(id, signal).then(cardOf, (problem: unknown) => {
      if (!(problem instanceof Problem) || problem.status !== 404) throw problem;
      gone.push(id);
      return null;
    })))).filter((card) => card !== null);
    if (seeds.length === 0) return { songs: [], total: 0, notes: ["no song is left for others to be like"], gone };
    const most = length ?? USUAL;
    const first = seeds.slice(0, most);
    const k = Math.min(SHOWN, most) - first.length;
    const found = k > 0
      ? await api.ask({ like: seeds.map(({ id }) => ({ song: id })), k, filter }, signal)
      : null;
    const songs = [...first, ...(found?.results ?? [])];
    const notes = [...(found?.notes ?? []), ...(found?.shortfall ? [found.shortfall] : [])];
    return { songs, total: k > 0 && songs.length < first.length + k ? songs.length : most, notes, gone };
  });
  return {
    songs: data?.songs, total: data?.total ?? 0, notes: data?.notes ?? [], gone: data?.gone ?? [], error, busy, reload,
  };
}

function Preview({ preview }: { preview: Previewed }) {
  const { songs, total, error, busy, reload } = preview;
  if (error) return error.status === 400 ? null : <Trouble problem={error} retry={reload} />;
  if (!songs) return <Waiting label="Working out the list" />;
  const notes = preview.gone.length > 0
    ? [`${count(preview.gone.length, "song")} that it sounded like ${preview.gone.length === 1 ? "is" : "are"} gone, and left out when the rule is saved`, ...preview.notes]
    : preview.notes;
  return (
    <section class={`results ${busy ? "stale" : ""}`} aria-label="What the rule gives">
      <div class="queue-head">
        <p class="queue-facts" role="status">
          {busy ? "Working out the list…" : <><strong>{count(total, "song")}</strong><span class="soft"> now{total > songs.length ? `, of which the first ${number(songs.length)} are shown` : ""}</span></>}
        </p>
      </div>
      <Notes notes={notes} />
      {songs.length === 0
        ? (
          <Empty icon="filter" title="No song passes">
            <p>The rule can be kept all the same: songs that come later may pass. To see some now, take a filter away or make its range wider.</p>
          </Empty>
        )
        : <SongList inOrder label="Songs that the rule gives" rows={songs.map((card) => ({ card }))} />}
    </section>
  );
}
