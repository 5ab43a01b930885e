// Elements of the page. Text only ever becomes text: there is no way through
// here from a string to markup.

type Attributes = Record<string, string | number | boolean | null | undefined>;

/** An element with attributes and children; `false` and `null` leave one out. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: (Node | string | null)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  set(made, attributes);
  for (const child of children) if (child !== null) made.append(child);
  return made;
}

export function set(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) element.removeAttribute(name);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
}

/** An element of the page's own markup. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element “${id}”`);
  return found as T;
}

export function button(text: string, act: () => void, attributes: Attributes = {}): HTMLButtonElement {
  const made = element("button", { type: "button", ...attributes }, text);
  made.addEventListener("click", act);
  return made;
}

const SHAPES = [
  ["circle", { cx: 6, cy: 6, r: 5 }],
  ["rect", { x: 1.6, y: 1.6, width: 8.8, height: 8.8 }],
  ["polygon", { points: "6,0 12,6 6,12 0,6" }],
  ["polygon", { points: "6,0.5 11.6,10.5 0.4,10.5" }],
] as const;

/** The mark of a class, as it is on the map. */
export function glyph(shape: number, color: string): SVGSVGElement {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  set(svg, { viewBox: "0 0 12 12", width: 12, height: 12, "aria-hidden": "true" });
  const [tag, attributes] = SHAPES[shape];
  const mark = document.createElementNS(space, tag);
  set(mark, { ...attributes, fill: color });
  svg.append(mark);
  return svg;
}

/** Tells screen readers what has changed. */
export function announce(text: string): void {
  byId("announcer").textContent = text;
}
