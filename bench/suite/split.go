package suite

import "golang.org/x/sys/unix"

// split gives one core to the server and one, or all the others, to the client.
// With one core there is nothing to give.
func split() (server, client []int) {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return nil, nil
	}
	var cores []int
	for i := range len(set) * 64 {
		if set.IsSet(i) {
			cores = append(cores, i)
		}
	}
	if len(cores) < 2 {
		return nil, nil
	}
	return cores[:1], cores[1:]
}
