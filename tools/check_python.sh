#!/usr/bin/env bash
# The Python module: its crate is formatted and without warnings, a wheel of it is built
# and installed into a Python of its own, and there its tests pass, with the types and the
# notebook. Where Python or its package registry cannot be had, it says what is left out.
#
# PYTHON names the interpreter, 3.9 or later.
set -euo pipefail
cd "$(dirname "$0")/.."

skip() {
    echo "SKIPPED: $1; the Python module is not built and not tested"
    exit 0
}

python="${PYTHON:-python3}"
command -v "$python" >/dev/null || skip "there is no Python"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 9))' ||
    skip "$("$python" --version) is older than 3.9"
"$python" -c 'import venv, ensurepip' 2>/dev/null || skip "this Python cannot make environments (venv)"

# What is made for the tests alone is never optimised further, nor debugged.
export CARGO_TARGET_DIR="$PWD/target/python" CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=false

cargo fmt --manifest-path python/Cargo.toml --check
# Locked to the versions of the main build, and no others: what both have is downloaded once.
cargo metadata --manifest-path python/Cargo.toml --locked --format-version 1 >/dev/null || {
    echo "error: python/Cargo.lock does not fit: run \`just python-lock\`, and commit it" >&2
    exit 1
}
if cargo deny --version >/dev/null 2>&1; then
    cargo deny --offline --manifest-path python/Cargo.toml --config deny.toml \
        check --allow license-not-encountered bans licenses sources
fi

home="$PWD/target/tools/python"
if ! "$home/bin/python" -c 'import maturin, pytest, mypy, nbclient, matplotlib' 2>/dev/null; then
    rm -rf "$home"
    "$python" -m venv "$home"
    if ! "$home/bin/pip" install --quiet --disable-pip-version-check 'maturin>=1.9.4,<2' numpy \
        pytest mypy nbclient nbformat ipykernel matplotlib; then
        rm -rf "$home"
        skip "the packages for its tests could not be installed"
    fi
fi

wheels="$CARGO_TARGET_DIR/wheels"
rm -rf "$wheels"
# Clippy in the place of the compiler, for this crate alone: `cargo clippy` would look at
# all that it is built from once more. The profile is that of the other tests.
RUSTC_WORKSPACE_WRAPPER=clippy-driver \
    CLIPPY_ARGS='-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__' \
    "$home/bin/maturin" build --quiet --locked --manifest-path python/Cargo.toml \
    --config "$PWD/Cargo.toml" --interpreter "$home/bin/python" --out "$wheels"
"$home/bin/pip" install --quiet --disable-pip-version-check --no-deps --force-reinstall "$wheels"/*.whl

# The program serves the Data API for the test of a library in the cloud.
[ -n "${SONGREC_PROGRAM:-}" ] || [ ! -x target/debug/songrec ] || SONGREC_PROGRAM="$PWD/target/debug/songrec"
export SONGREC_PROGRAM="${SONGREC_PROGRAM:-}" PYTHONDONTWRITEBYTECODE=1
# In a folder that has nothing to do with the sources, as for a user.
elsewhere="$(mktemp -d)"
trap 'rm -rf "$elsewhere"' EXIT
tests="$PWD/python/tests"
cd "$elsewhere"
"$home/bin/python" -m pytest --quiet -p no:cacheprovider --basetemp "$elsewhere/tests" "$@" "$tests"
