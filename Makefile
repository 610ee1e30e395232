# The project's commands. `make check` reads only; `make fix` is its writing twin.
# Longer logic is in .ci/*.sh.

.DEFAULT_GOAL := help
.PHONY: help demo test check fix fuzz bench-exchange bench-raft cluster-campaign

help: ## this list
	@grep -hE '^[a-z-]+: .*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+): .*## /\1\t/' | expand -t 18

demo: ## a global issuer and one region on loopback, and one exchange told step by step
	cargo build --release -p exequatur-node
	target/release/exequatur demo $(ARGS)

test: ## every test; installs what is missing and starts a PostgreSQL of its own
	.ci/test.sh $(ARGS)

check: ## the read-only gate: format, lints, tidy, documentation, dependencies, scripts
	.ci/install.sh shellcheck nextest deny
	cargo fmt --all --check
	cargo fmt --check --manifest-path sim/fuzz/Cargo.toml
	cargo lint
	cargo tidy
	RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --no-deps
	@# Advisories are not judged here: their database cannot be reached from every machine.
	cargo deny --locked check bans licenses sources
	shellcheck .ci/run .ci/*.sh

fix: ## format, and what clippy can mend by itself
	cargo fmt --all
	cargo fmt --manifest-path sim/fuzz/Cargo.toml
	cargo clippy --workspace --all-targets --fix --allow-dirty --allow-staged

cluster-campaign: ## the tests of faults on three processes, ROUNDS times each (needs root)
	.ci/install.sh packages nextest
	cargo nextest run -p exequatur-node --stress-count $(or $(ROUNDS),10) $(or $(ARGS),-E 'test(/^cluster::/)')

fuzz: ## every fuzz target for one minute (needs a nightly toolchain)
	.ci/fuzz.sh

bench-exchange: ## exchanges a second beside the floor; the last line is one JSON object
	cargo build --release -p exequatur-node -p exequatur-sim
	target/release/exequatur-sim bench exchange $(ARGS)

bench-raft: ## three nodes on loopback: proposals, their disk, and an idle node; one JSON object
	cargo build --release -p exequatur-node --bins --examples -p exequatur-sim
	target/release/exequatur-sim bench raft $(ARGS)
