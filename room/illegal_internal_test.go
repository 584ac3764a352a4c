package room

import (
	"errors"
	"slices"
	"testing"

	"github.com/perchws/perch/frame"
)

// A message that may not be sent has no place in the order.
func TestPublishIllegal(t *testing.T) {
	w := newWorld(t, 1, Config{})
	w.verbatim = true // as it is without Encode
	r := w.create("r", Options{})
	c := w.connect(0)
	c.join(r)
	for op := range frame.Opcode(32) {
		want := frame.ErrNotData
		switch op {
		case 0, frame.OpText:
			want = frame.ErrNotText
		case frame.OpBinary:
			continue
		}
		if _, err := w.tryPublish(r, Message{Op: op, Payload: []byte("\xff")}); !errors.Is(err, want) {
			t.Errorf("%v: %v, want %v", op, err, want)
		}
	}
	if _, err := w.tryPublish(r, Message{Op: frame.OpBinary, Payload: []byte("\xff")}); err != nil {
		t.Error(err)
	}
	w.run()
	if want := []string{"\xff#1"}; !slices.Equal(c.got, want) || r.Position().Offset != 1 || r.Queue() != 0 {
		t.Errorf("got %q at offset %d, %d under way", c.got, r.Position().Offset, r.Queue())
	}
}

// A message that already has its place in the order, from another node or made by a function of Config, is sent in
// any case: it is mended.
func TestMadeIllegal(t *testing.T) {
	broken := func(dst []byte, p []byte) []byte { return append(append(dst, "\xffé"...), p...) }
	w := newWorld(t, 1, Config{
		Encode:    func(dst []byte, _ string, _ uint64, p []byte) []byte { return broken(dst, p) },
		Translate: func(dst []byte, _ Dialect, _ string, m []byte) []byte { return broken(dst, m) },
		Announce:  func(Event) Frames { return Frames{frame.Prepare(frame.OpPing, nil), text("\xff")[0]} },
	})
	r := w.create("r", Options{})
	zero, one := w.connect(0), w.connect(0)
	one.signIn("u", 1)
	zero.join(r)
	one.join(r)
	w.publish(r, "m")
	r.Deliver(Publication{Offset: 2, Op: frame.OpPing, Payload: []byte("from elsewhere")})
	w.run()
	for c, want := range map[*conn][]string{
		zero: {"\uFFFDém", "\xffé" + "from elsewhere"},
		one:  {"\uFFFDé\uFFFDém", "\xffé\xffé" + "from elsewhere"},
	} {
		if !slices.Equal(c.got, want) {
			t.Errorf("got %q, want %q", c.got, want)
		}
	}
	if n := w.Stats().Invalid; n == 0 {
		t.Error("an announcement that may not be sent is not counted")
	}
}
