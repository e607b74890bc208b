# One entry for everything: `make` lists the targets.

S := tests/scripts
# Kernel series of the VM tests.
KERNELS ?= 5.10 6.12

.PHONY: help deps build build-arm64 demo lint unit test-host test-reach test-vm test-arm64 test-harm test test-full test-again soak bench bench-vm clean-deps

help: ## This list.
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo '  KERNELS="5.10 6.12"    kernel series for test-vm (5.10, 6.1, 6.12, 7.2)'
	@echo '  REQUIRE_KERNEL=1       a live test that cannot run fails instead of being skipped'
	@echo '  OBI_TEST_SECONDS=30    length of each load test'
	@echo '  OBI_TEST_SCALE=1       how many times longer the tests of "do no harm" are (test-harm: 10)'
	@echo '  SOAK_MINUTES=60        length of soak'
	@echo '  OBI_DEPS=.deps         where kernels and Python packages are kept'

deps: ## Install what is missing (Debian packages; Python packages and kernels under .deps/).
	@$(S)/deps.sh build test vm
	@$(S)/kernels.sh $(KERNELS)

build: ## target/release/obi, one static binary.
	@$(S)/deps.sh build
	@$(S)/build.sh

build-arm64: ## The same for arm64, on another machine; proved in QEMU's user mode.
	@$(S)/deps.sh build arm64
	@$(S)/build.sh aarch64-unknown-linux-gnu
	@$(S)/arm64.sh

demo: build ## Small real services, ten seconds of traffic, and the spans as they happen.
	@$(S)/deps.sh test
	@$(S)/demo.sh

lint: ## rustfmt, clippy, clang-format; the eBPF objects for both architectures. No warnings.
	@$(S)/lint.sh

unit: ## Unit tests, stories, properties, house rules and a bounded fuzz run; no privilege.
	@$(S)/unit.sh

test-host: ## Live tests on the running kernel, as root. Needs `make build`.
	@$(S)/host.sh

test-reach: ## Servers and clients of many kinds, as root. Needs `make build`.
	@$(S)/deps.sh test reach
	@$(S)/apps.sh reach
	@$(S)/host.sh reach::full

test-vm: ## Live tests on stock Debian kernels in VMs: KERNELS="5.10 6.12". Needs `make build`.
	@$(S)/vms.sh $(KERNELS)

test-arm64: ## Live tests on Debian's arm64 kernel in an emulated machine. Needs `make build-arm64`.
	@$(S)/deps.sh arm64-vm
	@$(S)/arm64-vm.sh

test-harm: ## "Do no harm" in full length (some 15 minutes). Needs `make build`.
	@$(S)/harm.sh

test: ## Everything CI runs, with the time of each part.
	@$(S)/test.sh deps build lint unit test-host "test-vm:KERNELS=$(KERNELS)"

test-full: ## The same with more servers and clients, at length, on all four kernels, and the benchmarks.
	@$(S)/test.sh --table README.md "deps:KERNELS=5.10 6.1 6.12 7.2" build lint unit test-host test-reach test-harm \
		"test-vm:KERNELS=5.10 6.1 6.12 7.2" build-arm64 test-arm64 bench bench-vm

test-again: ## Parts of test-full once more, into the same table: PARTS="test-vm:KERNELS=7.2".
	@$(S)/test.sh --again README.md $(PARTS)

soak: ## An hour at 5,000 requests/s: the agent's memory, CPU and descriptors. Needs `make build`.
	@$(S)/soak.sh

bench: ## What the agent costs beside bare nginx, and what its pipeline can do. Needs `make build`.
	@$(S)/bench.sh

bench-vm: ## The same counted in instructions, in a VM, against its budget. Needs `make build`.
	@$(S)/bench-vm.sh

clean-deps: ## Remove .deps/ (kernels, Python packages). Debian packages stay.
	rm -rf "$${OBI_DEPS:-.deps}"
