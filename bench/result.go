package bench

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
)

// Result is what a run gave: one object for machines. Rates are per second of
// the measured interval.
type Result struct {
	Mode        string `json:"mode"`
	URL         string `json:"url"`
	OK          bool   `json:"ok"`                    // no fault was seen, and the run was not cut short
	Interrupted bool   `json:"interrupted,omitempty"` // the interval was shorter than asked for

	Conns  int     `json:"conns"`           // asked for
	Opened int     `json:"opened"`          // open when the load began
	Took   float64 `json:"connect_seconds"` // until all were open, or had failed
	Loops  int     `json:"loops"`
	Size   int     `json:"size,omitempty"`         // bytes of a message
	Depth  int     `json:"depth,omitempty"`        // messages in flight
	Offer  float64 `json:"offered_rate,omitempty"` // open loop

	Seconds float64 `json:"seconds"`
	Count   uint64  `json:"count"`  // echo: answers; storm: handshakes; fan-out and chat: deliveries; all verified
	Rate    float64 `json:"rate"`   // of Count
	Bytes   float64 `json:"mb_s"`   // payload, in 10^6 bytes
	Sent    uint64  `json:"sent"`   // fan-out and chat: messages published
	Unsent  uint64  `json:"unsent"` // with a rate: due, but the client was too slow
	Pings   uint64  `json:"pings"`  // of the server, answered, in all
	Pinged  uint64  `json:"pinged"` // of these in the measured interval

	// packets that the kernel has dropped on this machine meanwhile: not all need be the run's
	Dropped    uint64  `json:"dropped,omitempty"`
	Compressed float64 `json:"compressed,omitempty"` // share of what the server has sent, the whole run

	Latency *Latency `json:"latency_us,omitempty"`
	// storm: connect to closed; fan-out: the last receiver; chat: the acknowledgement
	Second    *Latency `json:"second_us,omitempty"`
	SendDelay *Latency `json:"send_delay_us,omitempty"` // with a rate: how late the client sent

	ClientCPU   float64 `json:"client_cpu"`   // cores busy
	ClientBound bool    `json:"client_bound"` // the client, not the server, may have set the figures
	Server      *Server `json:"server,omitempty"`

	ErrorsTotal uint64            `json:"errors_total"`
	Errors      map[string]uint64 `json:"errors"` // by kind, all of them
}

// Server is what the server process and its children took in the measured
// interval.
type Server struct {
	PID          int     `json:"pid"`
	Processes    int     `json:"processes"`
	CPU          float64 `json:"cpu"`                      // cores busy
	Cores        int     `json:"cores"`                    // that it may use
	PerCPUSecond float64 `json:"per_cpu_second,omitempty"` // Count for each second of CPU time
	PerPing      float64 `json:"us_per_ping,omitempty"`    // idle: CPU time for each ping in the interval, in microseconds
	RSS          int64   `json:"rss"`                      // bytes, at the end
	RSSBefore    int64   `json:"rss_before,omitempty"`     // idle: before the connections
	PerConn      float64 `json:"rss_per_conn,omitempty"`   // idle: bytes
}

// busy is the share of its time above which a client or a server is said to have
// no more to give.
const busy = 0.9

// clientBound reports that the client was busy all the time, and the server, if
// it is known, was not.
func clientBound(client float64, loops int, s *Server) bool {
	return client > busy*float64(loops) && (s == nil || s.CPU < busy*float64(s.Cores))
}

// result fills in what all modes have. The engines have stopped.
func (r *run) result(mode string, opened int, span interval) *Result {
	res := &Result{
		Mode: mode, URL: r.t.URL, Conns: r.t.Conns, Opened: opened, Took: r.connecting.Seconds(), Loops: r.plan.loops,
		Seconds: span.length.Seconds(), Interrupted: r.cut, Pings: r.pings,
		Errors: make(map[string]uint64, faultKinds),
	}
	if n := dropped(); n > r.dropped {
		res.Dropped = n - r.dropped
	}
	if r.compressed > 0 {
		res.Compressed = float64(r.compressed) / float64(r.received)
	}
	for kind, n := range r.faults.snapshot() {
		res.Errors[Fault(kind).String()] = n
		res.ErrorsTotal += n
	}
	res.OK = res.ErrorsTotal == 0 && !res.Interrupted
	if span.length <= 0 {
		return res
	}
	res.Pinged = span.after.pings - span.before.pings
	res.ClientCPU = (span.after.client - span.before.client).Seconds() / res.Seconds
	if r.t.PID != 0 {
		s := span.after.server
		res.Server = &Server{PID: r.t.PID, Processes: s.Processes, RSS: s.RSS, CPU: (s.CPU - span.before.server.CPU).Seconds() / res.Seconds, Cores: AllowedCores(r.t.PID)}
	}
	res.ClientBound = clientBound(res.ClientCPU, r.plan.loops, res.Server)
	return res
}

// rates fills in what follows from the number of messages of a size.
func (res *Result) rates(count, size uint64, span interval) {
	res.Count = count
	if span.length <= 0 {
		return
	}
	res.Rate = float64(count) / res.Seconds
	res.Bytes = res.Rate * float64(size) / 1e6
	if res.Server != nil && res.Server.CPU > 0 {
		res.Server.PerCPUSecond = res.Rate / res.Server.CPU
	}
}

// histograms are the latencies of all engines.
func (r *run) histograms() (all []histogram) {
	for _, e := range r.engines {
		all = append(all, e.latency)
	}
	return all
}

// WriteJSON writes one object on one line.
func (res *Result) WriteJSON(w io.Writer) error { return json.NewEncoder(w).Encode(res) }

// WriteCSV writes a line of names and a line of values, the same columns in
// every mode.
func (res *Result) WriteCSV(w io.Writer) error {
	var names, values []string
	add := func(name string, v any) {
		names = append(names, name)
		if f, ok := v.(float64); ok {
			v = strconv.FormatFloat(f, 'f', -1, 64)
		}
		values = append(values, fmt.Sprint(v))
	}
	add("mode", res.Mode)
	add("url", res.URL)
	add("ok", res.OK)
	add("interrupted", res.Interrupted)
	add("conns", res.Conns)
	add("opened", res.Opened)
	add("connect_seconds", res.Took)
	add("loops", res.Loops)
	add("size", res.Size)
	add("depth", res.Depth)
	add("offered_rate", res.Offer)
	add("seconds", res.Seconds)
	add("count", res.Count)
	add("rate", res.Rate)
	add("mb_s", res.Bytes)
	add("sent", res.Sent)
	add("unsent", res.Unsent)
	add("pings", res.Pings)
	add("pinged", res.Pinged)
	add("compressed", res.Compressed)
	add("dropped", res.Dropped)
	for _, l := range []struct {
		name string
		l    *Latency
	}{{"latency", res.Latency}, {"second", res.Second}, {"send_delay", res.SendDelay}} {
		if l.l == nil {
			l.l = new(Latency)
		}
		add(l.name+"_n", l.l.Count)
		add(l.name+"_p50_us", l.l.P50)
		add(l.name+"_p99_us", l.l.P99)
		add(l.name+"_p999_us", l.l.P999)
		add(l.name+"_max_us", l.l.Max)
	}
	add("client_cpu", res.ClientCPU)
	add("client_bound", res.ClientBound)
	s := res.Server
	if s == nil {
		s = new(Server)
	}
	add("server_cpu", s.CPU)
	add("per_server_cpu_second", s.PerCPUSecond)
	add("us_per_ping", s.PerPing)
	add("server_rss", s.RSS)
	add("rss_per_conn", s.PerConn)
	for kind := range faultKinds {
		add("errors_"+Fault(kind).String(), res.Errors[Fault(kind).String()])
	}
	c := csv.NewWriter(w)
	return c.WriteAll([][]string{names, values})
}
