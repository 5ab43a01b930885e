// A place on which a file can be dropped, or chosen with the keyboard.

import type { ComponentChildren } from "preact";
import { useRef, useState } from "preact/hooks";
import { audioFile } from "../sound";
import { Icon } from "./icon";

export function Drop({ take, children, compact }: {
  take: (file: File) => void;
  children?: ComponentChildren;
  compact?: boolean;
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
        event.preventDefault();
        setOver(false);
        const file = audioFile(event.dataTransfer?.files);
        if (file) take(file);
      }}
    >
      <Icon name="drop" size={compact ? 18 : 26} />
      <div class="drop-words">{children}</div>
      <button type="button" class="button" onClick={() => input.current!.click()}>Choose a file</button>
      <input
        ref={input}
        type="file"
        accept="audio/*,.flac,.ogg,.opus,.m4a,.aiff,.aif,.caf"
        hidden
        aria-label="Audio file"
        onChange={(event) => {
          const file = audioFile(event.currentTarget.files);
          event.currentTarget.value = "";
          if (file) take(file);
        }}
      />
    </div>
  );
}
