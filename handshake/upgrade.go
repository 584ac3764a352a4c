package handshake

const keyLen = 24 // base64 of 16 bytes

// IsUpgrade reports whether the request asks for WebSocket: its Upgrade list,
// over all lines, has "websocket" in any case. Everything else is plain HTTP, and so
// is HTTP/1.0, whose Upgrade is to be ignored (RFC 9110 §7.8).
// It says nothing about the rest of the handshake: CheckUpgrade does.
func (h Head) IsUpgrade() bool { return h.p.minor > 0 && h.lists(kindUpgrade, "websocket") }

// ExpectsContinue reports whether the client waits for 100 (Continue): see
// [AppendContinue].
func (h Head) ExpectsContinue() bool { return h.p.minor > 0 && h.lists(kindExpect, "100-continue") }

// CheckUpgrade checks the client's opening handshake, RFC 6455 §4.2.1, and
// returns the value of Sec-WebSocket-Key for [AppendSwitching]. The error is an
// *Error. Origin and path are the application's to judge.
func (h Head) CheckUpgrade() (key []byte, err error) {
	switch {
	case !h.IsUpgrade():
		return nil, ErrNotUpgrade
	case string(h.Method()) != "GET":
		return nil, ErrMethod
	case len(h.Host()) == 0:
		return nil, errHostEmpty
	case !h.lists(kindConnection, "upgrade"):
		return nil, errConnection
	case h.repeated(kindVersion):
		return nil, errTwoVersions // RFC 6455 §11.3.5
	case string(h.known(kindVersion)) != "13":
		return nil, ErrVersion // RFC 6455 §4.4
	case h.repeated(kindKey):
		return nil, errTwoKeys // RFC 6455 §11.3.1
	case h.repeated(kindOrigin):
		return nil, errTwoOrigins
	case h.p.chunked || h.p.length > 0:
		return nil, errBody // its bytes would be taken for frames
	}
	key = h.known(kindKey)
	if !validKey(key) {
		return nil, errKey
	}
	if err := h.checkSubprotocols(); err != nil {
		return nil, err
	}
	return key, nil
}

// validKey reports whether key is the base64 of 16 bytes. The four bits that
// the last digit has too many may be anything, as most decoders have it.
func validKey[S text](key S) bool {
	return len(key) == keyLen && key[22] == '=' && key[23] == '=' && only(key[:22], classBase64)
}
