# Everyday commands; `make` alone explains them. The work is done by cargo and by the scripts in .ci/.

.DEFAULT_GOAL := help
.PHONY: help toolchain setup tools demo dev test campaign check bench bench-quick bench-publish load fmt prepare docs clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

toolchain:
	@.ci/toolchain

setup: toolchain ## Prepare this machine: a C linker and the programs of a Postgres server (done by the others, too)
	@.ci/setup

tools: toolchain
	@.ci/tools

demo: setup ## See it work: every provider simulated, real HTTP, real Postgres, a table at the end
	@cargo build --locked
	@cargo run --quiet --locked -- demo

dev: setup ## The gateway with a private Postgres, the simulated providers and a demo merchant, until Ctrl-C
	@cargo build --locked
	@cargo run --quiet --locked -- dev

test: setup ## All tests
	@.ci/test

campaign: setup ## The long fault campaign and all its controls (half an hour; TILLGATE_ROUNDS, TILLGATE_ORDERS, TILLGATE_SEED)
	cargo test --features faults --locked --test process -- campaign:: --ignored --nocapture --test-threads 1

check: setup tools ## Everything that the build server checks; the tests come last
	cargo fmt --check
	cargo clippy --all-targets --features faults --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --document-private-items --locked
	.ci/queries check
	.ci/policy
	@.ci/test

bench: setup ## Measure everything, beside what pgbench does on the same server (half an hour; docs/PERFORMANCE.md)
	cargo bench --locked --bench pure -- --warm-up-time 0.3 --measurement-time 1
	cargo bench --locked --bench gateway -- --json target/bench.json

bench-quick: setup ## The same with less of everything (three minutes after the build)
	cargo bench --locked --bench gateway -- --quick --json target/bench-quick.json

bench-publish: setup ## Measure everything, and write the tables and plots of docs/PERFORMANCE.md
	cargo bench --locked --bench gateway -- --publish --json target/bench.json

load: setup ## Measure webhooks: 10,000 events to 20 endpoints, 5 of them dead (minutes; TILLGATE_EVENTS=2000 for fewer)
	cargo test --locked --test api ten_thousand_events -- --ignored --nocapture

fmt: toolchain ## Format the code
	cargo fmt

prepare: setup ## Write .sqlx/ anew, after a change of a query or a migration
	@.ci/queries prepare

docs: toolchain ## The documentation of the code, in target/doc
	cargo doc --no-deps --document-private-items --locked

clean: ## Remove what was built; .local (the installed tools, the data of `make dev`) stays
	cargo clean
