// Package systemd runs units on this machine by its own systemd, over D-Bus.
//
// It promises what agent.Runner asks, and to touch only what it put there: a
// unit file lies byte for byte in the runner's own directory on a tmpfs and is
// linked from there into /run/systemd/system, so that the link itself tells
// what is fleet's, and that a reboot leaves nothing behind. Whatever else
// systemd knows under a name, from a file anywhere in its search path or from
// none, is foreign.
//
// A daemon-reload costs systemd more than a second where a thousand units run,
// so there is one only where systemd would otherwise go on with what it knew:
// a file changed under a unit that it holds in memory, or an [Install] section.
// Callers that need one at the same time share it. Changes are told by
// systemd's signals, which only wake; what is reported is read.
//
// It needs root and systemd 245 or newer, and is used by fleetd alone.
package systemd
