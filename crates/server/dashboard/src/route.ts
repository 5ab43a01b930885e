// The address of a view: `#/page/rest?query`. Everything that a reader chose and
// would want back by a link or the back button is in it.

import { useEffect, useState } from "preact/hooks";

export interface Route {
  page: string;
  /** What follows the page, decoded. */
  rest: string[];
  query: URLSearchParams;
}

type Query = Record<string, string | number | boolean | string[] | null | undefined>;

export function read(hash = location.hash): Route {
  const [path, query = ""] = split(hash.replace(/^#\/?/, ""));
  const [page = "", ...rest] = path.split("/").map(decode);
  return { page, rest, query: new URLSearchParams(query) };
}

function split(text: string): [string, string?] {
  const at = text.indexOf("?");
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The address of a page; what is empty or `false` is left out. */
export function address(path: string[] | string, query: Query | URLSearchParams = {}): string {
  const parts = typeof path === "string" ? [path] : path;
  const search = query instanceof URLSearchParams ? query : params(query);
  const text = search.toString();
  return `#/${parts.map(encodeURIComponent).join("/")}${text === "" ? "" : `?${text}`}`;
}

function params(query: Query): URLSearchParams {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (Array.isArray(value)) for (const one of value) search.append(name, one);
    else if (value === true) search.set(name, "1");
    else if (value !== false && value !== null && value !== undefined && value !== "") {
      search.set(name, String(value));
    }
  }
  return search;
}

/** Goes to a view; `replace` leaves nothing for the back button. */
export function go(hash: string, replace = false): void {
  if (hash === location.hash) return;
  if (replace) {
    history.replaceState(null, "", hash);
    dispatchEvent(new HashChangeEvent("hashchange"));
  } else location.hash = hash;
}

/** Changes some of the query of the view that is shown. */
export function change(query: Query, replace = true): void {
  const route = read();
  const search = new URLSearchParams(route.query);
  for (const name of Object.keys(query)) search.delete(name);
  for (const [name, value] of params(query)) search.append(name, value);
  go(address([route.page, ...route.rest], search), replace);
}

export function useRoute(): Route {
  const [route, set] = useState(() => read());
  useEffect(() => {
    const listen = () => set(read());
    addEventListener("hashchange", listen);
    return () => removeEventListener("hashchange", listen);
  }, []);
  return route;
}
