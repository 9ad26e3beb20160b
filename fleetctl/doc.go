// Package fleetctl is the command line: one file a verb, one client of the
// HTTP API beneath them all.
//
// What scripts read goes to standard output, in the shapes of fleet 1.0; what
// people should know besides (warnings, reasons, progress that is slow) goes
// to standard error. The exit status is 0 when everything that was asked for
// is done and 1 otherwise, wrong usage included. Units that are asked to
// change are followed by the API's event stream until they are where they
// should be, or until nothing moves any more.
package fleetctl
