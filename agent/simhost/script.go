package simhost

import (
	"fmt"
	"math"
	"strings"
	"time"

	"vetting/core"
)

// paced is a healthy machine's script at a pace that people can follow: each stage
// says and measures what the real one does, in the time given for the self-test of
// the disks or less.
func paced(inventory core.Inventory, takes time.Duration) map[core.StageName]Play {
	script := map[core.StageName]Play{
		core.InventoryCheck: lookAround(inventory),
		core.Firmware:       readVersions(inventory),
		core.SMART:          askDisks(inventory),
		core.CPUStress:      stressCPUs(inventory),
		core.Memory:         testMemory(inventory),
		core.Storage:        readDisks(inventory),
		core.Network:        testPorts(inventory),
		core.Burn:           burnAll(inventory),
		core.GPU:            {Result: core.Result{Verdict: core.Skip, SkipReason: "no GPU", Coverage: "no GPU", SubSteps: watched()}},
		core.PSU:            watchPower(),
	}

	for name, pace := range map[core.StageName]time.Duration{
		core.InventoryCheck: 4 * time.Second, core.Firmware: 3 * time.Second, core.SMART: takes,
		core.CPUStress: 25 * time.Second, core.Memory: 20 * time.Second, core.Storage: 20 * time.Second, core.Network: 15 * time.Second, core.Burn: 30 * time.Second, core.GPU: time.Second, core.PSU: 15 * time.Second,
	} {
		play := script[name]
		play.Takes, play.Every = pace, time.Second
		script[name] = play
	}

	return script
}

func step(name, summary string) core.SubStep {
	return core.SubStep{Name: name, Verdict: core.Pass, Summary: summary, Progress: 1}
}

// watched are the steps of those who watch over every stage.
func watched() []core.SubStep {
	return []core.SubStep{
		step("error counters", "214 counters, 0 grew"),
		step("sensors", "9 sensors, nearest to its limit cpu/package0 at 71 °C"),
	}
}

func diskPart(d *core.Disk) core.Part {
	return core.Part{Kind: "disk", Slot: d.Name, Model: d.Model, Serial: d.Serial}
}

func lookAround(inventory core.Inventory) Play {
	return Play{
		Lines: []string{"reading what the machine is made of"}, Steps: []string{"system", "cpus", "memory", "disks", "nics"},
		Result: core.Result{
			Verdict: core.Pass, Inventory: &inventory,
			Coverage: fmt.Sprintf("%d CPUs, 2 DIMMs (32 GiB), %d disks, %d NICs, 0 PCI functions", len(inventory.CPUs), len(inventory.Disks), len(inventory.NICs)),
		},
	}
}

func readVersions(inventory core.Inventory) Play {
	items := []core.FirmwareItem{{Part: core.Part{Kind: "board"}, Name: "BIOS", Version: inventory.BIOS.Version, Date: inventory.BIOS.Date}}
	for i := range inventory.Disks {
		items = append(items, core.FirmwareItem{Part: diskPart(&inventory.Disks[i]), Name: "disk", Version: "SIM1"})
	}

	return Play{
		Steps:  []string{"versions"},
		Result: core.Result{Verdict: core.Pass, Firmware: items, Coverage: fmt.Sprintf("%d firmware versions read", len(items))},
	}
}

func askDisks(inventory core.Inventory) Play {
	play := Play{Curve: disksAt, Result: core.Result{
		Verdict: core.Pass, Coverage: fmt.Sprintf("%d of %d disks; short self-test of each", len(inventory.Disks), len(inventory.Disks)),
	}}

	for i := range inventory.Disks {
		d := &inventory.Disks[i]
		play.Lines = append(play.Lines, "short self-test of "+d.Name)
		play.Steps = append(play.Steps, d.Name+" self-test")
		done := step(d.Name, "healthy, short self-test passed")
		done.Part = diskPart(d)
		play.Result.SubSteps = append(play.Result.SubSteps, done)
	}

	return play
}

func stressCPUs(inventory core.Inventory) Play {
	threads := 0
	for _, c := range inventory.CPUs {
		threads += c.Online
	}

	blocks := 4096 * threads

	return Play{
		Lines: []string{"every worker found the fault that was planted for it"}, Steps: []string{"all CPUs at once", "one after the other", "between CPUs"},
		Curve: underLoad,
		Result: core.Result{
			Verdict:  core.Pass,
			Coverage: fmt.Sprintf("%d of %d logical CPUs, 3 kernels, %d blocks compared in 12 slots", threads, threads, 3*blocks),
			SubSteps: append([]core.SubStep{
				step("multiply-add", fmt.Sprintf("from registers: %d blocks on %d CPUs, 0 wrong", blocks, threads)),
				step("sha", fmt.Sprintf("SHA-256: %d blocks on %d CPUs, 0 wrong", blocks, threads)),
				step("deflate", fmt.Sprintf("there and back: %d blocks on %d CPUs, 0 wrong", blocks, threads)),
				step("between CPUs", "81920 turns of messages, locks and time stamps, 0 mistakes"),
			}, watched()...),
		},
	}
}

func testMemory(inventory core.Inventory) Play {
	const gib = 1 << 30

	all := float64(inventory.Memory.UsableBytes) / gib
	tested := all - 0.9

	return Play{
		Lines: []string{"a planted fault was found in each node"}, Steps: []string{"node0 walking ones", "node0 random words", "node0 bandwidth"},
		Curve: underLoad,
		Result: core.Result{
			Verdict: core.Pass,
			Coverage: fmt.Sprintf("%.1f of %.1f GiB (%.1f %%) by physical page, 1 pass of short patterns; the kernel's own test at boot was NOT run",
				tested, all, 100*tested/all),
			SubSteps: append([]core.SubStep{
				{Name: "boot test", Part: core.Part{Kind: "memory"}, Verdict: core.Skip, Progress: 1, Summary: "the kernel was not told to test memory (memtest=)"},
				step("node0", fmt.Sprintf("%.1f GiB of %.1f GiB on 16 CPUs, 1 pass, copy 21.4 GiB/s, triad 19.8 GiB/s", tested, all)),
			}, watched()...),
		},
	}
}

func readDisks(inventory core.Inventory) Play {
	play := Play{Curve: disksAt, Result: core.Result{
		Verdict: core.Pass, Coverage: fmt.Sprintf("%d of %d disks; %d read (38.4 GiB, 2.0 %%), write NOT tested; no disk was armed",
			len(inventory.Disks), len(inventory.Disks), len(inventory.Disks)),
	}}

	for i := range inventory.Disks {
		d := &inventory.Disks[i]
		play.Lines = append(play.Lines, "reading "+d.Name+" in 256 places")
		play.Steps = append(play.Steps, d.Name+" read", d.Name+" random reads")
		done := step(d.Name, "19.2 GiB read, 1.2 GiB of it twice and compared, write NOT tested, read 521 MiB/s, single reads 110µs, 99 % within 180µs")
		done.Part = diskPart(d)
		play.Result.SubSteps = append(play.Result.SubSteps, done)
	}

	play.Result.SubSteps = append(play.Result.SubSteps, watched()...)

	return play
}

func testPorts(inventory core.Inventory) Play {
	play := Play{Steps: []string{"sending", "receiving", "both ways"}, Result: core.Result{Verdict: core.Pass}}

	var tested []string

	for i := range inventory.NICs {
		n := &inventory.NICs[i]
		done := step(n.Name, "sent 938 Mbit/s, received 939, both at once 921 and 924; there and back in 120µs, at most 210µs for 99 %, 480µs under load; 0 of 512000 datagrams lost")
		done.Part = core.Part{Kind: "nic", Slot: n.Name, Model: n.Model, Serial: string(n.MAC)}
		play.Lines = append(play.Lines, "traffic over "+n.Name)
		play.Result.SubSteps = append(play.Result.SubSteps, done)
		tested = append(tested, fmt.Sprintf("%s at %d Mbit/s", n.Name, n.SpeedMbps))
	}

	play.Result.Coverage = fmt.Sprintf("%d of %d ports with a link tested; %s; 5.1 GiB verified", len(tested), len(tested), strings.Join(tested, ", "))
	play.Result.SubSteps = append(play.Result.SubSteps, watched()...)

	return play
}

func burnAll(inventory core.Inventory) Play {
	return Play{
		Lines: []string{"idle, then everything at once, then idle again"}, Steps: []string{"rest before", "everything at once", "rest after"},
		Curve: func(gone, takes time.Duration) []core.Sample {
			return append(underLoad(gone, takes), disksAt(gone, takes)...)
		},
		Result: core.Result{
			Verdict:  core.Pass,
			Coverage: fmt.Sprintf("30s at once: 16 of 16 CPUs, 28.1 GiB of 31.5 GiB of memory, %d of %d disks read and compared, 340 MiB over the network", len(inventory.Disks), len(inventory.Disks)),
			SubSteps: append([]core.SubStep{
				step("phases", "rest 3s, together 24s, rest 3s"),
				step("cpus", "24 slots, 16 workers"),
				step("memory", "28.1 GiB verified in 24s"),
				step("disks", fmt.Sprintf("%d disks, 6.2 GiB read, each block read twice and compared", len(inventory.Disks))),
				step("network", "340 MiB there and back, 0 damaged"),
			}, watched()...),
		},
	}
}

func watchPower() Play {
	supply := func(slot, summary string) core.SubStep {
		done := step(slot, summary)
		done.Part = core.Part{Kind: "psu", Slot: slot, Model: "LP-800", Serial: "LP" + slot}

		return done
	}

	return Play{
		Lines: []string{"two power supplies are watched"}, Steps: []string{"idle", "full load", "pulses 0.1 Hz", "pulses 1 Hz", "pulses 10 Hz", "idle again"},
		Curve: func(gone, takes time.Duration) []core.Sample {
			watts := warming(64, 221, gone, takes)

			return append(underLoad(gone, takes),
				core.Sample{Key: "psu/psu1/input_watts", Unit: "watts", Value: watts},
				core.Sample{Key: "psu/psu2/input_watts", Unit: "watts", Value: watts + 4})
		},
		Result: core.Result{
			Verdict: core.Pass, Coverage: "15s of idle, full load and pulses, 2 of 2 power supplies observed, 132 W idle, 446 W at full load",
			SubSteps: append([]core.SubStep{
				step("phases", "idle 1.2s, full load 6.2s, pulses 0.1 Hz 2.1s, pulses 1 Hz 2.1s, pulses 10 Hz 2.1s, idle again 1.2s"),
				step("cpus", "9 slots, 16 workers"),
				supply("PSU1", "no fault told, takes in 64 W idle and 221 W at full load, 50 % of the load"),
				supply("PSU2", "no fault told, takes in 68 W idle and 225 W at full load, 50 % of the load"),
			}, watched()...),
		},
	}
}

// warming is how a part warms up: from cold to warm, most of it in the first tenth of
// the stage, with a small ripple.
func warming(cold, warm float64, gone, takes time.Duration) float64 {
	t := gone.Seconds()

	return math.Round(10*(warm-(warm-cold)*math.Exp(-10*t/takes.Seconds())+0.6*math.Sin(t))) / 10
}

// underLoad is what the thermometers and meters say while CPUs and memory work.
func underLoad(gone, takes time.Duration) []core.Sample {
	at := func(key, unit string, value float64) core.Sample {
		return core.Sample{Key: key, Unit: unit, Value: value}
	}
	package0 := warming(42, 70, gone, takes)

	return []core.Sample{
		at("cpu/package0/temperature_celsius", "celsius", package0),
		at("cpu/package0/headroom_celsius", "celsius", 100-package0),
		at("memory/dimm-a1/temperature_celsius", "celsius", warming(34, 52, gone, takes)),
		at("memory/dimm-b1/temperature_celsius", "celsius", warming(33, 49, gone, takes)),
		at("cpu/package0/power_watts", "watts", warming(38, 142, gone, takes)),
		at("cpu/package0/frequency_mhz", "mhz", 3400-math.Round(warming(0, 220, gone, takes))),
		at("board/fan1/fan_rpm", "rpm", math.Round(warming(2400, 5200, gone, takes))),
		at("board/fan2/fan_rpm", "rpm", math.Round(warming(2380, 5150, gone, takes))),
	}
}

// disksAt is what the thermometers of the disks say.
func disksAt(gone, takes time.Duration) []core.Sample {
	return []core.Sample{
		{Key: "disk/sda/temperature_celsius", Unit: "celsius", Value: math.Round(warming(29, 34, gone, takes))},
		{Key: "disk/nvme0n1/temperature_celsius", Unit: "celsius", Value: math.Round(warming(36, 47, gone, takes))},
	}
}
