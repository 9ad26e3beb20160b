// Package api is fleet's HTTP API: the server that every fleetd runs, and the
// Go client that fleetctl uses.
//
// The base path is /fleet/v1/, in the shapes of fleet 1.0 with additions
// beside them: units carry their text, an event stream follows a unit to where
// it is wanted, explain says why it is not there, and snapshot is everything at
// once. The server reads and writes through the small Store interface; listings
// are one consistent snapshot however many pages they have.
package api
