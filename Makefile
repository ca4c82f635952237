# make run    build what simulating needs and simulate (ARGS="…" replaces the arguments); at a terminal then serve the page
# make web    build the page and the guide into www
# make guide  build the guide into www/guide
# make serve  build the page and serve it on this machine (ARGS="…" goes to profiler serve)
# make test   everything that needs no GPU; the checks that this machine could not run are listed last
# make test-vllm  install a real vLLM and hold the simulator against it; not part of test
# make test-ray   a sweep on a Ray cluster with a node killed; installs Ray, not part of test
# make lint   formatting and clippy
# make bench  benchmarks, with times, instructions and other simulators beside (ARGS="…" chooses criterion's)
#
# Each step of `test` is a target of its own: make native, make wasm, …

SHELL := /bin/bash
.NOTPARALLEL:
.DEFAULT_GOAL := help
ARGS ?=

# A heading on stderr, where cargo writes too; with the time of day, to see what takes long.
step = @printf '\n\033[1m== %s\033[0m  %s\n' "$(1)" "$$(date +%T)" >&2

.PHONY: help run test lint bench web guide serve setup-run setup-test begin report fmt clippy native doctest doc bench-once no-std wasm fuzz-check deny python page-size page-unit page-e2e test-vllm test-ray

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

run: setup-run
	$(call step,profiler simulate)
	cargo run --locked --profile quick --no-default-features -p profiler -- simulate $(ARGS)
	$(call step,the page)
	@scripts/serve.sh --if-asked

web: setup-run
	$(call step,the page)
	@scripts/build-web.sh

guide: setup-run
	$(call step,the guide)
	@scripts/guide.sh

serve: setup-run
	$(call step,the page)
	@scripts/serve.sh $(ARGS)

test: begin setup-test fmt clippy native doctest doc bench-once no-std wasm fuzz-check deny python page-size page-unit page-e2e report

test-vllm: setup-test
	$(call step,a real vLLM)
	@scripts/test-vllm.sh $(ARGS)

test-ray: setup-test
	$(call step,a sweep on Ray)
	@scripts/test-ray.sh $(ARGS)

lint: setup-test fmt clippy

bench: setup-run
	@scripts/bench.sh $(ARGS)

setup-run:
	@scripts/setup.sh run

setup-test:
	$(call step,set-up)
	@scripts/setup.sh test

begin:
	@rm -f target/not-run.txt target/late.txt

report:
	$(call step,result)
	@echo "Everything that ran passed." >&2
	@if [ -s target/late.txt ]; then echo "Passed when they were tried once more:" >&2; cat target/late.txt >&2; fi
	@if [ -s target/not-run.txt ]; then echo "Not run here:" >&2; cat target/not-run.txt >&2; fi

fmt:
	$(call step,formatting)
	cargo fmt --all --check
	cargo fmt --manifest-path tests/fuzz/Cargo.toml --check

clippy:
	$(call step,clippy)
	@scripts/lint.sh

native:
	$(call step,native tests)
	@scripts/test-native.sh

doctest:
	$(call step,examples in the documentation)
	cargo test --quiet --locked --workspace --doc

doc:
	$(call step,documentation)
	RUSTDOCFLAGS="-D warnings" cargo doc --quiet --locked --workspace --no-deps

bench-once:
	$(call step,benchmarks once each)
	@scripts/bench-once.sh

no-std:
	$(call step,sim-core without std)
	@scripts/check-no-std.sh

wasm:
	$(call step,Wasm gives the native digests)
	@scripts/test-wasm.sh

fuzz-check:
	$(call step,fuzz targets compile)
	@scripts/fuzz.sh --check

deny:
	$(call step,licences and sources of the dependencies)
	@scripts/deny.sh

python:
	$(call step,the Python module)
	@scripts/test-python.sh

page-size:
	$(call step,weight of the page)
	@scripts/check-size.sh

page-unit:
	$(call step,unit tests in a browser)
	@scripts/test-web.sh

page-e2e:
	$(call step,the page in Chromium and Firefox)
	@scripts/test-e2e.sh
