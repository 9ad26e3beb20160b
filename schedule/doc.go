// Package schedule decides where units run.
//
// Cluster is the model of everything the cluster's store says, fed by one
// snapshot and then by changes; Plan returns what the engine should write,
// each decision with its reason and with the revisions it was made from;
// Explain says why a unit is where it is or why no machine fits. The package
// is pure and deterministic: no I/O, no log, no goroutine, and the time is an
// argument. A change costs in proportion to what it touches, not to the
// cluster.
package schedule
