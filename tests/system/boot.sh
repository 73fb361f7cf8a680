#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# time-limit: 240
#
# Debian's stock kernel with a busybox initramfs boots to user space on the soft engine and powers
# off within 60 s, with one processor, with two, and when it unpacks itself in the guest.

. "$(dirname "$0")/lib.sh"

guest amd64
initramfs initrd << 'END'
echo "user space reached: $(uname -r), $(grep -c ^processor /proc/cpuinfo) CPUs"
poweroff -f
END

# linux NAME CPUS SECONDS OPTION...
linux()
{
	boot=$1 cpus=$2 seconds=$3
	shift 3
	boot "$boot" "$seconds" "user space reached: .*amd64, $cpus CPUs" --cpus "$cpus" --memory 256M \
		--kernel "$guest/vmlinuz" --initrd initrd --append "console=ttyS0 panic=-1" \
		--net none --serial stdio --no-reboot "$@"
}

linux one-cpu 1 60
linux two-cpus 2 60
linux unpacked-by-guest 1 100 --set boot.decompress=guest
finish
