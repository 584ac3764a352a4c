// Command testrun runs go test as it is given, prints what go test prints, and at the end what was skipped
// and why: a run that is green because half of it could not be tried should say so.
//
//	go run ./internal/testrun go test ./...
//
// Its exit status is 0 if go test's is.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if failed := (*exec.ExitError)(nil); !errors.As(err, &failed) {
			fmt.Fprintln(os.Stderr, "testrun:", err)
		}
		os.Exit(1)
	}
}

func run(command []string, out, errOut io.Writer) error {
	if len(command) < 2 || command[1] != "test" {
		return fmt.Errorf("want a command that begins with go test, not %q", command)
	}
	command = slices.Insert(slices.Clone(command), 2, "-json")
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stderr = errOut
	events, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	r := newReport(out)
	unread := r.read(events)
	err = cmd.Wait()
	r.end()
	return errors.Join(unread, err)
}
