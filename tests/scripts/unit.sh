#!/bin/bash
# Everything that needs no privilege: unit tests, and each test binary that is not live (stories,
# properties, the bounded fuzz run, exporters, house rules).
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

targets=(--lib --bins)
for file in tests/*.rs tests/*/main.rs; do
	name=${file#tests/}
	name=${name%.rs}
	name=${name%/main}
	case " ${LIVE_TESTS[*]} " in
	*" $name "*) ;;
	*) targets+=(--test "$name") ;;
	esac
done
say "suite unit | - | -"
cargo test --target "$TARGET" "${targets[@]}" "$@"
