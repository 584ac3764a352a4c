package page

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/perchws/perch/bench"
	"github.com/perchws/perch/bench/record"
)

// names of the servers of a test run; one has what must be escaped.
var names = []string{"perch", "perchd", "rawecho", "gorilla", "node <ws> & co"}

// testRun has all groups, rounds of each, and something wrong here and there.
func testRun(rounds int) *record.Run {
	r := &record.Run{Command: "make bench", Machine: record.Machine{CPU: "A & B", Cores: 2, ServerCores: []int{0}, ClientCores: []int{1}, Commit: "abc"}}
	for i, n := range names {
		r.Servers = append(r.Servers, record.Server{Name: n, Lang: "Go", Ours: i < 2, Yardstick: n == "rawecho", Version: "v1", Settings: "as it is"})
	}
	add := func(group string, x int) {
		c := record.Case{Group: group, X: x, Load: []string{"echo", "--conns", "200", "--size", "128", "--rate", "5000"}}
		for round := 1; round <= rounds; round++ {
			for i, n := range names {
				f := float64(round + 10*i)
				c.Samples = append(c.Samples, record.Sample{Server: n, Round: round, Result: &bench.Result{
					Latency: &bench.Latency{P50: 100 + f, P90: 200 + f, P99: 300 + f, P999: 4000 + f}, Second: &bench.Latency{P50: 1000 + f},
					Server: &bench.Server{PerCPUSecond: 100_000 - 1000*f, PerConn: 40 + 100*f, PerPing: 14 + f},
				}})
			}
		}
		r.Cases = append(r.Cases, c)
	}
	for _, g := range []string{record.Echo, record.Pipelined, record.Deflate, record.TLS, record.Latency, record.Storm, record.Idle} {
		add(g, 0)
	}
	for _, x := range []int{10, 1000} {
		add(record.Fanout, x)
		add(record.Messages, x)
		add(record.Pings, x)
	}
	g := record.Case{Group: record.Generator}
	for round := 1; round <= rounds; round++ {
		for _, n := range []string{"perchbench", "wsload"} {
			g.Samples = append(g.Samples, record.Sample{Server: n, Round: round, Result: &bench.Result{Server: &bench.Server{PerCPUSecond: 5}, Latency: &bench.Latency{P50: 1, P99: 2}}})
		}
	}
	r.Cases = append(r.Cases, g)
	r.Cases[0].Samples[0].Result.ClientBound = true
	r.Cases[0].Samples[0].Engine = &record.Engine{TickP50: "16µs", TickP99: "262µs", GCPauseP50: "1µs", GCPauseMax: "2µs"}
	r.Cases[1].Samples[3].Error = "2 <lost>"
	r.Skipped = []record.Skip{{Name: "fastapi", Why: "it needs python3"}}
	return r
}

func html(t *testing.T, r *record.Run) string {
	t.Helper()
	var b strings.Builder
	if err := render(&b, r); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"NaN", "Inf", "%!", "<nil>", "<script", "@import", "src="} {
		if strings.Contains(b.String(), bad) {
			t.Errorf("%q in the page", bad)
		}
	}
	for _, link := range regexp.MustCompile(`https?://[^"]*`).FindAllString(b.String(), -1) {
		if link != "http://www.w3.org/2000/svg" {
			t.Errorf("the page needs %s", link)
		}
	}
	return b.String()
}

var svgs = regexp.MustCompile(`(?s)<svg.*?</svg>`)

func TestPage(t *testing.T) {
	page := html(t, testRun(7))
	for _, want := range []string{
		"perch at a glance", "CPU time of a message at a light load<", "deliveries per CPU second: fan-out to a room of 1,000", "Where another is better", "Where the client was the limit", "perch: echo in 1 of 7 rounds", "Is the load generator right?",
		"Inside our server", "262 µs", "skipped: <b>fastapi</b>: it needs python3", "not counted: echo, 16 in flight, gorilla, round 1: 2 &lt;lost&gt;",
		"A &amp; B", "Each server runs on core 0 and the load generator on core 1", "node &lt;ws&gt; &amp; co", `lang="en"`, "viewport", "make bench", "prefers-color-scheme:dark",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	pictures := svgs.FindAllString(page, -1)
	if len(pictures) != 14 {
		t.Errorf("%d plots, want 9 of the summary and 5 curves", len(pictures))
	}
	ids := make(map[string]bool)
	for _, svg := range pictures {
		id := valid(t, svg)
		if ids[id] {
			t.Errorf("two plots are called %s", id)
		}
		ids[id] = true
		for _, n := range names {
			if n = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(n); !strings.Contains(svg, ">"+n+"<") {
				t.Errorf("%s has no %s", id, n)
			}
		}
	}
	if n := strings.Count(page, "<details>"); n != len(pictures) {
		t.Errorf("%d tables beside %d plots", n, len(pictures))
	}
}

// TestTextsFit: captions are not cut off at the plot's edge. 440 units have room
// for some 78 letters of 10.5.
func TestTextsFit(t *testing.T) {
	for _, svg := range svgs.FindAllString(html(t, testRun(3)), -1) {
		for _, m := range regexp.MustCompile(`<text x="0" [^>]*class="small muted">([^<]*)<`).FindAllStringSubmatch(svg, -1) {
			if n := len([]rune(m[1])); n > 78 {
				t.Errorf("%d letters: %s", n, m[1])
			}
		}
	}
}

// valid parses a picture and returns its id.
func valid(t *testing.T, svg string) (id string) {
	t.Helper()
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return id
		}
		if err != nil {
			t.Fatalf("%v in:\n%s", err, svg)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "title" {
			id = e.Attr[0].Value
		}
	}
}

// TestNoFigureWithoutRounds: beside every bold figure, and in every plot, stand
// its range and the number of rounds.
func TestNoFigureWithoutRounds(t *testing.T) {
	page := html(t, testRun(7))
	summary, _, _ := strings.Cut(page[strings.Index(page, "<h2>Summary"):], "</table>")
	cells := regexp.MustCompile(`(?s)<td.*?</td>`).FindAllString(summary, -1)
	rounds := regexp.MustCompile(`<small>[^<]*–[^<]*, [67]×`)
	if len(cells) != len(names)*9 {
		t.Errorf("%d figures in the summary, want %d", len(cells), len(names)*9)
	}
	for _, cell := range cells {
		if !rounds.MatchString(cell) {
			t.Errorf("no range and rounds in %s", cell)
		}
	}
	for _, card := range regexp.MustCompile(`(?s)<li><strong>.*?</li>`).FindAllString(page, -1) {
		if !regexp.MustCompile(`<em>[^<]*–[^<]*, [67]×</em>`).MatchString(card) {
			t.Errorf("no range and rounds in %s", card)
		}
	}
	for _, svg := range svgs.FindAllString(page, -1)[:6] {
		if n := len(regexp.MustCompile(`×( †)?</text>`).FindAllString(svg, -1)); n != len(names) {
			t.Errorf("%d ranges with rounds in a plot of %d servers: %s", n, len(names), svg[:200])
		}
	}
}

// TestBetter: where a peer is better, it stands there.
func TestBetter(t *testing.T) {
	r := testRun(7)
	for i := range r.Cases[0].Samples {
		if s := &r.Cases[0].Samples[i]; s.Server == "gorilla" {
			s.Result.Server.PerCPUSecond = 500_000
		}
	}
	page := html(t, r)
	_, list, _ := strings.Cut(page, `id="better"`)
	list, _, _ = strings.Cut(list, "<h2")
	if !strings.Contains(list, "<b>Echo, one message at a time</b>: gorilla × 5.") {
		t.Errorf("it does not stand there: %s", list)
	}
	if !strings.Contains(page, `<td class="better">`) {
		t.Error("no figure is marked")
	}
	if _, list, _ = strings.Cut(html(t, testRun(7)), `id="better"`); !strings.Contains(list, "In none of the figures") {
		t.Error("nobody is better, and it does not say so")
	}
}

// TestAgreement: the page says whether the load generators agree.
func TestAgreement(t *testing.T) {
	r := testRun(6)
	if got := agreement(r); !strings.Contains(got, "They agree: ") || !strings.Contains(got, "6 rounds") {
		t.Errorf("the same: %q", got)
	}
	for i := range r.Case(record.Generator, 0).Samples {
		if s := &r.Case(record.Generator, 0).Samples[i]; s.Server == "wsload" {
			s.Result.Server.PerCPUSecond = 6
		}
	}
	if got := agreement(r); !strings.Contains(got, "do not agree") || !strings.Contains(got, "0.83") {
		t.Errorf("another: %q", got)
	}
}

func TestFewRounds(t *testing.T) {
	const warning = "No figure here means anything"
	if !strings.Contains(html(t, testRun(1)), warning) || strings.Contains(html(t, testRun(3)), warning) {
		t.Error("the warning is for fewer than three rounds")
	}
}

// TestComparison is the page of two commits.
func TestComparison(t *testing.T) {
	r := testRun(7)
	r.Base, r.Servers = "perch", r.Servers[:2]
	page := html(t, r)
	for _, want := range []string{"Two commits compared", "Is it worse?", `class="worse"`, "perch: echo in 1 of 7 rounds"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if strings.Contains(page, "at a glance") || strings.Contains(page, "Where another is better") {
		t.Error("there are no peers in a comparison of commits")
	}
}

// TestEmpty is the page of a run that was interrupted at once.
func TestEmpty(t *testing.T) {
	html(t, &record.Run{})
	html(t, &record.Run{Servers: []record.Server{{Name: "a"}}, Cases: []record.Case{{Group: record.Echo, Samples: []record.Sample{{Server: "a", Error: "no"}}}}})
}

func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "report")
	files, err := Write(testRun(3), dir)
	if err != nil || len(files) != 3 {
		t.Fatalf("%q, error %v, want the page and two plots", files, err)
	}
	for _, name := range files[1:] {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		valid(t, string(b))
		if m := regexp.MustCompile(`class="small muted">([^<]*rounds[^<]*)<`).FindStringSubmatch(string(b)); m == nil || len([]rune(m[1])) > 78 {
			t.Errorf("%s: caption %q is cut off", name, m)
		}
		if !strings.Contains(string(b), "3 rounds") || len(b) > 20_000 {
			t.Errorf("%s: %d bytes, want it small and with the number of rounds", name, len(b))
		}
	}
	if _, err := Write(testRun(1), filepath.Join(files[0], "x")); err == nil {
		t.Error("written below a file")
	}
}
