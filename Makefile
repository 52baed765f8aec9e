# Everything by `make`: see README.md. Each target installs what it needs by itself.
SHELL := /bin/bash
export PATH := $(HOME)/.cargo/bin:$(PATH)
SEEDS ?= 10000
CARGO ?= cargo

.PHONY: help deps demo test check bench sim

help:
	@echo "make demo   build and run a two-server cluster on this machine and watch a failover (BATCH=1: no terminal)"
	@echo "make test   all tests (root: the end-to-end cases run too)"
	@echo "make check  format, lints, documentation, licences, generated files"
	@echo "make bench  figures beside their alternatives"
	@echo "make sim    the decision core under random faults (SEEDS=n)"

deps:
	@tools/deps

demo: deps
	$(CARGO) build --release --workspace
	target/release/demo $(if $(BATCH),--batch)

check: deps
	$(CARGO) run -q -p clp-xtask -- check

test: deps
	$(CARGO) build --workspace --all-targets
	@set -o pipefail; $(CARGO) test --workspace --no-fail-fast -- --show-output 2>&1 | tee target/test.log
	$(CARGO) run -q -p clp-xtask -- rows target/test.log

bench: deps
	$(CARGO) build --release --workspace
	target/release/bench

sim: deps
	$(CARGO) run --release -q -p clp-sim -- run --seeds $(SEEDS)
