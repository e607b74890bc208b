#!/bin/bash
# Runs a command in a VM with a stock Debian kernel: vm.sh SERIES -- COMMAND [ARGS...]
#
# The guest has the host's root file system over 9p (reads go through, writes land in memory
# and are gone with the guest), two CPUs emulated in software, and as scratch space /dev/shm,
# which is TMPDIR. The command runs as root in the current folder with the environment variables
# named in VM_ENV (blank-separated); its exit status is this script's.
#
# VM_MEMORY=2G VM_CPUS=2 VM_TIMEOUT=900 (seconds) and VM_QEMU (options of QEMU) may be set.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

[ $# -ge 3 ] && [ "$2" = -- ] || die "usage: vm.sh SERIES -- COMMAND [ARGS...]"
series=$1
shift 2

kernel=$DEPS/kernels/$series
[ -s "$kernel/version" ] || "$ROOT/tests/scripts/kernels.sh" "$series"
[ -x "$DEPS/venv/bin/vng" ] || "$ROOT/tests/scripts/deps.sh" vm
# vng finds its other half through PATH.
export PATH=$DEPS/venv/bin:$PATH

guest="cd $(printf %q "$PWD") && export TMPDIR=/dev/shm HOME=/dev/shm OBI_VM=$series PATH=$(printf %q "$PATH")"
for name in ${VM_ENV:-}; do
	[ -z "${!name+set}" ] || guest+=" $name=$(printf %q "${!name}")"
done
guest+="; ip link set lo up; mount -o remount,size=75% /dev/shm"
guest+="; mountpoint -q /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf"
guest+="; exec$(printf ' %q' "$@")"

say "kernel $series: $(cat "$kernel/version"), booting"
status=0
# The guest takes its standard input from vng's: a closed one makes vng fail.
timeout --foreground "${VM_TIMEOUT:-900}" vng --disable-kvm -r "$kernel/vmlinuz" \
	--cpus "${VM_CPUS:-2}" --memory "${VM_MEMORY:-2G}" ${VM_QEMU:+"--qemu-opts=$VM_QEMU"} -- "bash -c $(printf %q "$guest")" </dev/null || status=$?
[ "$status" != 124 ] || say "kernel $series: stopped after ${VM_TIMEOUT:-900} s"
[ "$status" = 0 ] || say "kernel $series: the guest ended with status $status"
exit "$status"
