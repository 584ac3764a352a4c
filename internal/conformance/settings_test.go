package conformance

import (
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/internal/owner"
)

// settings is family x6: families 12 and 13 again, with engines that are configured
// otherwise. A case is one part of them, all its sizes on one connection.
func settings() []testCase {
	const takeover = "permessage-deflate; client_max_window_bits" // autobahnOffer says that the client keeps no context
	var cases []testCase
	for i, tt := range []struct {
		how    string
		engine perch.Compression
		offer  string
	}{
		{"takeover", perch.Compression{ServerTakeover: true, ClientTakeover: true}, takeover},
		{"takeover, windows of 9", perch.Compression{ServerTakeover: true, ClientTakeover: true, ServerWindow: 9, ClientWindow: 9}, takeover},
		{"the server's takeover, windows of 15 and 12", perch.Compression{ServerTakeover: true, ServerWindow: 15, ClientWindow: 12}, takeover},
		{"the client's takeover, windows of 10 and 15", perch.Compression{ClientTakeover: true, ServerWindow: 10, ClientWindow: 15}, takeover},
		{"windows of 12 and 10", perch.Compression{ServerWindow: 12, ClientWindow: 10}, autobahnOffer},
		{"from the first byte on", perch.Compression{Threshold: -1}, autobahnOffer},
	} {
		for j, d := range payloads() {
			m := &terms{tt.engine, tt.offer, []ask{{}}}
			cases = append(cases, testCase{id: id("x6", i+1, "12", j+1), desc: tt.how + ": " + d.name, terms: m, large: true, script: allSizes(d)})
		}
		d := payloads()[0]
		for j, parameters := range parameterSets() {
			m := parameters.terms(tt.engine, tt.offer)
			cases = append(cases, testCase{id: id("x6", i+1, "13", j+1), desc: tt.how + ": " + d.name + parameters.how, terms: m, large: true, script: allSizes(d)})
		}
	}
	return cases
}

// allSizes sends a few messages of each size of the suite.
func allSizes(d payload) func(*peer) {
	return func(p *peer) {
		all := d.make()
		before := len(p.seen)
		for i, x := range exchanges {
			if (owner.Enabled || testing.Short()) && x.size > 16*kib {
				continue
			}
			for j := range max(1, min(4, 64*kib/x.size)) {
				p.shrinks = d.shrinks > 0 && x.size >= d.shrinks
				m := all.cut(i*7+j, x.size)
				p.send(p.packed(d.op, m, x.fragment)...)
				p.echo(d.op, m)
				p.seen = p.seen[:before]
			}
		}
		p.saw("echo %v of each size", d.op)
		p.bye()
	}
}
