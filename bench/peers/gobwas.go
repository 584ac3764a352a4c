package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// maxCork is how many bytes of answers may gather before they leave.
const maxCork = 32 << 10

// serveGobwas is the codec on net and a goroutine for each connection. It leaves
// buffers to its user: one of 4 KiB for reading, a pooled one for writing that
// leaves when nothing more has arrived, so that pipelined messages share a write.
func serveGobwas(ln net.Listener, _ options) error {
	members := newRoom(func(c net.Conn) { c.Close() })
	for {
		conn, err := ln.Accept()
		if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
			time.Sleep(50 * time.Millisecond)
			continue
		}
		if err != nil {
			return err
		}
		go func() {
			_ = conn.SetDeadline(time.Now().Add(handshakeTime))
			fan := false
			up := ws.Upgrader{OnRequest: func(uri []byte) (err error) {
				fan, err = fanRequested(uri)
				return err
			}}
			if _, err := up.Upgrade(conn); err != nil {
				conn.Close()
				return
			}
			_ = conn.SetDeadline(time.Time{})
			if fan {
				go fanGobwas(conn, members)
			} else {
				go readGobwas(conn, func(out *bytes.Buffer, op ws.OpCode, p []byte) { _ = ws.WriteFrame(out, ws.NewFrame(op, true, p)) })
			}
		}()
	}
}

// fanRequested tells /fan from /ws and refuses the rest.
func fanRequested(uri []byte) (bool, error) {
	switch path, _, _ := bytes.Cut(uri, []byte("?")); string(path) {
	case "/ws":
		return false, nil
	case "/fan":
		return true, nil
	}
	return false, ws.RejectConnectionError(ws.RejectionStatus(404))
}

func fanGobwas(conn net.Conn, members *room[net.Conn]) {
	members.join(conn)
	defer members.leave(conn)
	readGobwas(conn, func(_ *bytes.Buffer, op ws.OpCode, p []byte) {
		if op != ws.OpText {
			return
		}
		frame := ws.MustCompileFrame(ws.NewTextFrame(p))
		members.publish(func(to net.Conn) error {
			_, err := to.Write(frame)
			return err
		})
	})
}

// readGobwas calls handle for every message until the connection fails; what it
// puts into out is sent before the next wait for input.
func readGobwas(conn net.Conn, handle func(out *bytes.Buffer, op ws.OpCode, p []byte)) {
	defer conn.Close()
	in := bufio.NewReaderSize(conn, 4096)
	control := wsutil.ControlFrameHandler(conn, ws.StateServerSide)
	rd := wsutil.Reader{Source: in, State: ws.StateServerSide, CheckUTF8: true, MaxFrameSize: maxMessage, OnIntermediate: control}
	for {
		// A buffer only while there is input: idle connections wait here.
		if _, err := in.Peek(1); err != nil {
			return
		}
		out, message := buffers.Get().(*bytes.Buffer), buffers.Get().(*bytes.Buffer)
		err := turnGobwas(&rd, in, control, message, out, handle)
		if out.Len() > 0 {
			if _, failed := conn.Write(out.Bytes()); err == nil {
				err = failed
			}
		}
		release(out)
		release(message)
		if err != nil {
			return
		}
	}
}

// turnGobwas handles all messages that have arrived.
func turnGobwas(rd *wsutil.Reader, in *bufio.Reader, control wsutil.FrameHandlerFunc, message, out *bytes.Buffer,
	handle func(out *bytes.Buffer, op ws.OpCode, p []byte)) error {
	for {
		h, err := rd.NextFrame()
		if err != nil {
			return err
		}
		if h.OpCode.IsControl() {
			if err := control(h, rd); err != nil {
				return err
			}
		} else {
			message.Reset()
			if _, err := message.ReadFrom(io.LimitReader(rd, maxMessage+1)); err != nil {
				return err
			}
			if message.Len() > maxMessage {
				return wsutil.ErrFrameTooLarge
			}
			handle(out, h.OpCode, message.Bytes())
		}
		if in.Buffered() == 0 || out.Len() > maxCork {
			return nil
		}
	}
}
