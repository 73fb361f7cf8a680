#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# time-limit: 100
#
# What cannot be run is refused with one clear line and status 1, or 2 for wrong usage, and leaves
# nothing behind: no process, no socket, no file.

. "$(dirname "$0")/lib.sh"

needs as ld
XDG_RUNTIME_DIR=$work/runtime
XDG_DATA_HOME=$work/data
TMPDIR=$work/tmp
export XDG_RUNTIME_DIR XDG_DATA_HOME TMPDIR
mkdir -p "$XDG_RUNTIME_DIR" "$XDG_DATA_HOME" "$TMPDIR" folder results
chmod 700 "$XDG_RUNTIME_DIR"
truncate -s 1M disk.img floppy.img odd.img
truncate -s 1000 odd.img
mkfifo pipe
head -c 65536 /dev/urandom > noise
head -c 3000 /dev/urandom > short
: > empty
# An ELF file with a PVH note, of no more than that.
as --32 -o elf.o - << 'END' && ld -m elf_i386 -Ttext 0x100000 -o elf elf.o || fail "no ELF file"
	.globl	_start
_start:	hlt
	jmp	_start
	.section .note, "a", @note
	.long	4, 4, 18
	.asciz	"Xen"
	.long	_start
END
cp disk.img unreadable.iso
chmod 000 unreadable.iso

listing()
{
	find . -path ./results -prune -o -print | sort
}

# refused STATUS TEXT OPTION...: that exit status, and one line on standard error that contains TEXT
refused()
{
	expected=$1 text=$2
	shift 2
	listing > results/before
	timeout 20 "$limen" run --engine "$engine" --control control "$@" < /dev/null > results/out 2> results/err
	status=$?
	[ "$status" -eq "$expected" ] || fail "$*: status $status"
	[ ! -s results/out ] || fail "$*: standard output: $(head -c 300 results/out)"
	if [ "$(wc -l < results/err)" -ne 1 ]; then
		fail "$*: not one line: $(cat results/err)"
	elif ! grep -q "^limen: .*$text" results/err; then
		fail "$*: $(cat results/err)"
	fi
	echo "$(cut -c 1-160 results/err)"
	listing > results/after
	cmp -s results/before results/after || fail "$*: leaves behind: $(diff results/before results/after)"
}

refused 1 "nowhere" --kernel nowhere
refused 1 "folder" --kernel folder
refused 1 "empty" --kernel empty
refused 1 "noise" --kernel noise
refused 1 "short" --kernel short
refused 1 "nowhere" --kernel elf --initrd nowhere
refused 1 "nowhere" --firmware ./nowhere
refused 1 "empty" --firmware ./empty
refused 1 "folder" --disk folder
refused 1 "folder" --cdrom folder
refused 1 "folder" --floppy folder
refused 1 "nowhere" --disk nowhere
refused 1 "nowhere" --disk nowhere,snapshot
refused 1 "pipe" --disk pipe,format=raw
refused 1 "odd.img" --floppy odd.img
refused 1 "/dev/null" --disk /dev/null,format=raw
refused 1 "qcow3" --disk disk.img,format=qcow3
if [ "$(id -u)" -eq 0 ]; then
	# For root every file is readable, so one without a reader stands for it.
	refused 1 "nowhere.iso" --cdrom nowhere.iso
else
	refused 1 "unreadable.iso" --cdrom unreadable.iso
fi
refused 2 "3T" --memory 3T
refused 2 "3072G" --memory 3072G
refused 2 "frobnicate" --frobnicate
refused 2 "net.0.modle" --set net.0.modle=e1000
refused 2 "frobnicate" --set frobnicate=1
refused 2 "cpus" --set cpus=many
refused 2 "cpus" --cpus 100000
refused 1 "no-such-model" --set cpu.model=no-such-model
refused 1 "tap77" --net tap=tap77
refused 1 "nowhere/out" --serial file:nowhere/out
refused 1 "nowhere" --load-state nowhere
refused 1 "empty" --load-state empty
refused 1 "noise" --load-state noise
refused 1 "nowhere/control" --control nowhere/control

# What another process holds.
"$here/stream.py" hold results/port & pid=$!
pids="$pids $pid"
name=hold
until_text results/port . 10
port=$(cat results/port)
refused 1 "$port" --net "user,forward=tcp:127.0.0.1:$port-80"
kill "$pid"

start holder --disk disk.img,format=raw --net none --control holder.control
seconds=0
until [ -S holder.control ] || [ $seconds -ge 100 ]; do
	sleep 0.1
	seconds=$((seconds + 1))
done
refused 1 "disk.img" --disk disk.img,format=raw
refused 1 "disk.img" --disk disk.img,format=raw,bus=ide
refused 1 "holder.control" --control holder.control
control holder.control quit > /dev/null || fail "quit: $(cat holder.err)"
ended 10
[ "$status" -eq 0 ] || fail "the holder of the disk: status $status: $(cat holder.err)"
[ ! -e holder.control ] || fail "the control socket is left behind"

# Interrupted: the same.
start interrupted --disk disk.img,format=raw --net none --control interrupted.control
sleep 1
kill -INT "$pid"
ended 10
[ "$status" -eq 130 ] || fail "SIGINT: status $status"
[ ! -e interrupted.control ] || fail "SIGINT leaves the control socket behind"
# A socket that a killed machine left behind does not keep the next one from starting.
start killed --net none --control again.control
sleep 1
kill -9 "$pid"
wait "$pid" 2> /dev/null
start again --net none --control again.control
sleep 1
control again.control quit > /dev/null || fail "a machine after a killed one: $(cat again.err)"
ended 10
[ "$status" -eq 0 ] || fail "a machine after a killed one: status $status: $(cat again.err)"
[ -z "$(find "$TMPDIR" "$XDG_RUNTIME_DIR" "$XDG_DATA_HOME" -type f -o -type s)" ] || fail "files are left behind"
finish
