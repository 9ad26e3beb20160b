// Package unit knows what a unit is: its name, its file, its options and the
// states it can be in.
//
// It promises that a file's text is kept byte for byte, that parsing follows
// systemd's own rules (systemd.syntax(7), systemd.unit(5)), and that whatever
// it refuses it refuses in the user's words, with the line. It is pure: no
// I/O, no clock, no log, no goroutine. Everything else in fleet stands on it.
package unit
