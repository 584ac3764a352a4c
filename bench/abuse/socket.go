package abuse

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch/frame"
)

// source is where a connection comes from.
type source struct {
	ip        string // of this machine
	forwarded string // what a proxy says instead; "" for none
	secure    bool   // it speaks TLS
}

// clientAt is the i-th address of clients, from 0: an address of loopback, or one that the proxy tells.
func clientAt(i int, proxied bool) source {
	if proxied {
		return source{ip: "127.0.0.1", forwarded: fmt.Sprintf("198.51.%d.%d", 100+i/250, 1+i%250)}
	}
	return source{ip: fmt.Sprintf("127.0.%d.%d", i/200, 10+i%200)}
}

// ioTime is how long connecting, a handshake and one write may take.
const ioTime = 15 * time.Second

// socket is one connection. One goroutine reads; any may write.
type socket struct {
	net.Conn
	tcp *net.TCPConn // below it
	r   *bufio.Reader
}

// dial opens a TCP connection.
func dial(from source, addr string) (*socket, error) {
	d := net.Dialer{Timeout: ioTime, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from.ip)}}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &socket{Conn: c, tcp: c.(*net.TCPConn)}
	if from.secure {
		s.Conn = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	}
	s.r = bufio.NewReader(s.Conn)
	return s, nil
}

// request is the head of a GET, without its blank line.
func (f source) request(path, addr string) string {
	head := "GET " + path + " HTTP/1.1\r\nHost: " + addr + "\r\n"
	if f.forwarded != "" {
		head += "X-Forwarded-For: " + f.forwarded + "\r\n"
	}
	return head
}

// open opens a WebSocket; a token signs it in.
func open(from source, addr, path, token string) (*socket, error) {
	s, err := dial(from, addr)
	if err != nil {
		return nil, err
	}
	head := from.request(path, addr) + "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	if token != "" {
		head += "Authorization: Bearer " + token + "\r\n"
	}
	s.SetDeadline(time.Now().Add(ioTime))
	if _, err = s.Write([]byte(head + "\r\n")); err == nil {
		err = s.upgraded()
	}
	s.SetDeadline(time.Time{})
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// upgraded reads the answer to an upgrade.
func (s *socket) upgraded() error {
	r, err := http.ReadResponse(s.r, nil)
	if err != nil {
		return err
	}
	if r.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("status %d", r.StatusCode)
	}
	return nil
}

// text appends a text message to b, as a client sends it.
func text(b []byte, message string) []byte {
	return frame.AppendMaskedFrame(b, frame.OpText, []byte(message), 0x5EED_CA5E)
}

// send sends text messages, in one write.
func (s *socket) send(messages ...string) error {
	var b []byte
	for _, m := range messages {
		b = text(b, m)
	}
	return s.write(b)
}

// write sends bytes as they are.
func (s *socket) write(b []byte) error {
	s.SetWriteDeadline(time.Now().Add(ioTime))
	_, err := s.Write(b)
	return err
}

// closed is the end of a connection, as the server has told it.
type closed struct {
	code   frame.CloseCode
	reason string
}

func (c *closed) Error() string {
	return strings.TrimSpace(fmt.Sprintf("closed %d %s", c.code, c.reason))
}

// next reads a message; pings are answered. The error is a *closed if the server says why.
func (s *socket) next() ([]byte, error) {
	var message []byte
	for {
		h, err := s.header()
		if err != nil {
			return nil, err
		}
		p := make([]byte, h.Length)
		for got := 0; got < len(p); {
			n, err := s.r.Read(p[got:])
			if err != nil {
				return nil, err
			}
			got += n
		}
		switch h.Opcode {
		case frame.OpPing:
			if err := s.write(frame.AppendMaskedFrame(nil, frame.OpPong, p, 1)); err != nil {
				return nil, err
			}
		case frame.OpPong:
		case frame.OpClose:
			code, reason, _ := frame.ParseClose(p)
			return nil, &closed{code, string(reason)}
		default:
			if message = append(message, p...); h.Fin {
				return message, nil
			}
		}
	}
}

// header reads the header of a frame.
func (s *socket) header() (frame.Header, error) {
	for size := 2; ; {
		b, err := s.r.Peek(size)
		if err != nil {
			return frame.Header{}, err
		}
		h, n, err := frame.ParseHeader(b)
		if n > 0 || err != nil {
			s.r.Discard(n)
			return h, err
		}
		size++
	}
}

// drain reads all that comes, and throws it away, until the connection ends.
func (s *socket) drain() error {
	for {
		if _, err := s.next(); err != nil {
			return err
		}
	}
}

// event is what of a server's message counts here.
type event struct {
	Type    string
	Code    string
	Session json.RawMessage
	ID      json.RawMessage
	Offset  uint64
	Epoch   string
	More    bool

	Messages []struct{ Offset uint64 }

	Message   json.RawMessage
	MessageID string `json:"message_id"`
	SessionID string `json:"session_id"`
	RoomID    string `json:"room_id"`
}

// await reads until a message of one of these types comes, or an error, which is returned.
func (s *socket) await(types ...string) (event, []byte, error) {
	s.SetReadDeadline(time.Now().Add(ioTime))
	defer s.SetReadDeadline(time.Time{})
	for {
		p, err := s.next()
		if err != nil {
			return event{}, nil, err
		}
		var e event
		if err := json.Unmarshal(p, &e); err != nil {
			return e, p, err
		}
		for _, t := range types {
			if e.Type == t {
				return e, p, nil
			}
		}
		if e.Type == "error" {
			return e, p, fmt.Errorf("error %s", e.Code)
		}
	}
}

// get sends a GET on a connection of its own, and reads the answer.
func get(from source, addr, path string) (status int, err error) {
	s, err := dial(from, addr)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	s.SetDeadline(time.Now().Add(ioTime))
	if _, err := s.Write([]byte(from.request(path, addr) + "Connection: close\r\n\r\n")); err != nil {
		return 0, err
	}
	r, err := http.ReadResponse(s.r, nil)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, r.Body)
	return r.StatusCode, err
}

// ended waits until the server has ended the connection, or ctx ends, and reads nothing that it has sent.
func (s *socket) ended(ctx context.Context) error {
	raw, err := s.tcp.SyscallConn()
	for err == nil && ctx.Err() == nil {
		var info *unix.TCPInfo
		var failed error
		err = raw.Control(func(fd uintptr) { info, failed = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) })
		if err = errors.Join(err, failed); err == nil && info.State != tcpEstablished {
			return errEnded
		}
		pause(ctx, 100*time.Millisecond)
	}
	return err
}

const tcpEstablished = 1 // of TCPInfo.State

var errEnded = errors.New("the server has ended it")
