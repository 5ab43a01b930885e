// Puts the page together: who may see it, where to go, and what is shown.

import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { api, unauthorized } from "./api";
import { KEYS } from "./keys";
import { PlayerBar, playing, toggle } from "./player";
import { address, go, type Route, useRoute } from "./route";
import { asProblem, complain, session, switchTheme, theme, useLoad, useStore } from "./store";
import { Changing } from "./ui/edit";
import { Icon, type IconName } from "./ui/icon";
import { Dialog, Empty, IconButton, Messages, Trouble } from "./ui/parts";
import { audioFile, playlistFile } from "./sound";
import { plain } from "./words";
import { watchJobs, running } from "./jobs";
import { Insights } from "./pages/insights";
import { LibraryPage } from "./pages/library";
import { MachinesPage } from "./pages/machines";
import { MapPage } from "./pages/map";
import { bringPlaylist } from "./pages/import";
import { PathPage } from "./pages/path";
import { PlaylistsPage } from "./pages/playlists";
import { RadioPage } from "./pages/radio";
import { bring, SearchPage } from "./pages/search";
import { SongPage } from "./pages/song";
import { TokenPage } from "./pages/token";

const PAGES: { page: string; label: string; icon: IconName; key: string }[] = [
  { page: "map", label: "Map", icon: "map", key: "m" },
  { page: "search", label: "Search", icon: "search", key: "s" },
  { page: "library", label: "Library", icon: "library", key: "l" },
  { page: "playlists", label: "Playlists", icon: "playlist", key: "p" },
  { page: "insights", label: "Insights", icon: "insights", key: "i" },
  { page: "machines", label: "Machines", icon: "machines", key: "c" },
];

/** Pages that lists are made on, which belong to the playlists; with their keys. */
const OF_PLAYLISTS: { page: string; label: string; key: string }[] = [
  { page: "radio", label: "Radio", key: "r" },
  { page: "path", label: "Path", key: "h" },
];

function App() {
  const now = useStore(session);
  const { error, busy, reload } = useLoad("session", async () => session.set(await api.session()));
  useEffect(() => {
    const asked = () => {
      const held = session.value;
      if (held) session.set({ ...held, needed: true, authenticated: false });
    };
    unauthorized.addEventListener("401", asked);
    return () => unauthorized.removeEventListener("401", asked);
  }, []);
  if (!now) {
    return (
      <main class="alone">
        {error ? <Trouble problem={asProblem(error)} retry={reload} /> : busy && <p class="soft" role="status">Connecting…</p>}
      </main>
    );
  }
  if (now.needed && !now.authenticated) return <TokenPage done={reload} />;
  return <Shell />;
}

function Shell() {
  const route = useRoute();
  const [help, showHelp] = useState(false);
  const page = route.page === "" ? "map" : route.page;
  const seen = useSeen(page);
  useKeys(() => showHelp(!help));
  useEffect(watchJobs, []);
  useEffect(dropAnywhere, []);
  useEffect(() => {
    const label = page === "song" ? "Song" : [...PAGES, ...OF_PLAYLISTS].find((one) => one.page === page)?.label ?? "Not found";
    const library = plain(session.value?.library ?? "");
    document.title = [label, library, "songrec"].filter(Boolean).join(" · ");
  }, [page]);
  return (
    <div class="app">
      <a class="skip" href="#content" onClick={(event) => {
        event.preventDefault();
        document.getElementById("content")?.focus();
      }}>Skip to the content</a>
      <SideBar page={page} help={() => showHelp(true)} />
      <main id="content" tabIndex={-1} class={`content ${page}`}>
        {/* The map stays, because it takes long to load and holds a view. */}
        {seen.has("map") && <MapPage shown={page === "map"} route={route} />}
        {page !== "map" && <Shown page={page} route={route} />}
      </main>
      <PlayerBar />
      <Messages><Changing /></Messages>
      {help && <Help close={() => showHelp(false)} />}
      <div id="announcer" class="unseen-text" role="status" aria-live="polite" />
    </div>
  );
}

// A file that is dropped beside its places would replace the page; audio is searched by,
// and a playlist is taken in.
function dropAnywhere(): () => void {
  const over = (event: DragEvent) => event.preventDefault();
  const drop = (event: DragEvent) => {
    if (event.defaultPrevented) return;
    event.preventDefault();
    const list = playlistFile(event.dataTransfer?.files);
    if (list) return bringPlaylist(list);
    const file = audioFile(event.dataTransfer?.files);
    if (file) bring(file);
  };
  addEventListener("dragover", over);
  addEventListener("drop", drop);
  return () => {
    removeEventListener("dragover", over);
    removeEventListener("drop", drop);
  };
}

function useSeen(page: string): Set<string> {
  const [seen] = useState(() => new Set<string>());
  seen.add(page);
  return seen;
}

function Shown({ page, route }: { page: string; route: Route }) {
  switch (page) {
    case "search":
      return <SearchPage route={route} />;
    case "library":
      return <LibraryPage route={route} />;
    case "playlists":
      return <PlaylistsPage route={route} />;
    case "radio":
      return <RadioPage route={route} />;
    case "path":
      return <PathPage route={route} />;
    case "song":
      return <SongPage key={route.rest[0]} id={route.rest[0] ?? ""} />;
    case "insights":
      return <Insights route={route} />;
    case "machines":
      return <MachinesPage route={route} />;
    default:
      return (
        <Empty icon="search" title="There is no such page">
          <h1 class="unseen-text">Not found</h1>
          <p>The address may be mistyped or from another version.</p>
          <a class="button primary" href="#/map">Go to the map</a>
        </Empty>
      );
  }
}

function SideBar({ page, help }: { page: string; help: () => void }) {
  const now = useStore(session)!;
  const dark = useStore(theme) === "dark";
  const jobs = useStore(running);
  const place = page === "song" ? "library" : OF_PLAYLISTS.some((one) => one.page === page) ? "playlists" : page;
  return (
    <header class="side">
      <a class="brand" href="#/map" aria-label="songrec, map">
        <svg viewBox="0 0 24 24" width="26" height="26" aria-hidden="true">
          <rect x="1" y="1" width="22" height="22" rx="6" />
          <path d="M6 10v4M9 7.5v9M12 5v14M15 8.5v7M18 10.5v3" />
        </svg>
        <span>songrec</span>
      </a>
      <nav aria-label="Pages">
        {PAGES.map((one) => (
          <a
            key={one.page}
            href={address(one.page)}
            aria-current={one.page === place ? "page" : undefined}
            title={one.label}
          >
            <Icon name={one.icon} size={20} />
            <span>{one.label}</span>
            {one.page === "machines" && jobs.length > 0 && (
              <span class="badge" title={`${jobs.length} jobs run`}>{jobs.length}</span>
            )}
          </a>
        ))}
      </nav>
      <div class="side-foot">
        <div class="where">
          <strong dir="auto" title={plain(now.library ?? "")}>{fileEnd(now.library)}</strong>
          <span class="soft">{[now.backend, now.version].map((part) => plain(part ?? "")).filter(Boolean).join(" · ")}</span>
          {now.read_only && (
            <span class="read-only" title="The server was started with --read-only"><Icon name="lock" size={14} /> read-only</span>
          )}
        </div>
        <div class="side-buttons">
          <IconButton icon={dark ? "sun" : "moon"} label={`Switch to the ${dark ? "light" : "dark"} theme`} act={switchTheme} />
          <IconButton icon="keyboard" label="Keys" act={help} />
        </div>
      </div>
    </header>
  );
}

// A library is named by its folder; the end of a long path says most.
function fileEnd(library: string | null | undefined): string {
  const text = plain(library ?? "");
  return text.split(/[\\/]/).filter(Boolean).pop() ?? (text || "Library");
}

function Help({ close }: { close: () => void }) {
  return (
    <Dialog title="Keys" close={close} wide>
      <div class="keys">
        {KEYS.map((group) => (
          <section key={group.title}>
            <h3>{group.title}</h3>
            <dl>
              {group.keys.map(([key, about]) => (
                <div key={key}>
                  <dt><kbd>{key}</kbd></dt>
                  <dd>{about}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
      <p class="soft">Audio that is dropped anywhere is searched by, and a playlist is imported. <a href="/docs">The API</a>, <a href="licenses.txt">licences</a></p>
    </Dialog>
  );
}

function typing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement &&
    target.matches("input:not([type=checkbox], [type=radio], [type=range]), select, textarea, [contenteditable]");
}

function useKeys(help: () => void): void {
  useEffect(() => {
    let went = 0;
    const press = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (typing(event.target)) {
        if (event.key === "Escape") (event.target as HTMLElement).blur();
        return;
      }
      if (document.querySelector("dialog[open]")) return;
      const goes = [...PAGES, ...OF_PLAYLISTS].find((one) => one.key === event.key);
      if (Date.now() - went < 1200 && goes) {
        went = 0;
        event.preventDefault();
        go(address(goes.page));
      } else if (event.key === "g") went = Date.now();
      else if (event.key === "?") help();
      else if (event.key === "t") switchTheme();
      else if (event.key === "/") {
        event.preventDefault();
        search();
      } else if (event.key === " " && playing.value && !onControl(event.target)) {
        event.preventDefault();
        toggle();
      }
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, [help]);
}

function onControl(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest("button, a, input, select, summary, [role=button]") !== null;
}

// The search box of the page that is shown, or the search page.
function search(): void {
  const visible = [...document.querySelectorAll<HTMLInputElement>("input[data-search]")].find(
    (one) => one.offsetParent !== null,
  );
  if (!visible) return go(address("search"));
  visible.focus();
  visible.select();
}

addEventListener("unhandledrejection", (event) => {
  complain(event.reason);
  event.preventDefault();
});

render(<App />, document.getElementById("app")!);
