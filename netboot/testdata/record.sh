#!/bin/bash
# Records what real clients say to the boot services, and takes it apart into the
# corpus of the fuzz targets and golden tests. Run as root in the repository root,
# after `make build`:
#
#	netboot/testdata/record.sh [client …]
#	netboot/testdata/record.sh beside-ovmf-pxe    # as a proxy beside dnsmasq
#
# It needs qemu-system-x86, ovmf, ipxe-qemu, busybox, curl, tftp-hpa, nmap,
# dnsmasq-base and tcpdump. Nothing leaves its own network namespaces.
set -eu -o pipefail

work=$(mktemp -d)
lan=nbrec$$l
end=nbrec$$c
started=()

cleanup() {
	for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
	ip netns del "$lan" 2>/dev/null || true
	ip netns del "$end" 2>/dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT

go test -c -tags e2e -o "$work/netboot.test" ./netboot
mkdir "$work/files"
cp initramfs/blobs/{undionly.kpxe,snponly.efi} "$work/files/"
for name in kernel base.cpio.zst modules.cpio ipxe.efi; do head -c 70000 /dev/zero >"$work/files/$name"; done

ip netns add "$lan"
ip netns add "$end"
ip -n "$lan" link add br0 address 52:54:00:77:00:01 type bridge forward_delay 0
ip -n "$lan" link set br0 up
ip -n "$lan" tuntap add tap0 mode tap
ip -n "$lan" link set tap0 master br0 up
ip link add veth0 netns "$lan" type veth peer name c0 netns "$end"
ip -n "$lan" link set veth0 master br0 up
ip -n "$end" link set c0 address 52:54:00:00:00:01
ip -n "$end" link set c0 up
ip -n "$end" link set lo up

serve() { # serve SECONDS MODE: the boot services
	NETBOOT_E2E_SERVER='{"Interface":"br0","Mode":'$2',"Leases":"'$work'/leases.json","Search":-1,"Files":"'$work'/files","Hosts":{"52:54:00:00:00:01":"vet"}}' \
		timeout "$1" ip netns exec "$lan" "$work/netboot.test" >"$work/steps" 2>"$work/log" &
	started+=($!)
	until grep -q '"ready"' "$work/steps"; do read -rt 0.1 <>/dev/fd/1 || true; done
}

capture() { # capture CLIENT: until `stop`
	ip netns exec "$lan" tcpdump -q -U --immediate-mode -Z root -i br0 -w "$work/$1.pcap" \
		'arp or icmp6 or udp port 67 or udp port 4011 or udp dst port 69 or tcp dst port 80' 2>"$work/tcpdump" &
	tcpdump=$!
	started+=($tcpdump)
	until grep -q listening "$work/tcpdump"; do read -rt 0.1 <>/dev/fd/1 || true; done
}

stop() {
	kill -INT "$tcpdump"
	wait "$tcpdump" || true
	go run netboot/testdata/split.go "$1" "$work/$1.pcap"
}

machine() { # machine SECONDS ARGUMENT…: a machine that boots from the network
	timeout "$1" ip netns exec "$lan" qemu-system-x86_64 -nodefaults -no-user-config -display none -vga none \
		-machine q35,graphics=off -accel tcg,thread=multi -cpu max -m 512 -boot menu=off,strict=on -serial stdio -device virtio-rng-pci \
		-smbios type=1,uuid=5a3c7e10-1d2f-4b60-8c9a-0123456789ab,manufacturer=Lab \
		-netdev tap,id=net0,ifname=tap0,script=no,downscript=no "${@:2}" >"$work/serial" 2>&1 || true
}

uefi() {
	cp /usr/share/OVMF/OVMF_VARS_4M.fd "$work/vars.fd"
	machine "$1" -device virtio-net-pci,netdev=net0,bootindex=1,mac=52:54:00:00:00:01,romfile= \
		-drive if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd \
		-drive if=pflash,unit=1,format=raw,file="$work/vars.fd" "${@:2}" </dev/null
}

virtio=virtio-net-pci,netdev=net0,bootindex=1,mac=52:54:00:00:00:01

inside() { ip netns exec "$end" "$@"; }

udhcpc() {
	printf '#!/bin/sh\n[ "$1" = bound ] && ip addr flush dev c0 && ip addr add $ip/24 dev c0\nexit 0\n' >"$work/udhcpc"
	chmod +x "$work/udhcpc"
	inside busybox udhcpc -i c0 -f -q -n -R -t 3 -T 1 -s "$work/udhcpc" "$@" || true
}

beside() { # another DHCP server, which the boot services are to be the proxy of
	ip -n "$end" addr replace 10.77.0.9/24 dev c0
	timeout 100 ip netns exec "$end" dnsmasq -d -C /dev/null -p 0 -i c0 --bind-interfaces --no-ping -F 10.77.0.200,10.77.0.220 \
		--dhcp-leasefile="$work/beside.leases" --pid-file= 2>"$work/beside" &
	started+=($!)
	until grep -q 'IP range' "$work/beside"; do read -rt 0.1 <>/dev/fd/1 || true; done
}

record() {
	case $1 in
	qemu-rom-ipxe) machine 20 -device $virtio </dev/null ;;
	undionly-ipxe) (
		# Ctrl-B stops the ROM's iPXE, which then chains ours.
		for _ in 1 2 3 4 5 6 7 8; do sleep 0.5; printf '\002'; done
		sleep 2
		printf 'ifconf --configurator dhcp net0 && chain tftp://${next-server}/undionly.kpxe\r'
		sleep 20
	) | machine 30 -device $virtio ;;
	ovmf-pxe) uefi 40 -fw_cfg name=opt/org.tianocore/IPv6Support,string=n ;;
	ovmf-http) uefi 40 -fw_cfg name=opt/org.tianocore/IPv6Support,string=n -fw_cfg name=opt/org.tianocore/IPv4PXESupport,string=n ;;
	busybox-udhcpc) udhcpc ;;
	busybox-udhcpc-bios) udhcpc -V PXEClient:Arch:00000:UNDI:002001 -x 93:0000 -x 57:05c0 ;;
	busybox-udhcpc-uefi) udhcpc -V PXEClient:Arch:00007:UNDI:003016 -x 93:0007 ;;
	busybox-udhcpc-arm64) udhcpc -V PXEClient:Arch:00011:UNDI:003016 -x 93:000b ;;
	nmap) inside timeout 20 nmap -n --script broadcast-dhcp-discover --script-args broadcast-dhcp-discover.mac=52:54:00:00:00:01,broadcast-dhcp-discover.timeout=3 -e c0 >/dev/null ;;
	tftp-clients)
		inside busybox tftp -g -r snponly.efi -l /dev/null 10.77.0.1
		inside busybox tftp -b 1468 -g -r /snponly.efi -l /dev/null 10.77.0.1
		inside tftp -m binary 10.77.0.1 -c get snponly.efi /dev/null
		inside tftp -m ascii 10.77.0.1 -c get snponly.efi /dev/null
		inside tftp -m binary 10.77.0.1 -c put /dev/null stolen || true
		inside curl -sS -o /dev/null tftp://10.77.0.1/snponly.efi
		;;
	curl)
		for flags in "" -I "-r 2-5" "-r -5" --http1.0 "-H Host:"; do inside curl -sS -o /dev/null $flags http://10.77.0.1/boot/snponly.efi; done
		;;
	beside-*)
		beside
		record "${1#beside-}"
		;;
	dnsmasq)
		ip -n "$lan" addr add 10.78.0.1/24 dev br0
		timeout 20 ip netns exec "$lan" dnsmasq -d -C /dev/null -p 0 -i br0 --bind-interfaces --no-ping -F 10.78.0.50,10.78.0.99 \
			--dhcp-boot=pxelinux.0 --dhcp-leasefile="$work/dnsmasq.leases" --pid-file= 2>"$work/dnsmasq" &
		started+=($!)
		until grep -q 'IP range' "$work/dnsmasq"; do read -rt 0.1 <>/dev/fd/1 || true; done
		udhcpc
		udhcpc -V PXEClient:Arch:00007:UNDI:003016 -x 93:0007
		;;
	esac
}

clients=(busybox-udhcpc busybox-udhcpc-bios busybox-udhcpc-uefi busybox-udhcpc-arm64 nmap tftp-clients curl qemu-rom-ipxe undionly-ipxe ovmf-pxe ovmf-http)
[ $# = 0 ] || clients=("$@")

case "${clients[*]}" in
dnsmasq) ;;
beside-*) # on its own: the client's end of the cable is the other server's
	ip -n "$end" link set c0 down
	ip -n "$end" link set c0 address 52:54:00:00:00:66
	ip -n "$end" link set c0 up
	serve 300 1
	;;
*) serve 300 0 ;;
esac
for client in "${clients[@]}"; do
	capture "$client"
	record "$client"
	stop "$client"
done
