package procs

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// child is the part of the tests that runs in a process of its own, by what its first
// argument asks for. It prints what it sees, a line each, and waits for input between.
const childEnv = "PERCH_TEST_PROCS"

func TestMain(m *testing.M) {
	switch os.Getenv(childEnv) {
	case "":
		os.Exit(m.Run())
	case "count":
		fmt.Println(Available(), runtime.GOMAXPROCS(0))
		Add(3)
		fmt.Println(Available(), runtime.GOMAXPROCS(0))
		Add(2)
		fmt.Println(Available(), runtime.GOMAXPROCS(0))
		Add(-3)
		fmt.Println(Available(), runtime.GOMAXPROCS(0))
		Add(-2)
		fmt.Println(Available(), runtime.GOMAXPROCS(0))
	case "follow":
		interval = 5 * time.Millisecond
		if n := os.Getenv("PERCH_TEST_CALL"); n != "" {
			n, _ := strconv.Atoi(n)
			runtime.GOMAXPROCS(n)
		}
		Add(2)
		in := bufio.NewScanner(os.Stdin)
		for fmt.Println("GOMAXPROCS", runtime.GOMAXPROCS(0)); in.Scan(); {
			want, _ := strconv.Atoi(in.Text()) // 0: it must not change
			for deadline := time.Now().Add(10 * time.Second); want != 0 && runtime.GOMAXPROCS(0) != want && time.Now().Before(deadline); {
				time.Sleep(time.Millisecond)
			}
			for range 20 * btoi(want == 0) { // as many looks
				time.Sleep(interval)
			}
			fmt.Println("GOMAXPROCS", runtime.GOMAXPROCS(0))
		}
		Add(-2)
		fmt.Println("GOMAXPROCS", runtime.GOMAXPROCS(0))
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func start(t *testing.T, what string, env ...string) (*exec.Cmd, *bufio.Scanner, func(string)) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append(env, childEnv+"="+what)...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("child: %v", err)
		}
	})
	return cmd, bufio.NewScanner(out), func(s string) {
		t.Helper()
		if s == "" {
			in.Close()
		} else if _, err := fmt.Fprintln(in, s); err != nil {
			t.Fatal(err)
		}
	}
}

func line(t *testing.T, s *bufio.Scanner, want string) {
	t.Helper()
	if !s.Scan() || s.Text() != want {
		t.Fatalf("%q, %v; want %q", s.Text(), s.Err(), want)
	}
}

// What was there stays for all that is no loop, and is back at the end.
func TestAdd(t *testing.T) {
	for _, set := range []int{1, 2, 5} {
		_, out, end := start(t, "count", fmt.Sprint("GOMAXPROCS=", set))
		for _, added := range []int{0, 3, 5, 2, 0} {
			line(t, out, fmt.Sprint(set, " ", set+added))
		}
		end("")
	}
}

// allow lets every thread of a process run on the first n CPUs of ours alone.
func allow(t *testing.T, pid, n int) {
	t.Helper()
	var ours, set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &ours); err != nil {
		t.Fatal(err)
	}
	for cpu := 0; set.Count() < n; cpu++ {
		if ours.IsSet(cpu) {
			set.Set(cpu)
		}
	}
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		tid, _ := strconv.Atoi(task.Name())
		if err := unix.SchedSetaffinity(tid, &set); err != nil && err != unix.ESRCH {
			t.Fatal(err)
		}
	}
}

// A change of what the runtime decides by is followed, while loops run and afterwards;
// what the user has set, by call or environment, stays.
func TestFollow(t *testing.T) {
	n := runtime.NumCPU()
	if n < 2 {
		t.Skip("one CPU: nothing can change")
	}
	without := strings.Join([]string{"GOMAXPROCS", ""}, "=") // the parent's environment does not count
	t.Run("runtime", func(t *testing.T) {
		cmd, out, say := start(t, "follow", without)
		line(t, out, fmt.Sprint("GOMAXPROCS ", n+2))
		allow(t, cmd.Process.Pid, 1)
		say("3")
		line(t, out, "GOMAXPROCS 3")
		allow(t, cmd.Process.Pid, n)
		say(fmt.Sprint(n + 2))
		line(t, out, fmt.Sprint("GOMAXPROCS ", n+2))
		say("")
		line(t, out, fmt.Sprint("GOMAXPROCS ", n))
	})
	for name, env := range map[string][]string{
		"environment": {fmt.Sprint("GOMAXPROCS=", n)},
		"call":        {without, fmt.Sprint("PERCH_TEST_CALL=", n+1)},
	} {
		t.Run(name, func(t *testing.T) {
			cmd, out, say := start(t, "follow", env...)
			want := n
			if name == "call" {
				want = n + 1
			}
			line(t, out, fmt.Sprint("GOMAXPROCS ", want+2))
			allow(t, cmd.Process.Pid, 1)
			say("0")
			line(t, out, fmt.Sprint("GOMAXPROCS ", want+2))
			say("")
			line(t, out, fmt.Sprint("GOMAXPROCS ", want))
		})
	}
}
