#!/bin/bash
# Runs the parts of the test suite one after the other and prints what each took:
# test.sh [--table FILE | --again FILE] PART...
#
# A part is a make target, with its arguments behind a colon: test-vm:KERNELS=5.10. A part that
# fails does not keep the later ones from running, except `deps` and `build`, without which
# nothing can. The last line counts the tests of all parts. With --table the counts of each suite,
# kernel and front end go into FILE, between its lines <!-- suites --> and <!-- /suites -->; with
# --again only those that ran, and the others stay. A part tells what comes with a line
# `== suite NAME | KERNEL | FRONT END`.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

into= old=
case $1 in
--table | --again)
	into=$2
	[ "$1" = --table ] || old=$2
	shift 2
	;;
esac
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

# suites: the table of the log, merged into the rows that stand in $old.
suites() {
	echo "The last run of each suite by \`make test-full\`, or by a part of it (\`make test-again\`):"
	echo
	echo "| suite | kernel | front end | passed | failed | skipped | commit |"
	echo "| --- | --- | --- | ---: | ---: | ---: | --- |"
	awk -F ' [|] ' -v commit="$(git log -1 --format='%h, %cs')" '
		FILENAME != log_ { sub(/^[|] /, ""); row = $1 " | " $2 " | " $3; rows[++n] = row
			seen[row]; sub(/ [|]$/, ""); told[row] = $4 " | " $5 " | " $6 " | " $7; next }
		/^== suite / { sub(/^== suite /, ""); sub(/\r$/, ""); row = $1 " | " $2 " | " $3
			if (!(row in seen)) { seen[row]; rows[++n] = row }
			ran[row] }
		/^test result:/ { split($0, f, " "); passed[row] += f[4]; failed[row] += f[6] }
		/^SKIP / { skipped[row]++; passed[row]-- }
		END { for (i = 1; i <= n; i++) { row = rows[i]
			if (row in ran)
				told[row] = sprintf("%d | %d | %d | %s", passed[row], failed[row], skipped[row], commit)
			printf "| %s | %s |\n", row, told[row] } }' log_="$log" <(rows_of "$old") "$log"
}

# rows_of FILE: the rows of its table.
rows_of() {
	[ -z "$1" ] || sed -n '/^<!-- suites -->$/,/^<!-- \/suites -->$/{/^| /p}' "$1" | tail -n +3
}

if [ -n "$into" ]; then
	suites >"$log.table"
	sed -i -e "/^<!-- suites -->$/,/^<!-- \/suites -->$/{//!d}" \
		-e "/^<!-- suites -->$/r $log.table" "$into"
	rm -f "$log.table"
	say "$into: the counts of this run stand between its lines <!-- suites -->"
fi
[ -z "$failed" ] || die "failed:$failed"
