#!/bin/sh
# Installs the vetting agent on a running Linux system, so that the appliance
# sees the host and may ask it to reboot for vetting. Served by the appliance,
# with its address, its key and the program's SHA-256 filled in.
#
#   sh quick.sh [SHA256]      SHA256: of the program, as the console names it
#
# DESTDIR puts everything below another root and starts nothing.
# VETTING_ENROL_KEY is written down where the appliance asks for one.
set -eu
umask 077

appliance='@APPLIANCE@'
pin='@PIN@'
want='@SHA256@'
path='@PROGRAM@'

root="${DESTDIR:-}"
program=/usr/local/sbin/vetting-agent
config=/etc/vetting-agent.json
unit=/etc/systemd/system/vetting-agent.service

say() { printf 'vetting: %s\n' "$*"; }
die() { say "$*" >&2; exit 1; }

check() {
	[ "$(uname -s)" = Linux ] || die "this agent is for Linux, not for $(uname -s)."

	case "$(uname -m)" in
	x86_64 | amd64) ;;
	*) die "this agent is for x86-64, not for $(uname -m); register the host by hand." ;;
	esac

	[ -n "$root" ] || [ "$(id -u)" -eq 0 ] || die "this needs root: run it with sudo."

	if [ "$#" -gt 0 ] && [ "$1" != "$want" ]; then
		die "the appliance offers another program than its console names; copy the line from the console again."
	fi

	case "${VETTING_ENROL_KEY:-}" in
	*[!A-Za-z0-9._~+/=-]*) die "VETTING_ENROL_KEY has a character that enrolment keys do not have." ;;
	esac
}

# The transfer need not be trusted: what arrives is compared.
fetch() {
	if command -v curl >/dev/null 2>&1; then
		curl -fsSk --retry 3 -o "$2" "$1"
	elif command -v wget >/dev/null 2>&1; then
		wget -q --no-check-certificate -O "$2" "$1"
	else
		die "neither curl nor wget is here; install one of them."
	fi
}

digest() {
	if command -v sha256sum >/dev/null 2>&1; then
		sha256sum <"$1" | cut -d ' ' -f 1
	elif command -v openssl >/dev/null 2>&1; then
		openssl dgst -sha256 -r <"$1" | cut -d ' ' -f 1
	else
		die "neither sha256sum nor openssl is here; install one of them."
	fi
}

install_program() {
	mkdir -p "$root${program%/*}"
	temp="$root$program.new"
	trap 'rm -f "$temp"' EXIT

	fetch "$appliance$path" "$temp" || die "the program cannot be fetched from $appliance."

	got="$(digest "$temp")"
	[ "$got" = "$want" ] || die "the program that arrived has the SHA-256 $got, not $want; nothing was installed."

	chmod 0755 "$temp"
	mv -f "$temp" "$root$program"
	trap - EXIT
}

write_config() {
	mkdir -p "$root${config%/*}"

	{
		printf '{\n  "appliance": "%s",\n  "spki_sha256": "%s"' "$appliance" "$pin"
		[ -z "${VETTING_ENROL_KEY:-}" ] || printf ',\n  "enrol_key": "%s"' "$VETTING_ENROL_KEY"
		printf '\n}\n'
	} >"$root$config.new"

	mv -f "$root$config.new" "$root$config"
}

write_unit() {
	mkdir -p "$root${unit%/*}"

	cat >"$root$unit.new" <<'UNIT'
[Unit]
Description=Vetting agent: tells the appliance that this host is there
Documentation=man:systemd.service(5)
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=/usr/local/sbin/vetting-agent host
Restart=always
RestartSec=30
StateDirectory=vetting-agent
StateDirectoryMode=0700
UMask=0077
NoNewPrivileges=yes
ProtectSystem=full
ProtectHome=yes
PrivateTmp=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
CapabilityBoundingSet=CAP_SYS_BOOT CAP_NET_ADMIN CAP_SYS_PTRACE CAP_DAC_READ_SEARCH
MemoryMax=64M

[Install]
WantedBy=multi-user.target
UNIT

	chmod 0644 "$root$unit.new"
	mv -f "$root$unit.new" "$root$unit"
}

start() {
	if [ -n "$root" ]; then
		say "installed below $root; nothing was started."
	elif [ -d /run/systemd/system ]; then
		systemctl daemon-reload
		systemctl enable -q vetting-agent.service
		systemctl restart vetting-agent.service
		say "installed and started; see: systemctl status vetting-agent"
	else
		say "installed; there is no systemd here, so start it yourself at each boot: $program host"
	fi
}

main() {
	check "$@"
	install_program
	write_config
	write_unit

	fingerprint="$("$root$program" host -config "$root$config" -state "$root/var/lib/vetting-agent" -fingerprint)" ||
		die "the program does not run here."

	start
	say "approve this host's key in the console, if it is the same there:"
	say "  $fingerprint"
	say "a file /etc/vetting-protect keeps this host from being rebooted."
}

main "$@"
