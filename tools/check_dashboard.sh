#!/usr/bin/env bash
# The dashboard of `songrec serve`: what is committed of it is what its sources give,
# its types and rules hold, and its pages work in Chromium over made-up songs.
# Where Node, the npm registry or Chromium cannot be had, it says what is left out.
set -euo pipefail
cd "$(dirname "$0")/../crates/server/dashboard"

skip() {
    echo "SKIPPED: $1; $2"
    exit 0
}

least=20.19
command -v node >/dev/null && command -v npm >/dev/null ||
    skip "there is no Node" "the dashboard is not built again and its pages are not tested"
node -e "const at = (text) => text.split('.').map(Number), [a, b] = at(process.versions.node), [x, y] = at('$least'); process.exit(a > x || (a === x && b >= y) ? 0 : 1)" ||
    skip "Node $(node --version) is older than $least" "the dashboard is not built again and its pages are not tested"
if ! npm ci --ignore-scripts --no-audit --no-fund --prefer-offline --loglevel=error; then
    npm ping --loglevel=silent >/dev/null 2>&1 && exit 1
    skip "the npm registry cannot be reached" "the dashboard is not built again and its pages are not tested"
fi

made="$(mktemp -d)"
trap 'rm -rf "$made"' EXIT
node types.mjs "$made/schema.ts"
node build.mjs "$made/dist"
if ! diff -r --brief dist "$made/dist" || ! diff --brief src/schema.ts "$made/schema.ts"; then
    echo "error: the committed dashboard is not what its sources give: run \`just dashboard\`, and commit \`dist\` and \`src/schema.ts\`" >&2
    exit 1
fi
npm run --silent check
npm run --silent lint

# Debian's is fetched where it may be; another is named by CHROMIUM.
for chromium in "${CHROMIUM:-}" chromium chromium-browser google-chrome-stable google-chrome; do
    CHROMIUM="$(command -v "$chromium" || true)"
    [ -z "$CHROMIUM" ] || break
done
if [ -z "$CHROMIUM" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    { apt-get install -qq --yes --no-install-recommends chromium ||
        { apt-get update -qq && apt-get install -qq --yes --no-install-recommends chromium; }; } >/dev/null 2>"$made/apt" ||
        tail -n 3 "$made/apt"
    CHROMIUM="$(command -v chromium || true)"
fi
[ -n "$CHROMIUM" ] || skip "Chromium is not there and could not be installed" "the pages of the dashboard are not tested"
export CHROMIUM
pages() { node --test --test-reporter=tap "$@" test/dashboard.test.mjs test/lists.test.mjs; }
if ! pages --test-concurrency=2 >"$made/tests" 2>&1; then
    # A browser on a busy machine may be too slow once; what is wrong fails again, alone.
    mapfile -t failed < <(sed -n 's/^not ok [0-9]* - //p' "$made/tests")
    [ "${#failed[@]}" -gt 0 ] || { cat "$made/tests"; exit 1; }
    for name in "${failed[@]}"; do
        pattern="^$(printf '%s' "$name" | sed 's/[][\\.*^$+?(){}|/]/\\&/g')\$"
        if ! pages --test-name-pattern="$pattern" >"$made/again" 2>&1 ||
            ! grep -q '^# pass [1-9]' "$made/again"; then
            grep -A 16 '^not ok' "$made/tests" "$made/again" || cat "$made/again"
            echo "error: pages of the dashboard fail: \`cd crates/server/dashboard && npm test\` tries them again" >&2
            exit 1
        fi
        echo "only at the second try: $name"
    done
fi
grep -E '^# (pass|skipped|duration_ms)' "$made/tests"
