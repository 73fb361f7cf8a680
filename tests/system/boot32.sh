#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# time-limit: 250
#
# Debian's stock 32-bit kernel (PAE) with a busybox initramfs boots to user space on the soft engine
# and powers off within 240 s.

. "$(dirname "$0")/lib.sh"

guest i386
initramfs initrd << 'END'
echo "user space reached: $(uname -r) $(uname -m), $(grep -c ^processor /proc/cpuinfo) CPUs"
poweroff -f
END
boot pae 240 "user space reached: .*686-pae i686, 1 CPUs" --memory 256M --kernel "$guest/vmlinuz" \
	--initrd initrd --append "console=ttyS0 panic=-1" --net none --serial stdio --no-reboot
finish
