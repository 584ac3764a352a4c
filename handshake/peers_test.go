package handshake

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/gobwas/ws"
	gorilla "github.com/gorilla/websocket"
)

// peerTimeout ends what hangs; nothing waits for it in the normal case.
const peerTimeout = 10 * time.Second

// readHead reads and parses a head, in the pieces the network makes.
func readHead(c net.Conn, p *Parser, parse func([]byte) (int, error)) (Head, error) {
	var b []byte
	for chunk := make([]byte, 100); ; {
		n, err := c.Read(chunk)
		b = append(b, chunk[:n]...)
		if m, perr := parse(b); perr != nil {
			return Head{}, perr
		} else if m > 0 {
			return p.Head(b), nil
		}
		if err != nil {
			return Head{}, err
		}
	}
}

// serveOne answers one handshake on c as a server would.
func serveOne(c net.Conn) error {
	p := new(Parser)
	h, err := readHead(c, p, p.Request)
	if err != nil {
		return err
	}
	key, err := h.CheckUpgrade()
	if err != nil {
		var e *Error
		if !errors.As(err, &e) {
			return err
		}
		_, err = c.Write(AppendError(nil, e.Status, e.Reason, nil))
		return err
	}
	out, err := AppendSwitching(nil, key, SelectSubprotocol(h, []string{"chat.v1"}), "", http.Header{"X-Perch": {"yes"}})
	if err != nil {
		return err
	}
	_, err = c.Write(out)
	return err
}

// Independent clients accept our server's side.
func TestPeerClients(t *testing.T) {
	offered := []string{"chat.v2", "chat.v1"}
	for name, dial := range map[string]func(c net.Conn) (subprotocol, header string, err error){
		"gobwas": func(c net.Conn) (string, string, error) {
			var header string
			d := ws.Dialer{Protocols: offered, OnHeader: func(k, v []byte) error {
				if string(k) == "X-Perch" {
					header = string(v)
				}
				return nil
			}}
			_, hs, err := d.Upgrade(c, &url.URL{Scheme: "ws", Host: "example.com", Path: "/ws"})
			return hs.Protocol, header, err
		},
		"gorilla": func(c net.Conn) (string, string, error) {
			d := gorilla.Dialer{Subprotocols: offered, NetDial: func(string, string) (net.Conn, error) { return c, nil }}
			conn, r, err := d.Dial("ws://example.com/ws", http.Header{"Origin": {"http://example.com"}})
			if err != nil {
				return "", "", err
			}
			return conn.Subprotocol(), r.Header.Get("X-Perch"), nil
		},
		"coder": func(c net.Conn) (string, string, error) {
			ctx, cancel := context.WithTimeout(context.Background(), peerTimeout)
			defer cancel()
			transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return c, nil }}
			conn, r, err := websocket.Dial(ctx, "ws://example.com/ws", &websocket.DialOptions{
				Subprotocols: offered, HTTPClient: &http.Client{Transport: transport}})
			if err != nil {
				return "", "", err
			}
			defer conn.CloseNow()
			return conn.Subprotocol(), r.Header.Get("X-Perch"), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			client, server := net.Pipe()
			defer client.Close()
			defer server.Close()
			deadline := time.Now().Add(peerTimeout)
			client.SetDeadline(deadline)
			server.SetDeadline(deadline)
			done := make(chan error, 1)
			go func() { done <- serveOne(server) }()
			sub, header, err := dial(client)
			if sub != "chat.v1" || header != "yes" || err != nil {
				t.Errorf("client: %q, %q, %v", sub, header, err)
			}
			if err := <-done; err != nil {
				t.Errorf("server: %v", err)
			}
		})
	}
}

// Our client's side is accepted by independent servers, and accepts them.
func TestPeerServers(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"gobwas": func(w http.ResponseWriter, r *http.Request) {
			u := ws.HTTPUpgrader{Protocol: func(s string) bool { return s == "chat.v1" }}
			if c, _, _, err := u.Upgrade(r, w); err == nil {
				c.Close()
			}
		},
		"gorilla": func(w http.ResponseWriter, r *http.Request) {
			u := gorilla.Upgrader{Subprotocols: []string{"chat.v1"}}
			if c, err := u.Upgrade(w, r, nil); err == nil {
				c.Close()
			}
		},
		"coder": func(w http.ResponseWriter, r *http.Request) {
			if c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"chat.v1"}}); err == nil {
				c.CloseNow()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(handler)
			defer srv.Close()
			host := srv.Listener.Addr().String()
			for _, offered := range [][]string{nil, {"chat.v2", "chat.v1"}} {
				key, h := dialPeer(t, host, func(b []byte) []byte { return b }, offered)
				want := ""
				if slices.Contains(offered, "chat.v1") {
					want = "chat.v1"
				}
				if sub, err := h.CheckResponse(key, offered, ""); sub != want || err != nil {
					t.Errorf("offered %q: %q, %v", offered, sub, err)
				}
				if _, err := h.CheckResponse(NewKey(), offered, ""); err != error(errResponseAccept) {
					t.Errorf("another key: %v", err)
				}
			}
			// A wrong request is refused, and the status comes through.
			key, h := dialPeer(t, host, func(b []byte) []byte {
				return bytes.Replace(b, []byte("Version: 13"), []byte("Version: 12"), 1)
			}, nil)
			var refused *RefusedError
			if _, err := h.CheckResponse(key, nil, ""); !errors.As(err, &refused) || refused.Status/100 != 4 {
				t.Errorf("wrong version: %v", err)
			}
		})
	}
}

// dialPeer sends our request, edited, to host and returns the key and the answer.
func dialPeer(t *testing.T, host string, edit func([]byte) []byte, offered []string) (string, Head) {
	t.Helper()
	c, err := net.DialTimeout("tcp", host, peerTimeout)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(peerTimeout))
	key := NewKey()
	b, err := AppendRequest(nil, host, "/ws", key, offered, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(edit(b)); err != nil {
		t.Fatal(err)
	}
	p := new(Parser)
	h, err := readHead(c, p, p.Response)
	if err != nil && err != io.EOF {
		t.Fatal(err)
	}
	return key, h
}
