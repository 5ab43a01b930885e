#!/usr/bin/env bash
# Makes `crates/library/assets/map.html`, or the file named as the argument, from
# the sources beside this script. Needs Node 20 or later, and npm for the three
# tools that `package-lock.json` pins. The same sources give the same bytes.
set -euo pipefail
cd "$(dirname "$0")"

npm ci --ignore-scripts --no-audit --no-fund
npm run --silent check
node build.mjs "$@"
