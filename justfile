# Every task. `just` without arguments lists them.

[private]
default:
    @just --list --unsorted

# Run the gateway and the outside world on loopback
demo *arguments:
    cargo run -- demo {{ arguments }}

# Run everything that must pass
test:
    scripts/test

# Run the Rust tests on SQLite, or only those that match
quick *filter:
    cargo nextest run {{ filter }}

# Run the tests of the core crate: identifiers, sealing, the decision
core:
    cargo nextest run --package signpost-core

# Check formatting, lints, wording and spelling
lint:
    cargo fmt --all --check
    cargo clippy --all-targets --locked -- -D warnings
    cargo clippy --package signpost --no-default-features --locked -- -D warnings
    cargo nextest run wording architecture cycles
    scripts/spelling

# Write the documents that are generated from the code
generate:
    cargo run -- generate

# Run the journeys in a browser
browser:
    cargo build
    npm --prefix tests/browser test

# Measure what requests and sign-ins cost, beside other relying parties
bench *options:
    scripts/bench {{ options }}

# Measure how fast users are sent to SecureAuth
bench-provisioning:
    cargo bench --bench provisioning

# Run the long runs, or some of their parts
prove *parts:
    scripts/prove {{ parts }}
