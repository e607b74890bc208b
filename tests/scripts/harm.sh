#!/bin/bash
# The tests that take their time, in full length. The live ones of "do no harm" (tests/host/harm): 50
# rounds of start and stop, 30 s of standing still, 10,000 connections at once and 100,000 in turn; each
# prints what the clients saw with the agent beside what they saw without it. And a receiver of spans
# that is away for five minutes (tests/exporters/outage.rs).
#
# OBI_TEST_SCALE=10 is the length of the former, OBI_TEST_OUTAGE=300 the seconds of the latter; 1 and 20
# are those of `make test`.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

failed=
say "suite outage | - | -"
OBI_TEST_OUTAGE=${OBI_TEST_OUTAGE:-300} \
	cargo test --target "$TARGET" --test exporters -- --nocapture outage:: || failed=1
export OBI_TEST_SCALE=${OBI_TEST_SCALE:-10}
"$ROOT/tests/scripts/host.sh" harm:: || failed=1
[ -z "$failed" ]
