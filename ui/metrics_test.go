package ui_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"vetting/core"
	"vetting/ui"
	"vetting/ui/canned"
	"vetting/ui/metric"
)

// figures scrapes the console and reads the answer: numbers by series, and the
// kinds of families. What Prometheus would refuse is an error.
func (b *bench) figures() (numbers map[string]float64, kinds map[string]string) {
	b.t.Helper()

	got := b.ask("GET", "/metrics", "", "Authorization", "Bearer "+b.token("read"))
	if got.status != http.StatusOK {
		b.t.Fatalf("%d %s", got.status, got.body)
	}

	numbers, kinds = map[string]float64{}, map[string]string{}
	shape := regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{([a-zA-Z_][a-zA-Z0-9_]*="([^"\\]|\\.)*",?)*\})? ([^ ]+)$`)
	order := []string{}

	for line := range strings.SplitSeq(strings.TrimSpace(got.body), "\n") {
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, kind, _ := strings.Cut(rest, " ")
			if kinds[name] != "" {
				b.t.Errorf("%s is declared twice", name)
			}

			kinds[name] = kind
			order = append(order, name)

			continue
		}

		if strings.HasPrefix(line, "#") {
			continue
		}

		m := shape.FindStringSubmatch(line)
		if m == nil {
			b.t.Errorf("not a line of Prometheus: %q", line)

			continue
		}

		series := m[1] + m[2]
		if _, twice := numbers[series]; twice {
			b.t.Errorf("%s is there twice", series)
		}

		n, err := strconv.ParseFloat(m[5], 64)
		if err != nil {
			b.t.Errorf("%q: %v", line, err)
		}

		numbers[series] = n

		if len(order) > 0 && strings.HasPrefix(m[1], "vetting_") && !strings.HasPrefix(m[1], order[len(order)-1]) {
			b.t.Errorf("%s stands among those of %s", m[1], order[len(order)-1])
		}
	}

	return numbers, kinds
}

// measuring lets the machine of the run under way measure something now.
func (b *bench) measuring() {
	b.t.Helper()

	batch := core.SampleBatch{Run: canned.Run, Epoch: 1, Seq: 1, Stage: core.SMART, Attempt: 1}

	for key, value := range map[string]float64{
		"cpu/package0/temperature_celsius": 61.5, "board/fan1/fan_rpm": 4200, "cpu/package0/power_watts": 95, "disk/sda/read_mibps": 100,
		"nic/eth0/rx_mbps": 1000, "nic/eth0/speed_mbps": 10000,
	} {
		batch.Samples = append(batch.Samples, core.Sample{Time: canned.Now(), Key: key, Value: value})
	}

	if _, err := b.ledger.Update(b.t.Context(), func(txn core.Txn) error {
		return txn.Put(core.TableSamples, string(canned.Run)+"/000001/000000000001", batch)
	}); err != nil {
		b.t.Fatal(err)
	}
}

func TestFiguresForPrometheus(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, func(cfg *ui.Config) {
		cfg.Counts = ui.Counts{
			DHCP: func() []metric.Count {
				return []metric.Count{{Of: []string{"discover", "answered"}, N: 7}, {Of: []string{"too few"}, N: 1}}
			},
			TFTP:  func() []metric.Count { return []metric.Count{{Of: []string{"ok"}, N: 3}} },
			Boot:  func() []metric.Count { return []metric.Count{{Of: []string{"kernel"}, N: 1 << 20}} },
			BMC:   func() []metric.Count { return []metric.Count{{Of: []string{"ipmi", "ok"}, N: 2}} },
			Store: func() []metric.Count { return []metric.Count{{Of: []string{"ledger"}, N: 4096}} },
			Slots: func() int { return 5 },
		}
	})
	b.measuring()

	numbers, kinds := b.figures()

	host := `{host="52:54:00:00:00:11"`
	for series, want := range map[string]float64{
		`vetting_hosts{state="passed"}`: 2, `vetting_hosts{state="running"}`: 1, `vetting_hosts{state="holding"}`: 1, `vetting_hosts{state="unvetted"}`: 1,
		`vetting_hosts{state="quarantined"}`: 0, `vetting_hosts_last_verdict{verdict="pass"}`: 2, `vetting_runs_active{state="SMART"}`: 1,
		`vetting_runs_active{state="Burn"}`: 0, "vetting_machines_unknown": 2, "vetting_queue_length": 1,
		`vetting_slots{state="busy"}`: 2, `vetting_slots{state="free"}`: 3,
		`vetting_runs_total{profile="quick",result="pass"}`: 2, `vetting_runs_total{profile="quick",result="fail"}`: 1, `vetting_runs_total{profile="quick",result="cancelled"}`: 1,
		`vetting_run_duration_seconds_count{profile="quick",result="pass"}`:                  2,
		`vetting_run_duration_seconds_bucket{profile="quick",result="pass",le="+Inf"}`:       2,
		`vetting_stage_duration_seconds_bucket{stage="InventoryCheck",result="pass",le="1"}`: 0,
		`vetting_threshold_breaches_total{stage="SMART",severity="warning"}`:                 1,
		"vetting_host_info" + host + `,name="rack3-u17"}`:                                    1, "vetting_run_progress_ratio" + host + "}": 0.724,
		"vetting_run_eta_seconds" + host + "}":                                                     72,
		"vetting_temperature_celsius" + host + `,sensor="cpu/package0"}`:                           61.5,
		"vetting_fan_speed_rpm" + host + `,sensor="board/fan1"}`:                                   4200,
		"vetting_power_watts" + host + `,sensor="cpu/package0"}`:                                   95,
		"vetting_disk_throughput_bytes_per_second" + host + `,disk="sda",direction="read"}`:        100 << 20,
		"vetting_network_throughput_bytes_per_second" + host + `,port="eth0",direction="receive"}`: 125e6,
		`vetting_dhcp_messages_total{type="discover",result="answered"}`:                           7, `vetting_tftp_transfers_total{result="ok"}`: 3,
		`vetting_boot_bytes_total{file="kernel"}`: 1 << 20, `vetting_bmc_requests_total{protocol="ipmi",result="ok"}`: 2, `vetting_store_bytes{kind="ledger"}`: 4096,
		`vetting_notifications_total{notifier="phone",result="ok"}`: 4, `vetting_notifications_total{notifier="ops-mail",result="failed"}`: 1,
		"vetting_sse_clients": 0, "vetting_sse_resyncs_total": 0, `vetting_http_answers_total{class="4xx"}`: 0,
	} {
		if got, ok := numbers[series]; !ok || got != want {
			t.Errorf("%s is %v (%t), want %v", series, got, ok, want)
		}
	}

	// All that the documents promise is there, in base units, each of its kind.
	for name, kind := range map[string]string{
		"vetting_build_info": "gauge", "vetting_hosts": "gauge", "vetting_runs_total": "counter", "vetting_run_duration_seconds": "histogram",
		"vetting_stage_duration_seconds": "histogram", "vetting_run_progress_ratio": "gauge", "vetting_run_eta_seconds": "gauge",
		"vetting_queue_length": "gauge", "vetting_slots": "gauge", "vetting_temperature_celsius": "gauge", "vetting_fan_speed_rpm": "gauge",
		"vetting_power_watts": "gauge", "vetting_disk_throughput_bytes_per_second": "gauge", "vetting_network_throughput_bytes_per_second": "gauge",
		"vetting_threshold_breaches_total": "counter", "vetting_agent_last_seen_timestamp_seconds": "gauge", "vetting_dhcp_messages_total": "counter",
		"vetting_tftp_transfers_total": "counter", "vetting_boot_bytes_total": "counter", "vetting_boot_duration_seconds": "histogram",
		"vetting_bmc_requests_total": "counter", "vetting_notifications_total": "counter", "vetting_sse_clients": "gauge",
		"vetting_sse_resyncs_total": "counter", "vetting_store_bytes": "gauge",
	} {
		if kinds[name] != kind {
			t.Errorf("%s is %q, want %q", name, kinds[name], kind)
		}
	}

	for _, part := range []string{"process_resident_memory_bytes", "process_start_time_seconds", "go_goroutines"} {
		if numbers[part] == 0 {
			t.Errorf("%s is not there", part)
		}
	}

	b.ask("GET", "/no/such/page", "")

	if again, _ := b.figures(); again[`vetting_http_answers_total{class="4xx"}`] != 1 || again[`vetting_runs_total{profile="quick",result="pass"}`] != 2 {
		t.Error("a refusal is not counted, or a run is twice")
	}
}

// What is told host by host ends with the run; what was counted stays and grows.
func TestFiguresOfAHostEndWithItsRun(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	b.measuring()

	ofHost := func() (n int) {
		numbers, _ := b.figures()
		for series := range numbers {
			if strings.Contains(series, string(canned.Host)) {
				n++
			}
		}

		return n
	}

	if n := ofHost(); n < 8 {
		t.Errorf("%d series of a host whose run is under way", n)
	}

	if _, err := b.ledger.Update(t.Context(), func(txn core.Txn) error {
		var (
			run  core.Run
			host core.Host
		)

		if err := txn.Get(core.TableRun, string(canned.Run), &run); err != nil {
			return err
		}

		if err := txn.Get(core.TableHost, string(canned.Host), &host); err != nil {
			return err
		}

		run.State, run.Verdict, run.EndedAt = core.StateCompleted, core.Pass, canned.Now()
		host.CurrentRun, host.LastVerdict = "", core.Pass

		if err := txn.Put(core.TableRun, string(canned.Run), run); err != nil {
			return err
		}

		return txn.Put(core.TableHost, string(canned.Host), host)
	}); err != nil {
		t.Fatal(err)
	}

	if n := ofHost(); n != 0 {
		t.Errorf("%d series of a host whose run is over", n)
	}

	numbers, _ := b.figures()
	if numbers[`vetting_runs_total{profile="quick",result="pass"}`] != 3 || numbers[`vetting_hosts{state="passed"}`] != 3 {
		t.Errorf("the run was not counted: %v", numbers[`vetting_runs_total{profile="quick",result="pass"}`])
	}
}

// No host, room or profile can make a scrape grow without end.
func TestFiguresAreBounded(t *testing.T) {
	t.Parallel()

	many := func(n int) []metric.Count {
		list := make([]metric.Count, n)
		for i := range list {
			list[i] = metric.Count{Of: []string{fmt.Sprint(i)}, N: 1}
		}

		return list
	}

	b := open(t, canned.Full, func(cfg *ui.Config) { cfg.Counts.Boot = func() []metric.Count { return many(5000) } })

	if _, err := b.ledger.Update(t.Context(), func(txn core.Txn) error {
		batch := core.SampleBatch{Run: canned.Run, Epoch: 9, Seq: 1}
		for i := range 900 {
			batch.Samples = append(batch.Samples, core.Sample{Time: canned.Now(), Key: fmt.Sprintf("cpu/core%d/temperature_celsius", i), Value: 50})
		}

		if err := txn.Put(core.TableSamples, string(canned.Run)+"/000009/000000000001", batch); err != nil {
			return err
		}

		for i := range 60 {
			run := core.Run{
				ID: core.RunID(fmt.Sprintf("01JE%022d", i)), State: core.StateCompleted, Verdict: core.Pass, Profile: core.Profile{Name: fmt.Sprintf("p%d", i)},
				StartedAt: canned.Now(), EndedAt: canned.Now().Add(time.Minute),
			}
			if err := txn.Put(core.TableRun, string(run.ID), run); err != nil {
				return err
			}
		}

		return nil
	}); err != nil {
		t.Fatal(err)
	}

	numbers, _ := b.figures()
	counts := map[string]int{}

	for series := range numbers {
		name, _, _ := strings.Cut(series, "{")
		counts[name]++
	}

	for name, most := range map[string]int{"vetting_boot_bytes_total": 128, "vetting_temperature_celsius": 128, "vetting_runs_total": 40} {
		if counts[name] > most || counts[name] == 0 {
			t.Errorf("%s has %d series, %d at most", name, counts[name], most)
		}
	}

	if numbers[`vetting_runs_total{profile="other",result="pass"}`] < 20 {
		t.Error("runs of further profiles are not counted together")
	}

	failed := open(t, canned.Failed, nil)
	if got, _ := failed.figures(); got["vetting_hosts_quarantined"] != 1 || got[`vetting_hosts{state="quarantined"}`] != 1 {
		t.Error("a quarantined host is not counted")
	}

	hostile := open(t, canned.Hostile, nil)
	hostile.figures() // every line is one that Prometheus reads
}
