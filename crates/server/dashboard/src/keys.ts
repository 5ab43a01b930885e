// What keys do, in one list, which the page shows under `?`.

export interface Keys {
  title: string;
  keys: [string, string][];
}

export const KEYS: Keys[] = [
  {
    title: "Everywhere",
    keys: [
      ["?", "show the keys"],
      ["/", "search"],
      ["g then m, s, l, p, i, c", "go to map, search, library, playlists, insights, machines"],
      ["g then r, h", "go to radio, path"],
      ["Space", "play or pause"],
      ["t", "light or dark"],
      ["Esc", "close, or take back the last thing"],
    ],
  },
  {
    title: "Lists of songs",
    keys: [
      ["↑ ↓ or j k", "move"],
      ["Space", "play the song"],
      ["Enter", "open the song"],
      ["w", "why it matches"],
    ],
  },
  {
    title: "Boxes that find a song",
    keys: [
      ["↑ ↓", "move through what was found"],
      ["Enter", "take it"],
    ],
  },
  {
    title: "Library",
    keys: [
      ["↑ ↓ ← →, Page Up, Page Down, Home, End", "move"],
      ["x", "select a song; with Shift all between"],
      ["Enter or F2", "edit the cell, of all selected songs if it is one of them"],
      ["o", "open the song"],
      ["Space", "play the song"],
    ],
  },
  {
    title: "Playlists",
    keys: [
      ["↑ ↓, Home, End on a handle", "move the song"],
    ],
  },
  {
    title: "Map",
    keys: [
      ["↑ ↓ ← →", "pan; with Shift turn a map in 3-D"],
      ["+ −", "zoom"],
      ["0", "show everything"],
      ["Enter", "choose the song in the middle"],
      ["n", "lines to its nearest songs"],
      ["Space", "play it"],
    ],
  },
  {
    title: "Waveform",
    keys: [
      ["← →", "go back or on"],
      ["Shift ← →", "make the chosen part longer or shorter"],
      ["Shift ↑ ↓", "move its beginning"],
    ],
  },
];
