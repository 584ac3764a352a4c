package conformance

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/perchws/perch"
)

// terms are how a case negotiates permessage-deflate.
type terms struct {
	engine perch.Compression // how the engine under test is configured
	offer  string            // what the tester offers, as a client
	asks   []ask             // what it asks of a client, as a server: the first that was offered
}

// An ask is what the answer to an offer adds to what the offer demands.
type ask struct {
	noTakeover bool
	window     int // bits; 0: nothing
}

// answer is the tester's to an offer, as a server.
func (m *terms) answer(offer string) (string, error) {
	o, err := parseParams(offer, true)
	if err != nil {
		return "", err
	}
	s := "permessage-deflate"
	if o.has("server_no_context_takeover") {
		s += "; server_no_context_takeover"
	}
	if o.has("server_max_window_bits") {
		s += "; server_max_window_bits=" + o["server_max_window_bits"]
	}
	for _, a := range m.asks {
		if a.window != 0 && !o.has("client_max_window_bits") {
			continue
		}
		if a.noTakeover {
			s += "; client_no_context_takeover"
		}
		if a.window != 0 {
			s += "; client_max_window_bits=" + strconv.Itoa(min(a.window, o.window("client_max_window_bits")))
		}
		return s, nil
	}
	return "", fmt.Errorf("offer %q: nothing that is wanted of it", offer)
}

// params are the parameters of an offer or of an answer.
type params map[string]string

const valueless = "-"

// parseParams reads one extension: what is not permessage-deflate to the letter of
// RFC 7692 section 7.1 is an error.
func parseParams(s string, offer bool) (params, error) {
	parts := strings.Split(s, ";")
	if strings.TrimSpace(parts[0]) != "permessage-deflate" {
		return nil, fmt.Errorf("%q is not permessage-deflate", s)
	}
	p := params{}
	for _, part := range parts[1:] {
		name, value, valued := strings.Cut(strings.TrimSpace(part), "=")
		bits, err := strconv.Atoi(value)
		isBits := err == nil && bits >= 8 && bits <= 15 && strconv.Itoa(bits) == value
		ok := false
		switch name {
		case "server_no_context_takeover", "client_no_context_takeover":
			ok = !valued
		case "server_max_window_bits":
			ok = isBits
		case "client_max_window_bits":
			ok = isBits || offer && !valued
		}
		if _, twice := p[name]; twice || !ok {
			return nil, fmt.Errorf("parameter %q in %q", part, s)
		}
		if !valued {
			value = valueless
		}
		p[name] = value
	}
	return p, nil
}

func (p params) has(name string) bool { return p[name] != "" }

// window is a number of bits, 15 where none is said.
func (p params) window(name string) int {
	if bits, err := strconv.Atoi(p[name]); err == nil {
		return bits
	}
	return 15
}

// agree holds an answer to the offer, and returns the codec of one side.
func agree(r role, offers, answer string) (*codec, error) {
	a, err := parseParams(answer, false)
	if err != nil {
		return nil, err
	}
	// Which of several offers was accepted the answer does not say: one of them.
	for offer := range strings.SplitSeq(offers, ",") {
		var o params
		if o, err = parseParams(offer, true); err != nil {
			continue
		}
		switch {
		case o.has("server_no_context_takeover") && !a.has("server_no_context_takeover"): // section 7.1.1.1
			err = errors.New("server_no_context_takeover is not confirmed")
		case o.has("server_max_window_bits") && !a.has("server_max_window_bits"): // section 7.1.2.1
			err = errors.New("server_max_window_bits is not confirmed")
		case a.window("server_max_window_bits") > o.window("server_max_window_bits"):
			err = errors.New("server_max_window_bits is larger than was offered")
		case a.has("client_max_window_bits") && !o.has("client_max_window_bits"): // section 7.1.2.2
			err = errors.New("client_max_window_bits was not offered")
		case a.has("client_max_window_bits") && a.window("client_max_window_bits") > o.window("client_max_window_bits"):
			err = errors.New("client_max_window_bits is larger than was offered")
		default:
			server := flow{takeover: !a.has("server_no_context_takeover"), window: a.window("server_max_window_bits")}
			client := flow{takeover: !a.has("client_no_context_takeover"), window: a.window("client_max_window_bits")}
			if r == asClient {
				return &codec{out: client, in: server}, nil
			}
			// What a client has said of itself holds without being confirmed, too.
			client.takeover = client.takeover && !o.has("client_no_context_takeover")
			client.window = min(client.window, o.window("client_max_window_bits"))
			return &codec{out: server, in: client}, nil
		}
	}
	return nil, fmt.Errorf("offered %q, answered %q: %w", offers, answer, err)
}

// TestAgree: the tester itself tells a right answer from a wrong one.
func TestAgree(t *testing.T) {
	for _, tt := range []struct {
		offers, answer string
		server, client string // the flows, "" if the answer is wrong
	}{
		{"permessage-deflate", "permessage-deflate", "true 15", "true 15"},
		{"permessage-deflate", "permessage-deflate; client_no_context_takeover;server_no_context_takeover", "false 15", "false 15"},
		{"permessage-deflate", "permessage-deflate; server_max_window_bits=10", "true 10", "true 15"},
		{"permessage-deflate; client_max_window_bits", "permessage-deflate; client_max_window_bits=8", "true 15", "true 8"},
		{"permessage-deflate; client_max_window_bits=9; client_no_context_takeover", "permessage-deflate", "true 15", "false 9"},
		{"permessage-deflate; server_max_window_bits=9, permessage-deflate", "permessage-deflate", "true 15", "true 15"},
		{"permessage-deflate; server_max_window_bits=9", "permessage-deflate", "", ""},
		{"permessage-deflate; server_max_window_bits=9", "permessage-deflate; server_max_window_bits=10", "", ""},
		{"permessage-deflate; server_no_context_takeover", "permessage-deflate", "", ""},
		{"permessage-deflate", "permessage-deflate; client_max_window_bits=15", "", ""},
		{"permessage-deflate; client_max_window_bits=10", "permessage-deflate; client_max_window_bits=11", "", ""},
		{"permessage-deflate; client_max_window_bits", "permessage-deflate; client_max_window_bits", "", ""},
		{"permessage-deflate", "permessage-deflate, permessage-deflate", "", ""},
		{"permessage-deflate", "permessage-deflate; server_max_window_bits=09", "", ""},
		{"permessage-deflate", "permessage-deflate; server_no_context_takeover; server_no_context_takeover", "", ""},
		{"permessage-deflate", "permessage-deflate; x", "", ""},
		{"permessage-deflate", "", "", ""},
	} {
		server, client := "", ""
		if z, err := agree(asServer, tt.offers, tt.answer); err == nil {
			server, client = fmt.Sprint(z.out.takeover, " ", z.out.window), fmt.Sprint(z.in.takeover, " ", z.in.window)
		}
		if server != tt.server || client != tt.client {
			t.Errorf("%q answered by %q: server %q, client %q; want %q, %q", tt.offers, tt.answer, server, client, tt.server, tt.client)
		}
	}
}
