// Starts Chromium; `CHROMIUM` names another than /usr/bin/chromium.

import { chromium } from "playwright-core";

// A processor draws, so that pictures are the same everywhere.
const DRAWN = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"];

export function launch(drawn = DRAWN) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-background-networking", "--autoplay-policy=no-user-gesture-required", "--mute-audio", ...drawn],
  });
}
