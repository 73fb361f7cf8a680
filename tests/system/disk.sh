#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# time-limit: 150
#
# A Linux guest with raw disks, virtio and IDE, whose file systems the host has made: it reads them
# (the contents are compared), writes 20 MB to each, and leaves them clean for fsck on the host, which
# compares again. A disk with "snapshot" takes writes and stays as it was; one with "readonly" refuses
# them.

. "$(dirname "$0")/lib.sh"

needs mke2fs e2fsck debugfs
guest amd64

mkdir -p files/sub
head -c 5000000 /dev/urandom > files/large
head -c 12345 /dev/urandom > files/sub/small
sums=$(cd files && cat large sub/small | md5sum | cut -d' ' -f1)
for disk in virtio ide; do
	truncate -s 64M "$disk.img"
	mke2fs -q -F -t ext4 -d files "$disk.img" > mke2fs.log 2>&1 || { cat mke2fs.log; fail "mke2fs"; }
done
head -c 1000000 /dev/urandom > snapshot.img
truncate -s 1M snapshot.img
cp snapshot.img snapshot.before
cp snapshot.img readonly.img

initramfs initrd virtio_pci virtio_blk ata_piix sd_mod ext4 crc32c_generic << 'END'
# use DEVICE NAME: compares what is on it, writes to it
use()
{
	mount -t ext4 "/dev/$1" /mnt || echo "$2: cannot mount"
	echo "$2 holds $(cat /mnt/large /mnt/sub/small | md5sum | cut -d' ' -f1)"
	dd if=/dev/urandom of=/mnt/written bs=64k count=320 2> /dev/null || echo "$2: cannot write"
	sync
	echo 3 > /proc/sys/vm/drop_caches
	echo "$2 wrote $(md5sum < /mnt/written | cut -d' ' -f1)"
	mkdir /mnt/new && mv /mnt/sub/small /mnt/new/moved && rm /mnt/large
	umount /mnt || echo "$2: cannot unmount"
}
use vda virtio
use sda ide
dd if=/dev/zero of=/dev/vdb bs=64k count=8 oflag=direct 2> /dev/null || echo "snapshot: cannot write"
[ "$(dd if=/dev/vdb bs=64k count=8 iflag=direct 2> /dev/null | tr -d '\000' | wc -c)" = 0 ] &&
	echo "snapshot: written"
echo "readonly: $(cat /sys/block/vdc/ro) $(md5sum < /dev/vdc | cut -d' ' -f1)"
dd if=/dev/zero of=/dev/vdc bs=64k count=8 oflag=direct 2> /dev/null || echo "readonly: refused"
poweroff -f
END

boot disks 110 'readonly: refused' --memory 256M --kernel "$guest/vmlinuz" --initrd initrd \
	--append "console=ttyS0 panic=-1 quiet" --net none --serial stdio --no-reboot \
	--disk virtio.img,format=raw --disk ide.img,format=raw,bus=ide \
	--disk snapshot.img,format=raw,snapshot --disk readonly.img,format=raw,readonly

for disk in virtio ide; do
	grep -aq "^$disk holds $sums" disks.out || fail "$disk: what the host wrote is not what is read"
	e2fsck -fn "$disk.img" > fsck.log 2>&1 || { cat fsck.log; fail "$disk: fsck"; }
	debugfs -R "dump written $disk.written" "$disk.img" 2> debugfs.log
	grep -aq "^$disk wrote $(md5sum < "$disk.written" | cut -d' ' -f1)" disks.out ||
		fail "$disk: what the guest wrote is not on the disk"
	[ "$(stat -c %s "$disk.written")" -eq 20971520 ] || fail "$disk: what was written is too short"
	debugfs -R "dump new/moved $disk.moved" "$disk.img" 2> debugfs.log
	cmp "$disk.moved" files/sub/small || fail "$disk: a moved file"
done
grep -aq 'snapshot: written' disks.out || fail "snapshot: not written"
cmp snapshot.img snapshot.before || fail "snapshot: the image has changed"
grep -aq "readonly: 1 $(md5sum < snapshot.before | cut -d' ' -f1)" disks.out || fail "readonly: contents"
cmp readonly.img snapshot.before || fail "readonly: the image has changed"
[ "$failures" -eq 0 ] || cat disks.out
finish
