#!/bin/bash
# Proves the binary that `make build-arm64` built, in QEMU's user mode: it starts, and of a
# recording that this machine's obi made it prints the very same spans.
#
# The recording needs root and `make build`; without either the replay is skipped, by name.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

native=target/release/obi
foreign="qemu-aarch64-static target/$ARM64_TARGET/release/obi"
scratch=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$scratch"' EXIT

record() { # record FILE: requests of curl to Python's server, as both processes see them
	local recorder port=
	python3 -u -m http.server --bind 127.0.0.1 --directory bpf 0 >"$scratch/server" 2>&1 &
	"$native" record "$1" 2>"$scratch/log" &
	recorder=$!
	until grep -q attached "$scratch/log" && port=$(grep -oP 'port \K[0-9]+' "$scratch/server"); do
		kill -0 $recorder 2>/dev/null || die "obi record ended: $(cat "$scratch/log")"
		sleep 0.1
	done
	for path in events.h abi.bpf.c lib/ missing; do
		curl --silent --output /dev/null --no-keepalive "http://127.0.0.1:$port/$path?[1-9]"
	done
	kill -TERM $recorder
	wait $recorder
}

say "$($foreign --version) of arm64 runs"
if [ "$(id -u)" != 0 ] || [ ! -x "$native" ]; then
	echo "SKIP replay on arm64: needs root and target/release/obi"
	exit 0
fi
record "$scratch/recording"
export OTEL_EBPF_TRACE_PRINTER=json
"$native" replay "$scratch/recording" >"$scratch/native" 2>/dev/null
$foreign replay "$scratch/recording" >"$scratch/foreign" 2>/dev/null
cmp "$scratch/native" "$scratch/foreign"
spans=$(grep -o traceID "$scratch/native" | wc -l)
[ "$spans" -ge 72 ] || die "36 requests have 72 spans at least, the replay has $spans"
say "replay of $(stat -c %s "$scratch/recording") bytes: $spans spans, byte for byte those of $TARGET"
