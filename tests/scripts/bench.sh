#!/bin/bash
# What the agent costs beside the bare workload (bench/host.py), what each exporter costs the agent
# (bench/exporters.py), what its start costs beside many processes (bench/startup.py), and what the
# pipeline alone can do on one core (criterion). Wall-clock figures of one machine: they are printed, and
# gate nothing.
#
# BENCH_ROUNDS=5 and BENCH_SECONDS=4 are the rounds of the first part and the length of each load,
# BENCH_EXPORTER_ROUNDS=3 the rounds of the second, BENCH_PIPELINE_SECONDS=3 the time for each
# measurement of the last.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

[ -x target/release/obi ] || die "no target/release/obi: run 'make build' first"
[ "$(id -u)" = 0 ] || die "obi attaches eBPF programs: run the benchmark as root"
tests/scripts/apps.sh

say "commit $(git rev-parse --short HEAD 2>/dev/null || echo unknown), kernel $(uname -r)"
say "$(nginx -v 2>&1), $(wrk -v 2>&1 | head -n 1 | cut -d' ' -f1,2), load $(cut -d' ' -f1 /proc/loadavg), $(nproc) CPUs: $(
	awk -F': ' '/^model name/ { print $2; exit }' /proc/cpuinfo)"
python3 tests/scripts/bench/host.py target/release/obi target/apps/sink

say "each exporter:"
python3 tests/scripts/bench/exporters.py target/release/obi target/apps/sink

say "the start, beside many processes:"
python3 tests/scripts/bench/startup.py target/release/obi

say "the pipeline alone, one thread:"
cargo bench --quiet --target "$TARGET" --bench pipeline -- --quiet --noplot --discard-baseline \
	--warm-up-time 1 --measurement-time "${BENCH_PIPELINE_SECONDS:-3}" \
	2> >(grep -Ev '^(Benchmarking|Warning: Unable|$)' >&2) |
	grep -E 'allocations per|time:|thrpt:'
