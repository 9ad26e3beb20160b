// Package runnertest holds every agent.Runner to what the interface promises.
//
// One set of tests runs over the hollow runner and over the real ones, so that
// what a simulated cluster shows can be believed of machines. The tests need
// /bin/sleep, /bin/true and /bin/false, or a runner that behaves as if it had
// them; units are named runnertest-… and are gone afterwards.
package runnertest
