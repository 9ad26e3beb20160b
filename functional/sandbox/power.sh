# Runs a command in cgroups of its own, as a machine's power supply: when the
# command exits with 133 (systemd-nspawn's word for a reboot), it runs again.
#
# $1: the cgroups, one directory for each hierarchy, separated by blanks; empty
#     when the caller made a delegated systemd scope of this process
# rest: the command
dirs=$1
shift
[ -n "$dirs" ] || dirs=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)

# On cgroup v2 only leaves may hold processes, hence one for this shell. Where a
# cgroup is gone, someone has removed the machine, and this is the end.
for d in $dirs; do
	{ [ -d "$d/power" ] || mkdir "$d/power"; } && echo $$ >"$d/power/cgroup.procs" || exit 1
	[ -e "$d/cgroup.subtree_control" ] || continue
	for c in $(cat "$d/cgroup.controllers"); do
		echo "+$c" >"$d/cgroup.subtree_control" || :
	done
done

while :; do
	# What an earlier boot left in the cgroup would keep this one out of it.
	for d in $dirs; do
		[ ! -e "$d/boot" ] || find "$d/boot" -depth -type d -exec rmdir {} + || exit 1
		mkdir "$d/boot" || exit 1
	done
	sh -c '
		for d in $1; do
			echo $$ >"$d/boot/cgroup.procs" || exit 1
		done
		shift
		exec "$@"
	' power "$dirs" "$@"
	status=$?
	[ $status -eq 133 ] || exit $status
done
