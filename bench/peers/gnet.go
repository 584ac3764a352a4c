package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"unicode/utf8"

	"github.com/gobwas/ws"
	"github.com/panjf2000/gnet/v2"
	"github.com/panjf2000/gnet/v2/pkg/logging"
)

const (
	maxHead = 8 << 10
	// maxUnsent is what may wait for a member that does not read; gnet has no limit of its own.
	maxUnsent = 2 * maxMessage
)

// serveGnet: gnet's event loops, one for each CPU, each with a listener, and
// gobwas's codec on the bytes they have read. All answers of a turn leave in one write.
func serveGnet(ln net.Listener, _ options) error {
	addr := ln.Addr().String()
	if err := ln.Close(); err != nil { // gnet makes its own
		return err
	}
	h := &gnetServer{shards: make(map[gnet.EventLoop]*gnetShard)}
	return gnet.Run(h, "tcp://"+addr, gnet.WithNumEventLoop(runtime.GOMAXPROCS(0)), gnet.WithReusePort(true),
		gnet.WithLockOSThread(true), gnet.WithLogLevel(logging.FatalLevel))
}

type gnetServer struct {
	gnet.BuiltinEventEngine
	mu     sync.RWMutex
	shards map[gnet.EventLoop]*gnetShard // members of /fan by the loop they belong to
}

// gnetShard belongs to its loop.
type gnetShard struct{ members map[gnet.Conn]struct{} }

// gnetConn is what is kept for a connection.
type gnetConn struct {
	open    bool
	shard   *gnetShard // nil: /ws
	kind    ws.OpCode  // of the message that message is the begin of; 0: none
	message []byte
	want    int // bytes that the frame at hand has: before them there is nothing to do
}

func (s *gnetServer) OnOpen(c gnet.Conn) ([]byte, gnet.Action) {
	c.SetContext(new(gnetConn))
	return nil, gnet.None
}

func (s *gnetServer) OnClose(c gnet.Conn, _ error) gnet.Action {
	if k := c.Context().(*gnetConn); k.shard != nil {
		delete(k.shard.members, c)
	}
	return gnet.None
}

func (s *gnetServer) OnTraffic(c gnet.Conn) gnet.Action {
	k := c.Context().(*gnetConn)
	if c.InboundBuffered() < k.want {
		return gnet.None
	}
	in, err := c.Peek(-1)
	if err != nil {
		return gnet.Close
	}
	out := buffers.Get().(*bytes.Buffer)
	defer release(out)
	var used int
	if !k.open {
		used, err = s.upgrade(c, k, in, out)
	}
	if k.open && err == nil {
		var n int
		n, err = s.frames(c, k, in[used:], out)
		used += n
	}
	if used > 0 { // Discard(0) discards all
		if _, failed := c.Discard(used); failed != nil {
			return gnet.Close
		}
	}
	if out.Len() > 0 {
		if _, failed := c.Write(out.Bytes()); failed != nil {
			return gnet.Close
		}
	}
	if err != nil {
		return gnet.Close
	}
	return gnet.None
}

// upgrade answers a whole request and says how long it was.
func (s *gnetServer) upgrade(c gnet.Conn, k *gnetConn, in []byte, out *bytes.Buffer) (int, error) {
	end := bytes.Index(in, []byte("\r\n\r\n"))
	if end < 0 {
		if len(in) > maxHead {
			return 0, errors.New("request too long")
		}
		return 0, nil
	}
	fan := false
	up := ws.Upgrader{OnRequest: func(uri []byte) (err error) {
		fan, err = fanRequested(uri)
		return err
	}}
	if _, err := up.Upgrade(struct {
		io.Reader
		io.Writer
	}{bytes.NewReader(in[:end+4]), out}); err != nil {
		return 0, err
	}
	k.open = true
	if fan {
		k.shard = s.shard(c.EventLoop())
		k.shard.members[c] = struct{}{}
	}
	return end + 4, nil
}

func (s *gnetServer) shard(l gnet.EventLoop) *gnetShard {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shards[l] == nil {
		s.shards[l] = &gnetShard{make(map[gnet.Conn]struct{})}
	}
	return s.shards[l]
}

// frames handles all whole frames of in and says how long they were.
func (s *gnetServer) frames(c gnet.Conn, k *gnetConn, in []byte, out *bytes.Buffer) (used int, err error) {
	var rd bytes.Reader
	for used < len(in) {
		rd.Reset(in[used:])
		h, err := ws.ReadHeader(&rd)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return used, nil
		}
		if err != nil {
			return used, err
		}
		state := ws.StateServerSide
		if k.kind != 0 {
			state |= ws.StateFragmented
		}
		if err := ws.CheckHeader(h, state); err != nil {
			return used, err
		}
		if h.Length > int64(maxMessage-len(k.message)) {
			return used, errors.New("message too long")
		}
		at := len(in) - rd.Len()
		if int64(rd.Len()) < h.Length {
			k.want = at - used + int(h.Length)
			return used, nil
		}
		k.want = 0
		p := in[at : at+int(h.Length)]
		used = at + len(p)
		ws.Cipher(p, h.Mask, 0)
		if err := s.frame(c, k, h, p, out); err != nil {
			return used, err
		}
	}
	return used, nil
}

func (s *gnetServer) frame(c gnet.Conn, k *gnetConn, h ws.Header, p []byte, out *bytes.Buffer) error {
	switch h.OpCode {
	case ws.OpPing:
		return ws.WriteFrame(out, ws.NewPongFrame(p))
	case ws.OpPong:
		return nil
	case ws.OpClose:
		code, reason := ws.ParseCloseFrameData(p)
		if err := ws.CheckCloseFrameData(code, reason); len(p) > 0 && err != nil {
			p = ws.NewCloseFrameBody(ws.StatusProtocolError, "")
		}
		return errors.Join(io.EOF, ws.WriteFrame(out, ws.NewFrame(ws.OpClose, true, p)))
	}
	kind := h.OpCode
	if !h.Fin || kind == ws.OpContinuation {
		if kind != ws.OpContinuation {
			k.kind = kind
		}
		k.message = append(k.message, p...)
		if !h.Fin {
			return nil
		}
		kind, p = k.kind, k.message
		k.kind, k.message = 0, nil
	}
	if kind == ws.OpText && !utf8.Valid(p) {
		_ = ws.WriteFrame(out, ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusInvalidFramePayloadData, "")))
		return io.EOF
	}
	switch {
	case k.shard == nil:
		return ws.WriteFrame(out, ws.NewFrame(kind, true, p))
	case kind == ws.OpText:
		s.publish(c.EventLoop(), ws.MustCompileFrame(ws.NewTextFrame(p)))
	}
	return nil
}

// publish writes to the members of this loop and lets the other loops do the same for theirs.
func (s *gnetServer) publish(here gnet.EventLoop, frame []byte) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for l, shard := range s.shards {
		if l == here {
			shard.write(frame)
			continue
		}
		_ = l.Execute(context.Background(), gnet.RunnableFunc(func(context.Context) error {
			shard.write(frame)
			return nil
		}))
	}
}

// write sends to the members; one that does not keep up is closed.
func (s *gnetShard) write(frame []byte) {
	for c := range s.members {
		if _, err := c.Write(frame); err != nil || c.OutboundBuffered() > maxUnsent {
			_ = c.Close() // later, by its loop
		}
	}
}
