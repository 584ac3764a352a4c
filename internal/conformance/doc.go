// Package conformance holds the engine to RFC 6455, case by case, over TCP.
//
// Its tests are a table of scripts, each the raw bytes a peer sends and what it
// demands to see. The ids 1.1.1 to 10.1.1 are those of the Autobahn test suite,
// families 1 to 7, 9 and 10, with two differences: contents are compared, not
// only lengths, and of the outcomes that suite accepts only the strictest passes.
// Ids that end in -mid and -octets, and those that begin with x, are our own.
//
// The whole table runs twice: as a client against a server of ours, and as a
// server against a client of ours. What was seen is compared with
// testdata/server.golden and testdata/client.golden; go test -update rewrites
// them, but a case that fails does so whatever the golden file says.
package conformance
