# Recipes for people; `.ci/run` is what has to pass.

# What CI runs.
check:
    .ci/run

# Tests alone.
test *ARGS:
    cargo test --workspace {{ARGS}}

# Dependencies against the advisory database, which needs a network.
audit:
    cargo deny check advisories

# Recipes that measure use the profile of what is released. They name the program beside
# the benchmark, so that Cargo chooses the same features of dependencies for all of them.
built := env("CARGO_TARGET_DIR", "target") / "dist"

# Whole commands over 100,000 random songs of 512 dimensions.
bench SONGS="100000" DIMENSION="512":
    cargo build --profile dist -p songrec-cli -p songrec-bench --bin songrec --bin commands
    {{built}}/commands {{SONGS}} {{DIMENSION}}

# The features beside librosa (and, with `--bliss`, bliss-audio); needs Python.
bench-features *ARGS:
    cargo build --profile dist -p songrec-cli -p songrec-bench --bin features_pipeline
    python3 tools/bench_features.py {{ARGS}}

# The index by itself; `tools/bench_index_peers.py` runs its peers beside it.
bench-index *ARGS:
    cargo build --profile dist -p songrec-cli -p songrec-bench --bin index_search
    {{built}}/index_search {{ARGS}}

# Maps beside umap-learn, openTSNE and pynndescent; needs Python and rows' space in FOLDER.
bench-map FOLDER *CASES:
    cargo build --profile dist -p songrec-cli -p songrec-bench --bin map
    python3 tools/bench_map_peers.py target/dist/map {{FOLDER}} {{CASES}}

# Clusters, anomalies and components beside scikit-learn and hdbscan; PYTHON is one
# that has both. NAMES are those of its module documentation.
bench-analysis PYTHON="python3" FOLDER="target/bench/analysis" *NAMES="":
    cargo build --profile dist -p songrec-cli -p songrec-bench --bin analysis
    {{built}}/analysis {{FOLDER}} {{NAMES}}
    {{PYTHON}} tools/bench_analysis_peers.py {{FOLDER}} {{NAMES}}

# Random histories of several machines that sync, whose seeds replay; and every
# short one of one song.
soak STEPS="1000000" *SEED:
    cargo build --profile dist -p songrec-cli -p songrec-bench --bin sync_soak --bin every_history
    {{built}}/sync_soak {{STEPS}} {{SEED}}
    {{built}}/every_history
    cargo test --profile dist -q -p songrec-sync --test it pair -- --ignored

# Three machines and a cloud in a ring, killed at random for five minutes, with
# an emulator and an S3 server; `SONGREC_SOAK_SECONDS` and `SONGREC_SOAK_SEED` choose otherwise.
soak-processes:
    SONGREC_SOAK_SECONDS=${SONGREC_SOAK_SECONDS:-300} cargo test -p songrec-cli --test it soak -- --nocapture

# Two servers and the command line on one library, killed at random for SECONDS.
soak-serve SECONDS="300" SEED="1":
    SONGREC_SOAK_SECONDS={{SECONDS}} SONGREC_SOAK_SEED={{SEED}} cargo test -p songrec-cli --test it soak_serve -- --nocapture

# Schemathesis over every operation of `songrec serve`; PYTHON is one that has it.
fuzz-serve PYTHON="python3" EXAMPLES="40" SEED="1":
    cargo build -p songrec-cli
    {{PYTHON}} tools/fuzz_serve.py target/debug/songrec --examples {{EXAMPLES}} --seed {{SEED}}

# Made-up files for all that reads files, guided by coverage; targets are
# `tags`, `decode` and `song`. Needs a nightly compiler, C++ and Python.
fuzz SECONDS="600" *TARGETS:
    tools/fuzz.sh {{SECONDS}} {{TARGETS}}

# Storing into the cloud beside astrapy and boto3; PYTHON is one that has both.
bench-astra PYTHON="python3" *ARGS:
    cargo build --profile dist -p songrec-cli -p songrec-bench --bin astra_store
    {{built}}/astra_store --python {{PYTHON}} {{ARGS}}

# Learned embeddings beside a Python script that does the same; needs Python.
bench-embed MODELS NAME *ARGS:
    cargo build --profile dist -p songrec-cli -p songrec-bench --bin embed
    python3 tools/bench_embed.py {{MODELS}} {{NAME}} {{ARGS}}

# `songrec serve` over random songs: `similar` at RATE a second, uploads, idle clients,
# memory; and Chroma's server, with a PYTHON that has chromadb.
bench-serve SONGS="100000" DIMENSION="512" DATA="clustered" RATE="200" SECONDS="30" PYTHON="":
    cargo build --profile dist -p songrec-cli -p songrec-bench --bin songrec --bin serve
    {{built}}/serve {{SONGS}} {{DIMENSION}} {{DATA}} {{RATE}} {{SECONDS}} {{PYTHON}}

# `songrec migrate` beside an astrapy script and rclone.
bench-migrate PYTHON="python3" RCLONE="rclone":
    cargo build --profile dist -p songrec-cli -p songrec-bench --bin songrec --bin migrate
    {{built}}/migrate {{PYTHON}} {{RCLONE}}

# The page that `songrec map` writes, from `web/map`; needs Node and npm.
map-page:
    web/map/build.sh

# The pages of `songrec serve`, from `crates/server/dashboard`; needs Node and npm.
dashboard:
    cd crates/server/dashboard && npm ci --ignore-scripts --no-audit --no-fund && npm run --silent build

# The pages in Chromium over made-up songs.
dashboard-test:
    cd crates/server/dashboard && npm test

# The committed pages against their sources, their types and rules, and the tests.
dashboard-check:
    tools/check_dashboard.sh

# How soon the map of SONGS is seen, scripts a frame and bytes; at URL, a server's.
bench-dashboard SONGS="100000" URL="":
    cd crates/server/dashboard && npm run --silent figures -- {{SONGS}} {{URL}}

# The Python module: its crate, a wheel, and the tests of that; needs Python 3.9 or later.
python *TESTS:
    tools/check_python.sh {{TESTS}}

# Python's lock file after a change of the main one, with the same versions.
python-lock:
    cp Cargo.lock python/Cargo.lock
    cargo metadata --manifest-path python/Cargo.toml --format-version 1 >/dev/null
