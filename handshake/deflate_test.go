package handshake

import (
	"strconv"
	"strings"
	"testing"
)

// everything is the most that a side can want.
var everything = Deflate{ServerTakeover: true, ClientTakeover: true, ServerWindow: 15, ClientWindow: 15}

// noTakeover is what we say by default.
const noTakeover = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

func TestDeflateAccept(t *testing.T) {
	small := Deflate{ServerTakeover: true, ClientTakeover: true, ServerWindow: 10, ClientWindow: 11}
	for _, tt := range []struct {
		name   string
		wanted Deflate
		offer  string // lines, parted by "|"
		agreed Deflate
		answer string
	}{
		{"default", Deflate{}, "permessage-deflate", Deflate{false, false, 15, 15}, noTakeover},
		{"browser", Deflate{}, "permessage-deflate; client_max_window_bits", Deflate{false, false, 15, 15}, noTakeover},
		{"gorilla", Deflate{}, "permessage-deflate; server_no_context_takeover; client_no_context_takeover", Deflate{false, false, 15, 15}, noTakeover},
		{"takeover", everything, "permessage-deflate; client_max_window_bits", Deflate{true, true, 15, 15}, "permessage-deflate"},
		{"takeover, not the server's", everything, "permessage-deflate; server_no_context_takeover", Deflate{false, true, 15, 15}, "permessage-deflate; server_no_context_takeover"},
		{"takeover, not the client's", everything, "permessage-deflate; client_no_context_takeover", Deflate{true, false, 15, 15}, "permessage-deflate; client_no_context_takeover"},
		{"server window", everything, "permessage-deflate; server_max_window_bits=9", Deflate{true, true, 9, 15}, "permessage-deflate; server_max_window_bits=9"},
		{"server window, the smallest", everything, "permessage-deflate; server_max_window_bits=8", Deflate{true, true, 8, 15}, "permessage-deflate; server_max_window_bits=8"},
		{"server window, the largest", everything, "permessage-deflate; server_max_window_bits=15", Deflate{true, true, 15, 15}, "permessage-deflate; server_max_window_bits=15"},
		{"client window", everything, "permessage-deflate; client_max_window_bits=12", Deflate{true, true, 15, 12}, "permessage-deflate; client_max_window_bits=12"},
		{"ours is smaller", small, "permessage-deflate; server_max_window_bits=12; client_max_window_bits", Deflate{true, true, 10, 11}, "permessage-deflate; server_max_window_bits=10; client_max_window_bits=11"},
		{"theirs is smaller", small, "permessage-deflate; client_max_window_bits=8; server_max_window_bits=9", Deflate{true, true, 9, 8}, "permessage-deflate; server_max_window_bits=9; client_max_window_bits=8"},
		{"unasked: used, not said", small, "permessage-deflate; client_max_window_bits=15", Deflate{true, true, 10, 11}, "permessage-deflate; client_max_window_bits=11"},
		{"client cannot have less", small, "permessage-deflate", Deflate{true, false, 10, 15}, "permessage-deflate; client_no_context_takeover"},
		{"all four", everything, "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=14; client_max_window_bits=13",
			Deflate{false, false, 14, 13}, noTakeover + "; server_max_window_bits=14; client_max_window_bits=13"},
		{"space", everything, "\tpermessage-deflate ;server_no_context_takeover;\tclient_max_window_bits = 12 ", Deflate{false, true, 15, 12}, "permessage-deflate; server_no_context_takeover; client_max_window_bits=12"},

		{"the first of two", everything, "permessage-deflate; server_max_window_bits=10, permessage-deflate", Deflate{true, true, 10, 15}, "permessage-deflate; server_max_window_bits=10"},
		{"the second of two", everything, "permessage-deflate; server_max_window_bits=7, permessage-deflate; client_no_context_takeover", Deflate{true, false, 15, 15}, "permessage-deflate; client_no_context_takeover"},
		{"over lines", Deflate{}, "x-webkit-deflate-frame|permessage-deflate; x|, ,permessage-deflate", Deflate{false, false, 15, 15}, noTakeover},
		{"behind another's quotes", Deflate{}, `x; a="b;c", permessage-deflate`, Deflate{false, false, 15, 15}, noTakeover},

		{"nothing", everything, "", Deflate{}, ""},
		{"empty elements", everything, " , ,", Deflate{}, ""},
		{"another", everything, "x-webkit-deflate-frame", Deflate{}, ""},
		{"prefix", everything, "permessage-deflat, permessage-deflate2, permessage", Deflate{}, ""},
		{"another case", everything, "Permessage-Deflate", Deflate{}, ""},
		{"within another's quotes", everything, `x; a="b, permessage-deflate, c"`, Deflate{}, ""},
		{"quotes not closed", everything, `x; a=", permessage-deflate`, Deflate{}, ""},
	} {
		changes := []string{}
		for line := range strings.SplitSeq(tt.offer, "|") {
			changes = append(changes, "+Sec-WebSocket-Extensions: "+line)
		}
		agreed, answer := tt.wanted.Accept(head(t, opening(changes...)))
		if agreed != tt.agreed || answer != tt.answer {
			t.Errorf("%s: %+v, %q; want %+v, %q", tt.name, agreed, answer, tt.agreed, tt.answer)
		}
	}
	if agreed, answer := everything.Accept(head(t, opening())); agreed != (Deflate{}) || answer != "" {
		t.Errorf("no header: %+v, %q", agreed, answer)
	}
}

// badParams are what no side may say.
var badParams = []string{
	"", " ", ";", "x", "x=1", "=", "=15", "window_bits=15",
	"server_no_context_takeover=", "server_no_context_takeover=1", "Server_No_Context_Takeover",
	"client_no_context_takeover=", `client_no_context_takeover=""`,
	"server_no_context_takeover; server_no_context_takeover", "client_no_context_takeover; client_no_context_takeover",
	"server_max_window_bits", "server_max_window_bits=", "server_max_window_bits=7", "server_max_window_bits=16",
	"server_max_window_bits=08", "server_max_window_bits=015", "server_max_window_bits=0", "server_max_window_bits=-9",
	"server_max_window_bits=+9", "server_max_window_bits=1", "server_max_window_bits=100", "server_max_window_bits=1e1",
	`server_max_window_bits="16"`, `server_max_window_bits="10`, `server_max_window_bits=10"`, `server_max_window_bits="10"x`, `server_max_window_bits=""`,
	`server_max_window_bits="1\`, `server_max_window_bits=" 10"`, `server_max_window_bits="100000000000"`, `"server_max_window_bits"=10`, "server_max_window_bits='10'", "server_max_window_bits=9x", "server_max_window_bits=1 0",
	"server_max_window_bits==9", "server_max_window_bits=10=10", "server_max_window_bits=4294967305",
	"server_max_window_bits=10; server_max_window_bits=10", "server_max_window_bits=10; server_max_window_bits=11",
	"client_max_window_bits=", "client_max_window_bits=7", "client_max_window_bits=16", "client_max_window_bits=09",
	"client_max_window_bits=10; client_max_window_bits=10",
	"client_max_window_bits; client_max_window_bits", "client_max_window_bits; client_max_window_bits=9",
	"client_max_window_bits=9; client_max_window_bits",
}

// A value may be quoted (RFC 6455 §9.1), by either side, and a comma or semicolon within
// quotes separates nothing.
func TestDeflateQuoted(t *testing.T) {
	want := Deflate{ServerTakeover: true, ClientTakeover: true, ServerWindow: 10, ClientWindow: 9}
	for _, params := range []string{
		`server_max_window_bits="10"; client_max_window_bits="9"`, `server_max_window_bits="1\0" ; client_max_window_bits = "\9"`,
		`server_max_window_bits=10;client_max_window_bits="9"`,
	} {
		h := head(t, opening("+Sec-WebSocket-Extensions: permessage-deflate; "+params))
		if agreed, answer := everything.Accept(h); agreed != want || answer != "permessage-deflate; server_max_window_bits=10; client_max_window_bits=9" {
			t.Errorf("%s: %+v, %q", params, agreed, answer)
		}
		if agreed, ok, err := everything.Check(answerHead(t, "permessage-deflate; "+params)); agreed != want || !ok || err != nil {
			t.Errorf("%s: %+v, %t, %v", params, agreed, ok, err)
		}
	}
	for offers, answer := range map[string]string{
		`x; y="permessage-deflate, permessage-deflate", permessage-deflate`:                                 "permessage-deflate",
		`x; y="a\", permessage-deflate", permessage-deflate; z`:                                             "",
		`x; y="a, permessage-deflate`:                                                                       "",
		`permessage-deflate; x="a;server_max_window_bits=9", permessage-deflate; server_max_window_bits=10`: "permessage-deflate; server_max_window_bits=10",
		`, ,permessage-deflate`:                                                                             "permessage-deflate",
	} {
		if _, got := everything.Accept(head(t, opening("+Sec-WebSocket-Extensions: "+offers))); got != answer {
			t.Errorf("%s: %q, want %q", offers, got, answer)
		}
	}
}

// A bad offer is declined, and the next one is looked at.
func TestDeflateDeclined(t *testing.T) {
	for _, bad := range badParams {
		for _, offer := range []string{"permessage-deflate;" + bad, "permessage-deflate; client_max_window_bits=15; server_max_window_bits=15;" + bad} {
			h := head(t, opening("+Sec-WebSocket-Extensions: "+offer))
			if agreed, answer := everything.Accept(h); agreed != (Deflate{}) || answer != "" {
				t.Errorf("%q: %+v, %q", offer, agreed, answer)
			}
			if strings.Count(bad, `"`)%2 != 0 {
				continue // what follows is within the quotes
			}
			h = head(t, opening("+Sec-WebSocket-Extensions: "+offer+", permessage-deflate"))
			if _, answer := everything.Accept(h); answer != "permessage-deflate" {
				t.Errorf("%q and a good one: %q", offer, answer)
			}
		}
	}
}

func TestDeflateOffer(t *testing.T) {
	for _, tt := range []struct {
		wanted Deflate
		offer  string
	}{
		{Deflate{}, noTakeover + "; client_max_window_bits"},
		{everything, "permessage-deflate; client_max_window_bits"},
		{Deflate{ServerTakeover: true}, "permessage-deflate; client_no_context_takeover; client_max_window_bits"},
		{Deflate{ClientTakeover: true, ClientWindow: 9}, "permessage-deflate; server_no_context_takeover; client_max_window_bits=9"},
		{Deflate{ServerWindow: 10, ClientWindow: 11}, noTakeover + "; server_max_window_bits=10; client_max_window_bits=11"},
	} {
		if got := tt.wanted.Offer(); got != tt.offer {
			t.Errorf("%+v: %q, want %q", tt.wanted, got, tt.offer)
		}
	}
}

// answerHead parses a response with these lines of extensions, parted by "|".
func answerHead(t *testing.T, extensions string) Head {
	t.Helper()
	in := switching
	for line := range strings.SplitSeq(extensions, "|") {
		in += "Sec-WebSocket-Extensions: " + line + "\r\n"
	}
	p := new(Parser)
	if n, err := p.Response([]byte(in + "\r\n")); n == 0 || err != nil {
		t.Fatalf("Response = %d, %v", n, err)
	}
	return p.Head([]byte(in + "\r\n"))
}

func TestDeflateCheck(t *testing.T) {
	small := Deflate{ServerTakeover: true, ClientTakeover: true, ServerWindow: 10, ClientWindow: 11}
	for _, tt := range []struct {
		name   string
		wanted Deflate
		answer string
		agreed Deflate
		ok     bool
		err    *Error
	}{
		{"none", Deflate{}, "", Deflate{}, false, nil},
		{"empty elements", Deflate{}, " ,|,", Deflate{}, false, nil},
		{"default", Deflate{}, noTakeover, Deflate{false, false, 15, 15}, true, nil},
		{"client's was a hint", Deflate{}, "permessage-deflate; server_no_context_takeover", Deflate{false, false, 15, 15}, true, nil},
		{"takeover", everything, "permessage-deflate", Deflate{true, true, 15, 15}, true, nil},
		{"server refrains", everything, "permessage-deflate; server_no_context_takeover", Deflate{false, true, 15, 15}, true, nil},
		{"client is to refrain", everything, "permessage-deflate; client_no_context_takeover", Deflate{true, false, 15, 15}, true, nil},
		{"client's window", everything, "permessage-deflate; client_max_window_bits=8", Deflate{true, true, 15, 8}, true, nil},
		{"server's window, unasked", everything, "permessage-deflate; server_max_window_bits=9", Deflate{true, true, 9, 15}, true, nil},
		{"as asked", small, "permessage-deflate; server_max_window_bits=10; client_max_window_bits=11", Deflate{true, true, 10, 11}, true, nil},
		{"less than asked", small, "permessage-deflate; server_max_window_bits=8; client_max_window_bits=9", Deflate{true, true, 8, 9}, true, nil},
		{"client's window ours to choose", small, "permessage-deflate; server_max_window_bits=10", Deflate{true, true, 10, 11}, true, nil},

		{"server's window not confirmed", small, "permessage-deflate", Deflate{}, false, errResponseDeflate},
		{"server's window larger", small, "permessage-deflate; server_max_window_bits=11", Deflate{}, false, errResponseDeflate},
		{"client's window larger", small, "permessage-deflate; server_max_window_bits=10; client_max_window_bits=12", Deflate{}, false, errResponseDeflate},
		{"server keeps its window", Deflate{}, "permessage-deflate; client_no_context_takeover", Deflate{}, false, errResponseDeflate},
		{"two", everything, "permessage-deflate, permessage-deflate", Deflate{}, false, errResponseExtension},
		{"two lines", everything, "permessage-deflate|x", Deflate{}, false, errResponseExtension},
		{"another", everything, "x-webkit-deflate-frame", Deflate{}, false, errResponseExtension},
		{"no value", everything, "permessage-deflate; client_max_window_bits", Deflate{}, false, errResponseExtension},
	} {
		agreed, ok, err := tt.wanted.Check(answerHead(t, tt.answer))
		if agreed != tt.agreed || ok != tt.ok || err != nil != (tt.err != nil) || err != nil && err != error(tt.err) {
			t.Errorf("%s: %+v, %t, %v; want %+v, %t, %v", tt.name, agreed, ok, err, tt.agreed, tt.ok, tt.err)
		}
	}
	for _, bad := range badParams {
		if agreed, ok, err := everything.Check(answerHead(t, "permessage-deflate;"+bad)); agreed != (Deflate{}) || ok || err == nil {
			t.Errorf("%q: %+v, %t, %v", bad, agreed, ok, err)
		}
	}
}

func TestDeflateValid(t *testing.T) {
	for bits := -1; bits <= 17; bits++ {
		want := bits == 0 || bits >= 9 && bits <= 15
		if got := (Deflate{ServerWindow: bits}).Valid(); got != want {
			t.Errorf("server window %d: %t", bits, got)
		}
		if got := (Deflate{ClientWindow: bits}).Valid(); got != want {
			t.Errorf("client window %d: %t", bits, got)
		}
	}
}

// eachDeflate ranges over everything that a side may want.
func eachDeflate(yield func(Deflate)) {
	for i := range 4 {
		for _, server := range []int{0, 9, 12, 15} {
			for _, client := range []int{0, 9, 12, 15} {
				yield(Deflate{i&1 != 0, i&2 != 0, server, client})
			}
		}
	}
}

// Whatever the two sides want, they agree, and on the same: within what either
// allows. (Of windows the compressing side may know of a smaller one.)
func TestDeflateBothSides(t *testing.T) {
	eachDeflate(func(client Deflate) {
		h := head(t, opening("+Sec-WebSocket-Extensions: "+client.Offer()))
		eachDeflate(func(server Deflate) {
			theirs, answer := server.Accept(h)
			ours, ok, err := client.Check(answerHead(t, answer))
			if !ok || err != nil {
				t.Fatalf("%+v and %+v: %q: %v", client, server, answer, err)
			}
			if ours.ServerTakeover != theirs.ServerTakeover || ours.ClientTakeover != theirs.ClientTakeover ||
				theirs.ServerWindow > ours.ServerWindow || ours.ClientWindow > theirs.ClientWindow ||
				ours.ServerTakeover != (client.ServerTakeover && server.ServerTakeover) ||
				ours.ClientTakeover != (client.ClientTakeover && server.ClientTakeover) ||
				ours.ServerWindow > window(client.ServerWindow) || theirs.ServerWindow > window(server.ServerWindow) ||
				ours.ClientWindow > window(client.ClientWindow) || theirs.ClientWindow > window(server.ClientWindow) {
				t.Fatalf("%+v and %+v: %q: client %+v, server %+v", client, server, answer, ours, theirs)
			}
		})
	})
}

// What is agreed by default costs no memory, whatever else a client offers.
func TestDeflateAcceptNoAllocations(t *testing.T) {
	h := head(t, opening("+Sec-WebSocket-Extensions: x; y=z, permessage-deflate; client_max_window_bits"))
	if n := testing.AllocsPerRun(100, func() {
		if _, answer := (Deflate{}).Accept(h); answer != noTakeover {
			t.Fatal(answer)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func BenchmarkDeflateAccept(b *testing.B) {
	p := new(Parser)
	in := []byte(headBrowser)
	p.Request(in)
	b.ReportAllocs()
	for b.Loop() {
		Deflate{}.Accept(p.Head(in))
	}
}

// Whatever is offered, the answer is one that a strict client takes: it has no
// more parameters than RFC 7692 §7.1 allows for this offer.
func FuzzDeflateAccept(f *testing.F) {
	f.Add("permessage-deflate; client_max_window_bits", uint8(0))
	f.Add("permessage-deflate; server_max_window_bits=8; client_max_window_bits=9, permessage-deflate", uint8(0xff))
	f.Add(`x; a="b, permessage-deflate"`, uint8(0x3b))
	for i, bad := range badParams {
		f.Add("permessage-deflate;"+bad+",permessage-deflate", uint8(i))
	}
	f.Fuzz(func(t *testing.T, offers string, w uint8) {
		if !validValue(offers) || len(offers) > 1000 {
			return
		}
		wanted := Deflate{w&1 != 0, w&2 != 0, 9 + int(w>>2&7)%7, 9 + int(w>>5)%7}
		agreed, answer := wanted.Accept(head(t, opening("+Sec-WebSocket-Extensions: "+offers)))
		if answer == "" {
			if agreed != (Deflate{}) {
				t.Fatalf("%+v without an answer", agreed)
			}
			return
		}
		if agreed.ServerTakeover && !wanted.ServerTakeover || agreed.ClientTakeover && !wanted.ClientTakeover ||
			agreed.ServerWindow > wanted.ServerWindow || agreed.ServerWindow < minWindow ||
			agreed.ClientWindow < minWindow || agreed.ClientWindow > wanted.ClientWindow && agreed.ClientTakeover {
			t.Fatalf("wanted %+v, agreed %+v", wanted, agreed)
		}
		theirs, ok, err := everything.Check(answerHead(t, answer))
		if !ok || err != nil {
			t.Fatalf("%q: %v", answer, err)
		}
		if theirs.ServerTakeover != agreed.ServerTakeover || theirs.ClientTakeover != agreed.ClientTakeover ||
			theirs.ServerWindow < agreed.ServerWindow || theirs.ClientWindow != agreed.ClientWindow {
			t.Fatalf("%q is read as %+v, we have %+v", answer, theirs, agreed)
		}
		if strings.Contains(answer, "client_max_window_bits") && !strings.Contains(offers, "client_max_window_bits") {
			t.Fatalf("%q answers %q", answer, offers) // RFC 7692 §7.1.2.2
		}
	})
}

// parseWindow against strconv.
func TestParseWindow(t *testing.T) {
	for n := -20; n < 300; n++ {
		for _, zeros := range []string{"", "0", "00"} {
			want := 0
			if zeros == "" && n >= minWindow && n <= maxWindow {
				want = n
			}
			if s := zeros + strconv.Itoa(n); parseWindow([]byte(s)) != want {
				t.Errorf("%s: %d", s, parseWindow([]byte(s)))
			}
		}
	}
}
