#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# time-limit: 280
#
# A Linux guest behind NAT: it gets an address by DHCP, pulls a TCP stream of 100 MB from a server on
# the host onto its disk, where the host compares it, sends a tenth of it back, and is reached through
# a forwarded port; with virtio and, with a smaller stream, with e1000.

. "$(dirname "$0")/lib.sh"

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
cat > stop << 'END'
#!/bin/sh
printf 'Content-Type: text/plain\r\n\r\nstopping\n'
touch /tmp/stop
END
chmod +x udhcpc.script stop
initramfs initrd udhcpc.script=/udhcpc.script stop=/www/cgi-bin/stop \
	virtio_pci virtio_net virtio_blk e1000 af_packet << 'END'
for word in $(cat /proc/cmdline); do
	case $word in
	pull=* | push=* | size=*) eval "$word" ;;
	esac
done
echo "driver: $(basename "$(readlink /sys/class/net/eth0/device/driver)")"
udhcpc -i eth0 -n -q -s /udhcpc.script || echo "no address by DHCP"
ip -4 -o addr show eth0
ping -c 1 10.0.2.2 > /dev/null && echo "gateway: answers"
echo "the guest's page" > /www/index.html
httpd -p 80 -h /www
nc 10.0.2.2 "$pull" < /dev/null | dd of=/dev/vda bs=64k iflag=fullblock conv=fsync 2> /dev/null
dd if=/dev/vda bs=$((size / 10)) count=1 2> /dev/null | nc 10.0.2.2 "$push" > /dev/null
echo "stream: done"
while [ ! -e /tmp/stop ]; do
	sleep 0.1
done
poweroff -f
END

# network MODEL BYTES
network()
{
	model=$1
	set -- $("$here/stream.py" ports 3) "$2"
	"$here/stream.py" serve "$4" "$1" "$2" > "$model.stream" 2>&1 &
	server=$!
	pids="$pids $server"
	truncate -s "$4" "$model.img"
	start "$model" --memory 256M --kernel "$guest/vmlinuz" --initrd initrd \
		--append "console=ttyS0 panic=-1 quiet net.ifnames=0 pull=$1 push=$2 size=$4" --disk "$model.img,format=raw" \
		--net "user,model=$model,forward=tcp:127.0.0.1:$3-80" --serial stdio --no-reboot
	until_text "$model.out" 'stream: done' 120 || return
	wait "$server" || fail "$model: the stream: $(cat "$model.stream")"
	echo "$model: $(cat "$model.stream")"
	"$here/stream.py" compare "$4" "$model.img" || fail "$model: the stream on the disk"
	"$here/stream.py" fetch "$3" index.html "the guest's page" 10 || fail "$model: the forwarded port"
	"$here/stream.py" fetch "$3" cgi-bin/stop stopping 10 || fail "$model: the forwarded port again"
	ended 30
	[ "$status" -eq 0 ] || fail "$model: status $status: $(cat "$model.err")"
	grep -aq 'inet 10\.0\.2\.15/24' "$model.out" || fail "$model: no address by DHCP: $(cat "$model.out")"
	grep -aq 'gateway: answers' "$model.out" || fail "$model: the gateway does not answer"
	grep -aq "driver: $driver" "$model.out" || fail "$model: $(grep -a driver: "$model.out")"
}

driver=virtio_net network virtio 104857600
driver=e1000 network e1000 10485760
finish
