#!/bin/bash
# Builds the programs of tests/apps that are not scripts, into target/apps: apps.sh [collector] [reach]
#
# What only some tests run is built when they ask: the OpenTelemetry Collector of tests/collector
# (host.sh), and what only `make test-reach` runs.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT/tests/apps"

out=$ROOT/target/apps
"$ROOT/tests/scripts/apps-c.sh" "$out" gcc "gcc -m32"

if ! [ "$out/go" -nt go/main.go ]; then
	(cd go && GOFLAGS=-mod=mod GOTOOLCHAIN=local go build -trimpath -o "$out/go" .)
fi

if [ "${1:-}" = collector ]; then
	shift
	cd "$ROOT/tests/collector"
	if ! [ -x "$out/collector" ] || [ -n "$(find . -newer "$out/collector")" ]; then
		go=$(collector_go) || die "no Go as new as tests/collector/go.mod wants: run 'make deps'"
		say "building the OpenTelemetry Collector of the tests (cold: some minutes)"
		GOFLAGS=-mod=readonly GOTOOLCHAIN=local CGO_ENABLED=0 \
			"$go" build -trimpath -buildvcs=false -ldflags="-s -w" -o "$out/collector" .
	fi
	cd "$ROOT/tests/apps"
fi

[ "${1:-}" = reach ] || exit 0
if ! [ "$out/rust" -nt rust/src/main.rs ]; then
	cargo build --quiet --locked --manifest-path rust/Cargo.toml --target-dir "$ROOT/target/apps-rust"
	install "$ROOT/target/apps-rust/debug/apps" "$out/rust"
fi
if ! [ "$out/java/Apps.class" -nt java/Apps.java ]; then
	javac -d "$out/java" java/Apps.java
fi
