// Songs on their way into a playlist.

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { api, type Playlist } from "../api";
import { address, go } from "../route";
import { complain, say, useLoad } from "../store";
import { count, plain } from "../words";
import { Icon } from "./icon";
import { Dialog, IconButton, Trouble, Waiting } from "./parts";

/** Songs of one request. */
const AT_ONCE = 1000;

async function add(to: Playlist | string, songs: string[]): Promise<Playlist> {
  const isNew = typeof to === "string";
  let list = isNew ? await api.newPlaylist(to, songs.slice(0, AT_ONCE)) : to;
  for (let at = isNew ? AT_ONCE : 0; at < songs.length; at += AT_ONCE) {
    list = await api.addToPlaylist(list.id, songs.slice(at, at + AT_ONCE));
  }
  return list;
}

// A rule gives the songs of the others.
function addable(lists: Playlist[] = []): Playlist[] {
  return lists.filter((one) => !one.rule);
}

function called(lists: Playlist[], name: string): Playlist | undefined {
  return lists.find((one) => plain(one.name).toLowerCase() === name.toLowerCase());
}

// The name, or the first with a number that no playlist has.
function free(lists: Playlist[], name: string): string {
  for (let n = 1; ; n++) {
    const wanted = n === 1 ? name : `${name} ${n}`;
    if (!called(lists, wanted)) return wanted;
  }
}

/** Asks which playlist songs go into: one of those that are there, or a new one. */
export function AddToPlaylist({ songs, suggest = "", close }: {
  songs: string[];
  /** How a new one would be called. */
  suggest?: string;
  close: () => void;
}) {
  const { data, error, reload } = useLoad("playlists", (signal) => api.playlists(signal));
  const [typed, type] = useState(suggest);
  const [busy, setBusy] = useState(false);
  const box = useRef<HTMLInputElement>(null);
  // Who keeps a second list of one kind does not mean to make the first one longer.
  useLayoutEffect(() => {
    if (!data || suggest === "" || typed !== suggest) return;
    type(free(data.playlists, suggest));
    requestAnimationFrame(() => box.current?.select());
  }, [data]);
  useLayoutEffect(() => {
    box.current?.focus();
    box.current?.select();
  }, [data === undefined]);
  const words = typed.trim();
  const lists = addable(data?.playlists);
  const fits = lists.filter((one) => plain(one.name).toLowerCase().includes(words.toLowerCase()));
  const same = called(fits, words);
  const submit = async () => {
    if (words === "" || busy) return;
    try {
      // Who types faster than lists load means the one that is there all the same.
      await choose(called(addable(data?.playlists ?? (await api.playlists()).playlists), words) ?? words);
    } catch (problem) {
      complain(problem);
    }
  };
  const choose = async (to: Playlist | string) => {
    setBusy(true);
    try {
      const list = await add(to, songs);
      say(`${count(songs.length, "song")} added to “${plain(list.name)}”.`, "good", {
        label: "Show",
        run: () => go(address(["playlists", list.id])),
      });
      close();
    } catch (problem) {
      complain(problem);
      setBusy(false);
    }
  };
  return (
    <Dialog title={`Add ${count(songs.length, "song")} to a playlist`} close={close}>
      <form class="stack" onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}>
        <div class="line">
          <input
            ref={box}
            type="text"
            class="grow"
            aria-label="Name of a playlist"
            placeholder="A playlist, or a new name"
            maxLength={200}
            value={typed}
            onInput={(event) => type(event.currentTarget.value)}
          />
          <button type="submit" class="button primary" disabled={words === "" || busy}>
            {same ? "Add" : <><Icon name="plus" size={16} /> New</>}
          </button>
        </div>
        {error && <Trouble problem={error} retry={reload} compact />}
        {!data && !error && <Waiting rows={3} />}
        {data && lists.length === 0 && <p class="soft">There is no playlist yet; a name makes the first one.</p>}
        {fits.length > 0 && (
          <ul class="plain-list choices" aria-label="Playlists">
            {fits.map((one) => (
              <li key={one.id}>
                <button type="button" disabled={busy} onClick={() => void choose(one)}>
                  <span dir="auto">{plain(one.name)}</span>
                  <span class="soft">{count(one.songs ?? 0, "song")}</span>
                </button>
              </li>
            ))}
          </ul>
        )}
      </form>
    </Dialog>
  );
}

/** A small button that adds one song. */
export function AddButton({ song, title }: { song: string; title: string }) {
  const [asking, ask] = useState(false);
  return (
    <>
      <IconButton icon="addto" label={`Add ${plain(title)} to a playlist`} small act={() => ask(true)} />
      {asking && <AddToPlaylist songs={[song]} close={() => ask(false)} />}
    </>
  );
}

export function PlaylistName({ title, label, value = "", act, close }: {
  title: string;
  label: string;
  value?: string;
  act: (name: string) => void;
  close: () => void;
}) {
  const [typed, type] = useState(value);
  const box = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => {
    box.current!.focus();
    box.current!.select();
  }, []);
  return (
    <Dialog title={title} close={close}>
      <form onSubmit={(event) => {
        event.preventDefault();
        if (typed.trim() === "") return;
        close();
        act(typed.trim());
      }}>
        <label class="field">
          <span>Name</span>
          <input ref={box} type="text" maxLength={200} value={typed} onInput={(event) => type(event.currentTarget.value)} />
        </label>
        <div class="dialog-foot">
          <button type="button" class="button" onClick={close}>Cancel</button>
          <button type="submit" class="button primary" disabled={typed.trim() === ""}>{label}</button>
        </div>
      </form>
    </Dialog>
  );
}
