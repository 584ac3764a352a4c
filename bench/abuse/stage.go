package abuse

import (
	"fmt"
	"io"
	"slices"
)

// victim is the address of the i-th victim.
func (s *Stage) victim(i int) source {
	if s.scenario.Proxied {
		return source{ip: "127.0.0.1", forwarded: fmt.Sprintf("203.0.113.%d", 100+i%100)}
	}
	return source{ip: fmt.Sprintf("127.0.100.%d", 1+i%200)}
}

// token signs a user in; "" nobody.
func (s *Stage) token(user string) (string, error) {
	if user == "" {
		return "", nil
	}
	return token(s.options.Program, s.tokens, user)
}

// member opens a connection of the i-th victim to a room.
func (s *Stage) member(i int, user, room string) (*socket, error) {
	t, err := s.token(user)
	if err != nil {
		return nil, err
	}
	c, _, err := chat(s.victim(i), s.server.Addr, room, t)
	return c, err
}

// post posts a message, and returns its acknowledgement.
func post(c *socket, content, id string) (event, error) {
	if err := c.send(fmt.Sprintf(`{"type":"chat_message","content":%q,"id":%q}`, content, id)); err != nil {
		return event{}, err
	}
	e, _, err := c.await("message_sent")
	return e, err
}

// history is how many of the latest messages of the room a member finds, up to most.
func history(c *socket, most int) (int, error) {
	found, before := 0, uint64(0)
	for found < most {
		ask := `{"type":"history","limit":100}`
		if before > 0 {
			ask = fmt.Sprintf(`{"type":"history","limit":100,"before":%d}`, before)
		}
		if err := c.send(ask); err != nil {
			return found, err
		}
		e, _, err := c.await("history")
		if err != nil {
			return found, err
		}
		found += len(e.Messages)
		if !e.More || len(e.Messages) == 0 {
			break
		}
		before = e.Messages[0].Offset
	}
	return found, nil
}

// meanwhile does one over and over during the attack; an error is a loss. What it needs is closed at the end.
func (s *Stage) meanwhile(one func() error, needs ...io.Closer) (check func() []string) {
	stop, lost := make(chan struct{}), make(chan map[string]int, 1)
	go func() {
		failures := map[string]int{}
		for {
			if err := one(); err != nil && s.phase() == attack {
				failures[err.Error()]++
			}
			select {
			case <-stop:
				lost <- failures
				return
			default:
			}
		}
	}()
	return func() (all []string) {
		close(stop)
		for what, n := range <-lost {
			all = append(all, fmt.Sprintf("%s (%d)", what, n))
		}
		for _, c := range needs {
			c.Close()
		}
		slices.Sort(all)
		return all
	}
}
