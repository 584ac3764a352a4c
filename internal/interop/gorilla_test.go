//go:build linux

package interop

import (
	"context"
	"errors"
	"net/http"
	"time"

	gorilla "github.com/gorilla/websocket"

	"github.com/perchws/perch"
)

type gorillaClient struct {
	*gorilla.Conn
	pongs int
}

func dialGorilla(deflate bool) func(ctx context.Context, url string) (client, error) {
	return func(ctx context.Context, url string) (client, error) {
		d := gorilla.Dialer{EnableCompression: deflate}
		c, _, err := d.DialContext(ctx, url, nil)
		if err != nil {
			return nil, err
		}
		g := &gorillaClient{Conn: c}
		c.SetPongHandler(func(string) error { g.pongs++; return nil })
		deadline, _ := ctx.Deadline()
		return g, c.NetConn().SetDeadline(deadline)
	}
}

func (g *gorillaClient) send(m message) error { return g.WriteMessage(int(m.op), m.p) }

func (g *gorillaClient) receive() (message, error) {
	op, p, err := g.ReadMessage()
	return message{perch.Opcode(op), p}, err
}

// ping sends a message behind the ping: its echo cannot overtake the pong (RFC 6455 5.5.3).
func (g *gorillaClient) ping() error {
	if err := g.WriteMessage(gorilla.PingMessage, []byte("beat")); err != nil {
		return err
	}
	if err := g.WriteMessage(gorilla.TextMessage, []byte("after")); err != nil {
		return err
	}
	if _, _, err := g.ReadMessage(); err != nil {
		return err
	}
	if g.pongs != 1 {
		return errors.New("the echo came before the pong")
	}
	return nil
}

func (g *gorillaClient) close(code int, reason string) (int, error) {
	if err := g.WriteMessage(gorilla.CloseMessage, gorilla.FormatCloseMessage(code, reason)); err != nil {
		return 0, err
	}
	_, _, err := g.ReadMessage()
	got, _ := g.closedWith(err)
	if got == 0 {
		return 0, err
	}
	return got, nil
}

func (g *gorillaClient) closedWith(err error) (int, string) {
	if e, ok := errors.AsType[*gorilla.CloseError](err); ok {
		return e.Code, e.Text
	}
	return 0, ""
}

func (g *gorillaClient) abandon() { _ = g.Conn.Close() }

func serveGorilla(deflate bool) func(http.ResponseWriter, *http.Request) (int, error) {
	return func(w http.ResponseWriter, r *http.Request) (int, error) {
		c, err := (&gorilla.Upgrader{EnableCompression: deflate}).Upgrade(w, r, nil)
		if err != nil {
			return 0, err
		}
		defer c.Close()
		for {
			op, p, err := c.ReadMessage()
			if e, ok := errors.AsType[*gorilla.CloseError](err); ok {
				return e.Code, err
			}
			if err != nil {
				return 0, err
			}
			if string(p) == closeMe {
				if err := c.WriteControl(gorilla.CloseMessage, gorilla.FormatCloseMessage(closeCode, closeReason), time.Now().Add(patience)); err != nil {
					return 0, err
				}
				continue // to read the answer
			}
			if err := c.WriteMessage(op, p); err != nil {
				return 0, err
			}
		}
	}
}
