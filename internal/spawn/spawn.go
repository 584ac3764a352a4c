// Package spawn is the one place where the engine and the server start goroutines. It counts them by
// what they are for, so that an end can wait for them, and so that a simulation can run
// their functions itself.
package spawn

import "sync"

// Kind says what a goroutine is for.
type Kind uint8

const (
	Loop      Kind = iota // an event loop, locked to its thread
	End                   // follows the loops to their end, and releases what they shared
	Worker                // runs callbacks that may block
	Dial                  // looks up the addresses of a host
	Handshake             // runs a handshake of TLS
	Passage               // has net/http accept the sockets of one loop
	HTTP                  // closes connections with net/http, all of them or one
	Reserved              // answers requests for reserved paths
	Abandon               // calls OnAbandon
	Log                   // hands lines of the log to the Logger

	// Those of perchd.

	Password // computes the slow hash of a room's password
	Keys     // loads a key set

	Kinds // how many kinds there are
)

var names = [Kinds]string{
	Loop: "loop", End: "end", Worker: "worker", Dial: "dial",
	Handshake: "handshake", Passage: "passage", HTTP: "http", Reserved: "reserved", Abandon: "abandon", Log: "log",
	Password: "password", Keys: "keys",
}

// String is the kind's name.
func (k Kind) String() string {
	if k < Kinds {
		return names[k]
	}
	return "none"
}

// Spawner starts goroutines and counts them. Any goroutine may call its methods. The
// zero value is ready.
type Spawner struct {
	// Start runs f, once: at once or later, on another goroutine or on the caller's.
	// nil: on a goroutine of its own. It is set before the first Go. A function may be
	// started with locks held; only a Start that runs it later is good for that.
	Start func(k Kind, f func())

	mu    sync.Mutex
	live  [Kinds]int
	empty [Kinds]chan struct{} // closed when none of the kind lives any more; nil: nobody waits
}

// Go runs f, by default on a goroutine of its own. It lives until f has returned, or has
// called runtime.Goexit.
func (s *Spawner) Go(k Kind, f func()) {
	s.mu.Lock()
	s.live[k]++
	s.mu.Unlock()
	run := func() {
		defer s.ended(k)
		f()
	}
	if s.Start != nil {
		s.Start(k, run)
		return
	}
	go run()
}

func (s *Spawner) ended(k Kind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live[k]--; s.live[k] == 0 && s.empty[k] != nil {
		close(s.empty[k])
		s.empty[k] = nil
	}
}

// Live is how many goroutines of a kind there are.
func (s *Spawner) Live(k Kind) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live[k]
}

// Gone is a channel that is closed when none of a kind lives, at once if none does.
func (s *Spawner) Gone(k Kind) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live[k] == 0 {
		gone := make(chan struct{})
		close(gone)
		return gone
	}
	if s.empty[k] == nil {
		s.empty[k] = make(chan struct{})
	}
	return s.empty[k]
}
