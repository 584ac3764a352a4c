package abuse

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// carts is A4: one user leaves sessions behind, more than there is memory for, while others have carts in theirs.
func carts() Scenario {
	const conns, size, victims = 32, 65000, 20
	return Scenario{
		Name: "A4", What: "32 connections of one user leave sessions of 65 kB, over and over",
		Time: 40 * time.Second, Short: 9 * time.Second,
		Holds: 256 * mib, Keeps: 256 * mib, // session-memory
		Attack: func(ctx context.Context, a *Attacker) error {
			greedy, err := token(a.Program, []string{"--dev-key", a.Key}, "greedy")
			if err != nil {
				return err
			}
			data := fmt.Sprintf(`{"type":"update_session","data":{"cart":%q}}`, strings.Repeat("x", size))
			return a.crowd(ctx, conns, func(ctx context.Context, i int) error {
				for ctx.Err() == nil {
					s, err := a.open(a.from(i, 2), "/ws/with-session", greedy)
					if err != nil {
						return err
					}
					stop := closeWith(ctx, s)
					if err = s.send(data); err == nil {
						_, _, err = s.await("session_updated")
					}
					a.failed(err)
					s.tcp.SetLinger(0) // it breaks: the session waits
					stop()
				}
				return nil
			})
		},
		Victim: func(s *Stage) (func() []string, error) {
			var users, keys []string
			for i := range victims {
				user := fmt.Sprintf("victim-%d", i)
				if i >= victims/2 {
					user = "" // anonymous
				}
				key, err := s.leaveCart(i, user)
				if err != nil {
					return nil, err
				}
				users, keys = append(users, user), append(keys, key)
			}
			return func() (lost []string) {
				for i := range victims {
					if err := s.cart(i, users[i], keys[i]); err != nil {
						lost = append(lost, fmt.Sprintf("the cart of victim %d: %v", i, err))
					}
				}
				return lost
			}, nil
		},
	}
}

// leaveCart leaves a session behind, and returns its key. The user "" is anonymous.
func (s *Stage) leaveCart(i int, user string) (key string, err error) {
	c, created, err := s.session(i, user)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.send(fmt.Sprintf(`{"type":"update_session","data":{"cart":"of victim %d"}}`, i)); err != nil {
		return "", err
	}
	_, _, err = c.await("session_updated")
	return created.SessionID, err
}

// cart is an error if a session that was left behind has not its cart.
func (s *Stage) cart(i int, user, key string) error {
	c, _, err := s.session(i, user)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.send(fmt.Sprintf(`{"type":"resume","session":%q}`, key)); err != nil {
		return err
	}
	_, p, err := c.await("session_data")
	if err != nil {
		return err
	}
	var got struct {
		Session struct{ Data struct{ Cart string } }
	}
	if json.Unmarshal(p, &got); got.Session.Data.Cart != fmt.Sprintf("of victim %d", i) {
		return fmt.Errorf("it has %q", got.Session.Data.Cart)
	}
	return nil
}

// session opens a connection with a session.
func (s *Stage) session(i int, user string) (*socket, event, error) {
	t, err := s.token(user)
	if err != nil {
		return nil, event{}, err
	}
	c, err := open(s.victim(i), s.server.Addr, "/ws/with-session", t)
	if err != nil {
		return nil, event{}, err
	}
	e, _, err := c.await("session_created")
	if err != nil {
		c.Close()
	}
	return c, e, err
}
