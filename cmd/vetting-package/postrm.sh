#!/bin/sh
set -e

if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
fi

if [ "$1" = purge ]; then
	rm -rf /etc/vetting
	# Verdicts and reports are not thrown away by a package manager.
	if [ -d /var/lib/vetting ]; then
		echo 'kept: /var/lib/vetting, with all runs and reports; remove it by hand'
	fi
fi
