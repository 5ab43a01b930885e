// What the whole page shares: the session, short messages, and what a browser
// remembers of its user.

import { useEffect, useReducer, useRef, useState } from "preact/hooks";
import { Problem, type Session } from "./api";

/** A value that parts of the page watch. */
export class Store<T> {
  #listeners = new Set<() => void>();

  constructor(private held: T) {}

  get value(): T {
    return this.held;
  }

  set(value: T): void {
    if (Object.is(value, this.held)) return;
    this.held = value;
    for (const listener of [...this.#listeners]) listener();
  }

  watch(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

export function useStore<T>(store: Store<T>): T {
  const [, again] = useReducer((n: number) => n + 1, 0);
  const seen = store.value;
  useEffect(() => {
    // An effect comes after the picture; what was set in between reached nobody.
    if (store.value !== seen) again(0);
    return store.watch(() => again(0));
  }, [store]);
  return seen;
}

export const session = new Store<Session | null>(null);

/** Whether anything may be changed. */
export function useWritable(): boolean {
  return useStore(session)?.read_only === false;
}

interface Message {
  id: number;
  text: string;
  tone: "good" | "bad" | "plain";
  act?: { label: string; run: () => void };
}

export const messages = new Store<Message[]>([]);
let made = 0;

/** Says something for some seconds; what went wrong stays until it is closed. */
export function say(text: string, tone: Message["tone"] = "plain", act?: Message["act"]): void {
  const id = ++made;
  messages.set([...messages.value.slice(-3), { id, text, tone, act }]);
  if (tone !== "bad") setTimeout(() => unsay(id), 5000);
}

export function unsay(id: number): void {
  messages.set(messages.value.filter((message) => message.id !== id));
}

/** Says what went wrong; what was cancelled did not. */
export function complain(error: unknown): void {
  if (error instanceof DOMException && error.name === "AbortError") return;
  if (error instanceof Problem) {
    if (error.status !== 401) say([error.message, error.tip].filter(Boolean).join(" "), "bad");
    return;
  }
  say(`This did not work: ${error instanceof Error ? error.message : String(error)}`, "bad");
}

interface Loaded<T> {
  data: T | undefined;
  error: Problem | undefined;
  busy: boolean;
  reload: () => void;
}

/**
 * Loads when `key` changes, and stops what is no longer wanted. Until the next
 * answer is there, the last one is kept.
 */
export function useLoad<T>(
  key: string | null,
  load: (signal: AbortSignal) => Promise<T>,
): Loaded<T> {
  const [state, set] = useState<{ data?: T; error?: Problem; busy: boolean }>({ busy: key !== null });
  const [turn, again] = useReducer((n: number) => n + 1, 0);
  const current = useRef(load);
  current.current = load;
  useEffect(() => {
    if (key === null) {
      set({ busy: false });
      return;
    }
    const controller = new AbortController();
    set((before) => ({ ...before, busy: true }));
    current.current(controller.signal).then(
      (data) => {
        if (!controller.signal.aborted) set({ data, busy: false });
      },
      (error: unknown) => {
        if (!controller.signal.aborted) set({ error: asProblem(error), busy: false });
      },
    );
    return () => controller.abort();
  }, [key, turn]);
  return {
    data: state.data,
    error: state.error,
    busy: state.busy,
    reload: () => again(0),
  };
}

export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  const text = error instanceof Error ? error.message : String(error);
  return new Problem(0, "unexpected", "Something unexpected happened", text, "Reload the page.");
}

// A browser may refuse to keep anything; choices then last as long as the page.
const inMemory = new Map<string, string>();

export function recall(name: string): string | null {
  try {
    return localStorage.getItem(`songrec-${name}`) ?? inMemory.get(name) ?? null;
  } catch {
    return inMemory.get(name) ?? null;
  }
}

export function remember(name: string, value: string | null): void {
  if (value === null) inMemory.delete(name);
  else inMemory.set(name, value);
  try {
    if (value === null) localStorage.removeItem(`songrec-${name}`);
    else localStorage.setItem(`songrec-${name}`, value);
  } catch {
    // As above.
  }
}

export type Theme = "light" | "dark";
const system = matchMedia("(prefers-color-scheme: dark)");

export const theme = new Store<Theme>("light");

function decide(): void {
  const kept = recall("theme");
  const now: Theme = kept === "light" || kept === "dark" ? kept : system.matches ? "dark" : "light";
  document.documentElement.dataset.theme = now;
  theme.set(now);
}

decide();
system.addEventListener("change", decide);

export function switchTheme(): void {
  const other: Theme = theme.value === "dark" ? "light" : "dark";
  remember("theme", (other === "dark") === system.matches ? null : other);
  decide();
}

/** What a screen reader says of a change that only eyes would see. */
export function announce(text: string): void {
  const live = document.getElementById("announcer");
  if (live) live.textContent = text;
}
