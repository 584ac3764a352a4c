// Package echo is the echo endpoint of perchd, WS /ws: people try it first, and the page at / shows it at work.
package echo

import "github.com/perchws/perch"

// prefix shows that an answer came from the server.
const prefix = "Echo: "

// raw marks a connection that asked for its text unchanged.
type raw struct{}

// Handler returns the endpoint's callbacks. Text comes back behind "Echo: ", or unchanged with ?raw=1; binary
// messages come back unchanged. It has no rate limit, so that it can be measured.
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
	// An error means that the connection is closing; OnClose will give the reason.
	_ = c.Send(op, p)
}
