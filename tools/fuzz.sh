#!/usr/bin/env bash
# Feeds made-up files to the code that reads files: seconds, then targets of
# `crates/audio/fuzz`. Needs a nightly compiler, a C++ compiler and Python.
#
# What is found lies in `crates/audio/fuzz/artifacts`; what was learned, in
# `corpus` beside it, and the next run goes on from there. `FUZZ_KEEP_GOING=0`
# stops at the first finding.
set -euo pipefail
cd "$(dirname "$0")/../crates/audio/fuzz"
seconds=${1:-600}
shift || true
[ $# -gt 0 ] || set -- tags decode song

# What `cargo fuzz --sanitizer none` sets; the code is safe Rust, so a
# sanitizer of memory would only cost time.
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing"
target=x86_64-unknown-linux-gnu
case "$(uname -sm)" in
"Linux aarch64") target=aarch64-unknown-linux-gnu ;;
"Darwin arm64") target=aarch64-apple-darwin ;;
esac
# The versions that the program is built with.
cp ../../../Cargo.lock Cargo.lock
cargo +nightly build --release --target "$target"

mkdir -p artifacts
for name in "$@"; do
    seeds=corpus/$name
    if [ ! -d "$seeds" ]; then
        mkdir -p "$seeds"
        find ../tests/fixtures ../../../examples/audio -type f -size -60k \
            \( -path '*formats*' -o -path '*hostile*' -o -path '*examples*' \) \
            ! -name '*.sh' ! -name '*.md' -exec cp {} "$seeds" \;
        python3 make_seeds.py "$seeds"
    fi
done

# Little stack, so that whoever calls himself without end is found early.
ulimit -s 1024
temporary=$(mktemp -d "${TMPDIR:-/dev/shm}/fuzz.XXXXXX")
trap 'rm -rf "$temporary"' EXIT
share=$((seconds / $#))
for name in "$@"; do
    echo "== $name, $share seconds"
    keep=()
    [ "${FUZZ_KEEP_GOING:-1}" = 0 ] || keep=(-ignore_crashes=1 -ignore_timeouts=1 -ignore_ooms=1)
    TMPDIR=$temporary "target/$target/release/$name" "corpus/$name" \
        -dict=words.dict -artifact_prefix="artifacts/$name-" -max_len=60000 \
        -timeout=20 -rss_limit_mb=1024 -malloc_limit_mb=512 \
        -fork=1 "${keep[@]}" -max_total_time="$share" 2>&1 | grep -v '^INFO: \(temp\|Loaded\|Seed\)' || true
done
times
