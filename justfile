# The chores of the repository. Nothing here is needed: each recipe is a command that can be typed.

# What can be done
default:
    @just --list --unsorted

# Start the daemon
run *arguments:
    cargo run --release --bin koiosd -- {{ arguments }}

# Start an OPC UA server to try it with
demo *arguments:
    cargo run --release -p koios-testkit --bin demo-server -- {{ arguments }}

# Run all tests that can run here; arguments go to `cargo test`
test *arguments:
    cargo xtask test {{ arguments }}

# Install the OPC UA servers and REST clients of other languages
fixtures:
    cargo xtask fixtures

# Write bins/koiosd/openapi.json anew
openapi:
    cargo xtask openapi

# Write the table of settings in docs/CONFIGURATION.md anew
configuration:
    cargo xtask configuration

# Make a Debian package of a release build, in target/debian
deb *arguments:
    cargo xtask deb {{ arguments }}

# Install that package on this machine, try it, and take it away again (needs root; refuses where Koios is in use)
deb-test package:
    packaging/debian/try {{ package }}

# Connect to the servers of all stacks in all ways, and write docs/INTEROP.md anew
interop:
    cargo xtask interop

# Kill the daemon under load, 1,000 times unless told otherwise, and look what is lost
kills *arguments:
    cargo xtask kills {{ arguments }}

# Let every file and database call of the daemon fail
faults *arguments:
    cargo xtask faults {{ arguments }}

# Let 200 clients call everything for ten minutes while 500 devices are running, unless told otherwise
load *arguments:
    cargo xtask load {{ arguments }}

# Format all code
fmt:
    cargo fmt --all
    cargo fmt --manifest-path fuzz/Cargo.toml
    cargo fmt --manifest-path benches/openssl/Cargo.toml

# Check the formatting
check-fmt:
    .ci/run fmt

# Lint all targets
clippy:
    .ci/run clippy

# Lint and test the build with the deprecated policies
deprecated:
    .ci/run deprecated

# Run koios-store's tests on a PostgreSQL server of its own, and tell whether every statement was executed
postgresql *arguments:
    cargo xtask postgresql {{ arguments }}

# Build the documentation, private items included
doc:
    .ci/run doc

# Tell which links of the Markdown files lead nowhere
links:
    cargo xtask links

# Replay the fuzz corpora
fuzz-replay:
    .ci/run fuzz

# Make a Debian package of the present build, and try it where that may change the machine
check-package:
    .ci/run package

# Build the image and try it, where podman or docker is
image:
    .ci/run image

# Compare the committed OpenAPI document with the served one
check-openapi:
    .ci/run openapi

# Let a generated TypeScript client tell the README story, and schemathesis look for unforeseen answers
clients:
    .ci/run clients

# The same with many more requests; a seed repeats an earlier run
fuzz-api examples="300" *seed:
    cargo xtask clients {{ examples }} {{ seed }}

# Run the examples
examples:
    .ci/run examples

# Tell the README story to the Prosys OPC UA Simulation Server that KOIOS_PROSYS_ENDPOINT and KOIOS_PROSYS_PKI name
prosys *arguments:
    cargo xtask prosys {{ arguments }}

# The same against a stand-in that keeps certificates as that server does
prosys-stand-in *arguments:
    cargo xtask prosys --stand-in {{ arguments }}

# Measure koios-pki against OpenSSL (needs its development files)
bench-openssl *arguments:
    cargo run --release --manifest-path benches/openssl/Cargo.toml -- {{ arguments }}

# Check dependencies: bans, licences, sources
deny:
    .ci/run deny

# Check dependencies against the advisory database (needs a network)
advisories:
    cargo deny --locked check advisories

# Everything that must hold before a change lands
ci:
    .ci/run
