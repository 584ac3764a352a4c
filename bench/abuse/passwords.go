package abuse

import (
	"context"
	"fmt"
	"time"
)

// passwords is B5: strangers guess the password of a room, and make rooms with passwords, which are slow to hash. Its
// members must get in all the same.
func passwords() Scenario {
	const guessers, makers, addresses = 61, 300, 6
	return Scenario{
		Name: "B5", What: "61 strangers guess a room's password, 300 make rooms with one",
		Proxied: true,
		Time:    20 * time.Second, Short: 5 * time.Second,
		Holds: 64 * mib, Keeps: 32 * mib, // argon2's memory, and the rooms
		Attack: func(ctx context.Context, a *Attacker) error {
			return a.crowd(ctx, guessers+makers, func(ctx context.Context, i int) error {
				s, _, err := chat(a.from(i, addresses), a.Addr, "general", "")
				if err != nil {
					return err
				}
				defer closeWith(ctx, s)()
				for n := 0; ctx.Err() == nil; n++ {
					id := "vault"
					if i >= guessers {
						id = fmt.Sprintf("made %d.%d.%d", i, n, time.Now().UnixNano())
					}
					if err := s.send(fmt.Sprintf(`{"type":"join_room","room_id":%q,"password":"guess %d"}`, id, n)); err != nil {
						return err
					}
					e, _, err := s.await("room_joined")
					if e.Type == "" {
						return err
					}
					a.failed(err)
				}
				return nil
			})
		},
		Victim: func(s *Stage) (func() []string, error) {
			owner, err := s.enterVault(0, "owner")
			if err != nil {
				return nil, err
			}
			return s.meanwhile(func() error {
				member, err := s.enterVault(1, "friend")
				if err != nil {
					return fmt.Errorf("a member who knows the password: %w", err)
				}
				member.Close()
				pause(s.ctx, time.Second)
				return nil
			}, owner), nil
		},
	}
}

// enterVault opens a connection to a room with a password, which the first makes.
func (s *Stage) enterVault(i int, user string) (*socket, error) {
	c, err := s.member(i, user, "general")
	if err != nil {
		return nil, err
	}
	if err = c.send(`{"type":"join_room","room_id":"vault","password":"correct horse"}`); err == nil {
		_, _, err = c.await("room_joined")
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}
