// The one thing that plays, and the bar at the foot of the page that shows it.

import { useEffect, useRef, useState } from "preact/hooks";
import { api, type Card } from "./api";
import { address } from "./route";
import { complain, recall, remember, say, Store, useLoad, useStore } from "./store";
import { IconButton } from "./ui/parts";
import { Wave } from "./ui/wave";
import { duration, length, name, plain } from "./words";

interface Playing {
  card: Pick<Card, "id" | "title" | "artist" | "duration">;
  on: boolean;
}

const audio = new Audio();
audio.preload = "none";
audio.volume = Number(recall("volume") ?? "0.9");

export const playing = new Store<Playing | null>(null);
/** Seconds. */
export const position = new Store(0);

audio.addEventListener("timeupdate", () => position.set(audio.currentTime));
audio.addEventListener("ended", () => next() || pause());
audio.addEventListener("pause", () => {
  const now = playing.value;
  if (now?.on && audio.error === null) playing.set({ ...now, on: false });
});
audio.addEventListener("error", () => {
  const now = playing.value;
  if (now === null || audio.src === "" || !audio.hasAttribute("src")) return;
  playing.set({ ...now, on: false });
  say(`“${name(now.card)}” cannot be played. Its file may be on another machine, or in a form that this browser does not play.`, "bad");
});

let hovered: number | undefined;

interface Queue {
  cards: Playing["card"][];
  /** Which of them plays: a song may be there several times. */
  at: number;
}

const NONE: Queue = { cards: [], at: 0 };

/** What plays one after the other; nothing where one song was chosen by itself. */
export const queue = new Store<Queue>(NONE);

/** Plays songs one after the other, from one of them on. */
export function playAll(cards: Playing["card"][], at = 0): void {
  if (!cards[at]) return;
  queue.set({ cards, at });
  play(cards[at], 0);
}

/** Plays the next one, if there is one. */
export function next(): boolean {
  const { cards, at } = queue.value;
  if (at + 1 < cards.length) playAll(cards, at + 1);
  return at + 1 < cards.length;
}

/** Plays a song from `at`, a share of its length; goes on if it is the same. */
export function play(card: Playing["card"], at?: number): void {
  clearTimeout(hovered);
  const same = playing.value?.card.id === card.id;
  if (queue.value.cards[queue.value.at]?.id !== card.id) queue.set(NONE);
  playing.set({ card, on: true });
  if (!same) {
    audio.src = api.audio(card.id);
    position.set(0);
  }
  if (at !== undefined) seek(at);
  audio.play().catch((error: unknown) => {
    if (!(error instanceof DOMException)) return complain(error);
    // Other errors come as an event of the element.
    if (error.name === "NotAllowedError") {
      pause();
      say("The browser plays sound only after a first click on the page.");
    }
  });
}

export function pause(): void {
  clearTimeout(hovered);
  audio.pause();
  const now = playing.value;
  if (now?.on) playing.set({ ...now, on: false });
}

export function toggle(card?: Playing["card"]): void {
  const now = playing.value;
  if (now?.on && (card === undefined || card.id === now.card.id)) pause();
  else if (card ?? now?.card) play((card ?? now?.card)!);
}

/** Goes to a share of the song. */
export function seek(share: number): void {
  const now = playing.value;
  if (!now) return;
  const length = Number.isFinite(audio.duration) ? audio.duration : now.card.duration;
  audio.currentTime = share * length;
  position.set(share * length);
}

export function close(): void {
  pause();
  audio.removeAttribute("src");
  queue.set(NONE);
  playing.set(null);
}

export const onHover = new Store(recall("hover") !== "off");

export function setOnHover(on: boolean): void {
  remember("hover", on ? null : "off");
  onHover.set(on);
  if (!on) pause();
}

/** Plays a song from a third of its length, once the pointer has rested on it. */
export function preview(card: Playing["card"]): void {
  clearTimeout(hovered);
  if (!onHover.value || matchMedia("(hover: none)").matches) return;
  // Browsers refuse sound before the first click, and would say so each time.
  if (navigator.userActivation && !navigator.userActivation.hasBeenActive) return;
  if (playing.value?.on && playing.value.card.id === card.id) return;
  hovered = window.setTimeout(() => play(card, card.duration > 20 ? 0.33 : 0), 280);
}

export function endPreview(): void {
  clearTimeout(hovered);
}

/** What fills the button of a row. */
export function PlayButton({ card, small, start }: {
  card: Playing["card"];
  small?: boolean;
  /** How it begins, if not by itself. */
  start?: () => void;
}) {
  const now = useStore(playing);
  const on = now?.on === true && now.card.id === card.id;
  return (
    <IconButton
      icon={on ? "pause" : "play"}
      label={`${on ? "Pause" : "Play"} ${plain(card.title)}`}
      small={small}
      kind="play-button"
      pressed={on}
      act={(event) => {
        event.stopPropagation();
        (start ?? (() => toggle(card)))();
      }}
    />
  );
}

export function PlayerBar() {
  const now = useStore(playing);
  const at = useStore(position);
  const after = useStore(queue);
  const id = now?.card.id ?? null;
  const wave = useLoad(id === null ? null : `wave ${id}`, (signal) =>
    api.waveform(id!, { points: 600 }, signal),
  );
  const [volume, setVolume] = useState(audio.volume);
  const slider = useRef<HTMLInputElement>(null);
  useEffect(() => {
    document.documentElement.classList.toggle("with-player", now !== null);
  }, [now === null]);
  if (!now) return null;
  const { card } = now;
  return (
    <section class="player" aria-label="Player">
      <IconButton icon={now.on ? "pause" : "play"} label={now.on ? "Pause" : "Play"} kind="main" act={() => toggle()} />
      {after.cards.length > 1 && (
        <IconButton icon="next" label="Next song" disabled={after.at + 1 === after.cards.length} act={() => void next()} />
      )}
      <div class="player-name">
        <a href={address(["song", card.id])} dir="auto">{plain(card.title)}</a>
        <span class="soft" dir="auto">{plain(card.artist ?? "")}</span>
      </div>
      <span class="time">{duration(at)}</span>
      <Wave
        data={wave.data}
        busy={wave.busy}
        at={card.duration > 0 ? at / card.duration : 0}
        seek={(share) => {
          seek(share);
          if (!now.on) play(card);
        }}
        label={`Position in ${plain(card.title)}`}
      />
      <span class="time">{length(card.duration)}</span>
      <input
        ref={slider}
        type="range"
        class="volume"
        aria-label="Volume"
        min={0}
        max={1}
        step={0.05}
        value={volume}
        onInput={(event) => {
          audio.volume = Number(event.currentTarget.value);
          setVolume(audio.volume);
          remember("volume", String(audio.volume));
        }}
      />
      <IconButton icon="close" label="Close the player" act={close} />
    </section>
  );
}
