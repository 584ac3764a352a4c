package abuse

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	speakEvery = 50 * time.Millisecond // of the bystander's talk, and of its echo
	askEvery   = 200 * time.Millisecond
	lateTime   = 3 * time.Second // for what is under way at the end
)

// bystander is somebody who is served while others attack. Messages are sent when they are due, and their time
// counts from then: a stall costs all that were due in it.
type bystander struct {
	addr  string
	from  source
	room  string
	token string // "": nobody
	phase atomic.Int32

	talk, echo, health latencies

	mu   sync.Mutex
	lost map[string]int
}

func newBystander(addr string, s *Scenario) *bystander {
	b := &bystander{addr: addr, room: s.Room, from: source{ip: "127.0.0.9", secure: s.TLS}, lost: map[string]int{}}
	if s.Proxied {
		b.from = source{ip: "127.0.0.1", forwarded: "203.0.113.9", secure: s.TLS}
	}
	if b.room == "" {
		b.room = "quiet corner"
	}
	return b
}

// lose notes what the bystander has lost.
func (b *bystander) lose(n int, format string, args ...any) {
	if n <= 0 {
		return
	}
	b.mu.Lock()
	b.lost["bystander: "+fmt.Sprintf(format, args...)] += n
	b.mu.Unlock()
}

// losses are what it has lost so far, one line each.
func (b *bystander) losses() (all []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for what, n := range b.lost {
		all = append(all, fmt.Sprintf("%s (%d)", what, n))
	}
	return all
}

// run talks, echoes and asks until ctx ends. It calls ready as soon as it is served.
func (b *bystander) run(ctx context.Context, ready func()) {
	var all, first sync.WaitGroup
	first.Add(2)
	for _, one := range []func(context.Context, func()) error{b.converse, b.echoes} {
		all.Go(func() {
			begun := sync.OnceFunc(first.Done)
			for ctx.Err() == nil {
				if err := one(ctx, begun); err != nil && ctx.Err() == nil {
					b.lose(1, "%v", err)
					pause(ctx, askEvery)
				}
			}
			begun()
		})
	}
	all.Go(func() { b.asks(ctx) })
	first.Wait()
	ready()
	all.Wait()
}

// sent are the times at which messages were due, the oldest first.
type sent struct {
	mu  sync.Mutex
	due []mark
}

// mark is one message.
type mark struct {
	number int
	due    time.Time
	phase  int
}

func (s *sent) add(m mark) {
	s.mu.Lock()
	s.due = append(s.due, m)
	s.mu.Unlock()
}

// take returns the mark of a message that has come, and how many before it have not.
func (s *sent) take(number int) (m mark, missing int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for missing = range s.due {
		if m = s.due[missing]; m.number == number {
			s.due = s.due[missing+1:]
			return m, missing, true
		}
	}
	return m, 0, false
}

func (s *sent) left() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.due)
}

// every sends a message whenever one is due, until ctx ends.
func (b *bystander) every(ctx context.Context, to *socket, under *sent, message func(number int) string) error {
	due := time.Now()
	for number := 1; ; number++ {
		due = due.Add(speakEvery)
		if pause(ctx, time.Until(due)); ctx.Err() != nil {
			return nil
		}
		under.add(mark{number, due, int(b.phase.Load())})
		if err := to.send(message(number)); err != nil {
			return fmt.Errorf("it cannot send: %w", err)
		}
	}
}

// settle waits for what is under way when all is over.
func (b *bystander) settle(under *sent, what string) {
	for end := time.Now().Add(lateTime); under.left() > 0 && time.Now().Before(end); {
		time.Sleep(speakEvery)
	}
	b.lose(under.left(), "%s never came", what)
}

// received notes that message number has come.
func (b *bystander) received(under *sent, number int, to *latencies, what string) {
	m, missing, ok := under.take(number)
	if !ok {
		b.lose(1, "%s came that was not due", what)
		return
	}
	b.lose(missing, "%s never came", what)
	to.add(m.phase, time.Since(m.due))
}

// echoes sends messages to the echo.
func (b *bystander) echoes(ctx context.Context, ready func()) error {
	s, err := open(b.from, b.addr, "/ws?raw=1", "")
	if err != nil {
		return fmt.Errorf("its echo: %w", err)
	}
	defer s.Close()
	ready()
	var under sent
	ended := b.reading(s, "its echo", func(p []byte) {
		var number int
		fmt.Sscanf(string(p), "echo %d", &number)
		b.received(&under, number, &b.echo, "an echo")
	})
	return b.until(ctx, s, &under, ended, "an echo", func(n int) string { return fmt.Sprintf("echo %d of the bystander", n) })
}

// converse has one connection post in a room, and another read there.
func (b *bystander) converse(ctx context.Context, ready func()) error {
	var both [2]*socket
	for i := range both {
		s, _, err := chat(b.from, b.addr, b.room, b.token)
		if err != nil {
			return fmt.Errorf("its room: %w", err)
		}
		defer s.Close()
		both[i] = s
	}
	speaker, listener := both[0], both[1]
	ready()
	var under sent
	heard := b.reading(listener, "its reader", func(p []byte) {
		if number, ok := spoken(p); ok {
			b.received(&under, number, &b.talk, "a message")
		}
	})
	var unanswered sent
	answered := b.reading(speaker, "its writer", func(p []byte) {
		var e event
		if json.Unmarshal(p, &e) != nil {
			return
		}
		switch e.Type {
		case "error":
			b.lose(1, "refused: %s", e.Code)
			fallthrough
		case "message_sent":
			var number int
			fmt.Sscanf(string(e.ID), `"b%d"`, &number)
			_, missing, _ := unanswered.take(number)
			b.lose(missing, "no answer to a message")
		}
	})
	ended := make(chan error, 2)
	go func() { ended <- <-heard }()
	go func() { ended <- <-answered }()
	begun := time.Now().UnixNano()
	defer func() { b.lose(unanswered.left(), "no answer to a message") }()
	return b.until(ctx, speaker, &under, ended, "a message", func(n int) string {
		unanswered.add(mark{number: n})
		return fmt.Sprintf(`{"type":"chat_message","content":"bystander %d","id":"b%d of %d"}`, n, n, begun)
	})
}

// spoken is the number of a message of the bystander's.
func spoken(p []byte) (number int, ok bool) {
	var e event
	var body struct{ Content string }
	if json.Unmarshal(p, &e) != nil || e.Type != "message" || json.Unmarshal(e.Message, &body) != nil {
		return 0, false
	}
	n, _ := fmt.Sscanf(body.Content, "bystander %d", &number)
	return number, n == 1
}

// chat opens a connection to the chat that is in a room.
func chat(from source, addr, room, token string) (*socket, event, error) {
	s, err := open(from, addr, "/ws/chat", token)
	if err != nil {
		return nil, event{}, err
	}
	var init event
	if err = s.send(`{}`); err == nil {
		init, _, err = s.await("init")
	}
	if err == nil {
		_, _, err = s.await("room_joined")
	}
	if err == nil && room != "general" {
		if err = s.send(fmt.Sprintf(`{"type":"join_room","room_id":%q}`, room)); err == nil {
			_, _, err = s.await("room_joined")
		}
	}
	if err != nil {
		s.Close()
	}
	return s, init, err
}

// reading reads on a goroutine; how that ended comes from the channel.
func (b *bystander) reading(s *socket, what string, message func(p []byte)) <-chan error {
	ended := make(chan error, 1)
	go func() {
		for {
			p, err := s.next()
			if err != nil {
				ended <- fmt.Errorf("%s: %w", what, err)
				return
			}
			message(p)
		}
	}()
	return ended
}

// until sends until ctx ends, or the connection does.
func (b *bystander) until(ctx context.Context, s *socket, under *sent, ended <-chan error, what string, message func(int) string) error {
	sending, stop := context.WithCancel(ctx)
	defer stop()
	over := make(chan error, 1)
	go func() { over <- b.every(sending, s, under, message) }()
	var err error
	select {
	case err = <-ended:
		stop()
		s.Close()
		return errors.Join(err, <-over)
	case err = <-over:
	}
	if err == nil {
		b.settle(under, what)
	}
	return err
}

// asks asks for /health, each time on a connection of its own.
func (b *bystander) asks(ctx context.Context) {
	for ctx.Err() == nil {
		begun, phase := time.Now(), int(b.phase.Load())
		status, err := get(b.from, b.addr, "/health")
		switch {
		case err != nil:
			b.lose(1, "/health: %v", err)
		case status != 200:
			b.lose(1, "/health: status %d", status)
		}
		b.health.add(phase, time.Since(begun))
		pause(ctx, askEvery-time.Since(begun))
	}
}
