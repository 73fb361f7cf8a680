#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# time-limit: 280
#
# A running Linux with a busy process, a ticking one, a mounted disk and an open connection is saved
# over the control socket and goes on from the file, with one processor and with two: nothing that it
# counts is lost. Files of a state that are short or altered are refused in one line.

. "$(dirname "$0")/lib.sh"

needs mke2fs e2fsck
guest amd64
cat > udhcpc.script << 'END'
#!/bin/sh
case $1 in
deconfig)
	ip link set "$interface" up
	;;
bound)
	ip addr add "$ip/${mask:-24}" dev "$interface"
	ip route add default via "$router" dev "$interface"
	;;
esac
END
chmod +x udhcpc.script
initramfs initrd udhcpc.script=/udhcpc.script virtio_pci virtio_net virtio_blk af_packet ext4 crc32c_generic << 'END'
mount -t ext4 /dev/vda /mnt || echo "BAD: no disk"
udhcpc -i eth0 -n -q -s /udhcpc.script || echo "BAD: no address"
# A busy process: it counts, and each number must follow the one before.
(n=0; while [ ! -e /tmp/stop ]; do n=$((n + 1)); [ $((n % 1000)) != 0 ] || echo $n >> /tmp/busy; done) &
exec 3> /mnt/log
n=0
while [ $n -lt 40 ]; do
	n=$((n + 1))
	echo "tick $n"
	echo "line $n" >&3
	[ $n != 8 ] || sync
	sleep 0.25
done
touch /tmp/stop
exec 3>&-
wait
last=0
while read -r number; do
	[ "$number" = $((last + 1000)) ] || echo "BAD: $number after $last"
	last=$number
done < /tmp/busy
[ "$last" -gt 1000 ] && echo "busy: counted"
[ "$(wc -l < /mnt/log)" = 40 ] && echo "log: complete"
ping -c 1 10.0.2.2 > /dev/null && echo "gateway: answers"
umount /mnt || echo "BAD: cannot unmount"
echo "cpus: $(grep -c ^processor /proc/cpuinfo)"
poweroff -f
END

# machine NAME CPUS OPTION...
machine()
{
	name=$1 cpus=$2
	shift 2
	start "$name" --cpus "$cpus" --memory 192M --kernel "$guest/vmlinuz" --initrd initrd \
		--append "console=ttyS0 panic=-1 quiet net.ifnames=0" --disk disk.img,format=raw \
		--net user --serial stdio --no-reboot --control control "$@"
}

# saved TICK FILE: when the guest has come to that tick, save it
saved()
{
	until_text "$name.out" "^tick $1" 100 || return
	control control limen-save-state "{\"filename\":\"$work/$2\"}" > save.log 2>&1 || fail "$name: saving: $(cat save.log)"
	ended 60
	[ "$status" -eq 0 ] || fail "$name: status $status after saving: $(cat "$name.err")"
	[ -s "$2" ] || fail "$name: no state in $2"
}

# went_on CPUS NAME...: what these runs of one guest printed, together, is all that it had to print
went_on()
{
	cpus=$1
	shift
	files=
	for one; do
		files="$files $one.out"
	done
	# shellcheck disable=SC2086
	cat $files | tr -d '\r' > all
	grep -a '^tick' all | awk '$2 != NR { exit 1 } END { exit NR != 40 }' ||
		fail "$*: the ticks are not 1 to 40: $(grep -a ^tick all | tr '\n' ' ')"
	for line in 'busy: counted' 'log: complete' 'gateway: answers' "cpus: $cpus"; do
		grep -aq "^$line" all || fail "$*: no '$line'"
	done
	! grep -a -e BAD -e 'BUG:' -e 'Oops' -e 'stall' all || fail "$*: the guest complains"
	e2fsck -fn disk.img > fsck.log 2>&1 || { cat fsck.log; fail "$*: fsck"; }
}

fresh_disk()
{
	rm -f disk.img
	truncate -s 16M disk.img
	mke2fs -q -F -t ext4 disk.img
}

# Saved twice on the way.
for cpus in 1 2; do
	fresh_disk
	machine "first-$cpus" "$cpus"
	saved 5 state
	machine "second-$cpus" "$cpus" --load-state state
	saved 20 state2
	machine "third-$cpus" "$cpus" --load-state state2
	ended 80
	[ "$status" -eq 0 ] || fail "third-$cpus: status $status: $(cat "third-$cpus.err")"
	went_on "$cpus" "first-$cpus" "second-$cpus" "third-$cpus"
done

# refused NAME TEXT OPTION...: a state that is not loaded: one line with the text, status 1
refused()
{
	case=$1 text=$2
	shift 2
	machine "$case" 2 "$@"
	ended 30
	[ "$status" -eq 1 ] || fail "$case: status $status"
	[ "$(wc -l < "$case.err")" -eq 1 ] || fail "$case: not one line: $(cat "$case.err")"
	grep -q "^limen: .*$text" "$case.err" || fail "$case: $(cat "$case.err")"
}

size=$(stat -c %s state2)
head -c $((size / 2)) state2 > short
head -c 100 state2 > very-short
: > empty
cp state2 altered
printf '\377\377\377\377\377\377\377\377' | dd of=altered bs=1 seek=$((size / 3)) conv=notrunc 2> /dev/null
head -c 100000 /dev/urandom > noise
refused short short --load-state short
refused very-short very-short --load-state very-short
refused empty empty --load-state empty
refused altered altered --load-state altered
refused noise noise --load-state noise
refused missing missing --load-state missing
refused one-cpu state2 --load-state state2 --cpus 1
finish
