// Package agent is one machine's part in the cluster: it does there what the
// store says belongs there.
//
// It keeps the machine's lease, follows its own placements and nothing else,
// hands units to a Runner and reports their states. What it acted on it
// records on disk, so that a restart adopts what runs, and so that a store
// which is not the one it knew is noticed: then it freezes, keeping everything
// and starting nothing. It stops a unit only on an explicit order (a placement
// that says release, or whose target was lowered, or whose file changed),
// never because something is missing.
package agent
