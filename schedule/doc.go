// Package schedule decides where units run.
//
// Cluster is the model of everything the cluster's store says, fed by one
// snapshot and then by changes; Plan returns what the engine should write,
// each decision with its reason and with the revisions it was made from;
// Explain says why a unit is where it is or why no machine fits. Simulate tells
// what would follow from something, Admit what could never be placed, and Dump
// writes a cluster down for that to be asked elsewhere. The package is pure and
// deterministic: no I/O of its own, no log, no goroutine, and the time is an
// argument. A change costs in proportion to what it touches, not to the
// cluster.
package schedule
