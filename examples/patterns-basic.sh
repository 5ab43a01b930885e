#!/bin/sh
# Names a region of a song, looks at it, changes it and deletes it.
#
#     examples/patterns-basic.sh
set -eu

songrec=${SONGREC:-songrec}
audio=$(cd "$(dirname "$0")/audio" && pwd)
there=$(mktemp -d)
trap 'rm -rf "$there"' EXIT
export HOME="$there" XDG_CONFIG_HOME="$there/config" XDG_DATA_HOME="$there/data"
export XDG_CACHE_HOME="$there/cache" XDG_STATE_HOME="$there/state"
cd "$there"

# Shows a command, and runs it.
run() {
    echo "\$ songrec $*" >&2
    "$songrec" "$@"
}

"$songrec" --quiet init
"$songrec" --quiet scan "$audio" >/dev/null

pad=$(run search winter --json | sed -n 's/.*"id":"\([^"]*\)".*/\1/p' | head -n 1)

# The model that searches compare by hears the region.
pattern=$(run patterns add "$pad@0:00.5-0:01.5" --type harmonic --low 20 --high 8000 \
    --confidence 0.9 --source "by ear" --meta bar=1)
run patterns show "$pattern"

# It keeps its id, whatever is changed. At another place it is heard anew.
run patterns edit "$pattern" --type chord --confidence 1
run patterns edit "$pattern" --at 0:00-0:01.2 --meta bar=2
run patterns ls "$pad"

run patterns rm "$pattern"
