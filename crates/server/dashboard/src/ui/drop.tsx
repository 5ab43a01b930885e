// A place on which a file can be dropped, or chosen with the keyboard.

import type { ComponentChildren } from "preact";
import { useRef, useState } from "preact/hooks";
import { audioFile, playlistFile } from "../sound";
import { Icon } from "./icon";

const AUDIO = "audio/*,.flac,.ogg,.opus,.m4a,.aiff,.aif,.caf";

export function Drop({ take, children, compact, accept = AUDIO, label = "Audio file", pick = audioFile }: {
  take: (file: File) => void;
  children?: ComponentChildren;
  compact?: boolean;
  /** Which files the browser offers. */
  accept?: string;
  label?: string;
  /** Which of several files is meant. */
  pick?: (files: FileList | null | undefined) => File | null;
}) {
  const input = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);
  return (
    <div
      class={`drop ${over ? "over" : ""} ${compact ? "compact" : ""}`}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        setOver(false);
        // One that is not asked for here goes where the page takes it.
        if (accept === AUDIO && playlistFile(event.dataTransfer?.files)) return;
        event.preventDefault();
        const file = pick(event.dataTransfer?.files);
        if (file) take(file);
      }}
    >
      <Icon name="drop" size={compact ? 18 : 26} />
      <div class="drop-words">{children}</div>
      <button type="button" class="button" onClick={() => input.current!.click()}>Choose a file</button>
      <input
        ref={input}
        type="file"
        accept={accept}
        hidden
        aria-label={label}
        onChange={(event) => {
          const file = pick(event.currentTarget.files);
          event.currentTarget.value = "";
          if (file) take(file);
        }}
      />
    </div>
  );
}
