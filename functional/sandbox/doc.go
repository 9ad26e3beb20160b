// Package sandbox boots real machines on one Linux host: for the functional
// tests, for development and for demonstrations.
//
// A machine is a systemd-nspawn container that boots the host's own operating
// system through an overlay, with its own systemd, D-Bus, Docker Engine, disk,
// machine ID, boot ID and network address. Nothing is downloaded. Its faults
// are real: power loss, a hung host, a pulled cable, a store that can't be
// reached.
//
// What the package promises:
//
//   - Everything of a sandbox can be found by its name alone: the processes by
//     their cgroups, the links by their names, the rest in one directory. No
//     process ID is stored, so none can be mistaken for a later process's.
//     Clean therefore removes all of it, also after a crash at any point and
//     from another process.
//   - A machine's mounts live in a mount namespace of its own and end with its
//     processes: the host's mount table never changes.
//   - Each machine has its own cgroup in every hierarchy and sees it as the
//     root, so that machines share no limits and no accounting.
//   - Traffic stays on the sandbox's own bridge. Nothing is routed further.
//
// It needs root, a cgroup v2 hierarchy (alone, or beside v1 controllers), a
// directory that is not on overlayfs, and the Debian packages that Up names
// when they are missing. The host's operating system should not be upgraded
// while machines run on it: overlayfs does not define what they would see.
package sandbox
