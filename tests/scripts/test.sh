#!/bin/bash
# Runs the parts of the test suite one after the other and prints what each took:
# test.sh [--table FILE] PART...
#
# A part is a make target, with its arguments behind a colon: test-vm:KERNELS=5.10. A part that
# fails does not keep the later ones from running, except `deps` and `build`, without which
# nothing can. The last line counts the tests of all parts. With --table the counts of each suite,
# kernel and front end go into FILE, between its lines <!-- suites --> and <!-- /suites -->. A part
# tells what comes with a line `== suite NAME | KERNEL | FRONT END`.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

into=
if [ "$1" = --table ]; then
	into=$2
	shift 2
fi
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

# suites: the table of the log.
suites() {
	echo "\`make test-full\` of $(git log -1 --format='%h, %cs'):"
	echo
	echo "| suite | kernel | front end | passed | failed | skipped |"
	echo "| --- | --- | --- | ---: | ---: | ---: |"
	awk -F ' [|] ' '/^== suite / { sub(/^== suite /, ""); sub(/\r$/, ""); row = $1 " | " $2 " | " $3
			if (!(row in seen)) { seen[row]; rows[++n] = row } }
		/^test result:/ { split($0, f, " "); passed[row] += f[4]; failed[row] += f[6] }
		/^SKIP / { skipped[row]++; passed[row]-- }
		END { for (i = 1; i <= n; i++) printf "| %s | %d | %d | %d |\n", rows[i],
			passed[rows[i]], failed[rows[i]], skipped[rows[i]] }' "$log"
}
if [ -n "$into" ]; then
	suites >"$log.table"
	sed -i -e "/^<!-- suites -->$/,/^<!-- \/suites -->$/{//!d}" \
		-e "/^<!-- suites -->$/r $log.table" "$into"
	rm -f "$log.table"
	say "$into: the counts of this run stand between its lines <!-- suites -->"
fi
[ -z "$failed" ] || die "failed:$failed"
