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
