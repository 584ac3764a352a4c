package handshake

import "bytes"

// splitTarget finds path and authority in the target and checks its form,
// RFC 9112 §3.2. That "*" is for OPTIONS alone is left to scan: the answer to
// the preface of HTTP/2, PRI * HTTP/2.0, should be about the version.
func (p *Parser) splitTarget(b []byte) bool {
	at, end := int(p.targetAt), int(p.targetEnd)
	t := b[at:end]
	path := at
	switch {
	case len(t) == 0:
		return false
	case t[0] == '/':
	case len(t) == 1 && t[0] == '*':
	default:
		// absolute-form, RFC 9112 §3.2.2: its authority takes the place of Host.
		scheme := bytes.IndexByte(t, ':')
		if scheme < 0 || !validScheme(t[:scheme]) || !bytes.HasPrefix(t[scheme:], []byte("://")) {
			return false
		}
		host := t[scheme+3:]
		if i := bytes.IndexAny(host, "/?"); i >= 0 {
			host = host[:i]
		}
		if !validHost(host) {
			return false
		}
		p.authorityAt = uint16(at + scheme + 3)
		p.authorityEnd = p.authorityAt + uint16(len(host))
		path = int(p.authorityEnd)
		if path == end || b[path] == '?' {
			p.pathAt = p.authorityAt - 1 // an empty path means "/": here is one
			p.pathEnd = p.authorityAt
			return true
		}
	}
	p.pathAt = uint16(path)
	p.pathEnd = uint16(end)
	if i := bytes.IndexByte(b[path:end], '?'); i >= 0 {
		p.pathEnd = uint16(path + i)
	}
	return validEscapes(b[path:p.pathEnd])
}

func (p *Parser) isStar(b []byte) bool {
	return p.targetEnd-p.targetAt == 1 && b[p.targetAt] == '*'
}

func validScheme(s []byte) bool {
	return equalFold(s, "http") || equalFold(s, "https") || equalFold(s, "ws") || equalFold(s, "wss")
}

// validEscapes reports whether every "%" is followed by two hexadecimal digits,
// RFC 3986 §2.1.
func validEscapes[S text](s S) bool {
	for i := range len(s) {
		if s[i] == '%' && (len(s)-i < 3 || class[s[i+1]]&class[s[i+2]]&classHex == 0) {
			return false
		}
	}
	return true
}
