#!/bin/sh
set -e

[ "$1" = configure ] || exit 0

if ! getent passwd vetting >/dev/null; then
	if command -v systemd-sysusers >/dev/null; then
		systemd-sysusers vetting.conf
	else
		useradd --system --user-group --home-dir /var/lib/vetting --no-create-home \
			--shell /usr/sbin/nologin --comment 'vetting appliance' vetting
	fi
fi

# The unit does nothing before vetting install has written the configuration.
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	# An upgrade leaves a service alone that somebody has switched off.
	[ -n "$2" ] || systemctl enable --quiet vetting.service
	if [ -n "$2" ]; then
		# Runs go on: agents keep what they have to say until the appliance is back.
		if command -v deb-systemd-invoke >/dev/null; then
			deb-systemd-invoke try-restart vetting.service
		else
			systemctl try-restart vetting.service
		fi
	fi
fi

if [ ! -e /etc/vetting/vetting.yaml ]; then
	echo 'vetting serves nothing yet; name the dedicated network port: vetting install --interface NAME'
fi
