#!/bin/bash
# Runs the parts of the test suite one after the other and prints what each took: test.sh PART...
#
# A part is a make target, with its arguments behind a colon: test-vm:KERNELS=5.10. A part that
# fails does not keep the later ones from running, except `deps` and `build`, without which
# nothing can. The last line counts the tests of all parts.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

mkdir -p "$DEPS"
log=$(mktemp "$DEPS/test.XXXXXX")
trap 'rm -f "$log"' EXIT

table= failed=
run() { # run PART
	local target=${1%%:*} arguments= began=$SECONDS verdict=ok
	[ "$target" = "$1" ] || arguments=${1#*:}
	say "part $target"
	if ! make --no-print-directory "$target" ${arguments:+"$arguments"} 2>&1 | tee -a "$log"; then
		verdict=FAILED
		failed+=" $target"
	fi
	table+=$(printf '%-12s %5d s  %s' "$target" $((SECONDS - began)) "$verdict")$'\n'
	[ "$verdict" = ok ]
}

for part in "$@"; do
	if ! run "$part"; then
		case $part in
		deps | build) break ;;
		esac
	fi
done

printf '\n%sin all       %5d s\n' "$table" "$SECONDS"
awk '/^test result:/ { passed += $4; failed += $6; skipped += $8 }
	/^SKIP / { skipped++; passed-- }
	END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped }' "$log"
[ -z "$failed" ] || die "failed:$failed"
