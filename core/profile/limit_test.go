package profile_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"vetting/core"
	"vetting/core/problem"
	"vetting/core/profile"
	"vetting/core/threshold"
)

// class are six hosts that passed with the same speeds.
func class() (peers []threshold.Peer) {
	for i := range 6 {
		peers = append(peers, threshold.Peer{Name: fmt.Sprint("host", i), Figures: []core.Figures{
			{Stage: core.CPUStress, Medians: map[string]float64{"cpu/host/fma_gflops": 1000}},
			{Stage: core.Storage, Medians: map[string]float64{"disk/ST4000/model_read_mibps": 200}},
			{Stage: core.Memory, Medians: map[string]float64{"memory/node0/copy_mibps": 100_000, "memory/node1/copy_mibps": 100_000}},
		}})
	}

	return peers
}

// TestEveryShippedLimit holds each rule of the shipped profiles to what breaks it and
// to what does not.
func TestEveryShippedLimit(t *testing.T) {
	rules := threshold.Resolve(profile.Defaults()[0].Rules, "r640", class())
	broken := map[string]bool{}

	for name, c := range map[string]struct {
		stage core.StageName
		key   string
		value float64
		lasts time.Duration
		want  []string // severity and code
	}{
		"a host as fast as its class":    {core.CPUStress, "cpu/host/fma_gflops", 960, 0, nil},
		"a host slower than its class":   {core.CPUStress, "cpu/host/fma_gflops", 940, 0, []string{"warning cpustress/off-class"}},
		"a host much slower":             {core.CPUStress, "cpu/host/fma_gflops", 840, 0, []string{"critical cpustress/off-class", "warning cpustress/off-class"}},
		"memory as fast as its class":    {core.Memory, "memory/node1/copy_mibps", 92_000, 0, nil},
		"memory slower than its class":   {core.Memory, "memory/node1/copy_mibps", 88_000, 0, []string{"warning memory/off-class"}},
		"a channel without its DIMM":     {core.Memory, "memory/node1/copy_mibps", 74_000, 0, []string{"critical memory/off-class", "warning memory/off-class"}},
		"memory faster than its class":   {core.Memory, "memory/node1/copy_mibps", 112_000, 0, []string{"warning memory/off-class"}},
		"disks as fast as their class":   {core.Storage, "disk/ST4000/model_read_mibps", 145, 0, nil},
		"disks slower than their class":  {core.Storage, "disk/ST4000/model_read_mibps", 135, 0, []string{"warning storage/off-class"}},
		"disks much slower":              {core.Storage, "disk/ST4000/model_read_mibps", 95, 0, []string{"critical storage/off-class", "warning storage/off-class"}},
		"a CPU four degrees from it":     {core.Burn, "cpu/package0/headroom_celsius", 4, 2 * time.Minute, nil},
		"a CPU near its limit":           {core.Burn, "cpu/package0/headroom_celsius", 3, 2 * time.Minute, []string{"warning sensor/near-limit"}},
		"a CPU near it for a moment":     {core.Burn, "cpu/package0/headroom_celsius", 3, 50 * time.Second, nil},
		"a CPU at its limit":             {core.Burn, "cpu/package0/headroom_celsius", 0, 2 * time.Minute, []string{"critical sensor/over-limit", "warning sensor/near-limit"}},
		"a drive over its limit":         {core.SMART, "disk/nvme0/headroom_celsius", -1, time.Minute, []string{"critical sensor/over-limit"}},
		"a drive over it for a moment":   {core.SMART, "disk/nvme0/headroom_celsius", -1, 20 * time.Second, nil},
		"a DIMM that is warm":            {core.Memory, "memory/dimm0/temperature_celsius", 84, time.Minute, nil},
		"a DIMM that is hot":             {core.Memory, "memory/dimm0/temperature_celsius", 85, time.Minute, []string{"warning sensor/dimm-hot"}},
		"a DIMM that is hot for seconds": {core.Memory, "memory/dimm0/temperature_celsius", 96, 5 * time.Second, nil},
		"a DIMM that is too hot":         {core.Memory, "memory/dimm0/temperature_celsius", 95, time.Minute, []string{"critical sensor/dimm-hot", "warning sensor/dimm-hot"}},
		"a regulator that is warm":       {core.Burn, "board/vrm/temperature_celsius", 104, time.Minute, nil},
		"a regulator that is too hot":    {core.Burn, "board/vrm/temperature_celsius", 105, time.Minute, []string{"critical sensor/board-hot"}},
		"a disk that is warm":            {core.SMART, "disk/sda/temperature_celsius", 84, time.Minute, nil},
		"a disk that is hot":             {core.SMART, "disk/sda/temperature_celsius", 85, time.Minute, []string{"warning threshold/breach"}},
		"a disk that is too hot":         {core.SMART, "disk/sda/temperature_celsius", 100, time.Minute, []string{"critical threshold/breach", "warning threshold/breach"}},
		"a drive's controller at work":   {core.Burn, "disk/nvme0-sensor-2/temperature_celsius", 94, time.Minute, nil},
		"a drive's controller, hot":      {core.Burn, "disk/nvme0-sensor-2/temperature_celsius", 95, time.Minute, []string{"warning threshold/breach"}},
		"a drive's controller, too hot":  {core.Burn, "disk/nvme0-sensor-2/temperature_celsius", 105, time.Minute, []string{"critical threshold/breach", "warning threshold/breach"}},
		"the drive beside it, too hot":   {core.Burn, "disk/nvme0-composite/temperature_celsius", 100, time.Minute, []string{"critical threshold/breach", "warning threshold/breach"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := []string{}

			for _, e := range threshold.Evaluate(rules, c.stage, series(c.key, c.value, c.lasts)) {
				i := slices.IndexFunc(rules, func(r core.Rule) bool { return r.ID == e.Rule })
				if e.Verdict != core.Fail {
					continue
				}

				broken[e.Rule] = true
				got = append(got, string(e.Severity)+" "+codeOf(&rules[i]))
			}

			slices.Sort(got)

			if !slices.Equal(got, c.want) && len(got)+len(c.want) > 0 {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}

	for i := range rules {
		if !broken[rules[i].ID] {
			t.Errorf("nothing breaks the rule %s", rules[i].ID)
		}

		if e, ok := problem.Lookup(codeOf(&rules[i])); !ok || e.Next == "" {
			t.Errorf("the code %s of %s is not explained", codeOf(&rules[i]), rules[i].ID)
		}
	}

	// Nobody of the class has passed: there is nothing to compare with, and that is said.
	for _, e := range threshold.Evaluate(threshold.Resolve(rules, "r640", nil), core.Memory, series("memory/node1/copy_mibps", 1, 0)) {
		if strings.HasPrefix(e.Rule, "memory-") && e.Verdict != core.Unmeasurable {
			t.Errorf("without a class %s says %s", e.Rule, e.Verdict)
		}
	}
}

func codeOf(r *core.Rule) string {
	if r.Code == "" {
		return "threshold/breach"
	}

	return r.Code
}

// series is a value that stays for so long.
func series(key string, value float64, lasts time.Duration) (samples []core.Sample) {
	start := time.Unix(1_800_000_000, 0)

	for at := time.Duration(0); at <= lasts; at += 5 * time.Second {
		samples = append(samples, core.Sample{Time: start.Add(at), Key: key, Value: value})
	}

	return samples
}
