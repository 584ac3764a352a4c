package abuse

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// sampleEvery is how often memory is looked at.
const sampleEvery = 100 * time.Millisecond

// Memory is what the server and the kernel hold, in bytes.
type Memory struct {
	RSS    int64 `json:"rss"`    // of the server
	Kernel int64 `json:"kernel"` // of all TCP sockets of the machine, both ends of ours and everybody else's
}

func readMemory(pid int) (m Memory) {
	page := int64(os.Getpagesize())
	statm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	fmt.Sscanf(string(statm), "%d %d", new(int64), &m.RSS)
	m.RSS *= page
	sockstat, _ := os.ReadFile("/proc/net/sockstat")
	m.Kernel = parseSockstat(string(sockstat)) * page
	return m
}

// parseSockstat is the memory of TCP, in pages.
func parseSockstat(text string) (pages int64) {
	for line := range strings.Lines(text) {
		var inuse, orphan, tw, alloc int64
		if n, _ := fmt.Sscanf(line, "TCP: inuse %d orphan %d tw %d alloc %d mem %d", &inuse, &orphan, &tw, &alloc, &pages); n == 5 {
			return pages
		}
	}
	return 0
}

// peaks are the most of each that was seen, by phase.
type peaks struct {
	mu   sync.Mutex
	most [phases]Memory
}

// watch samples until ctx ends.
func (p *peaks) watch(ctx context.Context, pid int, phase func() int) {
	for ctx.Err() == nil {
		m, in := readMemory(pid), phase()
		p.mu.Lock()
		p.most[in].RSS, p.most[in].Kernel = max(p.most[in].RSS, m.RSS), max(p.most[in].Kernel, m.Kernel)
		p.mu.Unlock()
		pause(ctx, sampleEvery)
	}
}

func (p *peaks) of(phase int) Memory {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.most[phase]
}
