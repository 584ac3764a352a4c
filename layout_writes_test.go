package perch_test

import (
	"io/fs"
	"os"
	"regexp"
	"slices"
	"testing"
	"testing/fstest"
)

var (
	sendsItself = regexp.MustCompile(`\b(kernel|sock|System\{\})\.Send(Vector)?\(|\bunix\.(Write|Writev|Send\w*)\(`)
	asksWriter  = regexp.MustCompile(`\bl\.(writer\(|sockets\.)`)
)

// TestWritesInOnePlace: in the engine's source only socketWriter sends, and the functions that use it are those that
// invariant (b) names. This is the half of it that no run can show.
func TestWritesInOnePlace(t *testing.T) {
	sending, asking, err := writers(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"write.go socketWriter.Send", "write.go socketWriter.SendVector"}; !slices.Equal(sending, want) {
		t.Errorf("%q send, want %q", sending, want)
	}
	want := []string{"loop.flush", "loop.flushCork", "loop.refuseTakeover", "loop.sealSome", "loop.sendRecords", "loop.speak", "loop.writer"}
	if !slices.Equal(asking, want) {
		t.Errorf("%q ask for the writer, want %q", asking, want)
	}
}

// writers are the functions of the root that send, with their files, and those that ask for the writer.
func writers(root fs.FS) (sending, asking []string, err error) {
	err = eachFunc(root, func(fn function) {
		if fn.dir != "." {
			return
		}
		if sendsItself.MatchString(fn.source) {
			sending = append(sending, fn.file+" "+fn.name)
		}
		if asksWriter.MatchString(fn.source) {
			asking = append(asking, fn.name)
		}
	})
	slices.Sort(asking)
	return sending, asking, err
}

// TestWritesInOnePlaceFinds plants a function for each way to write, and some that may.
func TestWritesInOnePlaceFinds(t *testing.T) {
	may := "\nfunc g() { unix.Write(1, nil) }\n"
	sending, asking, err := writers(fstest.MapFS{
		"a_test.go": {Data: []byte("package perch" + may)},
		"room/a.go": {Data: []byte("package room" + may)},
		"a.go": {Data: []byte(`package perch
func (l *loop) b() { l.kernel.Send(1, nil) }
func c() { System{}.SendVector(1, nil) }
func d() { unix.Writev(1, nil) }
func (l *loop) e() { l.outbox.Send(l.writer(1, nil)) }
func (l *loop) a() { l.sockets.only(1) }
// unix.Write(1, nil) is a comment.
func f() { unix.Close(1) }
`)}})
	expectFaults(t, sending, err, "a.go loop.b", "a.go c", "a.go d")
	expectFaults(t, asking, err, "loop.a", "loop.e")
}
