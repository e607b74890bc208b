#!/bin/bash
# What the agent costs, counted in instructions in a VM (bench/vm.py), beside the budget of
# tests/kernel/cost.toml: bench-vm.sh [FRONT_END...]
#
# QEMU executes one instruction a nanosecond of the guest's clock, on one CPU, so figures repeat
# whatever else the host does. A figure that is worse than its budget by more than 5 % fails; with
# other versions of kernel, nginx, QEMU, clang or Go than the budget's there is nothing to hold the
# figures against, and that is said. BENCH_VM_WRITE=1 writes the figures into the budget instead.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

SERIES=6.12
[ $# -gt 0 ] || set -- tracepoint fentry
[ -x target/release/obi ] || die "no target/release/obi: run 'make build' first"
tests/scripts/apps.sh

export PYTHONDONTWRITEBYTECODE=1
version() { "$@" 2>&1 | grep -oE '[0-9]+\.[0-9]+(\.[0-9]+)?' | head -n 1; }
figures=$(mktemp -d)
trap 'rm -rf "$figures"' EXIT
cat >"$figures/versions" <<-END
	nginx $(version nginx -v)
	qemu $(version "qemu-system-$(uname -m)" --version)
	clang $(version clang-19 --version)
	go $(version go version)
END
for front_end in "$@"; do
	VM_CPUS=1 VM_MEMORY=3G VM_TIMEOUT=3600 VM_QEMU="-icount shift=0,sleep=on" \
		VM_ENV="BENCH_VM_SECONDS PYTHONDONTWRITEBYTECODE" tests/scripts/vm.sh $SERIES -- \
		python3 tests/scripts/bench/vm.py target/release/obi target/apps/sink target/apps/go "$front_end" |
		tee "$figures/$front_end"
done
echo "kernel $(cat "$DEPS/kernels/$SERIES/version")" >>"$figures/versions"
python3 tests/scripts/bench/compare.py tests/kernel/cost.toml "$figures" "$@"
