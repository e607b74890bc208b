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

binary() { # binary NAME: the live test, as a word of the shell
	printf %q "$(test_binary "$TARGET" "$1")"
}

# Of `host`, what every front end must tell alike and what sets the clock, by each front end; of
# every other live test all of it, once.
run="--test-threads=1 --nocapture"
guest='failed=0
for pair in $FRONT_ENDS; do
	echo "== suite host | $(uname -r) | ${pair#*=}"
	OBI_FRONT_ENDS=$pair OTEL_EBPF_BPF_FRONT_END=${pair%=*} '$(binary host)" $run"' \
		conversation every_system_call vm::clock || failed=1
done'
for name in "${LIVE_TESTS[@]}"; do
	[ "$name" = host ] || guest+='
echo "== suite '$name' | $(uname -r) | each"
'$(binary "$name")" $run || failed=1"
done
# Last, because it locks the kernel down.
guest+='
echo "== suite doctor | $(uname -r) | each"
'$(binary host)" $run"' vm::doctor || failed=1
exit $failed'

failed=
for series in "$@"; do
	began=$SECONDS
	FRONT_ENDS=$(front_ends "$series") OBI_DEPS=$DEPS REQUIRE_KERNEL=1 \
		VM_ENV="FRONT_ENDS OBI_DEPS OBI_TEST_SECONDS REQUIRE_KERNEL RUST_BACKTRACE" \
		"$ROOT/tests/scripts/vm.sh" "$series" -- sh -c "$guest" ||
		failed+=" $series"
	say "kernel $series: $((SECONDS - began)) s"
done
[ -z "$failed" ] || die "tests failed on kernel$failed"
