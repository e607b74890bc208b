#!/bin/bash
# Builds the programs of tests/apps/c: apps-c.sh FOLDER CC CC32
#
# CC and CC32 are compilers with their options, the latter for the 32-bit program.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT/tests/apps/c"

out=$1
mkdir -p "$out"
for source in *.c; do
	name=${source%.c}
	[ "$out/$name" -nt "$source" ] && [ "$out/$name" -nt net.h ] && continue
	cc="$2 -pthread"
	# No 32-bit library is needed, and none may be there.
	[ "$name" != bits32 ] || cc="$3 -ffreestanding -fno-stack-protector -fno-pie -nostdlib -static"
	# shellcheck disable=SC2086
	$cc -O2 -Wall -Wextra -Werror -o "$out/$name" "$source"
done
