package conformance

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/wstest"
)

// An agreement is lines of Sec-WebSocket-Extensions, and what the engine is to make
// of them: a server answers with want, "" being no such header; a client takes
// them, or fails.
type agreement struct {
	lines []string
	want  string
}

// malformed are parameters that RFC 7692 section 7.1 does not know, or not like
// this. That of the quoted ones we decline is our choice: nobody has to accept.
var malformed = []string{
	"x", "x=1", "window_bits=15", "", "=", "=15", "server_max_window_bits =", "permessage-deflate",
	"server_no_context_takeover=1", "server_no_context_takeover=true", `client_no_context_takeover=""`, "client_no_context_takeover=",
	"server_no_context_takeover; server_no_context_takeover", "client_no_context_takeover; client_no_context_takeover",
	"SERVER_NO_CONTEXT_TAKEOVER", "server_no_context_takeover client_no_context_takeover",
	"server_max_window_bits", "server_max_window_bits=", "server_max_window_bits=7", "server_max_window_bits=16", "server_max_window_bits=0",
	"server_max_window_bits=09", "server_max_window_bits=010", "server_max_window_bits=0xa", "server_max_window_bits=-9", "server_max_window_bits=+9",
	"server_max_window_bits=9.0", "server_max_window_bits=9 9", "server_max_window_bits=99999999999999999999", `server_max_window_bits="16"`, `server_max_window_bits="`,
	"server_max_window_bits=10; server_max_window_bits=10", "server_max_window_bits=10; server_max_window_bits=11",
	"client_max_window_bits=", "client_max_window_bits=7", "client_max_window_bits=16", "client_max_window_bits=08", `client_max_window_bits="15`,
	"client_max_window_bits=10; client_max_window_bits=10", "client_max_window_bits=10; client_max_window_bits=15",
}

const (
	deflated   = "permessage-deflate"
	noTakeover = "; server_no_context_takeover; client_no_context_takeover"
)

// TestServerOffers makes offers to servers, right ones and wrong ones. None fails
// the handshake, and what was answered then holds.
func TestServerOffers(t *testing.T) {
	usual := []agreement{
		{[]string{deflated}, deflated + noTakeover},
		{[]string{" " + deflated + "\t;\tclient_max_window_bits ; server_max_window_bits = 10 "}, deflated + noTakeover + "; server_max_window_bits=10"},
		{[]string{deflated + "; server_max_window_bits=8"}, deflated + noTakeover + "; server_max_window_bits=8"},
		{[]string{deflated + "; client_max_window_bits=8"}, deflated + noTakeover + "; client_max_window_bits=8"},
		{[]string{deflated + "; client_max_window_bits=15"}, deflated + noTakeover},
		// Several: the first that is right.
		{[]string{deflated + "; server_max_window_bits=9, " + deflated + "; server_max_window_bits=10"}, deflated + noTakeover + "; server_max_window_bits=9"},
		{[]string{deflated + "; server_max_window_bits=16, " + deflated + "; server_max_window_bits=10," + deflated}, deflated + noTakeover + "; server_max_window_bits=10"},
		{[]string{"x-webkit-deflate-frame, permessage-bzip2; a=1," + deflated}, deflated + noTakeover},
		// Over lines, which are one list (RFC 6455 section 9.1).
		{[]string{deflated + "; server_max_window_bits=7", deflated + "; server_max_window_bits=10"}, deflated + noTakeover + "; server_max_window_bits=10"},
		{[]string{"", deflated}, deflated + noTakeover},
		{[]string{"x", "y, ,", ", " + deflated + ","}, deflated + noTakeover},
		{[]string{deflated, "; server_max_window_bits=10"}, deflated + noTakeover}, // an offer does not go on in the next
		{[]string{deflated + ";", "server_max_window_bits=10"}, ""},
		// None.
		{nil, ""},
		{[]string{""}, ""},
		{[]string{", ,"}, ""},
		{[]string{"permessage-deflate2, permessage-deflat, deflate, permessage"}, ""},
		{[]string{"Permessage-Deflate"}, ""},
		{[]string{`"permessage-deflate"`}, ""},
		{[]string{`x; a=", permessage-deflate`}, ""},
		// what is quoted is no offer
		{[]string{`x; a="b, permessage-deflate", ` + deflated}, deflated + noTakeover},
		// quoted or not (RFC 6455 section 9.1)
		{[]string{deflated + `; server_max_window_bits="10"`}, deflated + noTakeover + "; server_max_window_bits=10"},
		{[]string{deflated + `; client_max_window_bits="\9"`}, deflated + noTakeover + "; client_max_window_bits=9"},
		{[]string{strings.Repeat("permessage-deflate; x, ", 200)}, ""},
		{[]string{strings.Repeat("permessage-deflate; x, ", 200) + deflated}, deflated + noTakeover},
		{[]string{deflated + strings.Repeat("; client_max_window_bits", 100)}, ""},
	}
	for _, bad := range malformed {
		usual = append(usual,
			agreement{[]string{deflated + "; " + bad}, ""},
			agreement{[]string{deflated + "; client_max_window_bits=12; server_max_window_bits=12; " + bad}, ""})
		if strings.Count(bad, `"`)%2 == 0 { // else nothing behind it is believed
			usual = append(usual,
				agreement{[]string{deflated + "; " + bad + ", " + deflated}, deflated + noTakeover},
				agreement{[]string{deflated + "; " + bad, deflated + "; server_max_window_bits=11"}, deflated + noTakeover + "; server_max_window_bits=11"})
		}
	}
	windows := perch.Compression{ServerTakeover: true, ClientTakeover: true, ServerWindow: 11, ClientWindow: 12}
	takeover := perch.Compression{ServerTakeover: true, ClientTakeover: true}
	const asked = "; client_max_window_bits"
	eachServer(t, func(t *testing.T, start func(t *testing.T, z perch.Compression) string) {
		for z, list := range map[perch.Compression][]agreement{
			{}:               usual,
			{Disabled: true}: {{[]string{deflated}, ""}, {[]string{deflated + asked}, ""}, {[]string{deflated + "; x"}, ""}},
			takeover: {
				{[]string{deflated}, deflated},
				{[]string{deflated + "; server_no_context_takeover"}, deflated + "; server_no_context_takeover"},
				{[]string{deflated + "; client_no_context_takeover"}, deflated + "; client_no_context_takeover"},
				{[]string{deflated + noTakeover}, deflated + noTakeover},
				{[]string{deflated + asked + "=15; server_max_window_bits=15"}, deflated + "; server_max_window_bits=15"},
			},
			windows: {
				{[]string{deflated}, deflated + "; client_no_context_takeover"}, // it may not be asked for a window
				{[]string{deflated + asked}, deflated + asked + "=12"},
				{[]string{deflated + asked + "=15"}, deflated + asked + "=12"},
				{[]string{deflated + asked + "=9"}, deflated + asked + "=9"},
				{[]string{deflated + asked + "; server_max_window_bits=15"}, deflated + "; server_max_window_bits=11" + asked + "=12"},
				{[]string{deflated + asked + "=10; server_max_window_bits=9; server_no_context_takeover"}, deflated + "; server_no_context_takeover; server_max_window_bits=9" + asked + "=10"},
			},
		} {
			addr := start(t, z)
			for _, a := range list {
				offers(t, addr, a)
			}
		}
	})
}

func offers(t *testing.T, addr string, a agreement) {
	t.Helper()
	var lines []string
	for _, line := range a.lines {
		lines = append(lines, extensions+": "+line)
	}
	c := wstest.Dial(t, addr, "/ws", lines...)
	defer c.Close()
	head := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + wstest.Accept + "\r\n"
	if a.want != "" {
		head += extensions + ": " + a.want + "\r\n"
	}
	if head += "\r\n"; c.Head != head {
		t.Errorf("offered %q: answered\n%q, want\n%q", a.lines, c.Head, head)
		return
	}
	c.Send(packedAs(frame.OpText, goodPacked))
	if a.want == "" {
		c.ExpectFail(frame.CloseProtocolError)
		return
	}
	c.ExpectText("Hello")
	c.CloseHandshake(frame.CloseNormal)
}

// TestClientAnswers answers the offers of clients of ours, rightly and wrongly. A
// wrong answer fails the connection (RFC 7692 section 7.1), before a frame is sent.
func TestClientAnswers(t *testing.T) {
	const yes, no = "yes", "no"
	usual := []agreement{
		{nil, yes}, {[]string{""}, yes}, {[]string{", ,"}, yes}, // no extension
		{[]string{deflated + "; server_no_context_takeover"}, yes},
		{[]string{deflated + noTakeover}, yes},
		{[]string{" " + deflated + " ;\tclient_max_window_bits = 9 ; server_no_context_takeover,"}, yes},
		// may be said unasked, section 7.1.2.1
		{[]string{deflated + "; server_no_context_takeover; server_max_window_bits=9"}, yes},
		{[]string{"", deflated + noTakeover}, yes},

		{[]string{deflated}, no}, // what was asked of it is not confirmed
		{[]string{deflated + "; client_no_context_takeover"}, no},
		{[]string{deflated + noTakeover + "; client_max_window_bits"}, no},
		{[]string{deflated + noTakeover + ", " + deflated + noTakeover}, no},
		{[]string{deflated + noTakeover, deflated + noTakeover}, no},
		{[]string{deflated + noTakeover + ", x"}, no},
		{[]string{"x, " + deflated + noTakeover}, no},
		{[]string{"x"}, no}, {[]string{"permessage-deflate2"}, no}, {[]string{"Permessage-Deflate" + noTakeover}, no}, {[]string{";"}, no},
	}
	for _, bad := range malformed {
		usual = append(usual, agreement{[]string{deflated + "; server_no_context_takeover; " + bad}, no})
	}
	windows := perch.Compression{ServerTakeover: true, ClientTakeover: true, ServerWindow: 11, ClientWindow: 12}
	for z, list := range map[perch.Compression][]agreement{
		{}: usual,
		{Disabled: true}: {
			{nil, yes}, {[]string{""}, yes},
			{[]string{deflated}, no}, {[]string{deflated + noTakeover}, no}, {[]string{"x"}, no},
		},
		windows: { // offers both windows
			{nil, yes},
			{[]string{deflated + "; server_max_window_bits=11"}, yes},
			{[]string{deflated + "; server_max_window_bits=8" + noTakeover}, yes},
			{[]string{deflated + "; server_max_window_bits=11; client_max_window_bits=12"}, yes},
			{[]string{deflated + "; server_max_window_bits=11; client_max_window_bits=8"}, yes},
			{[]string{deflated}, no},
			{[]string{deflated + "; server_max_window_bits=12"}, no},
			{[]string{deflated + "; server_max_window_bits=11; client_max_window_bits=13"}, no},
		},
	} {
		srv := engine(t, noListener, z)
		for _, a := range list {
			answers(t, srv, a, a.want == yes)
		}
	}
}

func answers(t *testing.T, srv *perch.Server, a agreement, good bool) {
	t.Helper()
	h := echo()
	closed := make(chan *perch.CloseError, 1)
	h.OnClose = func(_ perch.Conn, err *perch.CloseError) { closed <- err }
	ln := wstest.Listen(t)
	defer ln.Close()
	if err := srv.Dial(context.Background(), "ws://"+ln.Addr().String()+"/", h); err != nil {
		t.Fatal(err)
	}
	c := wstest.AcceptRaw(t, ln)
	defer c.Close()
	key := c.ReadRequest("Sec-WebSocket-Key")
	var lines []string
	for _, line := range a.lines {
		lines = append(lines, extensions+": "+line)
	}
	switching := wstest.Switching(key, lines...)
	compresses := good && slices.ContainsFunc(a.lines, func(s string) bool { return strings.Contains(s, deflated) })
	if compresses { // a frame comes right behind it
		switching = append(switching, c.Encode(packedAs(frame.OpText, goodPacked))...)
	}
	c.Write(switching)
	if !good {
		c.ExpectGone()
		if err := wstest.Receive(t, "OnClose", closed); !errors.Is(err, perch.ErrDial) {
			t.Errorf("offered %q, answered %q: %v", c.Header(extensions), a.lines, err)
		}
		return
	}
	if compresses {
		c.ExpectText("Hello")
	}
	c.Send(wstest.Text("plain"))
	c.ExpectText("plain")
	c.CloseHandshake(frame.CloseNormal)
	if err := wstest.Receive(t, "OnClose", closed); err.Code != frame.CloseNormal {
		t.Errorf("answered %q: %v", a.lines, err)
	}
}
