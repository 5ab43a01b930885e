// Light or dark: as the system says, until the reader says otherwise.

import { byId } from "./element";
import type { Theme } from "./palette";

const KEPT = "songrec-map-theme";
const system = matchMedia("(prefers-color-scheme: dark)");

export function theme(): Theme {
  return chosen() ?? (system.matches ? "dark" : "light");
}

/** Before anything is drawn, so that the page does not flash. */
export function apply(): Theme {
  const now = theme();
  document.documentElement.dataset.theme = now;
  return now;
}

/** Calls `change` when the theme is another one. */
export function follow(change: (theme: Theme) => void): void {
  const toggle = byId("theme");
  const say = () => {
    const now = apply();
    const other = now === "dark" ? "light" : "dark";
    toggle.textContent = now === "dark" ? "Light" : "Dark";
    toggle.setAttribute("aria-label", `Switch to the ${other} theme`);
    change(now);
  };
  toggle.addEventListener("click", () => {
    const other: Theme = theme() === "dark" ? "light" : "dark";
    const agrees = (other === "dark") === system.matches;
    keep(agrees ? null : other);
    say();
  });
  system.addEventListener("change", say);
  say();
}

// A browser may refuse to keep anything for a page that is a file; the choice
// then holds until the page is closed.
let inMemory: Theme | null = null;

function chosen(): Theme | null {
  try {
    const kept = localStorage.getItem(KEPT);
    if (kept === "light" || kept === "dark") return kept;
  } catch {
    // As above.
  }
  return inMemory;
}

function keep(value: Theme | null): void {
  inMemory = value;
  try {
    if (value === null) localStorage.removeItem(KEPT);
    else localStorage.setItem(KEPT, value);
  } catch {
    // As above.
  }
}
