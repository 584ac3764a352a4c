package handshake

// Requests judges the requests of a connection of plain HTTP, one behind the other, while their bytes go to another
// reader: heads by the rules of [Parser], bodies by their length or their chunks. So the first request of a connection
// and all later ones are judged alike, however lax the other reader is.
type Requests struct {
	Limits Limits // of heads and of trailer fields; not to be changed later

	part   part
	fault  *Error
	parser Parser
	begun  []byte // a head, or trailer fields, as long as they are not whole
	left   uint64 // bytes of a body
	chunks chunks
}

// part is the element that the next byte belongs to.
//
//	head → [body] → head
//	head → chunks → trailer → head
type part uint8

const (
	partHead part = iota
	partBody
	partChunks
	partTrailer
)

// InHead reports whether the next byte belongs to a head, or is the first of one. If it is at fault, the other reader
// has nothing of the request that it could act on.
func (r *Requests) InHead() bool { return r.part == partHead }

// Begun reports whether a head has begun and is not whole.
func (r *Requests) Begun() bool { return r.part == partHead && len(r.begun) > 0 }

// Scan judges bytes that come behind those that it has called good.
//
//	b[skip:n]   is good, and of one request. What is behind it was not looked at; it is given again
//	b[:skip]    is good too, but not for the other reader: an empty line in front of a request, which is tolerated
//	err         *Error: the byte behind all that was good is at fault. It comes with n = 0, and again for ever
func (r *Requests) Scan(b []byte) (skip, n int, err error) {
	whole := false
	if r.part == partHead && r.fault == nil && len(b) > 0 {
		skip, n, whole = r.head(b)
	}
	for n < len(b) && !whole && r.fault == nil {
		var k int
		switch r.part {
		case partBody:
			k = int(min(r.left, uint64(len(b)-n)))
			r.left -= uint64(k)
			whole = r.left == 0
		case partChunks:
			k = r.chunk(b[n:])
		default:
			k, whole = r.trailer(b[n:])
		}
		n += k
	}
	if whole {
		r.part = partHead
	}
	if n == 0 && r.fault != nil {
		return 0, 0, r.fault
	}
	return skip, n, nil
}

// head takes bytes of a head; whole: the request ends with them.
func (r *Requests) head(b []byte) (skip, n int, whole bool) {
	skipped := r.parser.skipped()
	n, done := r.parse(b, r.parser.Request)
	if !done {
		return r.parser.skipped() - skipped, n, false
	}
	skip = r.parser.skipped() - skipped
	switch {
	case r.parser.chunked:
		r.part, r.chunks = partChunks, chunks{}
	case r.parser.length > 0:
		r.part, r.left = partBody, r.parser.length
	default:
		whole = true
	}
	r.parser.Reset()
	return skip, n, whole
}

// chunk takes bytes of chunks.
func (r *Requests) chunk(b []byte) int {
	n, done, f := r.chunks.scan(b)
	if f != faultNone {
		r.fault = faults[f]
	}
	if done {
		r.part = partTrailer
	}
	return n
}

// trailer takes bytes of trailer fields; whole: the request ends with them.
func (r *Requests) trailer(b []byte) (n int, whole bool) {
	if n, whole = r.parse(b, r.parser.Trailer); whole {
		r.parser.Reset()
	}
	return n, whole
}

// parse gives bytes to the Parser, which wants to see those before them again. n of them are good.
func (r *Requests) parse(b []byte, by func([]byte) (int, error)) (n int, done bool) {
	r.parser.Limits = r.Limits
	all, before := b, len(r.begun)
	if before > 0 {
		r.begun = append(r.begun, b...)
		all = r.begun
	}
	n, err := by(all)
	switch {
	case err != nil:
		r.fault, r.begun = err.(*Error), nil
		return 0, false
	case n > 0:
		r.begun = nil
		return n - before, true
	case before == 0:
		r.begun = append(r.begun, b...)
	}
	return len(b), false
}
