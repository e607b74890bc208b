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
"$ROOT/tests/scripts/apps.sh"
# Of a test that holds 10,000 connections, and of what it starts.
ulimit -n 16384
# These need more packages than the others, and run when asked for: make test-reach.
[ $# -gt 0 ] || set -- --skip reach::full
targets=()
for name in "${LIVE_TESTS[@]}"; do
	targets+=(--test "$name")
done
cargo test --no-fail-fast --target "$TARGET" "${targets[@]}" -- --test-threads=1 --nocapture "$@"
