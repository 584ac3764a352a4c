//go:build linux

package interop

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"

	gobwas "github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"

	"github.com/perchws/perch"
)

// gobwasClient speaks in frames; fragments too.
type gobwasClient struct {
	net.Conn
	in io.Reader
}

func dialGobwas(ctx context.Context, url string) (client, error) {
	return newGobwasClient(ctx, url, gobwas.Dialer{})
}

func newGobwasClient(ctx context.Context, url string, d gobwas.Dialer) (*gobwasClient, error) {
	conn, br, _, err := d.Dial(ctx, url)
	if err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	c := &gobwasClient{Conn: conn, in: conn}
	if br != nil {
		c.in = br
	}
	return c, conn.SetDeadline(deadline)
}

// gobwasDeflater is gobwasClient with permessage-deflate for every message.
type gobwasDeflater struct{ *gobwasClient }

func dialGobwasDeflate(ctx context.Context, url string) (client, error) {
	var d gobwas.Dialer
	d.Extensions = append(d.Extensions, wsflate.DefaultParameters.Option())
	c, err := newGobwasClient(ctx, url, d)
	if err != nil {
		return nil, err
	}
	return gobwasDeflater{c}, nil
}

func (c gobwasDeflater) send(m message) error {
	f, err := wsflate.CompressFrame(gobwas.NewFrame(gobwas.OpCode(m.op), true, m.p))
	if err != nil {
		return err
	}
	return gobwas.WriteFrame(c.Conn, gobwas.MaskFrame(f))
}

func (c gobwasDeflater) receive() (message, error) {
	f, err := c.next()
	if err == nil {
		f, err = wsflate.DecompressFrame(f)
	}
	return message{perch.Opcode(f.Header.OpCode), f.Payload}, err
}

// send cuts a message of two bytes or more into fragments, with a ping between them.
func (c *gobwasClient) send(m message) error {
	frames := []gobwas.Frame{gobwas.NewFrame(gobwas.OpCode(m.op), true, m.p)}
	if half := len(m.p) / 2; half > 0 {
		frames = []gobwas.Frame{
			gobwas.NewFrame(gobwas.OpCode(m.op), false, m.p[:half]),
			gobwas.NewPingFrame([]byte("between")),
			gobwas.NewFrame(gobwas.OpContinuation, true, m.p[half:]),
		}
	}
	for _, f := range frames {
		if err := gobwas.WriteFrame(c.Conn, gobwas.MaskFrame(f)); err != nil {
			return err
		}
	}
	return nil
}

// gobwasClosed is the server's close frame as an error.
type gobwasClosed struct {
	code   int
	reason string
}

func (e gobwasClosed) Error() string { return "closed: " + e.reason }

// next returns the next frame; it answers pings and turns a close frame into an error.
func (c *gobwasClient) next() (gobwas.Frame, error) {
	for {
		f, err := readFrame(c.in)
		if err != nil {
			return f, err
		}
		if f.Header.Masked {
			return f, errors.New("the server masks")
		}
		switch f.Header.OpCode {
		case gobwas.OpPing:
			if err := gobwas.WriteFrame(c.Conn, gobwas.MaskFrame(gobwas.NewPongFrame(f.Payload))); err != nil {
				return f, err
			}
		case gobwas.OpClose:
			code, reason := gobwas.ParseCloseFrameData(f.Payload)
			answer := gobwas.NewCloseFrame(gobwas.NewCloseFrameBody(code, ""))
			_ = gobwas.WriteFrame(c.Conn, gobwas.MaskFrame(answer)) // it may be the answer itself
			return f, gobwasClosed{int(code), reason}
		default:
			return f, nil
		}
	}
}

func (c *gobwasClient) receive() (message, error) {
	for {
		f, err := c.next()
		if err != nil {
			return message{}, err
		}
		if f.Header.OpCode == gobwas.OpPong {
			if string(f.Payload) != "between" {
				return message{}, errors.New("a pong that answers no ping")
			}
			continue
		}
		if !f.Header.Fin {
			return message{}, errors.New("the server fragments")
		}
		return message{perch.Opcode(f.Header.OpCode), f.Payload}, nil
	}
}

func (c *gobwasClient) ping() error {
	if err := gobwas.WriteFrame(c.Conn, gobwas.MaskFrame(gobwas.NewPingFrame([]byte("beat")))); err != nil {
		return err
	}
	f, err := c.next()
	if err == nil && (f.Header.OpCode != gobwas.OpPong || string(f.Payload) != "beat") {
		err = errors.New("no pong of the ping's payload")
	}
	return err
}

func (c *gobwasClient) close(code int, reason string) (int, error) {
	body := gobwas.NewCloseFrameBody(gobwas.StatusCode(code), reason)
	if err := gobwas.WriteFrame(c.Conn, gobwas.MaskFrame(gobwas.NewCloseFrame(body))); err != nil {
		return 0, err
	}
	_, err := c.next()
	got, _ := c.closedWith(err)
	if got == 0 {
		return 0, err
	}
	return got, nil
}

func (c *gobwasClient) closedWith(err error) (int, string) {
	if e, ok := errors.AsType[gobwasClosed](err); ok {
		return e.code, e.reason
	}
	return 0, ""
}

func (c *gobwasClient) abandon() { _ = c.Conn.Close() }

// readFrame reads one frame of a size that the tests send.
func readFrame(r io.Reader) (gobwas.Frame, error) {
	h, err := gobwas.ReadHeader(r)
	if err != nil {
		return gobwas.Frame{}, err
	}
	if h.Length > 2*bigMessage {
		return gobwas.Frame{}, errors.New("a frame larger than anything sent")
	}
	f := gobwas.Frame{Header: h, Payload: make([]byte, h.Length)}
	_, err = io.ReadFull(r, f.Payload)
	return f, err
}

func serveGobwas(w http.ResponseWriter, r *http.Request) (int, error) {
	conn, rw, _, err := gobwas.UpgradeHTTP(r, w)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	for {
		f, err := readFrame(rw)
		if err != nil {
			return 0, err
		}
		if !f.Header.Masked {
			return 0, errors.New("the client does not mask")
		}
		f = gobwas.UnmaskFrameInPlace(f)
		switch f.Header.OpCode {
		case gobwas.OpClose:
			code, _ := gobwas.ParseCloseFrameData(f.Payload)
			return int(code), gobwas.WriteFrame(conn, gobwas.NewCloseFrame(f.Payload))
		case gobwas.OpPing:
			f = gobwas.NewPongFrame(f.Payload)
		case gobwas.OpPong:
			continue
		}
		if string(f.Payload) == closeMe {
			f = gobwas.NewCloseFrame(gobwas.NewCloseFrameBody(closeCode, closeReason))
		}
		f.Header.Masked = false
		if err := gobwas.WriteFrame(conn, f); err != nil {
			return 0, err
		}
	}
}
