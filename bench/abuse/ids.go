package abuse

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// ids is A6: clients post messages with ids, so many that those of two minutes do not fit. Somebody who posts again
// what was posted a minute ago, with the same id, must not have said it twice.
func ids() Scenario {
	const conns, perSecond = 180, 55
	return Scenario{
		Name: "A6", What: "180 connections post 55 messages a second, each with an id",
		Time: 83 * time.Second, Short: 6 * time.Second,
		Holds: 128*mib + 64*mib, Keeps: 128*mib + 64*mib, // message-id-memory, and the history of 180 rooms
		Small: func(s *Scenario) {
			s.Flags = []string{"--message-id-memory", "4MiB"}
			s.Holds, s.Keeps = 68*mib, 68*mib
		},
		Attack: func(ctx context.Context, a *Attacker) error {
			return a.crowd(ctx, conns, func(ctx context.Context, i int) error {
				s, _, err := chat(a.from(i, 2), a.Addr, fmt.Sprintf("spool %d", i), "")
				if err != nil {
					return err
				}
				defer closeWith(ctx, s)()
				go a.answers(s)
				prefix := strings.Repeat("x", 100)
				for n := 0; ctx.Err() == nil; n++ {
					if err := s.send(fmt.Sprintf(`{"type":"chat_message","content":"x","id":"%s%d-%d"}`, prefix, i, n)); err != nil {
						return err
					}
					pause(ctx, time.Second/perSecond)
				}
				return nil
			})
		},
		Victim: func(s *Stage) (func() []string, error) {
			const said, id = "pay 100", "payment-1"
			first, err := s.says(said, id)
			if err != nil {
				return nil, err
			}
			return func() (lost []string) {
				switch again, err := s.says(said, id); {
				case err != nil:
					lost = append(lost, fmt.Sprintf("a message cannot be sent again: %v", err))
				case again.MessageID != first.MessageID:
					lost = append(lost, "the same id is posted twice")
				}
				if _, err := s.says(said, "payment-2"); err != nil {
					lost = append(lost, fmt.Sprintf("a victim's post is refused: %v", err))
				}
				return lost
			}, nil
		},
	}
}

// says posts as the victim, on a connection of its own.
func (s *Stage) says(content, id string) (event, error) {
	c, err := s.member(0, "victim", "general")
	if err != nil {
		return event{}, err
	}
	defer c.Close()
	return post(c, content, id)
}

// answers counts what the server says to an attacker: acknowledgements, and errors by their code.
func (a *Attacker) answers(s *socket) error {
	for {
		e, _, err := s.await("message_sent")
		switch {
		case e.Type != "":
			a.count(strings.TrimSuffix(e.Type+" "+e.Code, " "), 1)
		case err != nil:
			a.failed(err)
			return err
		}
	}
}
