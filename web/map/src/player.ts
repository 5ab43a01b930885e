// Plays songs whose file the page may reach.

import { announce, byId } from "./element";
import type { State } from "./state";
import { name } from "./words";

// How long the pointer rests on a song before it plays, in milliseconds.
const REST = 350;

export class Player {
  /** The song that plays, or -1. */
  playing = -1;
  private readonly audio = new Audio();
  private rest = 0;

  constructor(private readonly state: State) {
    const hover = byId<HTMLInputElement>("play-on-hover");
    byId("play-row").hidden = !state.data.songs.href.some((href) => href !== null);
    this.audio.addEventListener("ended", () => this.stop());
    this.audio.addEventListener("error", () => {
      if (this.playing < 0) return;
      this.stop();
      announce("This file could not be played");
      byId("message").textContent = "This file could not be played.";
    });
    let last = -1;
    byId("tooltip").addEventListener("follow", () => {
      if (state.hover === last) return;
      last = state.hover;
      clearTimeout(this.rest);
      if (!hover.checked || last < 0 || !this.has(last)) return;
      this.rest = window.setTimeout(() => this.play(last), REST);
    });
    hover.addEventListener("change", () => {
      if (!hover.checked) this.stop();
    });
  }

  has(song: number): boolean {
    return song >= 0 && this.address(song) !== null;
  }

  toggle(song: number): void {
    if (this.playing === song || !this.has(song)) this.stop();
    else this.play(song);
  }

  stop(): void {
    this.playing = -1;
    this.audio.pause();
    this.state.tell("playing");
  }

  private play(song: number): void {
    const address = this.address(song);
    if (address === null) return;
    this.audio.src = address;
    this.playing = song;
    byId("message").textContent = `Playing ${name(this.state.data, song)}`;
    // A refusal also arrives as an `error` of the element, or as an abort when
    // the next song starts.
    this.audio.play().catch(() => undefined);
    this.state.tell("playing");
  }

  // Files of this machine, or what lies beside a page that is served; nothing
  // else, which the page's security policy would refuse as well.
  private address(song: number): string | null {
    const href = this.state.data.songs.href[song];
    if (href === null) return null;
    try {
      const url = new URL(href, document.baseURI);
      const own = location.protocol !== "file:" && url.origin === location.origin;
      return url.protocol === "file:" || own ? url.href : null;
    } catch {
      return null;
    }
  }
}
