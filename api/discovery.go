package api

import _ "embed" // the document is a file, so that tools can read it too

// discoveryDocument describes the API in the Google API Discovery format,
// version 1, which the client generators of fleet 1.0's users read.
//
//go:embed discovery.json
var discoveryDocument []byte
