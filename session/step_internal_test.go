package session

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// step does one random thing to the store and the model, and compares the answers.
func (r *run) step(i int) {
	ctx, m := r.Context(), r.model
	switch r.IntN(13) {
	case 0, 1, 2:
		r.stepCreate(i)
	case 3:
		id := r.key()
		s := m.live(id)
		got, err := r.store.Get(ctx, id)
		if s == nil {
			r.errs(i, "Get", err, ErrNotFound)
			return
		}
		r.errs(i, "Get", err, nil)
		m.touch(s)
		r.same(i, "Get", got, s)
	case 4:
		r.stepUpdate(i)
	case 5:
		r.stepKeep(i)
	case 6:
		r.stepToken(i)
	case 7, 8:
		r.stepAttach(i)
	case 9:
		id := r.key()
		s := m.live(id)
		connection := r.holder(s)
		err := r.store.Detach(ctx, id, connection)
		r.errs(i, "Detach", err, refusal(s, connection))
		if err == nil {
			s.active = false
			m.touch(s)
		}
	case 10:
		r.stepEnd(i)
	case 11:
		r.stepEndOthers(i)
	case 12:
		d := []time.Duration{0, time.Millisecond, time.Second, time.Minute, 5 * time.Minute, 3 * time.Hour}[r.IntN(6)]
		m.now += d
		r.clock.Advance(d)
		if r.IntN(3) == 0 {
			r.store.Sweep()
			m.live(Key{})
			if got := len(r.store.sessions); got != len(m.list) {
				r.fail(i, "sessions after Sweep", got, len(m.list))
			}
		} else {
			r.store.lock() // the store's time goes on only with calls
			r.store.mu.Unlock()
		}
	}
}

// refusal is the answer to an operation that only the holder may do.
func refusal(s *modelSession, connection string) error {
	switch {
	case s == nil:
		return ErrNotFound
	case !s.active || s.connection != connection:
		return ErrReplaced
	}
	return nil
}

func (r *run) stepCreate(i int) {
	m, patch := r.model, r.patch()
	s := &modelSession{user: r.user(), auth: r.IntN(2) == 0, data: mergeSimply(map[string]string{}, patch), created: r.model.now}
	if r.IntN(4) > 0 {
		r.conns++
		s.connection, s.active = fmt.Sprint("c", r.conns), true
	}
	n := New{ConnectionID: s.connection, UserID: s.user, Authenticated: s.auth, Data: encode(patch)}
	if i := r.IntN(4); i > 0 {
		n.Address = netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})
		s.address = n.Address.String()
	}
	got, err := r.store.Create(r.Context(), n)
	m.touch(s)
	r.errs(i, "Create", err, m.replace(nil, s))
	if err == nil {
		s.id = got.ID
		r.keys = append(r.keys, s.id)
		r.same(i, "Create", got, s)
	}
}

func (r *run) stepUpdate(i int) {
	id, patch := r.key(), r.patch()
	s := r.model.live(id)
	got, err := r.store.Update(r.Context(), id, encode(patch))
	if s == nil {
		r.errs(i, "Update", err, ErrNotFound)
		return
	}
	next := s.clone()
	next.data = mergeSimply(s.data, patch)
	r.errs(i, "Update", err, r.model.replace(s, next))
	if err == nil {
		r.model.touch(s)
		r.same(i, "Update", got, s)
	}
}

func (r *run) stepKeep(i int) {
	id := r.key()
	s := r.model.live(id)
	connection, state := r.holder(s), make([]byte, r.IntN(3)*100)
	err := r.store.Keep(r.Context(), id, connection, state)
	want := refusal(s, connection)
	if want == nil {
		next := s.clone()
		next.state = string(state)
		want = r.model.replace(s, next)
	}
	r.errs(i, "Keep", err, want)
}

func (r *run) stepToken(i int) {
	id := r.key()
	s := r.model.live(id)
	got, err := r.store.Token(r.Context(), id)
	if s == nil {
		r.errs(i, "Token", err, ErrNotFound)
		return
	}
	next := s.clone()
	next.token = Key{1} // not the zero key: a token counts towards the size
	want := r.model.replace(s, next)
	r.errs(i, "Token", err, want)
	if err == nil {
		s.token = got
		r.keys = append(r.keys, got)
	}
}

func (r *run) stepAttach(i int) {
	c := Claim{Key: r.key(), UserID: r.user()}
	s := r.model.live(c.Key)
	if s == nil { // the key may be a token
		if n := slices.IndexFunc(r.model.list, func(s *modelSession) bool { return s.token == c.Key }); n >= 0 {
			s = r.model.list[n]
		}
	}
	c.ConnectionID = r.holder(s)
	if c.ConnectionID == "" {
		c.ConnectionID = "c"
	}
	got, replaced, err := r.store.Attach(r.Context(), c)
	if s == nil || c.UserID != "" && c.UserID != s.user {
		r.errs(i, "Attach", err, ErrNotFound)
		return
	}
	r.errs(i, "Attach", err, nil)
	want := ""
	if s.active && s.connection != c.ConnectionID {
		want = s.connection
	}
	if replaced != want {
		r.fail(i, "Attach replaced", replaced, want)
	}
	if s.token == c.Key {
		s.token = Key{}
	}
	s.active, s.connection = true, c.ConnectionID
	r.model.touch(s)
	r.same(i, "Attach", got, s)
}

// stepEnd ends a session: by End as its holder, or by Delete.
func (r *run) stepEnd(i int) {
	id := r.key()
	s := r.model.live(id)
	if r.IntN(2) == 0 {
		connection := r.holder(s)
		err := r.store.End(r.Context(), id, connection)
		r.errs(i, "End", err, refusal(s, connection))
		if err == nil {
			r.model.remove(s)
		}
		return
	}
	got, err := r.store.Delete(r.Context(), id)
	if s == nil {
		r.errs(i, "Delete", err, ErrNotFound)
		return
	}
	r.errs(i, "Delete", err, nil)
	r.same(i, "Delete", got, s)
	r.model.remove(s)
}

func (r *run) stepEndOthers(i int) {
	user, kept := r.user(), r.key()
	r.model.live(Key{})
	want := make(map[Key]*modelSession)
	for _, s := range r.model.list {
		if user != "" && s.user == user && s.id != kept {
			want[s.id] = s
		}
	}
	ended, err := r.store.EndOthers(r.Context(), user, kept)
	r.errs(i, "EndOthers", err, nil)
	for _, got := range ended {
		if want[got.ID] == nil {
			r.fail(i, "EndOthers", got, "another")
		}
		r.same(i, "EndOthers", got, want[got.ID])
		r.model.remove(want[got.ID])
		delete(want, got.ID)
	}
	if len(want) > 0 {
		r.fail(i, "EndOthers left", slices.Collect(maps.Keys(want)), "none")
	}
}
