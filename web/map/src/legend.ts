// The classes of a scheme; a click hides or shows one.

import { announce, button, byId, element, glyph, set } from "./element";
import { css } from "./palette";
import { SCHEMES, type SchemeName, usable } from "./scheme";
import type { State } from "./state";

export function legend(state: State): void {
  const list = byId("legend");
  const select = byId<HTMLSelectElement>("color");
  const able = usable(state.data);
  for (const { name, title } of SCHEMES) {
    if (able.includes(name)) select.append(element("option", { value: name }, title));
  }
  byId("color-row").hidden = able.length === 0;
  select.addEventListener("change", () => state.colorBy(select.value as SchemeName));
  byId("show-all").addEventListener("click", () => state.hide([]));
  byId("hide-all").addEventListener("click", () => state.hide(state.scheme.classes.keys()));
  byId("invert").addEventListener("click", () => {
    const classes = [...state.scheme.classes.keys()];
    state.hide(classes.filter((one) => !state.hidden.has(one)));
  });

  const rebuild = () => {
    select.value = state.scheme.name;
    const largest = Math.max(...state.scheme.classes.map((one) => one.count), 1);
    list.replaceChildren(
      ...state.scheme.classes.map((one, i) => {
        const share = element("span", { class: "bar", "aria-hidden": "true" });
        share.style.width = `${(100 * one.count) / largest}%`;
        const color = css(one.color(state.theme));
        share.style.background = color;
        const row = element(
          "button",
          { type: "button", class: "class", title: "Click hides or shows; Shift and click shows only this" },
          glyph(one.shape, color),
          element("span", { class: "name", dir: "auto" }, one.label),
          element("span", { class: "count" }, one.count.toLocaleString("en")),
          share,
        );
        row.addEventListener("click", (event) => {
          if (event.shiftKey) state.only(i);
          else state.toggle(i);
        });
        const only = button("only", () => state.only(i), {
          class: "only",
          "aria-label": `Show only ${one.label}`,
        });
        return element("li", {}, row, only);
      }),
    );
    mark();
  };
  const mark = () => {
    state.scheme.classes.forEach((_, i) => {
      const row = list.children[i].firstElementChild!;
      set(row, { "aria-pressed": String(!state.hidden.has(i)) });
    });
    const shown = state.shown.reduce((sum, one) => sum + one, 0);
    const all = shown === state.count;
    byId("shown").textContent = all
      ? "All songs are shown"
      : `${shown.toLocaleString("en")} of ${state.count.toLocaleString("en")} songs are shown`;
    if (!all) announce(byId("shown").textContent!);
  };
  state.on("scheme", rebuild);
  state.on("theme", rebuild);
  state.on("shown", mark);
  rebuild();
}
