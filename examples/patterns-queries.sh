#!/bin/sh
# Finds patterns by several criteria at once, and by how they sound.
#
#     examples/patterns-queries.sh
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

# Every song gets a beginning and, where it is long enough, an end.
"$songrec" ls --limit 1000 --json | sed 's/.*"id":"\([^"]*\)".*/\1/' | while read -r song; do
    "$songrec" --quiet patterns add "$song@0-0.2" --type beginning --low 20 --high 5000 \
        --confidence 0.8 --source "a script" >/dev/null
    "$songrec" --quiet patterns add "$song@0.8-1" --type end --low 4000 --high 12000 \
        --confidence 0.6 --source "a script" >/dev/null 2>&1 || true
done

# Criteria hold together; times and frequencies hold if they overlap.
run patterns query --type beginning --time 0:00.1-0:00.5 --low 100 --high 200 --confidence 0.7 --limit 3
# Both kinds, the surest first, the second page.
run patterns query --type beginning,end --sort confidence --reverse --limit 2 --offset 2
run patterns query --source "a script" --low 11000 --sort end --limit 3

# What sounds like a pattern, like a part of a song, and like features.
pattern=$("$songrec" patterns query --type beginning --limit 1 --json | sed 's/^{"id":"\([^"]*\)".*/\1/')
run patterns similar "$pattern" --type beginning --threshold 0.5 -k 3
song=$("$songrec" ls --limit 1 --json | sed 's/.*"id":"\([^"]*\)".*/\1/')
run patterns similar "$song@0.1-0.3" -k 3
run patterns show "$pattern" --npy features.npy >/dev/null
model=$("$songrec" patterns show "$pattern" --json | sed 's/.*"model":"\([^"]*\)".*/\1/')
nearest=$(run patterns similar --features features.npy --model "$model" -k 1 --json |
    sed 's/.*"results":\[{[^}]*"id":"\([^"]*\)".*/\1/')
[ "$nearest" = "$pattern" ] && echo "the nearest of them is the pattern itself"
