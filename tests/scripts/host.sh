#!/bin/bash
# The live tests on the running kernel, as root, one after the other: host.sh [FILTER...]
#
# OBI_TEST_SECONDS scales the load tests (30 unless given), OBI_TEST_SCALE those of harm.sh (1);
# with REQUIRE_KERNEL=1 a test that cannot run fails instead of being skipped.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

[ -x target/release/obi ] || die "no target/release/obi: run 'make build' first"
[ "$(id -u)" = 0 ] || die "the live tests attach eBPF programs and need root"
"$ROOT/tests/scripts/apps.sh" collector
# Of a test that holds 10,000 connections, and of what it starts.
ulimit -n 16384
# These run when asked for: they need more packages than the others (make test-reach), or a VM
# (make test-vm).
[ $# -gt 0 ] || set -- --skip reach::full --skip vm::
suite=host
[ "$1" = --skip ] || suite=${1%%::*}
targets=()
for name in "${LIVE_TESTS[@]}"; do
	targets+=(--test "$name")
done
say "suite $suite | $(uname -r) | auto"
cargo test --no-fail-fast --target "$TARGET" "${targets[@]}" -- --test-threads=1 --nocapture "$@"
