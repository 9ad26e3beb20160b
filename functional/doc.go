// Package functional holds the tests of whole clusters: in simulation, where
// the real engine, agents, registry and API run over an in-memory store and
// hollow runners in virtual time (testing/synctest), and on real machines that
// package sandbox boots (build tag machine).
package functional
