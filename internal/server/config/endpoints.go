package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Endpoints are the names of the endpoints that perchd can serve: WebSocket endpoints by the last part of their path,
// the pages (/, /chat and their files), and /metrics. /health and /ready are always there.
func Endpoints() []string {
	return []string{"ws", "chat", "room", "with-session", "reliable", "client-id", "safe", "monitored", "pages", "metrics"}
}

const allEndpoints = "all"

// Serves reports whether an endpoint is on.
func (c *Config) Serves(name string) bool { return slices.Contains(c.Endpoints, name) }

// endpointList is the place of a list of endpoints; it sorts them as Endpoints does.
func endpointList(p *[]string) value {
	return value{
		set: func(texts []string) error {
			asked := make(map[string]bool)
			for _, text := range texts {
				for name := range strings.SplitSeq(text, ",") {
					name = strings.TrimSpace(name)
					if name != allEndpoints && !slices.Contains(Endpoints(), name) {
						return fmt.Errorf("%q: want some of %s, or %s", name, strings.Join(Endpoints(), ", "), allEndpoints)
					}
					asked[name] = true
				}
			}
			if len(asked) == 0 {
				return errors.New("want at least one")
			}
			*p = slices.DeleteFunc(Endpoints(), func(name string) bool { return !asked[name] && !asked[allEndpoints] })
			return nil
		},
		show: func() string {
			shown := []string{strconv.Quote(allEndpoints)}
			if len(*p) < len(Endpoints()) {
				shown = shown[:0]
				for _, name := range *p {
					shown = append(shown, strconv.Quote(name))
				}
			}
			return "[" + strings.Join(shown, ", ") + "]"
		},
		list: true,
	}
}
