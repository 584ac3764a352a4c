//go:build linux

package interop

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"testing"

	coder "github.com/coder/websocket"

	"github.com/perchws/perch"
)

// client is what a Go library's client can do, the same for all.
type client interface {
	send(message) error
	receive() (message, error)
	ping() error                                // returns when the pong is there
	close(code int, reason string) (int, error) // the whole closing handshake; the server's code
	closedWith(error) (code int, reason string) // what an error of receive says
	abandon()                                   // closes the socket
}

// clients dials with each library.
var clients = map[string]func(ctx context.Context, url string) (client, error){
	"gorilla": dialGorilla(false),
	"coder":   dialCoder(coder.CompressionDisabled),
	"gobwas":  dialGobwas,
}

// deflaters are those that offer permessage-deflate, and compress all they send or what is long.
var deflaters = map[string]func(ctx context.Context, url string) (client, error){
	"gorilla":         dialGorilla(true),
	"coder":           dialCoder(coder.CompressionNoContextTakeover),
	"coder, takeover": dialCoder(coder.CompressionContextTakeover),
	"gobwas":          dialGobwasDeflate,
}

func TestLibraryClients(t *testing.T) {
	for name, dial := range clients {
		t.Run(name, func(t *testing.T) {
			e := startEngine(t)
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()

			c, err := dial(ctx, e.url)
			if err != nil {
				t.Fatal(err)
			}
			defer c.abandon()
			converse(t, c, messages())
			if err := c.ping(); err != nil {
				t.Errorf("ping: %v", err)
			}
			if code, err := c.close(byeCode, byeReason); err != nil || code != byeCode {
				t.Errorf("close: %d, %v, want %d", code, err, byeCode)
			}
			e.sawClose(t, byeCode, byeReason)

			c, err = dial(ctx, e.url)
			if err != nil {
				t.Fatal(err)
			}
			defer c.abandon()
			if err := c.send(message{perch.Text, []byte(closeMe)}); err != nil {
				t.Fatal(err)
			}
			_, err = c.receive()
			if code, reason := c.closedWith(err); code != closeCode || reason != closeReason {
				t.Errorf("the client saw %v, want %d %q", err, closeCode, closeReason)
			}
			e.sawOwnClose(t)
		})
	}
}

// TestLibraryClientsDeflate has every message twice: where contexts live on, the second one refers to the first.
func TestLibraryClientsDeflate(t *testing.T) {
	for name, dial := range deflaters {
		t.Run(name, func(t *testing.T) {
			for _, o := range []perch.Compression{{}, takeover} {
				e := startEngineWith(t, o)
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				c, err := dial(ctx, e.url)
				if err != nil {
					t.Fatal(err)
				}
				defer c.abandon()
				converse(t, c, slices.Repeat(messages(), 2))
				if code, err := c.close(byeCode, byeReason); err != nil || code != byeCode {
					t.Errorf("close: %d, %v, want %d", code, err, byeCode)
				}
				e.sawClose(t, byeCode, byeReason)
				checkDeflated(t, e.Server)
			}
		})
	}
}

// converse sends each message and expects it back.
func converse(t *testing.T, c client, all []message) {
	t.Helper()
	for _, want := range all {
		if err := c.send(want); err != nil {
			t.Fatalf("send %v: %v", want, err)
		}
		got, err := c.receive()
		if err != nil || got.op != want.op || !bytes.Equal(got.p, want.p) {
			t.Fatalf("got %v, %v, want %v", got, err, want)
		}
	}
}

// listen serves an HTTP handler for the time of the test and returns a ws:// URL.
func listen(t *testing.T, h http.Handler) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: patience}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	t.Cleanup(func() {
		_ = srv.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
	})
	return "ws://" + l.Addr().String() + "/"
}

func TestLibraryServers(t *testing.T) {
	type serve func(http.ResponseWriter, *http.Request) (int, error)
	for name, tt := range map[string]struct {
		serve   serve
		options perch.DialOptions
		deflate bool
	}{
		"gorilla":                  {serve: serveGorilla(false)},
		"gorilla, deflate":         {serve: serveGorilla(true), deflate: true},
		"coder":                    {serve: serveCoder(coder.CompressionDisabled)},
		"coder, deflate":           {serve: serveCoder(coder.CompressionNoContextTakeover), deflate: true},
		"coder, deflate, takeover": {serveCoder(coder.CompressionContextTakeover), perch.DialOptions{Compression: &takeover}, true},
		"gobwas":                   {serve: serveGobwas},
	} {
		t.Run(name, func(t *testing.T) {
			closed := make(chan int, 2)
			url := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				code, err := tt.serve(w, r)
				if code == 0 {
					t.Errorf("the server saw no close: %v", err)
				}
				closed <- code
			}))
			checkDial(t, echoServer{url, closed, tt.options, tt.deflate})
			receive(t, closed, "end of the second connection")
		})
	}
}
