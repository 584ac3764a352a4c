package certs

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Pair is a certificate, with those that it needs to be believed behind it, and
// its key: two PEM files. They may be one.
type Pair struct{ Cert, Key string }

// Files are certificates whose files may change. Make them with Load.
type Files struct {
	// Immutable after Load.
	pairs []Pair
	log   *slog.Logger

	// Atomic: any goroutine.
	loaded atomic.Pointer[[]*tls.Certificate] // one for each pair
	looked atomic.Int64                       // unix time in ns

	mu   sync.Mutex
	seen []stamp // of the files as they were tried last, two for each pair
}

// interval is how often the files are looked at, at most.
const interval = time.Second

// stamp tells a file from what was there before.
type stamp struct {
	modified time.Time
	size     int64
	known    bool // it is there
}

func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}
	}
	return stamp{info.ModTime(), info.Size(), true}
}

// Load reads the files. An error names the pair.
func Load(pairs []Pair, log *slog.Logger) (*Files, error) {
	f := &Files{pairs: pairs, log: log, seen: make([]stamp, 2*len(pairs))}
	all := make([]*tls.Certificate, len(pairs))
	for i, p := range pairs {
		f.seen[2*i], f.seen[2*i+1] = stampOf(p.Cert), stampOf(p.Key)
		c, err := p.load()
		if err != nil {
			return nil, err
		}
		all[i] = c
	}
	f.loaded.Store(&all)
	f.looked.Store(time.Now().UnixNano())
	return f, nil
}

func (p Pair) load() (*tls.Certificate, error) {
	c, err := tls.LoadX509KeyPair(p.Cert, p.Key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", p.Cert, p.Key, err)
	}
	return &c, nil
}

// GetCertificate is for tls.Config: the first that fits the name a client asks
// for and what it can verify, else the first. Files that have changed since the
// last handshake are read before, by one of the handshakes; the others do not
// wait. A pair that cannot be read, or does not fit together, is logged and
// leaves the certificate that was there. Any goroutine; it may block on the
// files.
func (f *Files) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.refresh(time.Now())
	all := *f.loaded.Load()
	for _, c := range all {
		if hello.SupportsCertificate(c) == nil {
			return c, nil
		}
	}
	return all[0], nil
}

// Reload reads all files now, changed or not. A file that cannot be read is
// logged and leaves the certificate that was there. Any goroutine; it blocks on
// the files.
func (f *Files) Reload() {
	f.looked.Store(time.Now().UnixNano())
	f.read(true)
}

// refresh reads what has changed, if it is time to look.
func (f *Files) refresh(now time.Time) {
	last := f.looked.Load()
	if now.UnixNano()-last < int64(interval) || !f.looked.CompareAndSwap(last, now.UnixNano()) {
		return
	}
	f.read(false)
}

// read reads the pairs that have changed, or all.
func (f *Files) read(unchanged bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := slices.Clone(*f.loaded.Load())
	for i, p := range f.pairs {
		cert, key := stampOf(p.Cert), stampOf(p.Key)
		if !unchanged && cert == f.seen[2*i] && key == f.seen[2*i+1] {
			continue
		}
		f.seen[2*i], f.seen[2*i+1] = cert, key // one try, one line of the log for each change
		c, err := p.load()
		if err != nil {
			f.log.Error("the certificate was not reloaded, the one before stays", "error", err)
			continue
		}
		all[i] = c
		f.log.Info("certificate reloaded", "certificate", p.Cert, "names", c.Leaf.DNSNames, "expires", c.Leaf.NotAfter)
	}
	f.loaded.Store(&all)
}
