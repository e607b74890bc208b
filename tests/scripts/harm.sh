#!/bin/bash
# The live tests of "do no harm" (tests/host/harm) in their full length: 50 rounds of start and stop,
# 30 s of standing still, 10,000 connections at once and 100,000 in turn. Each prints what the
# clients saw with the agent beside what they saw without it.
#
# OBI_TEST_SCALE=10 is the length; 1 is that of `make test`.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

export OBI_TEST_SCALE=${OBI_TEST_SCALE:-10}
exec "$ROOT/tests/scripts/host.sh" harm::
