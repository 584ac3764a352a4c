// Package conformance holds the engine to RFC 6455 and RFC 7692, case by case,
// over TCP.
//
// Its tests are a table of scripts, each the raw bytes a peer sends and what it
// demands to see. The ids 1.1.1 to 13.7.18 are those of the Autobahn test suite,
// families 1 to 7, 9, 10, 12 and 13, with two differences: contents are compared,
// not only lengths, and of the outcomes that suite accepts only the strictest
// passes. Ids that end in -mid and -octets, and those that begin with x, are our own.
//
// Families 12 and 13, permessage-deflate, have the suite's sizes, fragments, offers
// and answers. Their payloads are made here, not copied from it: of the same kinds
// and lengths, and they shrink as its files do. Of its thousand messages in each
// case those above 512 bytes are fewer, at least eight. Here more is demanded than
// there: that messages are compressed which are to be, that no reference goes beyond the
// window or into an earlier message unless that was agreed, and the answer itself.
//
// The whole table runs twice: as a client against a server of ours, and as a
// server against a client of ours. The results are compared with
// testdata/server.golden and testdata/client.golden; go test -update rewrites
// them, but a case that fails does so whatever the golden file says.
package conformance
