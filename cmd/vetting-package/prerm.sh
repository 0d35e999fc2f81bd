#!/bin/sh
set -e

[ "$1" = remove ] || exit 0

if [ -d /run/systemd/system ]; then
	if command -v deb-systemd-invoke >/dev/null; then
		deb-systemd-invoke stop vetting.service
	else
		systemctl stop vetting.service
	fi
	systemctl disable --quiet vetting.service
fi
