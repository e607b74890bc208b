#!/bin/bash
# Loads and runs the arm64 build on Debian's arm64 kernel 6.12, in a VM that QEMU emulates on any
# machine. The guest has an initramfs and nothing else: the agent, the live tests that need no
# server of the host, and tests/scripts/arm64/init.c, which runs them.
#
# VM_TIMEOUT=1800 (seconds) may be set.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

series=6.12
obi=target/$ARM64_TARGET/release/obi
[ -x "$obi" ] || die "no $obi: run 'make build-arm64' first"
kernel=$DEPS/kernels/$series-arm64
KERNEL_ARCH=arm64 "$ROOT/tests/scripts/kernels.sh" "$series"

guest=$(mktemp -d)
trap 'rm -rf "$guest" "$guest.cpio"' EXIT
# What a test names by its path stands there, too.
mkdir -p "$guest"/{proc,sys,dev} "$guest$ROOT"/{target/release,tests/kernel}
aarch64-linux-gnu-gcc -static -O2 -Wall -Wextra -Werror -o "$guest/init" tests/scripts/arm64/init.c
cp "$obi" "$guest$ROOT/target/release/obi"
cp tests/kernel/budgets.toml "$guest$ROOT/tests/kernel"
"$ROOT/tests/scripts/apps-c.sh" "$guest$ROOT/target/apps" "aarch64-linux-gnu-gcc -static" \
	arm-linux-gnueabi-gcc
use_linker_of "$ARM64_TARGET"
for name in "${LIVE_TESTS[@]}"; do
	binary=$(RUSTFLAGS="-C target-feature=+crt-static" test_binary "$ARM64_TARGET" "$name")
	aarch64-linux-gnu-strip -o "$guest/$name" "$binary"
done
(cd "$guest" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1) >"$guest.cpio"

commands="$ROOT/target/release/obi doctor
	; /kernel --test-threads=1 --nocapture
	; /host --test-threads=1 --nocapture conversation every_system_call unix_sockets io_uring 32_bit"
say "kernel $series: $(cat "$kernel/version"), booting"
say "suite arm64 | $(cut -d" " -f1 "$kernel/version") | each"
timeout --foreground "${VM_TIMEOUT:-1800}" qemu-system-aarch64 -machine virt -cpu max,pauth=off \
	-smp 2 -m 2G -nographic -nic none -no-reboot -kernel "$kernel/vmlinuz" -initrd "$guest.cpio" \
	-append "quiet panic=-1 ROOT=$ROOT PATH=/bin OBI_VM=$series REQUIRE_KERNEL=1 \
OBI_FRONT_ENDS=\"auto=tracepoint fentry=fentry kprobe=kprobe\" -- $(echo $commands)" \
	</dev/null | tee "$guest/console"
grep -q '^guest: passed' "$guest/console" || die "the guest did not pass"
