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

// Pair is a certificate with its key: two PEM files, which may be the same one. The certificates that clients need to
// verify it follow it in its file.
type Pair struct{ Cert, Key string }

// Files are certificates whose files may change. Make one with Load.
type Files struct {
	// Immutable after Load.
	pairs []Pair
	log   *slog.Logger

	// Atomic: any goroutine.
	loaded atomic.Pointer[[]*tls.Certificate] // one for each pair
	looked atomic.Int64                       // unix time in ns

	mu   sync.Mutex
	seen []stamp // of the files at the last try, two for each pair
}

// interval is the shortest time between two looks at the files.
const interval = time.Second

// stamp identifies the state of a file.
type stamp struct {
	modified time.Time
	size     int64
	known    bool // the file is there
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

// GetCertificate is for tls.Config. It returns the first certificate that fits the name for which a client asks and
// that the client can verify, else the first of all. If files have changed since the last handshake, one handshake
// reads them first; the others do not wait. If a pair cannot be read, or does not fit together, that is logged and
// the old certificate stays. Any goroutine may call it; it may block on the files.
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

// Reload reads all files now, changed or not. If one cannot be read, that is logged and the old certificate stays.
// Any goroutine may call it; it blocks on the files.
func (f *Files) Reload() {
	f.looked.Store(time.Now().UnixNano())
	f.read(true)
}

// refresh reads files that have changed, if it is time to look.
func (f *Files) refresh(now time.Time) {
	last := f.looked.Load()
	if now.UnixNano()-last < int64(interval) || !f.looked.CompareAndSwap(last, now.UnixNano()) {
		return
	}
	f.read(false)
}

// read reads the pairs that have changed; all of them if unchanged is set.
func (f *Files) read(unchanged bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := slices.Clone(*f.loaded.Load())
	for i, p := range f.pairs {
		cert, key := stampOf(p.Cert), stampOf(p.Key)
		if !unchanged && cert == f.seen[2*i] && key == f.seen[2*i+1] {
			continue
		}
		f.seen[2*i], f.seen[2*i+1] = cert, key // so that each change is tried, and logged, once
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

// Invalid lists the certificates that are not valid at a time, and when they are.
func (f *Files) Invalid(now time.Time) (all []string) {
	for i, c := range *f.loaded.Load() {
		if leaf := c.Leaf; now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
			all = append(all, fmt.Sprintf("%s is valid from %s to %s", f.pairs[i].Cert,
				leaf.NotBefore.Format(time.DateOnly), leaf.NotAfter.Format(time.DateOnly)))
		}
	}
	return all
}
