#!/bin/bash
# Builds the programs of tests/apps that are not scripts, into target/apps.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT/tests/apps"

out=$ROOT/target/apps
mkdir -p "$out"

for source in c/*.c; do
	name=$(basename "$source" .c)
	[ "$out/$name" -nt "$source" ] && [ "$out/$name" -nt c/net.h ] && continue
	flags=(-pthread)
	# No 32-bit library is needed, and none may be there.
	[ "$name" != ia32 ] || flags=(-m32 -ffreestanding -fno-stack-protector -fno-pie -nostdlib -static)
	gcc -O2 -Wall -Wextra -Werror -o "$out/$name" "$source" "${flags[@]}"
done

if ! [ "$out/go" -nt go/main.go ]; then
	(cd go && GOFLAGS=-mod=mod GOTOOLCHAIN=local go build -trimpath -o "$out/go" .)
fi
