package room

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
)

func mustHash(t *testing.T, h *Hub, password string) Password {
	t.Helper()
	p, err := h.Hash(t.Context(), password)
	if err != nil || !p.IsSet() {
		t.Fatalf("Hash: %v", err)
	}
	return p
}

func TestPassword(t *testing.T) {
	w := newWorld(t, 1, Config{})
	const secret = "correct horse battery staple"
	r := w.create("r", Options{Password: mustHash(t, w.Hub, secret)})
	c := w.connect(0)
	_, err := c.tryJoin(r, JoinOptions{})
	w.is(err, ErrPassword, "Join without a key")
	for _, wrong := range []string{"", "x", secret + " ", secret[1:], strings.ToUpper(secret), secret + "\x00", strings.Repeat("x", MaxPassword+1)} {
		k, err := r.Unlock(t.Context(), wrong)
		w.is(err, ErrPassword, "Unlock with a wrong password")
		_, err = c.tryJoin(r, JoinOptions{Key: k})
		w.is(err, ErrPassword, "Join with what a wrong password gave")
	}
	if c.in(r) || r.Count() != 0 {
		t.Error("it is in")
	}
	key, err := r.Unlock(t.Context(), secret)
	w.is(err, nil, "Unlock")
	c.joinWith(r, JoinOptions{Key: key})
	w.connect(0).joinWith(r, JoinOptions{Key: MasterKey()})
	w.run()
	w.audit()
}

// A key opens only its own room: not another one with the same password, and not a later one of the same id.
func TestKeyOfAnotherRoom(t *testing.T) {
	w := newWorld(t, 1, Config{})
	p := mustHash(t, w.Hub, "secret")
	a, b, open := w.create("a", Options{Password: p}), w.create("b", Options{Password: p}), w.create("open", Options{})
	key, err := a.Unlock(t.Context(), "secret")
	w.is(err, nil, "Unlock")
	openKey, err := open.Unlock(t.Context(), "any will do")
	w.is(err, nil, "Unlock of a room without a password")
	c := w.connect(0)
	for _, k := range []Key{{}, openKey, key} {
		_, err = c.tryJoin(b, JoinOptions{Key: k})
		w.is(err, ErrPassword, "Join with the key of another room")
	}
	w.is(w.Delete(a, ""), nil, "Delete")
	again := w.create("a", Options{Password: p})
	_, err = c.tryJoin(again, JoinOptions{Key: key})
	w.is(err, ErrPassword, "Join with the key of a room that is gone")
	c.joinWith(open, JoinOptions{Key: key})
	w.run()
	w.audit()
}

func TestHash(t *testing.T) {
	h := New(Config{})
	for _, bad := range []string{"", strings.Repeat("x", MaxPassword+1)} {
		if p, err := h.Hash(t.Context(), bad); !errors.Is(err, ErrPasswordInvalid) || p.IsSet() {
			t.Errorf("Hash of %d bytes: %v", len(bad), err)
		}
	}
	if (Password{}).IsSet() {
		t.Error("no password is set")
	}
	long := strings.Repeat("x", MaxPassword)
	a, b := mustHash(t, h, long), mustHash(t, h, long)
	if a.hash.salt == b.hash.salt || a.hash.sum == b.hash.sum {
		t.Error("two hashes of one password are the same")
	}
	if a.hash.sum == [32]byte{} || a.hash.salt == [16]byte{} {
		t.Error("nothing was computed")
	}
}

// Every password waits for its turn to be hashed, unless it is empty or too long: the time tells nothing else about
// it. A caller that waits may give up.
func TestHashingIsBounded(t *testing.T) {
	w := newWorld(t, 1, Config{})
	r := w.create("r", Options{Password: mustHash(t, w.Hub, "secret")})
	for range cap(w.hashing) {
		w.hashing <- struct{}{} // all places are taken
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, password := range []string{"secret", "Secret", "x", strings.Repeat("x", MaxPassword)} {
		_, err := r.Unlock(gone, password)
		w.is(err, context.Canceled, "Unlock while all are busy")
	}
	p, err := w.Hash(gone, "x")
	w.is(err, context.Canceled, "Hash while all are busy")
	if p.IsSet() {
		t.Error("a password that was not hashed is set")
	}
	if n := w.waiting.Load(); n != 0 {
		t.Fatalf("%d still wait although they have given up", n)
	}
	later, cancel := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	var mu sync.Mutex
	count := make(map[error]int)
	for range maxWaiting {
		waiting.Go(func() {
			_, err := r.Unlock(later, "secret")
			mu.Lock()
			defer mu.Unlock()
			count[err]++
		})
	}
	for all := true; all && w.waiting.Load() < maxWaiting; {
		runtime.Gosched()
		mu.Lock()
		all = len(count) == 0 // else the test fails below
		mu.Unlock()
	}
	_, err = r.Unlock(t.Context(), "secret")
	w.is(err, ErrBusy, "one more than may wait")
	_, err = w.Hash(t.Context(), "x")
	w.is(err, ErrBusy, "one more than may wait")
	cancel()
	waiting.Wait()
	if count[context.Canceled] != maxWaiting || w.waiting.Load() != 0 {
		t.Errorf("%v, %d wait", count, w.waiting.Load())
	}
	for range cap(w.hashing) {
		<-w.hashing
	}
	if _, err := r.Unlock(t.Context(), "secret"); err != nil {
		t.Errorf("Unlock when nobody is busy: %v", err)
	}
}

// The same characters are one password, however a keyboard encodes them; passwords have no invisible characters.
func TestPasswordForms(t *testing.T) {
	w := newWorld(t, 1, Config{})
	for _, same := range [][]string{
		{"caf\u00e9", "cafe\u0301"},
		{"a b", "a\u00a0b", "a\u3000b"},
		{"\u00c5ngstr\u00f6m", "\u212bngstro\u0308m"},
		{"\uae40\uce58", "\u1100\u1175\u11b7\u110e\u1175"},
	} {
		for _, set := range same {
			r := w.create(fmt.Sprintf("%x", set), Options{Password: mustHash(t, w.Hub, set)})
			for _, typed := range same {
				_, err := r.Unlock(t.Context(), typed)
				w.is(err, nil, fmt.Sprintf("%+q for %+q", typed, set))
			}
			for _, other := range []string{"cafe", "caf\u00c9", "ab", " " + same[0], same[0] + "\u200b"} {
				_, err := r.Unlock(t.Context(), other)
				w.is(err, ErrPassword, fmt.Sprintf("%+q for %+q", other, set))
			}
		}
	}
	for _, bad := range []string{"", strings.Repeat("x", MaxPassword+1), "a\x00", "\u200b", "a\nb", "\u3164", "\xff", "a\u202e"} {
		_, err := w.Hash(t.Context(), bad)
		w.is(err, ErrPasswordInvalid, fmt.Sprintf("Hash of %+q", bad))
	}
	mustHash(t, w.Hub, strings.Repeat("x", MaxPassword))
}

// A password that was kept elsewhere opens the room as before; other bytes are no password.
func TestPasswordBytes(t *testing.T) {
	w := newWorld(t, 1, Config{})
	p, err := w.Hash(t.Context(), "Darjeeling")
	w.is(err, nil, "Hash")
	kept := p.Bytes()
	back, err := PasswordOf(kept)
	w.is(err, nil, "PasswordOf")
	r := w.create("r", Options{Password: back})
	key, err := r.Unlock(t.Context(), "Darjeeling")
	w.is(err, nil, "Unlock")
	w.connect(0).joinWith(r, JoinOptions{Key: key})
	_, err = r.Unlock(t.Context(), "Assam")
	w.is(err, ErrPassword, "Unlock with another")
	r.Changed(Options{Password: p}) // told again, unchanged
	w.connect(0).joinWith(r, JoinOptions{Key: key})
	open := w.create("open", Options{})
	key, err = open.Unlock(t.Context(), "any")
	w.is(err, nil, "Unlock of an open room")
	open.Changed(Options{Password: p})
	_, err = w.connect(0).tryJoin(open, JoinOptions{Key: key})
	w.is(err, ErrPassword, "Join with the key of the open room")
	if none, err := PasswordOf(Password{}.Bytes()); err != nil || none.IsSet() {
		t.Errorf("no password: %v, set %t", err, none.IsSet())
	}
	for _, bad := range [][]byte{kept[1:], append([]byte{2}, kept[1:]...), append(kept, 0), {0}} {
		if _, err := PasswordOf(bad); err != ErrPasswordInvalid {
			t.Errorf("%d bytes: %v", len(bad), err)
		}
	}
}
