// Package engine is the leader's loop: campaign, follow, plan, apply.
//
// One engine in the cluster leads, told by the term of the leader's key; at
// most two stand by, following the store as it does. It feeds everything it
// hears to a schedule.Cluster, coalesces bursts, and writes what Plan decides,
// each write conditional on the term and on what it was planned from. A write
// whose outcome is unknown ends the term. Nothing is evicted until absence is
// proven.
package engine
