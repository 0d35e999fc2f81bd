package ui

import (
	"cmp"
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui/lookup"
	"vetting/ui/metric"
)

// Bounds of what a scrape may grow to, whatever other rooms and hosts say.
const (
	mostCounts  = 128 // values of a family that another room keeps
	mostSensors = 128 // values of a family that one host brings
)

// tally counts answers by the first digit of their status. Safe for concurrent
// use.
type tally [6]atomic.Uint64

func (t *tally) count(status int) {
	if class := status / 100; class > 0 && class < len(t) {
		t[class].Add(1)
	}
}

func (t *tally) values() []metric.Value {
	list := []metric.Value{}

	for class := 2; class < len(t); class++ {
		list = append(list, metric.Value{Labels: []string{"class", strconv.Itoa(class) + "xx"}, Number: float64(t[class].Load())})
	}

	return list
}

// metrics answers a scrape. Only what belongs to a run under way is told host by
// host.
func (u *UI) metrics(c *fiber.Ctx) error {
	var fleet []metric.Family

	if err := u.look(c, func(r core.Reader) (err error) {
		if err := u.ledger.Count(r); err != nil {
			return err
		}

		fleet, err = u.fleetFigures(r)

		return err
	}); err != nil {
		return err
	}

	families := append(u.applianceFigures(c), u.roomFigures()...)
	families = append(append(families, fleet...), u.ledger.Figures()...)

	c.Set(fiber.HeaderContentType, route.Metrics)

	return metric.Write(c.Response().BodyWriter(), append(families, metric.Process(metric.Proc())...))
}

func one(n float64) []metric.Value { return []metric.Value{{Number: n}} }

// commit is what the program was built from, as far as the build knows.
func commit() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}

	return ""
}

// applianceFigures are those of the process and the console.
func (u *UI) applianceFigures(c *fiber.Ctx) []metric.Family {
	a, ready := u.cfg.Appliance, u.asked(c)
	seq, _ := u.cfg.Bell.After(0)
	checks := []metric.Value{}

	for _, row := range ready {
		if row.Name != "warning" { // there may be several
			checks = append(checks, metric.Value{Labels: []string{"check", row.Name}, Number: map[bool]float64{true: 1}[row.OK]})
		}
	}

	return []metric.Family{
		{
			Name: "vetting_build_info", Help: "The software of the appliance; always 1.", Kind: metric.Gauge,
			Values: []metric.Value{{Labels: []string{
				"version", a.Version, "commit", commit(), "goversion", runtime.Version(), "kernel", a.KernelVersion, "image", a.ImageID,
			}, Number: 1}},
		},
		{
			Name: "vetting_start_time_seconds", Help: "When the console was started, since the epoch.", Kind: metric.Gauge,
			Values: one(float64(u.started.UnixMilli()) / 1000),
		},
		{Name: "vetting_ready", Help: "Whether what a run needs is there.", Kind: metric.Gauge, Values: checks},
		{Name: "vetting_ledger_seq", Help: "Number of the last event of the ledger.", Kind: metric.Counter, Values: one(float64(seq))},
		{Name: "vetting_http_answers_total", Help: "Answers of console and API by class of status.", Kind: metric.Counter, Values: u.answers.values()},
		{Name: "vetting_sse_clients", Help: "Live streams that are open.", Kind: metric.Gauge, Values: one(float64(u.hub.Open()))},
		{Name: "vetting_sse_resyncs_total", Help: "Readers that were told to read anew.", Kind: metric.Counter, Values: one(float64(u.hub.Resyncs()))},
	}
}

// roomFigures are those that other rooms keep.
func (u *UI) roomFigures() []metric.Family {
	counts := &u.cfg.Counts
	kept := func(get func() []metric.Count, names ...string) []metric.Value {
		if get == nil {
			return nil
		}

		return metric.Of(get(), mostCounts, names...)
	}

	return []metric.Family{
		{Name: "vetting_dhcp_messages_total", Help: "DHCP messages that came in.", Kind: metric.Counter, Values: kept(counts.DHCP, "type", "result")},
		{Name: "vetting_tftp_transfers_total", Help: "TFTP transfers.", Kind: metric.Counter, Values: kept(counts.TFTP, "result")},
		{Name: "vetting_boot_bytes_total", Help: "Bytes of boot files that were sent whole.", Kind: metric.Counter, Values: kept(counts.Boot, "file")},
		{Name: "vetting_bmc_requests_total", Help: "Calls to switch hosts.", Kind: metric.Counter, Values: kept(counts.BMC, "protocol", "result")},
		{Name: "vetting_store_bytes", Help: "Bytes on the disk.", Kind: metric.Gauge, Values: kept(counts.Store, "kind")},
		{Name: "vetting_notifications_total", Help: "Notifications by outcome.", Kind: metric.Counter, Values: u.notified()},
	}
}

func (u *UI) notified() (list []metric.Value) {
	if u.cfg.Notifier == nil {
		return nil
	}

	for _, n := range u.cfg.Notifier.Counts() {
		list = append(list, metric.Value{
			Labels: []string{"notifier", n.Target, "result", map[bool]string{true: "ok", false: "failed"}[n.OK]}, Number: float64(n.N),
		})
	}

	return list
}

// fleetFigures are those of hosts and the runs under way.
func (u *UI) fleetFigures(r core.Reader) ([]metric.Family, error) {
	hosts, err := lookup.AllHosts(r)
	if err != nil {
		return nil, err
	}

	seen, _, err := lookup.Sightings(r, false, lookup.Page{Limit: lookup.MaxLimit})
	if err != nil {
		return nil, err
	}

	f := &fleet{standings: map[string]int{}, verdicts: map[string]int{}, states: map[string]int{}, reader: r, now: u.cfg.Now()}

	for i := range hosts {
		if err := f.take(&hosts[i]); err != nil {
			return nil, err
		}
	}

	families := []metric.Family{
		{Name: "vetting_hosts", Help: "Registered hosts by what they are at.", Kind: metric.Gauge, Values: byWord("state", standings(), f.standings)},
		{Name: "vetting_hosts_quarantined", Help: "Hosts whose identity is in doubt.", Kind: metric.Gauge, Values: one(float64(f.standings["quarantined"]))},
		{
			Name: "vetting_hosts_last_verdict", Help: "Hosts by the verdict of their last run.", Kind: metric.Gauge,
			Values: byWord("verdict", []string{string(core.Pass), string(core.Fail), string(core.Error), string(core.Cancelled)}, f.verdicts),
		},
		{Name: "vetting_runs_active", Help: "Runs that are not over, by state.", Kind: metric.Gauge, Values: byWord("state", lookup.States(), f.states)},
		{Name: "vetting_machines_unknown", Help: "Machines heard that are not registered.", Kind: metric.Gauge, Values: one(float64(len(seen)))},
		{Name: "vetting_queue_length", Help: "Runs that wait for a free place.", Kind: metric.Gauge, Values: one(float64(f.queued))},
	}

	if u.cfg.Counts.Slots != nil {
		free := max(0, u.cfg.Counts.Slots()-f.busy)
		families = append(families, metric.Family{
			Name: "vetting_slots", Help: "Places for runs.", Kind: metric.Gauge, Values: []metric.Value{
				{Labels: []string{"state", "busy"}, Number: float64(f.busy)}, {Labels: []string{"state", "free"}, Number: float64(free)},
			},
		})
	}

	return append(families, f.families()...), nil
}

// byWord writes one value for each word, so that a figure that falls to nothing
// says 0.
func byWord(label string, words []string, counts map[string]int) []metric.Value {
	list := []metric.Value{}
	for _, word := range words {
		list = append(list, metric.Value{Labels: []string{label, word}, Number: float64(counts[word])})
	}

	return list
}

func (u *UI) getConfig(c *fiber.Ctx) error {
	list := route.SettingList{Settings: []route.Setting{}}
	if u.cfg.Settings != nil {
		list.Settings = append(list.Settings, u.cfg.Settings()...)
	}

	return shown(c, http.StatusOK, list, nil)
}

// standings are the words for what a host is at.
func standings() []string {
	return []string{"unvetted", "queued", "waking", "running", "holding", "passed", "failed", "error", "cancelled", "quarantined"}
}

// standing is what a host is at; run is the one that is not over, or nil.
func standing(host *core.Host, run *core.Run) string {
	switch {
	case host.Quarantine != "":
		return "quarantined"
	case run == nil:
		word := map[core.Verdict]string{core.Pass: "passed", core.Fail: "failed", core.Error: "error", core.Cancelled: "cancelled"}[host.LastVerdict]

		return cmp.Or(word, "unvetted")
	}

	switch run.State {
	case core.StateRegistered, core.StateQueued:
		return "queued"
	case core.StateWaitingWoL, core.StateWaitingReboot, core.StateWaitingPower, core.StateBooting:
		return "waking"
	case core.StateFailed, core.StateFailedHolding:
		return "holding"
	default:
		return "running"
	}
}

// plain makes a label of what a machine says of itself.
func plain(s string) string { return strings.ToValidUTF8(s[:min(len(s), 96)], "") }
