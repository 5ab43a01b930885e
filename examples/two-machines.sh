#!/bin/sh
# Two machines share one library.
#
# Everything happens on this machine, in a temporary folder: an emulated Astra DB
# and a folder in place of a bucket are the cloud, and two home folders are the
# machines. With an account, leave out the emulator and put the settings that it
# prints, with your own values, into `.env`.
#
#     examples/two-machines.sh [FOLDER WITH AUDIO]
set -eu

songrec=${SONGREC:-songrec}
audio=${1:-$(dirname "$0")/audio}
audio=$(cd "$audio" && pwd)
there=$(mktemp -d)
emulator=
trap '[ -z "$emulator" ] || kill "$emulator"; rm -rf "$there"' EXIT

# The cloud.
mkdir -p "$there/bucket"
"$songrec" emulator --addr 127.0.0.1:0 >"$there/env" &
emulator=$!
until [ "$(wc -l <"$there/env")" -ge 2 ]; do sleep 0.1; done
echo "SONGREC_BLOBS=file://$there/bucket" >>"$there/env"

# Runs songrec on one of the machines.
on() {
    machine=$1
    shift
    echo "$machine\$ songrec $*" >&2
    (
        cd "$there/$machine"
        [ ! -d library ] || cd library
        export HOME="$there/$machine" SONGREC_MACHINE="$machine"
        export XDG_CONFIG_HOME="$HOME/.config" XDG_DATA_HOME="$HOME/.local/share"
        export XDG_CACHE_HOME="$HOME/.cache" XDG_STATE_HOME="$HOME/.local/state"
        "$songrec" "$@"
    )
}

for machine in studio laptop; do
    mkdir -p "$there/$machine"
    cp "$there/env" "$there/$machine/.env"
done

# The story, in five commands.
on studio --storage-backend astra init-astra
on studio init
on studio scan "$audio" >/dev/null
on studio sync >/dev/null
on laptop clone astra library --keep-copies >/dev/null
cp "$there/env" "$there/laptop/library/.env"

# The laptop has it all: it can search, and it has the audio.
song=$(on laptop ls --limit 1 --json | sed 's/.*"id":"\([^"]*\)".*/\1/')
on laptop similar "$song" -k 3

# Both edit the same song without knowing of each other, then sync.
on laptop edit "$song" --set "title=From the laptop" --set genre=Ambient
on studio edit "$song" --set "title=From the studio" --set mood=calm
on laptop sync
on studio sync
on laptop sync

# Both say the same now, and nothing is lost.
on studio show "$song"
on laptop show "$song"
on studio conflicts show "$song"
on studio check local astra --read-data
