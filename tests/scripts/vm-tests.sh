#!/bin/bash
# What a VM runs of the live tests: vm-tests.sh HOST OTHER...   (test binaries)
#
# Of `host`, what every front end must tell alike and what sets the clock, by each pair of
# FRONT_ENDS; of every other live test all of it, once; last what locks the kernel down.
set -uo pipefail

failed=0
run() { # run SUITE FRONT-END BINARY FILTER...
	echo "== suite $1 | $(uname -r) | $2"
	"$3" --test-threads=1 --nocapture "${@:4}" || failed=1
}

host=$1
shift
for pair in $FRONT_ENDS; do
	export OBI_FRONT_ENDS=$pair OTEL_EBPF_BPF_FRONT_END=${pair%=*}
	run host "${pair#*=}" "$host" conversation every_system_call vm::clock reload::a_file explain::an_
done
unset OBI_FRONT_ENDS OTEL_EBPF_BPF_FRONT_END
for binary in "$@"; do
	name=$(basename "$binary")
	run "${name%-*}" each "$binary"
done
run doctor each "$host" vm::doctor
exit "$failed"
