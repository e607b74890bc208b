#!/bin/bash
# The live tests that run on every kernel, in VMs: vms.sh SERIES...
#
# Each kernel names the front ends to try and what must come of it: auto=tracepoint means that
# `auto` must choose tracepoint there.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

front_ends() {
	case $1 in
	5.10 | 6.1) echo "auto=fentry kprobe=kprobe" ;;
	*) echo "auto=tracepoint fentry=fentry kprobe=kprobe" ;;
	esac
}

[ $# -gt 0 ] || die "usage: vms.sh SERIES...   (5.10 6.1 6.12 7.2)"
[ -x target/release/obi ] || die "no target/release/obi: run 'make build' first"
"$ROOT/tests/scripts/apps.sh"

binaries=("$(test_binary "$TARGET" host)")
for name in "${LIVE_TESTS[@]}"; do
	[ "$name" = host ] || binaries+=("$(test_binary "$TARGET" "$name")")
done

failed=
for series in "$@"; do
	began=$SECONDS
	FRONT_ENDS=$(front_ends "$series") OBI_DEPS=$DEPS REQUIRE_KERNEL=1 \
		VM_ENV="FRONT_ENDS OBI_DEPS OBI_TEST_SECONDS REQUIRE_KERNEL RUST_BACKTRACE" \
		"$ROOT/tests/scripts/vm.sh" "$series" -- "$ROOT/tests/scripts/vm-tests.sh" "${binaries[@]}" ||
		failed+=" $series"
	say "kernel $series: $((SECONDS - began)) s"
done
[ -z "$failed" ] || die "tests failed on kernel$failed"
