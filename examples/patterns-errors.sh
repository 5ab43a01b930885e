#!/bin/sh
# What goes wrong, what is said about it, and what programs can go by: exit codes.
#
#     examples/patterns-errors.sh
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

# Runs a command that has to end with this code.
ends_with() {
    expected=$1
    shift
    code=0
    run "$@" || code=$?
    [ "$code" -eq "$expected" ] || {
        echo "expected $expected, and it was $code" >&2
        exit 1
    }
    echo >&2
}

# 2: it cannot be. Nothing is stored.
ends_with 2 patterns add "$pad@0-1000" --type far
ends_with 2 patterns add "$pad@0-1" --type loud --confidence 1.5
ends_with 2 patterns add "$pad@0-1" --type low --low 200 --high 100
echo '{"song":"'"$pad"'","start":0,"end":1,"kind":"empty","features":[]}' >empty.jsonl

# 3: some could not be added; each is named with its line, and the others are stored.
{
    echo '{"song":"'"$pad"'","start":0,"end":1,"kind":"good","features":[1,2]}'
    cat empty.jsonl
    echo 'this is no JSON'
    echo '{"song":"nowhere","start":0,"end":1,"kind":"lost","features":[1,2]}'
    echo '{"song":"'"$pad"'","start":0,"end":1,"kind":"good","features":[2,1]}'
} >some.jsonl
ends_with 3 patterns add --from some.jsonl

# 4: there is no such thing.
ends_with 4 patterns show 00000000-0000-4000-8000-000000000000
ends_with 4 patterns add "nowhere@0-1" --type lost

# 1: there is nothing to find.
ends_with 1 patterns query --type nothing-such

# As JSON, errors are documents too.
"$songrec" patterns show 00000000-0000-4000-8000-000000000000 --json 2>/dev/null || true
good=$("$songrec" patterns query --type good --json | wc -l)
[ "$good" -eq 2 ] && echo "2 patterns are there: nothing was lost"
