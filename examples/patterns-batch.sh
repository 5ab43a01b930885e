#!/bin/sh
# A program feeds patterns, a line each; what was cut off is sent again.
#
#     examples/patterns-batch.sh
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

# Stands for a program that looks for patterns: four of each of three songs, with ids
# of its own choice and features that only it understands.
find_patterns() {
    "$songrec" ls --limit 3 --sort id --json | sed 's/.*"id":"\([^"]*\)".*/\1/' |
        while read -r song; do
            for at in 0 1 2 3; do
                number=$((${number:-0} + 1))
                printf '{"id":"00000000-0000-4000-8000-%012d","song":"%s",' "$number$at" "$song"
                printf '"start":0.0%s,"end":0.1%s,"kind":"onset","confidence":0.%s,' "$at" "$at" "$((at + 5))"
                printf '"features":[%s,1,0.5],"source":"finder 1.0","metadata":{"peak":%s}}\n' "$at" "$at"
            done
        done
}

find_patterns >patterns.jsonl
# The power fails after some.
head -n 5 patterns.jsonl | run patterns add --from - >/dev/null

# What is there already stays as it is, so the whole is simply sent again.
find_patterns | run patterns add --from - >/dev/null
find_patterns | run patterns add --from - --json | tail -n 1

# Several parts of a song at once, as a person does it.
song=$("$songrec" ls --limit 1 --json | sed 's/.*"id":"\([^"]*\)".*/\1/')
run patterns add "$song@0-0.1" "$song@0.1-0.2" --type onset

# Another library takes what this one has.
run patterns query --limit 1000 --features --json >all.jsonl
run --library other init
run --library other --quiet scan "$audio" >/dev/null
run --library other patterns add --from all.jsonl >/dev/null
