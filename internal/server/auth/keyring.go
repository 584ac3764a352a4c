package auth

// MaxTries is the number of keys with which one token is checked at most: it bounds the cost of a token.
const MaxTries = 4

// keyring holds the keys of one moment. It is immutable.
type keyring struct {
	byID        map[string][]Key // those with a kid
	byAlgorithm map[string][]Key // all of them
	anonymous   map[string][]Key // those without a kid, by algorithm
}

func newKeyring(keys ...[]Key) *keyring {
	r := &keyring{make(map[string][]Key), make(map[string][]Key), make(map[string][]Key)}
	for _, some := range keys {
		for _, k := range some {
			alg := k.Algorithm()
			r.byAlgorithm[alg] = append(r.byAlgorithm[alg], k)
			if k.id == "" {
				r.anonymous[alg] = append(r.anonymous[alg], k)
			} else {
				r.byID[k.id] = append(r.byID[k.id], k)
			}
		}
	}
	return r
}

// candidates returns the keys to try, one to MaxTries, all of algorithm alg. stale is set if loading new keys makes
// sense: the token names a key that is missing, or names none and no key fits.
func (r *keyring) candidates(kid, alg string) (keys []Key, stale bool, err *Error) {
	switch named := r.byID[kid]; {
	case kid == "":
		keys = r.byAlgorithm[alg]
		if len(keys) == 0 && len(r.byAlgorithm) > 0 {
			return nil, true, ErrWrongAlgorithm
		}
	case len(named) > 0:
		for _, k := range named {
			if k.Algorithm() == alg {
				keys = append(keys, k)
			}
		}
		if len(keys) == 0 {
			return nil, false, ErrWrongAlgorithm
		}
	default:
		keys, stale = r.anonymous[alg], true
	}
	switch {
	case len(keys) == 0:
		return nil, true, ErrUnknownKey
	case len(keys) > MaxTries:
		return nil, stale, &Error{Code: CodeUnknownKey, Reason: "token does not say which of many keys it is for"}
	}
	return keys, stale, nil
}
