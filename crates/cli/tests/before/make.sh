#!/bin/bash
# Makes the libraries of this folder with the songrec that is given: the last one whose songs do not say what they
# have seen. Two machines (laptop, studio) share a cloud, a disk is synced with the laptop; there are a conflict,
# tombstones on both sides, a restored song, a playlist, and on each machine something that is not synced yet, segments
# among it. SEGMENTS is `segments.rs` beside this file, an example of the same version.
# usage: make.sh SONGREC SEGMENTS
set -eu -o pipefail
songrec=$(realpath "$1"); segments=$(realpath "$2"); here=$(cd "$(dirname "$0")" && pwd); work=$(mktemp -d)
cd "$work"
export HOME=$work/home; mkdir -p "$HOME" audio
python3 - <<'PY'
import math, struct, wave
for n, f in enumerate([110, 165, 220, 330, 440]):
    w = wave.open(f"audio/tone{n}.wav", "wb"); w.setnchannels(1); w.setsampwidth(2); w.setframerate(8000)
    w.writeframes(b"".join(struct.pack("<h", int(9000 * math.sin(2 * math.pi * f * i / 8000) * math.exp(-i / 4000))) for i in range(8000)))
    w.close()
PY
printf 'fixture-token' > token
"$songrec" emulator --data "$work/cloud" --addr 127.0.0.1:18181 --token-file token > emulator.log 2>&1 & emulator=$!
trap 'kill $emulator 2>/dev/null || true' EXIT
for _ in $(seq 50); do grep -q 18181 emulator.log && break; sleep 0.1; done
on() { # a command of one machine
  local machine=$1; shift
  mkdir -p "$work/$machine"
  (cd "$work/$machine" && XDG_CONFIG_HOME=$work/$machine/.config XDG_STATE_HOME=$work/$machine/.state XDG_CACHE_HOME=$work/$machine/.cache \
    ASTRA_DB_API_ENDPOINT=http://127.0.0.1:18181 ASTRA_DB_APPLICATION_TOKEN=fixture-token \
    "$songrec" --library "$work/$machine/library" "$@")
}
id() { on laptop ls --json | python3 -c "import json,sys; print(next(s['id'] for s in map(json.loads, sys.stdin) if s['title']=='$1'))"; }
on laptop --storage-backend astra init-astra
on laptop init
on laptop scan "$work/audio"
for n in 0 1 2 3 4; do eval "s$n=$(id tone$n)"; done
mkdir -p laptop/library/playlists
cat > laptop/library/playlists/best.json <<JSON
{"kind":"playlist","id":"best","revision":{"number":1,"operation":"6f1d2c9e51f44f0c9b593c2b6a9d0e11"},"updated_at":"2026-01-01T00:00:00Z","body":{"name":"Best","songs":["$s0","$s1"]}}
JSON
on laptop sync; on studio init; on studio sync
on laptop edit "$s0" --set title="Laptop title"; on studio edit "$s0" --set title="Studio title"
on laptop sync; on studio sync; on laptop sync
on studio rm "$s1"
on laptop rm "$s2"
on studio sync; on laptop sync; on studio sync
on laptop trash restore "$s2"
on laptop sync; on studio sync
on laptop edit "$s3" --set genre="House, Dub"; on laptop sync; on studio sync
on laptop migrate --from local --to "$work/disk/library" || true
on laptop sync local "$work/disk/library"
# Not synced yet.
on laptop edit "$s4" --set mood="dark"
on studio edit "$s3" --set artist="Studio artist"
on studio rm "$s4"
on disk edit "$s2" --set title="Disk title"
"$segments" laptop/library "$s0" 1 2; "$segments" studio/library "$s0" 2 3; "$segments" disk/library "$s2" 4
kill $emulator; wait $emulator 2>/dev/null || true
for machine in laptop studio disk; do
  rm -rf "$here/$machine"; mkdir -p "$here/$machine"
  for part in songrec.json songs trash playlists synths segments documents machines libraries sync embeddings; do
    [ -e "$machine/library/$part" ] && cp -r "$machine/library/$part" "$here/$machine/"
  done
done
rm -rf "$here/cloud"; mkdir "$here/cloud"; cp cloud/* "$here/cloud"
python3 -c "
import sqlite3
db = sqlite3.connect('$here/cloud/emulator.sqlite'); db.execute('PRAGMA journal_mode = DELETE'); db.execute('VACUUM')"
