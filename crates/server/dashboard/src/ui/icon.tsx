// Pictures of 20 by 20 units, drawn with lines in the colour of the text.

const PATHS = {
  map: "M4.5 13h.01M10 4.5h.01M15.5 11h.01M9.5 15.5h.01M5 7h.01M15 5.5h.01M10 10h.01",
  search: "M9 3.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11M13 13l4 4",
  library: "M3.5 5h13M3.5 10h13M3.5 15h13M7.5 3v14",
  playlist: "M3.5 5h9M3.5 9h9M3.5 13h5M16 5v8.5M16 13.5a2 2 0 1 1-4 0 2 2 0 0 1 4 0",
  addto: "M3.5 5h11M3.5 9.5h7M3.5 14h5M13.5 11v6M10.5 14h6",
  radio: "M10 10h.01M7.2 12.8a4 4 0 0 1 0-5.6M12.8 7.2a4 4 0 0 1 0 5.6M4.7 15.3a7.5 7.5 0 0 1 0-10.6M15.3 4.7a7.5 7.5 0 0 1 0 10.6",
  path: "M5 13.2a1.8 1.8 0 1 0 0 3.6 1.8 1.8 0 0 0 0-3.6M15 3.2a1.8 1.8 0 1 0 0 3.6 1.8 1.8 0 0 0 0-3.6M6.8 15h5.7a2.5 2.5 0 0 0 0-5h-5a2.5 2.5 0 0 1 0-5h5.7",
  swap: "M6.5 4v12M3.5 7l3-3 3 3M13.5 16V4M10.5 13l3 3 3-3",
  again: "M15.5 11.5a5.8 5.8 0 1 1-1.2-5.2l2 2M16.3 4.5v3.8h-3.8",
  handle: "M7.5 5.5h.01M12.5 5.5h.01M7.5 10h.01M12.5 10h.01M7.5 14.5h.01M12.5 14.5h.01",
  next: "M5 4.5v11l7-5.5zM14.5 4.5v11",
  insights: "M4 16.5V11M8 16.5V6.5M12 16.5V9M16 16.5V3.5",
  machines: "M3.5 4h13v9h-13zM7.5 16.5h5M10 13v3.5",
  play: "M6.5 4.2v11.6l9-5.8z",
  pause: "M6.5 4.5v11M13.5 4.5v11",
  stop: "M5.5 5.5h9v9h-9z",
  close: "M5 5l10 10M15 5L5 15",
  check: "M4 10.5l4 4 8-9",
  plus: "M10 4v12M4 10h12",
  minus: "M4 10h12",
  fit: "M4 8V4h4M12 4h4v4M16 12v4h-4M8 16H4v-4",
  hand: "M10 3v14M3 10h14M10 3L8 5M10 3l2 2M10 17l-2-2M10 17l2-2M3 10l2-2M3 10l2 2M17 10l-2-2M17 10l-2 2",
  rectangle: "M4 5.5h12v9H4z",
  lasso: "M10 4c4 0 6.5 1.8 6.5 4.2S14 12.5 10 12.5 3.5 10.7 3.5 8.2 6 4 10 4M6.5 12c-1 .8-1 2.3 .3 2.5 1.3 .2 1.2 2-.3 2.5",
  edit: "M4 16l.8-3.2L13.3 4.3l2.4 2.4L7.2 15.2z",
  trash: "M4 6h12M8 6V4h4v2M5.5 6l.8 10.5h7.4L14.5 6",
  more: "M5 10h.01M10 10h.01M15 10h.01",
  up: "M5 12l5-5 5 5",
  down: "M5 8l5 5 5-5",
  left: "M12 5l-5 5 5 5",
  right: "M8 5l5 5-5 5",
  sun: "M10 6.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7M10 2v1.5M10 16.5V18M2 10h1.5M16.5 10H18M4.3 4.3l1.1 1.1M14.6 14.6l1.1 1.1M4.3 15.7l1.1-1.1M14.6 5.4l1.1-1.1",
  moon: "M15.5 12.5A6.5 6.5 0 0 1 7.5 4.5a6.5 6.5 0 1 0 8 8z",
  keyboard: "M2.5 5.5h15v9h-15zM5.5 8.5h.01M8.5 8.5h.01M11.5 8.5h.01M14.5 8.5h.01M6.5 11.5h7",
  file: "M5.5 3h6l3 3v11h-9zM11.5 3v3h3",
  drop: "M10 3v9M6.5 8.5L10 12l3.5-3.5M4 14v2.5h12V14",
  sound: "M3 10h1.5M6 6.5v7M8.5 4v12M11 7.5v5M13.5 5.5v9M16 9v2",
  similar: "M7 5.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9M13 5.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9",
  ban: "M10 3.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13M5.5 5.5l9 9",
  filter: "M3.5 5h13M6 10h8M8.5 15h3",
  sync: "M16 8a6.2 6.2 0 0 0-11-2L3.5 7.5M3.5 4v3.5H7M4 12a6.2 6.2 0 0 0 11 2l1.5-1.5M16.5 16v-3.5H13",
  lock: "M5 9h10v7.5H5zM7 9V6.5a3 3 0 0 1 6 0V9",
  warning: "M10 3.5L17.5 16h-15zM10 8v4M10 14h.01",
  info: "M10 3.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13M10 9v4.5M10 6.5h.01",
  columns: "M3.5 4h13v12h-13zM8 4v12M12 4v12",
  link: "M8.5 11.5l3-3M9 6l1.5-1.5a3.2 3.2 0 0 1 4.6 4.6L13.5 10.5M11 14l-1.5 1.5a3.2 3.2 0 0 1-4.6-4.6L6.5 9.5",
  volume: "M3.5 8v4h3l4 3.5v-11L6.5 8zM13.5 7.5a3.5 3.5 0 0 1 0 5M15.5 5.5a6.5 6.5 0 0 1 0 9",
  undo: "M7 4L3.5 7.5 7 11M3.5 7.5h8a4.5 4.5 0 0 1 0 9H8",
  folder: "M3 5.5h5l1.5 2H17v8.5H3z",
  target: "M10 5a5 5 0 1 0 0 10 5 5 0 0 0 0-10M10 2v4M10 14v4M2 10h4M14 10h4",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 18 }: { name: IconName; size?: number }) {
  const solid = name === "play" || name === "stop";
  return (
    <svg
      class={`icon ${solid ? "solid" : ""}`}
      viewBox="0 0 20 20"
      width={size}
      height={size}
      aria-hidden="true"
      data-icon={name}
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
