package ui

import (
	"slices"
	"strings"
	"time"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui/lookup"
	"vetting/ui/metric"
)

// fleet gathers the figures of hosts. What is told host by host is of those only
// whose run is under way, and is gone with it.
type fleet struct {
	reader core.Reader
	now    time.Time

	standings, verdicts, states map[string]int

	queued, busy int
	names        []metric.Value
	progress     []metric.Value
	left         []metric.Value
	beats        []metric.Value
	gauges       [5][]metric.Value // by the places below
}

// The places of what sensors tell.
const (
	temperature = iota
	fanSpeed
	power
	diskRate
	networkRate
)

// take counts a host in.
func (f *fleet) take(host *core.Host) error {
	f.verdicts[string(host.LastVerdict)]++

	if host.CurrentRun == "" {
		f.standings[standing(host, nil)]++

		return nil
	}

	run, err := lookup.Run(f.reader, host.CurrentRun)
	if err != nil {
		return err
	}

	is := standing(host, &run)
	f.standings[is]++
	f.states[string(run.State)]++

	if run.State == core.StateQueued || run.State == core.StateRegistered {
		f.queued++

		return nil
	}

	if run.State != core.StateFailedHolding {
		f.busy++
	}

	return f.follow(host, &run)
}

// follow tells of a host whose run is under way.
func (f *fleet) follow(host *core.Host, run *core.Run) error {
	name := []string{"host", string(host.MAC)}
	at, done := route.Position(run)

	f.names = append(f.names, metric.Value{Labels: append(slices.Clone(name), "name", plain(host.Name)), Number: 1})
	f.progress = append(f.progress, metric.Value{Labels: name, Number: done})

	if at >= 0 && run.Stages[at].Phase == core.Active && run.Stages[at].ETA > 0 {
		f.left = append(f.left, metric.Value{Labels: name, Number: run.Stages[at].ETA.Seconds()})
	}

	if !run.LastBeat.IsZero() {
		f.beats = append(f.beats, metric.Value{Labels: name, Number: float64(run.LastBeat.UnixMilli()) / 1000})
	}

	samples, err := lookup.Latest(f.reader, run.ID)
	if err != nil {
		return err
	}

	var told [len(f.gauges)]int

	for i := range samples {
		place, labels, value, ok := gauge(&samples[i])
		if !ok || told[place] == mostSensors {
			continue
		}

		told[place]++
		f.gauges[place] = append(f.gauges[place], metric.Value{Labels: append(slices.Clone(name), labels...), Number: value})
	}

	return nil
}

// gauge says which figure a sample is of, with its labels, in base units.
func gauge(s *core.Sample) (place int, labels []string, value float64, ok bool) {
	kind, rest, _ := strings.Cut(s.Key, "/")
	part, quantity, _ := strings.Cut(rest, "/")
	sensor := []string{"sensor", kind + "/" + part}

	switch quantity {
	case "temperature_celsius":
		return temperature, sensor, s.Value, true
	case "fan_rpm":
		return fanSpeed, sensor, s.Value, true
	case "power_watts":
		return power, sensor, s.Value, true
	}

	direction, factor, ok := rate(quantity)

	switch {
	case ok && kind == "disk":
		return diskRate, []string{"disk", part, "direction", direction}, s.Value * factor, true
	case ok && kind == "nic":
		return networkRate, []string{"port", part, "direction", direction}, s.Value * factor, true
	default:
		return 0, nil, 0, false
	}
}

// rate reads the quantity of a throughput: "read_mibps", "tx_mbps". factor turns its
// unit into bytes a second.
func rate(quantity string) (direction string, factor float64, ok bool) {
	word, unit, _ := strings.Cut(quantity, "_")

	direction = map[string]string{
		"read": "read", "write": "write", "rx": "receive", "receive": "receive", "tx": "transmit", "transmit": "transmit",
	}[word]
	factor = map[string]float64{"mibps": 1 << 20, "mbps": 125_000, "gbps": 125_000_000, "bps": 0.125, "bytes_per_second": 1}[unit]

	return direction, factor, direction != "" && factor != 0
}

// families are the figures that are told host by host.
func (f *fleet) families() []metric.Family {
	gauges := func(name, help string, values []metric.Value) metric.Family {
		return metric.Family{Name: name, Help: help, Kind: metric.Gauge, Values: values}
	}

	return []metric.Family{
		gauges("vetting_host_info", "Names of the hosts whose run is under way; always 1.", f.names),
		gauges("vetting_run_progress_ratio", "How far the plan of the run is.", f.progress),
		gauges("vetting_run_eta_seconds", "Time left in the stage under way, as the agent believes.", f.left),
		gauges("vetting_agent_last_seen_timestamp_seconds", "When the agent of the run was last heard, since the epoch.", f.beats),
		gauges("vetting_temperature_celsius", "Temperatures as measured last.", f.gauges[temperature]),
		gauges("vetting_fan_speed_rpm", "Speeds of fans as measured last.", f.gauges[fanSpeed]),
		gauges("vetting_power_watts", "Power drawn as measured last.", f.gauges[power]),
		gauges("vetting_disk_throughput_bytes_per_second", "What disks moved as measured last.", f.gauges[diskRate]),
		gauges("vetting_network_throughput_bytes_per_second", "What network ports moved as measured last.", f.gauges[networkRate]),
	}
}
