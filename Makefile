# `make demo` and `make test` do all the set-up. Where they need a system package they install it as root through apt, else
# they print the line to run. Everything Python goes to .venv, everything Rust to Cargo's target folder.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# The Python that .venv is made of: the system's, or the first other one that is new enough.
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python3.14; do \
	if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then echo $$p; break; fi; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.requirements

.PHONY: help demo test test-rust test-python test-simt test-gpu lint build stubs conformance exhaustive figures bench bench-gpu ptx tools clean

help:  ## What there is to make.
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

demo: build  ## The main job on real data, against NumPy; pictures go to demo-output/.
	$(BIN)/python frontend-py/demo/main_job.py

test: test-rust test-python test-simt  ## Every test, Rust and Python, the latter on the emulator of a GPU too.

test-rust: $(READY)
	cargo test --workspace
	FUSEWIRE_TEST_TIER=llvm cargo test --package fusewire-tests --test sweep --test fuzz
	FUSEWIRE_TEST_DEVICE=simt cargo test --package fusewire-tests --test sweep --test fuzz
	FUSEWIRE_TEST_DEVICE=simt cargo test --package fusewire-tests --test fuzz_runtime computed_arrays

test-python: build
	$(BIN)/pytest

test-simt: build  ## The Python tests with the emulator of a GPU as the default device.
	FUSEWIRE_SIMT=1 FUSEWIRE_DEVICE=simt $(BIN)/pytest

ptx: $(READY)  ## Registers, shared memory and spills of every GPU kernel, by NVIDIA's assembler.
	cargo test --package fusewire-jit-gpu --test ptx -- --nocapture assemble

# CHECK="compute-sanitizer --tool memcheck" (of NVIDIA's toolkit) looks at every access of every kernel; it takes very long.
test-gpu: build  ## The Python tests with a GPU as the default device: make test-gpu [DEVICE=cuda:0] [CHECK=<a memory checker>].
	FUSEWIRE_DEVICE=$(or $(DEVICE),cuda:0) $(CHECK) $(BIN)/python -m pytest

lint: build  ## Formatting, clippy, ruff, types.
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

build: $(READY)  ## The package in .venv, release build.
	$(BIN)/maturin develop --release --quiet

stubs: build  ## The type stubs, from the compiled module.
	$(BIN)/python frontend-py/stubs/generate.py

# The suite is data-apis/array-api-tests, with its submodule. Its time limit a test would measure the machine's other work.
EXAMPLES ?= 100
conformance: build  ## The standard's suite: make conformance SUITE=<its checkout> [EXAMPLES=100] [TESTS=<files or ids>].
	@test -f "$(SUITE)/array_api_tests/__init__.py" || { echo "SUITE=<a checkout of data-apis/array-api-tests>"; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement $(SUITE)/requirements.txt
	cd $(SUITE) && ARRAY_API_TESTS_MODULE=fusewire $(abspath $(BIN))/pytest -p no:cacheprovider --tb=short \
		--max-examples $(EXAMPLES) --disable-deadline $(or $(TESTS),array_api_tests)

exhaustive: tools  ## The worst error of each function over all 2^32 float32 inputs. Takes long.
	cargo rustc --release --package fusewire-lowering --example exhaustive -- -C target-cpu=native
	$${CARGO_TARGET_DIR:-target}/release/examples/exhaustive

figures: build  ## The figures of benches/README.md.
	$(BIN)/python benches/python/main_figures.py

# Each peer by itself: one that cannot be installed is absent.
bench: build  ## Every workload beside the peers, which are installed first; tables, JSON and plots.
	-grep -v '^#' benches/requirements.txt | xargs -n 1 $(BIN)/pip install -q
	$(BIN)/python benches/python/compare.py --write local
	$(BIN)/python benches/python/report.py local

bench-gpu: build  ## A GPU beside CuPy, JAX, PyTorch and a copy inside its memory, where they are installed; table and JSON: make bench-gpu [MINUTES=10].
	$(BIN)/python benches/python/gpu.py --write local $(if $(MINUTES),--minutes $(MINUTES))

# The requirements decide whether the environment is new, not its age.
$(READY): requirements-dev.txt | tools
	@$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	@touch $@

tools:
	@scripts/check-tools "$(PYTHON)"

clean:  ## Removes what was built.
	cargo clean
	rm -rf $(VENV) demo-output
