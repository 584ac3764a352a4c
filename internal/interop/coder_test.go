//go:build linux

package interop

import (
	"context"
	"errors"
	"net/http"

	coder "github.com/coder/websocket"

	"github.com/perchws/perch"
)

// coderClient reads all the time: coder's Ping and Close wait for frames that only a reader sees.
type coderClient struct {
	*coder.Conn
	ctx context.Context
	got chan message
	err error // of the reader; valid after got is closed
}

func dialCoder(mode coder.CompressionMode) func(ctx context.Context, url string) (client, error) {
	return func(ctx context.Context, url string) (client, error) {
		c, _, err := coder.Dial(ctx, url, &coder.DialOptions{CompressionMode: mode})
		if err != nil {
			return nil, err
		}
		return readCoder(ctx, c), nil
	}
}

func readCoder(ctx context.Context, c *coder.Conn) *coderClient {
	c.SetReadLimit(2 * bigMessage)
	cc := &coderClient{Conn: c, ctx: ctx, got: make(chan message, 1)}
	go func() {
		defer close(cc.got)
		for {
			op, p, err := c.Read(ctx)
			if err != nil {
				cc.err = err
				return
			}
			cc.got <- message{perch.Opcode(op), p}
		}
	}()
	return cc
}

func (c *coderClient) send(m message) error {
	return c.Write(c.ctx, coder.MessageType(m.op), m.p)
}

func (c *coderClient) receive() (message, error) {
	if m, ok := <-c.got; ok {
		return m, nil
	}
	return message{}, c.err
}

func (c *coderClient) ping() error { return c.Ping(c.ctx) }

func (c *coderClient) close(code int, reason string) (int, error) {
	err := c.Close(coder.StatusCode(code), reason)
	_, read := c.receive()
	if got, _ := c.closedWith(read); got != 0 {
		return got, err
	}
	// The reader may have been stopped before the answer; Close itself waited for it then.
	return code, err
}

func (c *coderClient) closedWith(err error) (int, string) {
	if e, ok := errors.AsType[coder.CloseError](err); ok {
		return int(e.Code), e.Reason
	}
	return 0, ""
}

func (c *coderClient) abandon() { _ = c.CloseNow() }

func serveCoder(mode coder.CompressionMode) func(http.ResponseWriter, *http.Request) (int, error) {
	return func(w http.ResponseWriter, r *http.Request) (int, error) {
		c, err := coder.Accept(w, r, &coder.AcceptOptions{CompressionMode: mode})
		if err != nil {
			return 0, err
		}
		defer c.CloseNow()
		c.SetReadLimit(2 * bigMessage)
		for {
			op, p, err := c.Read(r.Context())
			if e, ok := errors.AsType[coder.CloseError](err); ok {
				return int(e.Code), err
			}
			if err != nil {
				return 0, err
			}
			if string(p) == closeMe {
				return closeCode, c.Close(closeCode, closeReason)
			}
			if err := c.Write(r.Context(), op, p); err != nil {
				return 0, err
			}
		}
	}
}
