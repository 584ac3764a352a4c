// Package echo is the echo endpoint of perchd, WS /ws: the first thing anybody tries, and what the
// page at / shows at work.
package echo

import "github.com/perchws/perch"

// prefix shows that an answer came from the server and not from the client's own screen.
const prefix = "Echo: "

// raw marks a connection that asked for its text back as it is.
type raw struct{}

// Handler returns the endpoint's callbacks: text comes back behind "Echo: ", binary as it is, and
// with ?raw=1 text as it is too. It has no rate limit: it is there to be tried, and to be measured.
func Handler() perch.Handler {
	return perch.Handler{
		Settings:  perch.Settings{Rate: perch.Rate{Messages: -1, Burst: -1, Bytes: -1}},
		OnUpgrade: upgrade,
		OnMessage: message,
	}
}

func upgrade(r *perch.Request) perch.Response {
	if r.Query("raw") == "1" {
		return perch.Response{Value: raw{}}
	}
	return perch.Response{}
}

func message(c perch.Conn, op perch.Opcode, p []byte) {
	if op == perch.Text && c.Value() != (raw{}) {
		p = append(append(make([]byte, 0, len(prefix)+len(p)), prefix...), p...)
	}
	// The error says that the connection is closing; OnClose will say why.
	_ = c.Send(op, p)
}
