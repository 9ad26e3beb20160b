// Package registry is the cluster's shared store: what is kept where, and how
// it is read and written.
//
// KV is the store as fleet needs it: consistent ranges, conditional
// transactions, watches from a revision, leases. Memory is the in-memory KV,
// for simulation, and Etcd the one over etcd v3; one conformance test
// (registry/kvtest) runs over both. Registry is the typed layer above a KV: it
// alone knows the key layout, and it satisfies the small interfaces that
// engine, agent and api declare. Nothing above this package sees a key.
package registry
