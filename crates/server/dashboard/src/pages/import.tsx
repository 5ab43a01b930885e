// A playlist of another player: what of it the library has is said before anything
// is made.

import { useState } from "preact/hooks";
import { api, type Imported, type Problem } from "../api";
import { address, go } from "../route";
import { ENDINGS, playlistFile } from "../sound";
import { asProblem, say, Store, useLoad, useStore, useWritable } from "../store";
import { Drop } from "../ui/drop";
import { Icon } from "../ui/icon";
import { Empty, IconButton, PageHead, Trouble, Waiting } from "../ui/parts";
import { ListTabs, Setting } from "../ui/queue";
import { count, number, plain } from "../words";

/** Lines that were not found, before somebody asks for all. */
const SHOWN = 100;

// A file cannot be in the address; it lasts as long as the page.
const chosen = new Store<File | null>(null);

/** Takes a playlist in that was dropped on another page. */
export function bringPlaylist(file: File): void {
  chosen.set(file);
  go(address(["playlists", "import"]));
}

export function ImportPage() {
  const file = useStore(chosen);
  const writable = useWritable();
  const take = (taken: File) => {
    if (playlistFile([taken])) chosen.set(taken);
    else say(`“${plain(taken.name)}” is no playlist: its name should end in ${ENDINGS.slice(0, -1).join(", ")} or ${ENDINGS[ENDINGS.length - 1]}.`, "bad");
  };
  return (
    <div class="queue-page">
      <ListTabs value="playlists" />
      <p><a class="back" href="#/playlists">All playlists</a></p>
      <PageHead title="Import a playlist" note="Written by another player, or by songrec elsewhere" />
      {!writable
        ? (
          <Empty icon="lock" title="This server only reads">
            <p>Run <code>songrec playlist import FILE</code> where the library is, or start the server without <code>--read-only</code>.</p>
          </Empty>
        )
        : file === null
          ? (
            <Drop take={take} accept={ENDINGS.join(",")} label="Playlist file" pick={(files) => playlistFile(files) ?? files?.[0] ?? null}>
              <strong>Drop a playlist here</strong>
              <p class="soft">M3U, M3U8, XSPF or JSPF, up to 8 MiB. Nothing is made before you have seen which songs were found.</p>
            </Drop>
          )
          : <Import key={`${file.name} ${file.size} ${file.lastModified}`} file={file} />}
    </div>
  );
}

interface Folder {
  from: string;
  to: string;
}

const whole = ({ from, to }: Folder) => from.trim() !== "" && to.trim() !== "";

function Import({ file }: { file: File }) {
  const [name, setName] = useState("");
  const [folders, setFolders] = useState<Folder[]>([]);
  const [beside, setBeside] = useState("");
  const [busy, setBusy] = useState(false);
  const [failed, fail] = useState<Problem | null>(null);
  const question = {
    map: folders.filter(whole).map(({ from, to }) => `${from.trim()}=${to.trim()}`),
    relative_to: beside.trim(),
  };
  const key = JSON.stringify(question);
  const { data, error, busy: looking, reload } = useLoad<Imported>(key, async (signal) => {
    // A folder that is still being typed is not asked for at each letter.
    await new Promise((resolve) => setTimeout(resolve, folders.length > 0 || beside !== "" ? 400 : 0));
    signal.throwIfAborted();
    return api.importPlaylist(file, { ...question, dry_run: true }, signal);
  });
  const make = async () => {
    setBusy(true);
    fail(null);
    try {
      const { playlist, matched } = await api.importPlaylist(file, { ...question, name: name.trim(), dry_run: false });
      if (playlist === null) return reload();
      chosen.set(null);
      say(`“${plain(playlist.name)}” has ${count(matched, "song")} now.`, "good");
      go(address(["playlists", playlist.id]));
    } catch (problem) {
      fail(asProblem(problem));
    } finally {
      setBusy(false);
    }
  };
  const set = (at: number, change: Partial<Folder>) =>
    setFolders(folders.map((folder, i) => (i === at ? { ...folder, ...change } : folder)));

  return (
    <form class="stack" onSubmit={(event) => {
      event.preventDefault();
      if (data && data.matched > 0 && !busy && !looking) void make();
    }}>
      <section class="card asked" aria-label="The file">
        <div class="line import-file">
          <Icon name="file" size={20} />
          <strong dir="auto">{plain(file.name)}</strong>
          <span class="spacer" />
          <button type="button" class="text-button" onClick={() => chosen.set(null)}>Another file</button>
        </div>
        <Setting whole label="Name">
          <input type="text" class="grow" aria-label="Name of the playlist" maxLength={200} value={name}
            placeholder="As the file calls it" onInput={(event) => setName(event.currentTarget.value)} />
        </Setting>
        <Setting whole label="Folders" hint="Where the music is for that player, and where it is for the server, such as M:\Music and /home/me/music.">
          <div class="folders" onKeyDown={(event) => {
            // Who ends a folder by Enter wants to see what is found now.
            if (event.key === "Enter" && event.target instanceof HTMLInputElement) event.preventDefault();
          }}>
            {folders.map((folder, i) => (
              <div class="folder" key={i}>
                <input type="text" aria-label={`Folder ${i + 1} as the file has it`} placeholder="M:\Music" value={folder.from}
                  onInput={(event) => set(i, { from: event.currentTarget.value })} />
                <span class="soft" aria-hidden="true">is</span>
                <input type="text" aria-label={`Folder ${i + 1} as the server has it`} placeholder="/home/me/music" value={folder.to}
                  onInput={(event) => set(i, { to: event.currentTarget.value })} />
                <IconButton icon="close" small label={`Take folder ${i + 1} away`} act={() => setFolders(folders.filter((_, j) => j !== i))} />
              </div>
            ))}
            <button type="button" class="button quiet" onClick={() => setFolders([...folders, { from: commonFolder(data) ?? "", to: "" }])}>
              <Icon name="plus" size={16} /> A folder
            </button>
          </div>
        </Setting>
        <details class="more-settings">
          <summary>Paths without a folder</summary>
          <Setting whole label="Begin in" hint="Where relative paths of the file begin on the server.">
            <input type="text" class="grow" aria-label="Folder that relative paths begin in" placeholder="/" value={beside}
              onInput={(event) => setBeside(event.currentTarget.value)} />
          </Setting>
        </details>
      </section>
      {failed && <Trouble problem={failed} />}
      {error
        ? <Trouble problem={error} retry={reload} />
        : data
          ? <Preview found={data} looking={looking} busy={busy} />
          : <Waiting rows={4} label="Looking for its songs" />}
    </form>
  );
}

/** The folder that all paths which were not found have in common. */
function commonFolder(found: Imported | undefined): string | null {
  const paths = (found?.unmatched ?? []).flatMap(({ location }) => (location ? [location.replace(/^file:\/\/(localhost)?/, "")] : []));
  if (paths.length === 0) return null;
  const parts = paths.map((path) => path.split(/(?<=[\\/])/).slice(0, -1));
  const same = parts[0].findIndex((part, i) => parts.some((other) => other[i] !== part));
  const folder = parts[0].slice(0, same < 0 ? undefined : same).join("").replace(/[\\/]+$/, "");
  return folder === "" ? null : folder;
}

const HOW: Record<string, string> = {
  id: "by its mark", path: "by path", hash: "by content", file_name: "by file name", title: "by title and artist",
};

function Preview({ found, looking, busy }: { found: Imported; looking: boolean; busy: boolean }) {
  const [all, showAll] = useState(false);
  const { matched, unmatched } = found;
  const total = matched + unmatched.length;
  const how = Object.entries(found.matched_by).map(([by, songs]) => `${number(songs)} ${HOW[by] ?? by}`).join(", ");
  if (total === 0) {
    return (
      <Empty icon="playlist" title="The file lists no songs">
        <p>It may be empty, or of another form than its name says. Write it again with its player.</p>
      </Empty>
    );
  }
  return (
    <section class={`results ${looking ? "stale" : ""}`} aria-label="What was found">
      <div class="queue-head">
        <p class="queue-facts" role="status">
          {looking ? "Looking…" : <><strong>{number(matched)} of {count(total, "song")} found</strong>{how !== "" && <span class="soft"> · {how}</span>}</>}
        </p>
        <button type="submit" class="button primary" disabled={matched === 0 || busy || looking}>
          {busy ? "Making it…" : matched === 0 ? "Make the playlist" : `Make a playlist of ${count(matched, "song")}`}
        </button>
      </div>
      {matched === 0 && (
        <p class="notice"><Icon name="info" size={16} /> No song was found. If the music is in another folder for that player, say which above; else scan it first.</p>
      )}
      {unmatched.length === 0
        ? <p class="notice good"><Icon name="check" size={16} /> Every song of the file is in the library.</p>
        : (
          <>
            <h2 class="unmatched-head">{count(unmatched.length, "line")} not found <span class="soft">left out of the playlist</span></h2>
            <ul class="card files unmatched" aria-label="Lines that were not found">
              {(all ? unmatched : unmatched.slice(0, SHOWN)).map((line) => (
                <li key={line.position}>
                  <span class="place soft">{line.position}</span>
                  <span class="song-name">
                    <strong dir="auto">{plain(line.title ?? "") || plain(line.location ?? "") || "Without a name"}</strong>
                    {line.title && line.location && <span class="soft path" dir="auto">{plain(line.location)}</span>}
                    <span class="why-not">{plain(line.why)}</span>
                  </span>
                </li>
              ))}
            </ul>
            {unmatched.length > SHOWN && !all && (
              <button type="button" class="button more" onClick={() => showAll(true)}>All {number(unmatched.length)}</button>
            )}
          </>
        )}
    </section>
  );
}
