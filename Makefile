# Everything by `make`: see README.md. Each target installs what it needs by itself.
SHELL := /bin/bash
export PATH := $(HOME)/.cargo/bin:$(PATH)
SEEDS ?= 10000
SECONDS ?= 30
SEED ?= 1
STOPS ?= 200
# LONG=1 is the hour that a release is given.
MINUTES ?= $(if $(LONG),60,10)
CARGO ?= cargo
# Where cargo builds; CARGO_TARGET_DIR and cargo's own settings move it. Asked only by the targets that need it.
BUILT = $(or $(CARGO_TARGET_DIR),$(shell $(CARGO) metadata --no-deps --format-version 1 2>/dev/null | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p'),target)
# PROFILE=debug builds faster and runs slower; figures are taken with release.
PROFILE ?= release
BUILD = $(CARGO) build $(if $(filter release,$(PROFILE)),--release) --workspace

.PHONY: help deps root demo storm pauses test check bench sim sim-planted fuzz generate package

help:
	@echo "make demo       build and run a two-server cluster on this machine and watch a failover"
	@echo "                BATCH=1  no terminal: take everything down at the end, exit 0 only if every step held"
	@echo "make pauses     whole servers stand still a thousand times: nobody writes behind a successor (root)"
	@echo "                STOPS=n  SEED=n (default 200 stops for each method, half an hour)"
	@echo "make storm      four servers under random faults from one seed, with checkers that look at the world (root)"
	@echo "                SEED=n  MINUTES=n (default 10)    LONG=1  one hour"
	@echo "make test       all tests; as root the end-to-end cases too; what is skipped says why and proves nothing"
	@echo "make check      format, lints, documentation, licences, generated files, rows, paths"
	@echo "make bench      figures beside their alternatives (root); ONLY=P1,P5 some of them"
	@echo "                JSON=1  the same for machines    LONG=1  more samples"
	@echo "make sim        the decision core under random faults, one thread a processor; a thousand seeds take about four processor-minutes"
	@echo "                SEEDS=n  so many runs (default $(SEEDS))"
	@echo "make sim-planted  every mistake put into the decision core is found"
	@echo "make fuzz       mutated input for the decoders, two at a time; SECONDS=n for each (default $(SECONDS))"
	@echo "                LONG=1  a million inputs for each"
	@echo "make deps       only install the packages (tools/deps --list names them)"
	@echo "make generate   write the generated parts of docs/manual, and docs/man"
	@echo "make package    not there yet: packages come with a later version"
	@echo
	@echo "CARGO_TARGET_DIR moves the build directory; PROFILE=debug builds demo, storm and bench without optimisation."

deps:
	@tools/deps

# Network namespaces and loop devices are root's.
root:
	@[ "$$(id -u)" = 0 ] || { echo "this makes network namespaces and loop devices: run it as root (sudo make $(MAKECMDGOALS))" >&2; exit 1; }

demo: root deps
	@echo "Building (the first time: downloads of the crates and some minutes) …"
	@$(BUILD)
	@$(BUILT)/$(PROFILE)/demo $(if $(BATCH),--batch)

storm: root deps
	@$(BUILD)
	@$(BUILT)/$(PROFILE)/testbed storm --seed $(SEED) --minutes $(MINUTES)

# All methods side by side; then what happens where nothing ends a server that stands still, and what a forced stop makes of it.
PAUSES = @$(BUILT)/$(PROFILE)/testbed pauses --method ping,majority,witness,etcd
pauses: root deps
	@$(BUILD)
	$(PAUSES) --stops $(STOPS) --labs 2 --seed $(SEED)
	$(PAUSES) --stops 20 --seed $(SEED) --fence none
	$(PAUSES) --stops 20 --seed $(SEED) --fence forced-stop

check: deps
	@$(CARGO) run -q -p clp-xtask -- check

test: deps
	@echo "Building (the first time: downloads of the crates and some minutes) …"
	@$(CARGO) build --workspace --all-targets
	@set -o pipefail; log="$(BUILT)/test.log"; $(CARGO) test --workspace --no-fail-fast -- --show-output 2>&1 | tee "$$log"; \
	    code=$$?; $(CARGO) run -q -p clp-xtask -- rows "$$log" && exit $$code

bench: root deps
	@echo "Building (the first time: downloads of the crates and some minutes) …"
	@$(BUILD)
	@$(BUILT)/$(PROFILE)/bench $(if $(JSON),--json) $(if $(LONG),--samples 30 --long) $(if $(ONLY),--only $(ONLY))

sim: deps
	@$(CARGO) run --release -q -p clp-sim -- run --seeds $(SEEDS)

sim-planted: deps
	@$(CARGO) run --release -q -p clp-sim -- planted

fuzz: deps
	@CARGO=$(CARGO) fuzz/run $(abspath $(BUILT)) $(SECONDS)

generate:
	@$(CARGO) run -q -p clp-xtask -- generate

package:
	@echo "make package is not there yet: packages come with a later version (see CHANGELOG.md)" >&2; exit 1
