package pace

import (
	"slices"
	"strconv"
	"time"

	"vetting/core"
	"vetting/core/profile"
)

// What a common machine does, for a first guess: nothing that was measured here stands
// behind it, and people are told so.
const (
	diskRate   = 150e6 // bytes a second of a hard disk, over all its tracks
	memoryRate = 8e9   // bytes a second that all processors write or read together
	diskSample = 0.02  // of a disk that is only sampled

	shortWalks = 9 // over memory, each of which reads it and writes it anew
	fullWalks  = 45
)

// nominal guesses how long a stage takes of which nothing was learned, by its settings and
// by what the machine is known to be; ok is false where that is too little for a guess.
func nominal(p *core.Profile, stage core.StageName, on Machine) (takes time.Duration, ok bool) {
	switch stage {
	case core.InventoryCheck:
		return time.Minute, true
	case core.Firmware:
		return 30 * time.Second, true
	case core.SpecValidate, core.Reporting:
		return 5 * time.Second, true
	case core.SMART:
		return nominalSMART(p, on)
	case core.CPUStress:
		return timed(p, profile.CPUDuration)
	case core.Memory:
		return nominalMemory(p, on)
	case core.Storage:
		return nominalStorage(p, on)
	case core.Network:
		one, ok := timed(p, profile.NetworkDuration)

		return 2 * one, ok // each direction
	case core.Burn:
		return timed(p, profile.BurnDuration)
	case core.GPU:
		return nominalGPU(p, on)
	case core.PSU:
		return timed(p, profile.PSUDuration)
	}

	return 0, false
}

// timed is what a setting of the profile says, shortened by its scale.
func timed(p *core.Profile, key string) (time.Duration, bool) {
	d, err := time.ParseDuration(p.Config[key])
	if p.Scale > 0 {
		d = time.Duration(float64(d) * p.Scale)
	}

	return d, err == nil
}

// moving is how long it takes to move bytes at a rate, some times over.
func moving(bytes uint64, rate, times float64) time.Duration {
	return time.Duration(float64(bytes) * times / rate * float64(time.Second)).Round(time.Second)
}

func nominalSMART(p *core.Profile, on Machine) (time.Duration, bool) {
	const asked = 30 * time.Second

	switch p.Config[profile.SelfTest] {
	case "none":
		return asked, true
	case "extended": // it reads all of the disk; the disks are at it together
		return asked + moving(on.Disk, diskRate, 1), on.Disk > 0
	default:
		return asked + 2*time.Minute, true
	}
}

func nominalMemory(p *core.Profile, on Machine) (time.Duration, bool) {
	walks := float64(shortWalks)
	if p.Config[profile.MemoryPatterns] == "full" {
		walks = fullWalks
	}

	passes := moving(on.Memory, memoryRate, 2*walks*count(p, profile.MemoryPasses))
	kept, _ := timed(p, profile.MemoryRetention)
	least, _ := timed(p, profile.MemoryDuration) // passes are added until it is over

	return max(passes+kept, least), on.Memory > 0
}

func nominalStorage(p *core.Profile, on Machine) (time.Duration, bool) {
	part, passes := 1.0, count(p, profile.StoragePasses)
	if p.Config[profile.StorageExtent] != "full" {
		part = diskSample
	}

	if profile.Destructive(p) {
		passes *= 2 // each is written and read back
	}

	random, _ := timed(p, profile.StorageRandom)

	return random + moving(on.Disk, diskRate, part*passes), on.Disk > 0
}

func nominalGPU(p *core.Profile, on Machine) (time.Duration, bool) {
	if !on.GPU {
		return 5 * time.Second, on.Model != "" // it is skipped
	}

	levels := []time.Duration{time.Minute, 2 * time.Minute, 30 * time.Minute, 2 * time.Hour} // of dcgmi diag -r

	level := slices.Index([]string{"1", "2", "3", "4"}, p.Config[profile.GPUDCGM])
	if level < 0 {
		return time.Minute, true
	}

	return levels[level], true
}

// count is how often a setting has something done, at least once.
func count(p *core.Profile, key string) float64 {
	n, err := strconv.Atoi(p.Config[key])
	if err != nil {
		return 1
	}

	return float64(max(1, n))
}
