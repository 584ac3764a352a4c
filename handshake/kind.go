package handshake

// kind names the headers that the handshake itself looks at. They are
// recognised while their line is parsed, so that no check searches for them.
type kind uint8

const (
	kindOther kind = iota
	kindHost
	kindUpgrade
	kindConnection
	kindKey
	kindVersion
	kindProtocol
	kindExtensions
	kindAccept
	kindOrigin
	kindCookie
	kindContentLength
	kindTransferEncoding
	kindForwardedFor
	kindExpect
	kinds // how many
)

// kindOf classifies a header name by length, then by letters of any case.
func kindOf[S text](name S) kind {
	switch len(name) {
	case 4:
		return kindIf(name, "host", kindHost)
	case 6:
		switch name[0] | 0x20 {
		case 'o':
			return kindIf(name, "origin", kindOrigin)
		case 'e':
			return kindIf(name, "expect", kindExpect)
		}
		return kindIf(name, "cookie", kindCookie)
	case 7:
		return kindIf(name, "upgrade", kindUpgrade)
	case 10:
		return kindIf(name, "connection", kindConnection)
	case 14:
		return kindIf(name, "content-length", kindContentLength)
	case 15:
		return kindIf(name, "x-forwarded-for", kindForwardedFor)
	case 17:
		if name[0]|0x20 == 's' {
			return kindIf(name, "sec-websocket-key", kindKey)
		}
		return kindIf(name, "transfer-encoding", kindTransferEncoding)
	case 20:
		return kindIf(name, "sec-websocket-accept", kindAccept)
	case 21:
		return kindIf(name, "sec-websocket-version", kindVersion)
	case 22:
		return kindIf(name, "sec-websocket-protocol", kindProtocol)
	case 24:
		return kindIf(name, "sec-websocket-extensions", kindExtensions)
	}
	return kindOther
}

// kindIf returns k if name is want in any case. want has lower-case letters and
// hyphens only; a name is a token, so that setting bit 5 cannot confuse them.
func kindIf[S text](name S, want string, k kind) kind {
	for i := range len(want) {
		if name[i]|0x20 != want[i] {
			return kindOther
		}
	}
	return k
}
