package auth

import (
	"net/http"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/perchws/perch"
)

// TestTokenOfEngine sends each carrier through a real handshake.
func TestTokenOfEngine(t *testing.T) {
	v := verifier(t, nil)
	token := signers()["RS256"].mint(nil, nil)
	other := signers()["RS256"].mint(nil, object{"sub": "bob"})
	type seen struct {
		id      Identity
		carrier Carrier
		err     error
	}
	got := make(chan seen, 1)
	srv := perch.New(perch.Config{Addr: "127.0.0.1:0", Loops: 1})
	srv.Handle("/ws", perch.Handler{
		Settings: perch.Settings{Subprotocols: []string{"perch.v1"}},
		OnUpgrade: func(r *perch.Request) perch.Response {
			token, carrier, err := Token(r, "tok")
			var id Identity
			if err == nil {
				id, err = v.Verify(token) // on the loop, where Verify may be called
			}
			got <- seen{id, carrier, err}
			return perch.Reject(http.StatusUnauthorized, "enough seen")
		},
	})
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	encoded := "bearer." + b64([]byte(token))
	for _, tt := range []struct {
		name    string
		header  http.Header
		query   string
		carrier Carrier
		err     *Error
	}{
		{"header", http.Header{"Authorization": {"Bearer " + token}}, "", CarrierHeader, nil},
		{"subprotocol", http.Header{"Sec-WebSocket-Protocol": {"perch.v1, " + encoded}}, "", CarrierSubprotocol, nil},
		{"cookie", http.Header{"Cookie": {"a=b; tok=" + token}}, "", CarrierCookie, nil},
		{"query", nil, "?raw=1&token=" + token, CarrierQuery, nil},
		{"none", nil, "", CarrierNone, ErrMissing},
		{"two, one explicit", http.Header{"Authorization": {"Bearer " + token}}, "?token=" + other, CarrierHeader, nil},
		{"two that differ", http.Header{"Authorization": {"Bearer " + token}, "Sec-WebSocket-Protocol": {"perch.v1, bearer." + b64([]byte(other))}}, "", CarrierHeader, ErrConflicting},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, res, err := websocket.DefaultDialer.Dial("ws://"+srv.Addr().String()+"/ws"+tt.query, tt.header)
			if err == nil {
				c.Close()
				t.Fatal("not refused")
			}
			if res == nil || res.StatusCode != http.StatusUnauthorized {
				t.Fatal(res, err)
			}
			s := <-got
			wantError(t, s.err, tt.err)
			if s.carrier != tt.carrier || tt.err == nil && s.id.Subject != "alice" {
				t.Errorf("%+v, want it in %v", s, tt.carrier)
			}
		})
	}
}
