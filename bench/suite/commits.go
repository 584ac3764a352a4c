package suite

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/perchws/perch/bench/record"
	"github.com/perchws/perch/internal/sock"
)

// addCommits builds the server of the base commit in a work tree of its own, and
// makes it and the one built here the servers to measure.
func (d *driver) addCommits(ctx context.Context) error {
	git := func(args ...string) (string, error) {
		out, err := exec.CommandContext(ctx, "git", append([]string{"-C", d.Root}, args...)...).CombinedOutput()
		text := strings.TrimSpace(string(out))
		if err != nil {
			err = fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, lastLine(text))
		}
		return text, err
	}
	base, err := git("rev-parse", "--short=10", "--verify", d.Base+"^{commit}")
	if err != nil {
		return err
	}
	tree := filepath.Join(d.state, "base")
	if _, err := git("worktree", "add", "--detach", tree, base); err != nil {
		return err
	}
	// It is built once and goes away; ctx may have ended.
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		exec.CommandContext(ctx, "git", "-C", d.Root, "worktree", "remove", "--force", tree).Run()
	}()
	program := filepath.Join(d.state, "perchbench-base")
	d.say("building %s (%s)", base, d.Base)
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "./cmd/perchbench")
	build.Dir, build.Env = tree, append(build.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building perchbench of %s: %w: %s", base, err, firstLines(string(out), 5))
	}
	d.addPair(base, program, filepath.Join(d.Root, "bin", "perchbench"))
	return nil
}

// addPair makes two builds of perchbench the servers to measure.
func (d *driver) addPair(base, oldProgram, newProgram string) {
	most := strconv.Itoa(max(sock.DescriptorLimit()-reserve, 1))
	for _, s := range []struct{ name, commit, program, what string }{
		{"base", base, oldProgram, "the commit that is compared with"},
		{"this", d.run.Machine.Commit, newProgram, "the working tree"},
	} {
		d.add(subject{
			Server:   record.Server{Name: s.name, Lang: s.commit, Ours: s.program == newProgram, Settings: s.what},
			run:      []string{s.program, "serve", "--listen", "127.0.0.1:{port}", "--loops", "1", "--max-conns", most},
			echoPath: "/ws", fanPath: "/fan", fanLoad: plainFan,
		})
	}
	d.run.Base = d.subjects[0].Name
}

// inSeconds is a duration as a number of seconds.
func inSeconds(s string) (string, error) {
	d, err := time.ParseDuration(s)
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64), err
}
