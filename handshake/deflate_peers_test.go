package handshake

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
	gorilla "github.com/gorilla/websocket"
)

// Independent clients make an offer that we accept, and accept what we answer.
func TestDeflatePeerClients(t *testing.T) {
	for name, tt := range map[string]struct {
		wanted Deflate
		agreed Deflate
		dial   func(c net.Conn) error
	}{
		"gorilla": {everything, Deflate{false, false, 15, 15}, func(c net.Conn) error {
			d := gorilla.Dialer{EnableCompression: true, NetDial: func(string, string) (net.Conn, error) { return c, nil }}
			_, _, err := d.Dial("ws://example.com/ws", nil)
			return err
		}},
		"coder, no takeover": {Deflate{}, Deflate{false, false, 15, 15}, func(c net.Conn) error {
			return dialCoder(c, websocket.CompressionNoContextTakeover)
		}},
		"coder, takeover": {everything, Deflate{true, true, 15, 15}, func(c net.Conn) error {
			return dialCoder(c, websocket.CompressionContextTakeover)
		}},
		"gobwas": {Deflate{true, true, 10, 11}, Deflate{false, true, 9, 11}, func(c net.Conn) error {
			p := wsflate.Parameters{ServerNoContextTakeover: true, ServerMaxWindowBits: 9, ClientMaxWindowBits: 12}
			var d ws.Dialer
			d.Extensions = append(d.Extensions, p.Option())
			_, hs, err := d.Upgrade(c, &url.URL{Scheme: "ws", Host: "example.com", Path: "/ws"})
			if err != nil {
				return err
			}
			var got wsflate.Parameters
			if err := got.Parse(hs.Extensions[0]); err != nil {
				return err
			}
			if want := (wsflate.Parameters{ServerNoContextTakeover: true, ServerMaxWindowBits: 9, ClientMaxWindowBits: 11}); got != want {
				t.Errorf("gobwas reads %+v, want %+v", got, want)
			}
			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			client, server := net.Pipe()
			defer client.Close()
			defer server.Close()
			deadline := time.Now().Add(peerTimeout)
			client.SetDeadline(deadline)
			server.SetDeadline(deadline)
			done := make(chan error, 1)
			go func() {
				p := new(Parser)
				h, err := readHead(server, p, p.Request)
				if err != nil {
					done <- err
					return
				}
				agreed, extensions := tt.wanted.Accept(h)
				if agreed != tt.agreed {
					t.Errorf("offer %q: %+v, want %+v", h.Header("Sec-WebSocket-Extensions"), agreed, tt.agreed)
				}
				out, err := AppendSwitching(nil, h.Header("Sec-WebSocket-Key"), "", extensions, nil)
				if err == nil {
					_, err = server.Write(out)
				}
				done <- err
			}()
			if err := tt.dial(client); err != nil {
				t.Errorf("client: %v", err)
			}
			if err := <-done; err != nil {
				t.Errorf("server: %v", err)
			}
		})
	}
}

func dialCoder(c net.Conn, mode websocket.CompressionMode) error {
	ctx, cancel := context.WithTimeout(context.Background(), peerTimeout)
	defer cancel()
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return c, nil }}
	conn, _, err := websocket.Dial(ctx, "ws://example.com/ws", &websocket.DialOptions{CompressionMode: mode, HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		return err
	}
	return conn.CloseNow()
}

// Independent servers accept our offer, and we what they answer.
func TestDeflatePeerServers(t *testing.T) {
	for name, tt := range map[string]struct {
		wanted  Deflate
		agreed  Deflate
		handler http.HandlerFunc
	}{
		"gorilla": {Deflate{}, Deflate{false, false, 15, 15}, func(w http.ResponseWriter, r *http.Request) {
			u := gorilla.Upgrader{EnableCompression: true}
			if c, err := u.Upgrade(w, r, nil); err == nil {
				c.Close()
			}
		}},
		"coder": {everything, Deflate{true, true, 15, 15}, func(w http.ResponseWriter, r *http.Request) {
			if c, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionContextTakeover}); err == nil {
				c.CloseNow()
			}
		}},
		"gobwas": {Deflate{ClientTakeover: true, ServerWindow: 10, ClientWindow: 11}, Deflate{false, true, 10, 9}, func(w http.ResponseWriter, r *http.Request) {
			e := wsflate.Extension{Parameters: wsflate.Parameters{ServerNoContextTakeover: true, ServerMaxWindowBits: 10, ClientMaxWindowBits: 9}}
			u := ws.HTTPUpgrader{Negotiate: e.Negotiate}
			if c, _, _, err := u.Upgrade(r, w); err == nil {
				c.Close()
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(tt.handler)
			defer srv.Close()
			_, h := dialPeer(t, srv.Listener.Addr().String(), func(b []byte) []byte {
				return append(appendField(b[:len(b)-2], "Sec-WebSocket-Extensions", tt.wanted.Offer()), "\r\n"...)
			}, nil)
			agreed, ok, err := tt.wanted.Check(h)
			if agreed != tt.agreed || !ok || err != nil {
				t.Errorf("answer %q: %+v, %t, %v; want %+v", h.Header("Sec-WebSocket-Extensions"), agreed, ok, err, tt.agreed)
			}
		})
	}
}
