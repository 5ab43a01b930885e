// Rows of a long list that are fetched when they come into view.

import { useEffect, useReducer, useRef } from "preact/hooks";
import type { Page, Problem } from "../api";
import { asProblem } from "../store";

const PAGE = 100;
/** Pages that are kept; a row is some 500 bytes. */
const KEPT = 80;
/** Milliseconds that the list has to rest before a page is asked for. */
const REST = 70;

export interface Rows<T> {
  total: number | undefined;
  error: Problem | undefined;
  row: (index: number) => T | undefined;
  /** Says which rows are in view. */
  show: (first: number, last: number) => void;
  /** Puts other values in place of rows. */
  patch: (change: (row: T) => T) => void;
  reload: () => void;
}

/** Fetches pages of a list that `key` names; another key is another list. */
export function useRows<T>(
  key: string,
  fetch: (offset: number, limit: number, signal: AbortSignal) => Promise<Page<T>>,
): Rows<T> {
  const [, again] = useReducer((n: number) => n + 1, 0);
  const [turn, reload] = useReducer((n: number) => n + 1, 0);
  const load = useRef(fetch);
  load.current = fetch;
  const list = useRef(new Pages<T>(() => undefined, () => undefined));
  const of = `${key} ${turn}`;
  const named = useRef("");
  if (named.current !== of) {
    list.current.end();
    named.current = of;
    list.current = new Pages<T>((...page) => load.current(...page), () => again(0));
  }
  useEffect(() => {
    list.current.show(0, PAGE - 1);
  }, [of]);
  useEffect(() => () => list.current.end(), []);
  const pages = list.current;
  return {
    total: pages.total,
    error: pages.error,
    row: (index) => pages.row(index),
    show: (first, last) => pages.show(first, last),
    patch: (change) => pages.patch(change),
    reload: () => reload(0),
  };
}

class Pages<T> {
  total: number | undefined;
  error: Problem | undefined;
  #pages = new Map<number, T[]>();
  #wanted = new Map<number, AbortController>();
  #timer: number | undefined;
  #ended = false;

  constructor(
    private fetch: (offset: number, limit: number, signal: AbortSignal) => Promise<Page<T>> | undefined,
    private changed: () => void,
  ) {}

  row(index: number): T | undefined {
    return this.#pages.get(Math.floor(index / PAGE))?.[index % PAGE];
  }

  show(first: number, last: number): void {
    clearTimeout(this.#timer);
    const pages: number[] = [];
    for (let page = Math.floor(first / PAGE); page <= Math.floor(last / PAGE); page++) pages.push(page);
    // What was passed by is not worth an answer.
    for (const [page, controller] of this.#wanted) {
      if (pages.includes(page)) continue;
      controller.abort();
      this.#wanted.delete(page);
    }
    const ask = () => pages.forEach((page) => void this.#ask(page));
    if (this.total === undefined) ask();
    else this.#timer = window.setTimeout(ask, REST);
  }

  patch(change: (row: T) => T): void {
    for (const [page, rows] of this.#pages) this.#pages.set(page, rows.map(change));
    this.changed();
  }

  end(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    for (const controller of this.#wanted.values()) controller.abort();
  }

  async #ask(page: number): Promise<void> {
    const there = this.#pages.get(page);
    if (there) {
      // The last one used is kept longest.
      this.#pages.delete(page);
      this.#pages.set(page, there);
      return;
    }
    if (this.#wanted.has(page) || this.#ended) return;
    const controller = new AbortController();
    this.#wanted.set(page, controller);
    try {
      const answer = await this.fetch(page * PAGE, PAGE, controller.signal);
      if (controller.signal.aborted || answer === undefined) return;
      this.#pages.set(page, answer.rows);
      this.total = answer.total;
      this.error = undefined;
      for (const old of this.#pages.keys()) {
        if (this.#pages.size <= KEPT) break;
        this.#pages.delete(old);
      }
    } catch (error) {
      if (controller.signal.aborted) return;
      this.error = asProblem(error);
    } finally {
      if (this.#wanted.get(page) === controller) this.#wanted.delete(page);
    }
    if (!this.#ended) this.changed();
  }
}
