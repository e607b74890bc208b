#!/bin/bash
# Builds the programs of tests/apps that are not scripts, into target/apps: apps.sh [reach]
#
# Those that only `make test-reach` runs are built when it asks.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT/tests/apps"

out=$ROOT/target/apps
"$ROOT/tests/scripts/apps-c.sh" "$out" gcc "gcc -m32"

if ! [ "$out/go" -nt go/main.go ]; then
	(cd go && GOFLAGS=-mod=mod GOTOOLCHAIN=local go build -trimpath -o "$out/go" .)
fi

[ "${1:-}" = reach ] || exit 0
if ! [ "$out/rust" -nt rust/src/main.rs ]; then
	cargo build --quiet --locked --manifest-path rust/Cargo.toml --target-dir "$ROOT/target/apps-rust"
	install "$ROOT/target/apps-rust/debug/apps" "$out/rust"
fi
if ! [ "$out/java/Apps.class" -nt java/Apps.java ]; then
	javac -d "$out/java" java/Apps.java
fi
