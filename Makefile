# Ngã Tư: what one types. `make` alone explains.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Node.js that deploy/setup brought where the machine has none; rustup's place where a login shell did not add it.
export PATH := $(CURDIR)/.local/node/bin:$(PATH):$(HOME)/.cargo/bin

# ONNX Runtime as its makers publish it tells them of each start: not of ours.
export ORT_DISABLE_TELEMETRY := 1

# Every script here: those that are run and those that are only sourced.
SCRIPTS = $(shell grep -rlE '^\#(!.*bash| shellcheck shell=bash)$$' .ci deploy)

WEB := aggregator/web
WEB_SOURCES := $(shell find $(WEB) \( -name node_modules -o -name dist -o -name tests \) -prune -o -type f -print 2>/dev/null)

.PHONY: help setup demo test properties check machines bench bench-edge accuracy build web format clean

help: ## this text
	@printf 'Ngã Tư: alerts from traffic cameras, each with its proof.\n\n'
	@printf 'First time, on Debian 12 with Rust:   make demo      then open the address that it prints\n\n'
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | \
	  while IFS=$$'\t' read -r target text; do printf '  make %-10s %s\n' "$$target" "$$text"; done
	@printf '\nYour own clip:   README.md, "Your own clip in five minutes"\n'
	@printf 'What is here:    README.md, ARCHITECTURE.md; how it is written: STYLE.md\n'

setup: ## install what the demo needs (Debian packages, ONNX Runtime, a detector, a clip); again: a second, no network
	@deploy/setup run

demo: setup build ## centre, cameras and agent on this machine; prints the address; Ctrl-C stops all. DEMO='--for 60' ends by itself
	@deploy/demo/run $(DEMO)

test: ## everything that proves it: set-up, formatting, web and Rust tests, end to end, in a browser
	@deploy/setup test
	@.ci/suite

# Crates whose properties need no video, network or model.
PROPERTIES = case-bundle models protocol edge-cascade edge-core edge-lamp motion-gate optical-flow plates edge-scheduler edge-stills

properties: ## search for rare counterexamples: every property of the pure crates from a new seed. PROPTEST_CASES=N (5000)
	PROPTEST_CASES=$${PROPTEST_CASES:-5000} cargo test --locked --no-fail-fast $(addprefix -p ,$(PROPERTIES))

check: web ## what a reviewer would run first: formatting, lints, documentation, licences, scripts
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo clippy --workspace --exclude edge-stills --no-default-features --all-targets --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked --quiet
	if command -v cargo-deny >/dev/null; then cargo deny check bans licenses sources; cargo deny check advisories || echo 'advisories: not checked, or found; see above (the list comes from the network)'; else echo 'skipped: cargo-deny is not installed (cargo install cargo-deny --locked)'; fi
	if command -v shellcheck >/dev/null; then shellcheck $(SCRIPTS); else echo 'skipped: shellcheck is not installed (apt-get install shellcheck)'; fi
	python3 deploy/demo/simulate_junction.py --check

machines: ## the core's recorded cases on other processors (an old x86-64, aarch64) must give the same bytes
	@.ci/machines

bench: setup ## CPU time per frame of decode, of inference and of the whole agent, a few minutes. BENCH='--rounds N --clip FILE --model ID'
	@cargo build --release --locked -p edge-agent -p benches -p rtsp-camera
	@target/release/bench-edge --only replay,live $(BENCH)

bench-edge: ## all that the box costs, against its parts and against what one would run instead, in one run. BENCH='--quick', --help
	@deploy/setup bench
	@cargo build --release --locked -p edge-agent -p benches -p rtsp-camera
	@target/release/bench-edge $(BENCH)

accuracy: ## person AP50 of every installed detector beside its authors' own decoding (vtest, MOT17-mini). ACCURACY='--models ID --every N'
	@deploy/workshop/setup
	@cargo build --locked -p edge-agent
	@.local/workshop/bin/python -B deploy/workshop/accuracy.py $(ACCURACY)

build: web ## the programs, into target/debug
	@cargo build --workspace --bins --locked

web: $(WEB)/dist/index.html ## the operator's screen, when something of it changed
	@:

format: ## rustfmt over everything
	cargo fmt --all

clean: ## remove what is built; what set-up brought stays (delete .local/ for that)
	cargo clean
	rm -rf $(WEB)/dist $(WEB)/node_modules

$(WEB)/node_modules/.package-lock.json: $(WEB)/package.json $(WEB)/package-lock.json
	@echo 'operator screen: fetching packages'
	@cd $(WEB) && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(WEB)/dist/index.html: $(WEB)/node_modules/.package-lock.json $(WEB_SOURCES)
	@echo 'operator screen: building'
	@cd $(WEB) && npm run --silent build
	@touch $@
