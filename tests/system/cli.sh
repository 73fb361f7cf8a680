#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# time-limit: 60
#
# The command line: help and version, one clear line and status 2 for every misuse, and the keys that
# options become. The monitor's place is taken by a script that prints its arguments, so nothing runs.

set -u

work=${LIMEN_TMP:-$(mktemp -d)}
bin=$work/bin
mkdir -p "$bin"
cp "${LIMEN_BIN:?}/limen" "$bin/"
cat > "$bin/limen-vmm" <<'END'
#!/bin/sh
[ "$1" != --info ] || exit 7
for argument; do
	printf '%s|' "$argument"
done
echo
END
chmod +x "$bin/limen-vmm"
cd "$work" || exit 1
# Leaks are looked for elsewhere; the program ends by becoming another.
export ASAN_OPTIONS=detect_leaks=0

failures=0
fail()
{
	echo "FAILED: $*"
	failures=$((failures + 1))
}

# refused TEXT ARGUMENT...: one line on stderr that contains TEXT, nothing on stdout, status 2
refused()
{
	expected=$1
	shift
	"$bin/limen" "$@" > out 2> err
	status=$?
	[ $status -eq 2 ] || fail "limen $*: status $status"
	[ ! -s out ] || fail "limen $*: wrote to standard output"
	[ "$(wc -l < err)" -eq 1 ] || fail "limen $*: not one line: $(cat err)"
	case $(cat err) in
	"limen: "*"$expected"*) ;;
	*) fail "limen $*: '$expected' is not in: $(cat err)" ;;
	esac
}

# becomes TEXT ARGUMENT...: the monitor's arguments are those of TEXT, then the default network
becomes()
{
	expected=$1
	shift
	actual=$("$bin/limen" run "$@" 2>&1)
	[ "$actual" = "$expected" ] || fail "limen run $*: $actual (expected $expected)"
}

# shows TEXT ARGUMENT...: status 0 and TEXT on stdout
shows()
{
	expected=$1
	shift
	"$bin/limen" "$@" > out 2> err || fail "limen $*: failed: $(cat err)"
	grep -q -e "$expected" out || fail "limen $*: no '$expected'"
}

shows '^limen [0-9]' --version
shows 'limen run --help' --help
shows 'Exit status' run --help
shows 'Exit status' help run
shows 'Usage: limen info' info --help
shows 'Usage: limen info' help info
"$bin/limen" > out 2> err
[ $? -eq 2 ] || fail "limen without a command: wrong status"
grep -q 'Usage: limen' err || fail "limen without a command: no usage"
"$bin/limen" info
[ $? -eq 7 ] || fail "limen info: not the monitor's status"

refused "unknown command 'rnu'; did you mean 'run'?" rnu
refused "unknown command 'frobnicate'; 'limen --help'" frobnicate
refused "unknown option '--kernel'; a machine's options follow 'limen run'" --kernel x
refused "'create' is not built yet" create x
refused "'usb' is not built yet" usb --help
refused "'list' is not built yet" help list
refused "unknown command 'x'" help x
refused "info: unknown argument 'x'" info x
refused "unknown option '--kernal'; did you mean '--kernel'?" run --kernal x
refused "unknown option '--hlp'; did you mean '--help'?" run --hlp
refused "unknown option '--frobnicate'; 'limen run --help'" run --frobnicate
refused "unknown option '-x'" run -x
refused "--kernel needs a value" run --kernel
refused "--no-reboot takes no value" run --no-reboot=1
refused "--engine: 'kv' is not auto, kvm, driver or soft" run --engine kv
refused "--engine: the value is empty" run --engine=
refused "--boot: 'hd' is not disk, cdrom, floppy or network" run --boot hd
refused "--cpus: '0'" run --cpus 0
refused "--cpus: '2x'" run --cpus 2x
refused "--cpus: '-1'" run --cpus -1
refused "--memory: '12Q'" run --memory 12Q
refused "--memory: 'M'" run --memory M
refused "--disk: the file name is missing" run --disk ,readonly
refused "--disk: unknown part 'readnoly'; did you mean 'readonly'?" run --disk x,readnoly
refused "--disk: bus=ahci is not built yet" run --disk x,bus=ahci
refused "--disk: 'isa' is not a bus" run --disk x,bus=isa
refused "--floppy: a machine has two" run --floppy a --floppy b --floppy c
refused "--net: unknown part 'usr'; did you mean 'user'?" run --net usr
refused "--net: tap needs an interface" run --net tap
refused "--net: tap needs an interface" run --net tap=
refused "--net: 'ne2000' is not a model" run --net user,model=ne2000
refused "--net: only 'user' forwards ports" run --net none,forward=tcp::1-2
for bad in tcp:2222-22 tcp::2222 tcp::0-22 tcp::70000-22 tcp:host:1-2 sctp::1-2 tcp::1-2x tcp::-1-2 ""; do
	refused "not a port to forward, such as" run --net "user,forward=$bad"
done
refused "--serial: 'tty' is not stdio, none, file:PATH or unix:PATH" run --serial tty
refused "--serial: 'file:' lacks the file's name" run --serial file:
refused "--display: gtk is not built yet" run --display gtk
refused "--display: vnc is not built yet" run --display vnc=:1
refused "--display: 'x11' is not one of" run --display x11
refused "--set: 'cpus' is not of the form" run --set cpus
refused "unexpected argument 'disk.img'" run --cpus 2 disk.img
refused "neither an option nor a machine's name" run ../x
refused "--control: the value is empty" run --control ''

net='--set|net.0.backend=user|'
becomes "$net"
becomes "--set|engine=soft|--set|cpus=2|--set|memory=64|$net" --engine soft --cpus 2 --memory=64
becomes "--set|boot.kernel=k|--set|boot.initrd=i,j|--set|boot.append=a=b c|$net" \
	--kernel k --initrd i,j --append 'a=b c'
becomes "--set|disk.0.file=a,b|--set|disk.0.format=raw|--set|disk.0.bus=ide|--set|disk.1.file=c|--set|disk.1.readonly=on|--set|disk.1.snapshot=on|$net" \
	--disk a,,b,format=raw,bus=ide --disk c,readonly,snapshot
becomes "--set|cdrom.0.file=x,y|--set|floppy.0.file=f|--set|boot.order=cdrom|$net" \
	--cdrom x,y --floppy f --boot cdrom
becomes '--set|net.0.backend=user|--set|net.0.model=e1000|--set|net.0.forward.0=tcp:127.0.0.1:2222-22|--set|net.0.forward.1=udp::53-53|--set|net.1.backend=tap|--set|net.1.tap=tap0|--set|net.1.mac=52:54:00:00:00:01|' \
	--net user,model=e1000,forward=tcp:127.0.0.1:2222-22,forward=udp::53-53 \
	--net tap=tap0,mac=52:54:00:00:00:01
becomes '--set|net.0.backend=none|' --net none
becomes "--set|serial.0.backend=stdio|--set|serial.1.backend=file:x|$net" --serial stdio --serial file:x
becomes "--set|display=none|--control|s|--load-state|l|--set|state.save=t|--no-reboot|--test-device|--set|a.b=c=d|$net" \
	--display none --control s --load-state l --save-state t --no-reboot --test-device --set a.b=c=d

XDG_DATA_HOME=$work/data
export XDG_DATA_HOME
"$bin/limen" run box > out 2> err
[ $? -eq 1 ] || fail "a machine that is not there: wrong status"
grep -q "there is no machine 'box'" err || fail "a machine that is not there: $(cat err)"
mkdir -p data/limen/box
: > data/limen/box/machine.yaml
becomes "--config|$work/data/limen/box/machine.yaml|--set|name=box|--set|cpus=2|" box --cpus 2

rm "$bin/limen-vmm"
"$bin/limen" run > out 2> err
[ $? -eq 1 ] || fail "without a monitor: wrong status"
grep -q 'limen-vmm, is not in' err || fail "without a monitor: $(cat err)"

[ $failures -eq 0 ] && echo "all as expected"
exit $((failures > 0))
