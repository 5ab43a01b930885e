// Sound that a reader brings: decoded by the browser, so that its waveform is
// seen and a part of it can be heard before anything is sent.

import type { Part } from "./ui/wave";

export interface Sound {
  file: File;
  /** Seconds. */
  duration: number;
  peaks: { min: number[]; max: number[]; rms: number[] };
  buffer: AudioBuffer;
}

/** Bytes that the server takes at most, if it was not told otherwise. */
const LIMIT = 100 * 1024 * 1024;
const POINTS = 1200;

/** Decodes a file. The error is a sentence for the reader. */
export async function decode(file: File): Promise<Sound> {
  if (file.size > LIMIT) {
    throw new Error("This file is larger than 100 MiB, which is as much as the server takes. Cut a part of it first.");
  }
  const context = new OfflineAudioContext(1, 1, 44_100);
  let buffer: AudioBuffer;
  try {
    buffer = await context.decodeAudioData(await file.arrayBuffer());
  } catch {
    throw new Undecodable();
  }
  return { file, duration: buffer.duration, peaks: peaks(buffer), buffer };
}

/** The browser cannot read the file; the server may. */
export class Undecodable extends Error {
  constructor() {
    super("This browser cannot read the file, so there is no waveform. The server may still know the format.");
  }
}

function peaks(buffer: AudioBuffer): Sound["peaks"] {
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, i) => buffer.getChannelData(i));
  const points = Math.min(POINTS, buffer.length);
  const out = { min: [] as number[], max: [] as number[], rms: [] as number[] };
  for (let i = 0; i < points; i++) {
    const from = Math.floor((i * buffer.length) / points);
    const to = Math.max(from + 1, Math.floor(((i + 1) * buffer.length) / points));
    let [low, high, sum] = [0, 0, 0];
    for (const channel of channels) {
      for (let j = from; j < to; j++) {
        const value = channel[j];
        if (value < low) low = value;
        if (value > high) high = value;
        sum += value * value;
      }
    }
    out.min.push(low);
    out.max.push(high);
    out.rms.push(Math.sqrt(sum / ((to - from) * Math.max(1, channels.length))));
  }
  return out;
}

let context: AudioContext | null = null;
let source: AudioBufferSourceNode | null = null;

/** Plays a part of a sound; `at` is told how far it is, as a share. */
export function playPart(sound: Sound, part: Part | null, at: (share: number | null) => void): () => void {
  stopPart();
  context ??= new AudioContext();
  void context.resume();
  const from = (part?.from ?? 0) * sound.duration;
  const length = ((part?.to ?? 1) - (part?.from ?? 0)) * sound.duration;
  const node = context.createBufferSource();
  node.buffer = sound.buffer;
  node.connect(context.destination);
  const begun = context.currentTime;
  node.start(0, from, length);
  source = node;
  let over = false;
  const follow = () => {
    if (over) return;
    at(Math.min(1, (from + context!.currentTime - begun) / sound.duration));
    requestAnimationFrame(follow);
  };
  node.onended = () => {
    over = true;
    at(null);
  };
  requestAnimationFrame(follow);
  return stopPart;
}

export function stopPart(): void {
  try {
    source?.stop();
  } catch {
    // It had not begun.
  }
  source = null;
}

/** The first audio file that was dropped or chosen. */
export function audioFile(list: FileList | null | undefined): File | null {
  const files = [...(list ?? [])];
  return files.find((file) => file.type.startsWith("audio/") || /\.(wav|aiff?|flac|mp3|m4a|aac|ogg|opus|caf|wma|alac)$/i.test(file.name)) ?? files[0] ?? null;
}

/** How names of files end that players keep playlists in. */
export const ENDINGS = [".m3u8", ".m3u", ".xspf", ".jspf"];

/** The first playlist of a player among files. */
export function playlistFile(list: FileList | File[] | null | undefined): File | null {
  return [...(list ?? [])].find((file) => ENDINGS.some((ending) => file.name.toLowerCase().endsWith(ending))) ?? null;
}
