# The short way in; CMakePresets.json has the builds. `make help` lists what there is.
.DEFAULT_GOAL := build
BUILD := build/dev
WORKER := $(BUILD)/worker/sandbox-worker
TEST_SESSION := $(BUILD)/tests/session_server/test-session
# A compiler with Beast takes half a gigabyte; more jobs than cores only swap.
JOBS ?= $(shell nproc)

.PHONY: help deps build release asan tsan demo test test-unit test-sessions test-peer format \
	check-format tidy bench bench-search fuzz soak check-ignore-linux clean

help: ## what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

deps: ## install the Debian packages that are missing (as root or through sudo)
	@tests/support/install-packages packages.txt

build: deps ## the worker and its tests, for development
	@cmake --preset dev >/dev/null && cmake --build --preset dev -j $(JOBS)

release: deps ## one static, stripped executable: build/release/worker/sandbox-worker
	@cmake --preset release >/dev/null && cmake --build --preset release -j $(JOBS) --target sandbox-worker

asan: deps ## everything under AddressSanitizer and UndefinedBehaviorSanitizer
	@cmake --preset asan >/dev/null && cmake --build --preset asan -j $(JOBS)

tsan: deps ## the unit tests and the worker under ThreadSanitizer
	@cmake --preset tsan >/dev/null && cmake --build --preset tsan -j $(JOBS) --target unit_tests sandbox-worker

demo: ## a session against the test service, live
	@$(MAKE) --no-print-directory deps
	@echo "building (some minutes the first time) ..."
	@cmake --preset dev >/dev/null && cmake --build --preset dev -j $(JOBS) --target sandbox-worker test-session >build/demo.log 2>&1 \
		|| { cat build/demo.log; exit 1; }
	@$(TEST_SESSION) play tests/sessions/hello.json -- $(WORKER)

test: ## everything that CI runs
	@tests/run-all

test-unit: build ## the unit tests only
	@$(BUILD)/tests/unit_tests && $(BUILD)/tests/session_server/session_server_tests

test-sessions: build ## the worker against every session script
	@tests/run-sessions $(TEST_SESSION) $(WORKER)

test-peer: build ## the public SDK's worker against the same scripts
	@tests/peer/run $(TEST_SESSION)

fuzz: asan ## each fuzzer for a minute with new inputs
	@mkdir -p build/fuzz && for target in build/asan/tests/fuzz/*_fuzz; do \
		$$target -max_total_time=60 -max_len=4096 -timeout=10 -artifact_prefix=build/fuzz/ || exit 1; done

format: ## format the sources
	@git ls-files '*.cpp' '*.hpp' | xargs clang-format-19 -i

tidy: build ## clang-tidy over all sources; about an hour on 2 cores
	@git ls-files 'protocol/*.cpp' 'tools/*.cpp' 'worker/*.cpp' | xargs -P $(JOBS) -n 1 clang-tidy-19 -p $(BUILD) --quiet

check-format: ## fail when a source isn't formatted
	@git ls-files '*.cpp' '*.hpp' | xargs clang-format-19 --dry-run --Werror

bench: release ## whole sessions beside the SDK's worker, and the cost of a bash call
	@cmake --build --preset release -j $(JOBS) --target session_bench bash_bench
	@tests/bench/session.sh build/release/tests/bench/session_bench build/release/worker/sandbox-worker
	@build/release/tests/bench/bash_bench

bench-search: release ## glob and grep beside ripgrep and fd
	@cmake --build --preset release -j $(JOBS) --target search_bench search_tool_bench
	@tests/bench/search.sh build/release/tests/bench

SOAK_SECONDS ?= 600
soak: build ## one long session under faults, SOAK_SECONDS=600; not part of `make test`
	@cmake --build --preset dev -j $(JOBS) --target soak >/dev/null && $(BUILD)/tests/soak/soak $(SOAK_SECONDS)

check-ignore-linux: build ## the ignore rules beside git's, on the Linux source tree
	@tests/bench/check-ignore.sh $(BUILD)/tests/bench/check_ignore

clean: ## remove every build
	@rm -rf build
