# SPDX-License-Identifier: MIT
#
# What the scripts of the packages, deb.postinst and rpm.post, have in common: they read this file.

trial=/etc/picket/picket.d/50-trial.toml

# begin_trial: a first installation with PICKET_TRIAL=1 begins with a trial.
begin_trial() {
	if [ "${PICKET_TRIAL:-0}" = 1 ] && [ ! -e "$trial" ]; then
		printf '%s\n' '# The trial that PICKET_TRIAL=1 asked for; "picket arm" ends it.' 'dry_run = true' >"$trial"
	fi
}

# keep_defaults: after an upgrade from 0.0, its defaults stay where a file says nothing.
keep_defaults() {
	if [ -e /etc/picket/picket.toml ] && [ ! -e /etc/picket/picket.d/00-upgrade.toml ] &&
		kept=$(picket pin /usr/share/picket/defaults-0.0.toml) && [ -n "$kept" ]; then
		printf '%s\n' "$kept" >/etc/picket/picket.d/00-upgrade.toml
		echo "picket: defaults have changed (/usr/share/doc/picket/CHANGELOG.md); /etc/picket/picket.d/00-upgrade.toml"
		echo "picket: keeps the old ones where your file says nothing: delete it, or a part of it, for the new ones."
	fi
}

# renew_include: an include of "picket ruleset" becomes this version's.
renew_include() {
	if grep -qs "^# picket's table:" /etc/picket/ruleset.nft; then
		if picket ruleset >/etc/picket/ruleset.nft.new; then
			mv /etc/picket/ruleset.nft.new /etc/picket/ruleset.nft
		else
			rm /etc/picket/ruleset.nft.new
		fi
	fi
}

# units_changed tells a running systemd. sockets.target used to want the trap's socket, and would
# keep it open after a stop; a drop-in used to set the type of the service.
units_changed() {
	rm -rf /etc/systemd/system/sockets.target.wants/picket-trap.socket /usr/lib/systemd/system/picket.service.d
	if [ -d /run/systemd/system ]; then
		# As at the next boot: a kernel without such modules needs none.
		grep -v '^#' /usr/lib/modules-load.d/picket.conf | xargs modprobe -qa 2>/dev/null || true
		systemctl --system daemon-reload >/dev/null || true
	fi
}

# say_installed: the first words to a new administrator.
say_installed() {
	if [ -e "$trial" ]; then
		echo "picket logs its decisions and blocks nobody: a trial, which \"picket arm\" ends."
		echo "  picket blocks --trial      whom it would block, why, and how much of the scanning that keeps off"
	else
		echo "picket blocks who scans this host, for minutes at first; it never blocks this host's gateways and resolvers."
		echo "  picket blocks              who is blocked; \"picket unblock ADDRESS\" undoes it"
	fi
	echo "  picket top                 what happens, live; \"picket report\" for what has happened"
	echo "  /etc/picket/picket.d/      your settings, in files named *.toml: picket.toml(5); then systemctl reload picket"
	echo "  systemctl stop picket      stop; \"picket remove\" takes all its rules and blocks away"
}

# warn_include: an include by name fails once the file is gone.
warn_include() {
	if grep -qsE '^[[:space:]]*include[[:space:]]+"/etc/picket/ruleset.nft"' /etc/nftables.conf; then
		echo 'picket: /etc/nftables.conf includes /etc/picket/ruleset.nft, which is gone, and will not load: take that line out' >&2
	fi
}
