//go:build linux

package perch_test

import (
	"bytes"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/perchws/perch"
	"github.com/perchws/perch/frame"
	"github.com/perchws/perch/internal/enginetest/roommodel"
	"github.com/perchws/perch/internal/simkernel"
	"github.com/perchws/perch/internal/wstest"
)

// simActor is a person of the model with the latest connection.
type simActor struct {
	*roommodel.Actor
	visitor *simVisitor
}

// simVisitor is one connection of a simulated client.
type simVisitor struct {
	run    *simRun
	peer   *simkernel.Peer
	view   *roommodel.View
	got    []byte // read, and not looked at yet
	opened bool   // the upgrade is answered
	stop   bool   // it does not read
	ending bool   // by its own doing: whatever comes
	over   bool

	pings    int          // the last that was sent
	ponged   int          // the newest that was answered
	answered map[int]bool // all that were
}

// connect opens the next connection of an actor.
func (r *simRun) connect(a *simActor) {
	r.visitors++
	dialect := "0"
	if a.User != "" && r.random.IntN(2) == 0 {
		dialect = "1"
	}
	v := &simVisitor{run: r, answered: make(map[int]bool), view: r.NewView(a.Actor, strconv.Itoa(r.visitors), dialect)}
	from := netip.AddrFrom4([4]byte{10, 0, byte(r.visitors >> 8), byte(r.visitors)})
	v.peer = r.machine.Dial(simAddr, from)
	v.peer.Ready = v.ready
	v.peer.Write(wstest.Request("sim", "/ws?"+v.view.Query()))
	a.visitor = v
}

// ask sends the request that the view makes, if it makes one.
func (v *simVisitor) ask(request func(view *roommodel.View) string) {
	if !v.opened || v.ending || v.over {
		return
	}
	line := []byte(request(v.view))
	if len(line) == 0 {
		return
	}
	if v.run.random.IntN(4) != 0 {
		v.send(frame.OpText, line)
		return
	}
	n := 1 + v.run.random.IntN(len(line)) // in fragments, with a ping between them
	for i, f := range wstest.Fragments(frame.OpText, line, n) {
		if i == 1 {
			v.ping()
		}
		v.peer.Write(f.Append(nil, true))
	}
}

// ping asks for a pong, which answers this ping, or a later one too.
func (v *simVisitor) ping() {
	if v.opened && !v.ending && !v.over {
		v.pings++
		v.send(frame.OpPing, []byte(strconv.Itoa(v.pings)))
	}
}

func (v *simVisitor) send(op frame.Opcode, p []byte) {
	v.peer.Write(frame.AppendMaskedFrame(nil, op, p, v.run.random.Uint32()|1))
}

// goOn reads again.
func (v *simVisitor) goOn() {
	if v.stop {
		v.stop = false
		v.ready()
	}
}

// ready reads what has come, and looks at it.
func (v *simVisitor) ready() {
	for !v.stop && !v.over {
		var b [4096]byte
		n, e := v.peer.Read(b[:1+v.run.random.IntN(len(b))])
		if e == unix.EAGAIN {
			return
		}
		if v.got = append(v.got, b[:n]...); n > 0 {
			v.look()
			continue
		}
		v.end(e.Error())
	}
}

// look takes whole frames out of what was read.
func (v *simVisitor) look() {
	if !v.opened {
		head, rest, whole := bytes.Cut(v.got, []byte("\r\n\r\n"))
		if !whole {
			return
		}
		if !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) {
			v.run.lost++
			v.quit()
			return
		}
		v.opened, v.got = true, rest
	}
	for !v.over {
		h, n, err := frame.ParseHeader(v.got)
		if err != nil {
			v.view.Fault("it reads %.20q: %v", v.got, err)
			v.quit()
			return
		}
		if n == 0 || len(v.got) < n+int(h.Length) {
			return
		}
		payload := v.got[n : n+int(h.Length)]
		v.got = v.got[n+int(h.Length):]
		v.take(h, payload)
	}
}

// take acts on a frame.
func (v *simVisitor) take(h frame.Header, payload []byte) {
	switch {
	case h.Opcode == frame.OpText && h.Fin:
		v.hear(string(payload))
	case h.Opcode == frame.OpPong:
		n, err := strconv.Atoi(string(payload))
		if err != nil || n > v.pings || v.answered[n] {
			v.view.Fault("a pong of %q, after %d of %d", payload, v.ponged, v.pings)
		}
		v.ponged = max(v.ponged, n) // the newest may overtake one that waits behind messages
		v.answered[n] = true
	case h.Opcode == frame.OpPing:
		v.send(frame.OpPong, payload)
	case h.Opcode == frame.OpClose:
		code, _, err := frame.ParseClose(payload)
		switch {
		case err != nil:
			v.view.Fault("a close frame of %q: %v", payload, err)
		case v.ending || v.run.ending:
		case code == perch.CloseSlowConsumer && v.run.Slow:
			v.run.slow++
		default:
			v.view.Fault("the end is %d", code)
		}
		v.ending = true
		v.send(frame.OpClose, payload)
		v.quit()
	default:
		v.view.Fault("a frame %+v", h)
	}
}

// hear takes a message, which may be no words of the model's.
func (v *simVisitor) hear(line string) {
	defer func() {
		if p := recover(); p != nil {
			v.view.Fault("it hears %.80q: %v", line, p)
		}
	}()
	v.view.Take(line)
}

// end is the end of the input.
func (v *simVisitor) end(why string) {
	switch {
	case v.ending || v.run.ending:
	case !v.opened: // accept has failed, or there were no descriptors
		v.run.lost++
	default:
		v.view.Fault("the end is %s", why)
	}
	v.quit()
}

// quit closes the connection.
func (v *simVisitor) quit() {
	if !v.over {
		v.over, v.ending = true, true
		v.view.End()
		v.peer.Close()
	}
}

// finish ends a connection in one of several ways.
func (v *simVisitor) finish(way int) {
	if v.over {
		return
	}
	v.ending = true
	v.view.Note("> ", "end "+strconv.Itoa(way))
	v.goOn()
	switch {
	case way == 0 && v.opened:
		v.send(frame.OpClose, frame.AppendClose(nil, frame.CloseNormal, ""))
	case way <= 1:
		v.peer.CloseWrite()
	case way == 2:
		v.quit()
	default:
		v.peer.Reset()
		v.quit()
	}
}
