#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Boot time to user space, `make bench`: Debian's stock kernel with the same initramfs under Limen's
# soft engine and under QEMU's TCG, alternately, the better of BENCH_RUNS (2) each; and under both KVMs
# where there is one that is worth it. Prints seconds of the clock and of the processor, and ratios.

set -u

here=$(realpath "$(dirname "$0")")
root=$(realpath "$here/../..")
bin=$(realpath "${LIMEN_BIN:?is set by make bench}")
runs=${BENCH_RUNS:-2}

if ! command -v qemu-system-x86_64 > /dev/null; then
	as_root=
	[ "$(id -u)" = 0 ] || as_root=sudo
	echo "bench: installing qemu-system-x86 to compare with"
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install \
		qemu-system-x86 > /dev/null 2>&1 || echo "bench: cannot install it; only Limen is measured"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
guest=$("$root/installer/guest-kernel" amd64) || exit 1
cat > "$work/script" << 'END'
echo "user space reached: $(uname -r)"
poweroff -f
END
"$root/installer/guest-initramfs" "$guest" "$work/initrd" "$work/script" || exit 1
append="console=ttyS0 panic=-1 quiet"

limen()
{
	"$bin/limen" run --engine "$1" --memory 256M --kernel "$guest/vmlinuz" --initrd "$work/initrd" \
		--append "$append" --net none --display none --serial stdio --no-reboot
}

# qemu ACCEL CPU
qemu()
{
	qemu-system-x86_64 -accel "$1" -cpu "$2" -M q35 -m 256 -kernel "$guest/vmlinuz" \
		-initrd "$work/initrd" -append "$append" -nodefaults -display none -serial stdio -no-reboot
}

# Seconds of processor time of the children so far, from the shell's own account.
children()
{
	times > "$work/times"
	sed -n '2s/[ms]/ /gp' "$work/times" | awk '{ print $1 * 60 + $2 + $3 * 60 + $4 }'
}

# measure NAME COMMAND...: runs it; keeps the best times in NAME.wall and NAME.cpu
measure()
{
	name=$1
	shift
	children > "$work/before"
	start=$(date +%s%N)
	"$@" < /dev/null > "$work/console" 2> "$work/errors" &
	pid=$!
	while ! grep -aq 'user space reached' "$work/console" && kill -0 "$pid" 2> /dev/null; do
		sleep 0.02
	done
	wall=$((($(date +%s%N) - start) / 1000000))
	wait "$pid"
	children > "$work/after"
	if ! grep -aq 'user space reached' "$work/console"; then
		echo "bench: $name does not boot: $(tail -n 1 "$work/errors")"
		return 1
	fi
	cpu=$(awk 'NR == 1 { a = $1 } NR == 2 { printf "%.1f", $1 - a }' "$work/before" "$work/after")
	if [ ! -e "$work/$name.wall" ] || [ "$wall" -lt "$(cat "$work/$name.wall")" ]; then
		echo "$wall" > "$work/$name.wall"
		echo "$cpu" > "$work/$name.cpu"
	fi
}

# compare TITLE OURS THEIRS
compare()
{
	[ -e "$work/$2.wall" ] || return
	printf '%-28s %6s s   %6s s of processor time\n' "limen, $2" \
		"$(awk '{ printf "%.1f", $1 / 1000 }' "$work/$2.wall")" "$(cat "$work/$2.cpu")"
	[ -e "$work/$3.wall" ] || return
	printf '%-28s %6s s   %6s s of processor time\n' "qemu, $3" \
		"$(awk '{ printf "%.1f", $1 / 1000 }' "$work/$3.wall")" "$(cat "$work/$3.cpu")"
	awk -v title="$1" -v ours="$(cat "$work/$2.wall")" -v theirs="$(cat "$work/$3.wall")" \
		-v a="$(cat "$work/$2.cpu")" -v b="$(cat "$work/$3.cpu")" \
		'BEGIN { printf "%-28s %6.2f     %6.2f (limen : qemu)\n", title, ours / theirs, a / (b + 0.001) }'
}

echo "Debian's kernel $(cat "$guest/version") to user space, the better of $runs runs"
kvm=no
"$bin/limen" info --json | grep -q '"auto": "kvm"' && kvm=yes
i=0
while [ $i -lt "$runs" ]; do
	i=$((i + 1))
	measure soft limen soft || exit 1
	! command -v qemu-system-x86_64 > /dev/null || measure tcg qemu tcg max
	if [ "$kvm" = yes ]; then
		measure kvm limen kvm
		! command -v qemu-system-x86_64 > /dev/null || measure qemu-kvm qemu kvm host
	fi
done
compare "ratio in software" soft tcg
if [ "$kvm" = yes ]; then
	compare "ratio on KVM" kvm qemu-kvm
else
	echo "kvm: no hardware-assisted KVM here, nothing to measure"
fi
