package simhost

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"vetting/agent"
	"vetting/agent/wire"
	"vetting/core"
)

// Temper is what a simulated machine does besides its stages.
type Temper string

// The tempers.
const (
	Steady   Temper = "steady"   // does as it is told
	Silent   Temper = "silent"   // falls silent in the middle of its run
	Resets   Temper = "resets"   // restarts once by itself in the middle
	Impostor Temper = "impostor" // is another machine from its second run on
	Liar     Temper = "liar"     // says what is not so, and then nothing
)

// Character is a simulated machine with a name and a temper.
type Character struct {
	Name   string
	MAC    core.MAC
	About  string // what it shows, in a sentence
	Spec   string // its expected spec, YAML; empty: none
	Temper Temper
	Outage time.Duration // how far into a run it falls silent or resets
	Script map[core.StageName]Play
	Log    *slog.Logger // the machine's console; nil: nobody looks at it
	Dial   agent.Dial   // nil: a real network

	identity core.Identity
}

// Hurry has the machine do everything so many times faster.
func (c *Character) Hurry(speed float64) {
	sooner := func(d time.Duration) time.Duration { return time.Duration(float64(d) / speed) }
	c.Outage = sooner(c.Outage)

	for name, play := range c.Script {
		play.Takes, play.Every = sooner(play.Takes), sooner(play.Every)
		c.Script[name] = play
	}
}

// Live boots the machine again and again until ctx ends. boot returns the seed of
// a run that waits for the machine, once there is one other than done; dir is
// where the machine keeps what a boot leaves behind.
func (c *Character) Live(ctx context.Context, dir string, boot func(ctx context.Context, done core.RunID) (wire.Seed, error)) error {
	var (
		last, given core.RunID
		boots       int
	)

	for ctx.Err() == nil {
		seed, err := boot(ctx, given)
		if err != nil {
			return err
		}

		if run := core.RunID(seed.Run); run != last {
			last, boots = run, 0
		}

		boots++

		if err := c.once(ctx, seed, dir, boots); err != nil && c.Log != nil {
			c.Log.Info("simulated machine stopped", slog.String("error", err.Error()))
		}

		if c.Temper != Resets || boots > 1 {
			given = last
		}

		if c.Temper == Impostor {
			c.identity.SMBIOSUUID = "deadbeef-0000-4000-8000-00000000cafe"
		}
	}

	return nil
}

// once is one boot.
func (c *Character) once(ctx context.Context, seed wire.Seed, dir string, boots int) error {
	id := bootID()

	if c.Temper == Silent || c.Temper == Resets && boots == 1 {
		var stop context.CancelFunc

		ctx, stop = context.WithTimeout(ctx, c.Outage)
		defer stop()
	}

	state := filepath.Join(dir, id)
	if err := os.MkdirAll(state, 0o700); err != nil {
		return fmt.Errorf("making room for a boot of %s: %w", c.MAC, err)
	}

	host := Host{
		Seed: seed, Identity: c.identity, BootID: id, StateDir: state, Script: c.Script, Log: c.Log, Dial: c.Dial,
	}

	if c.Temper == Liar {
		return host.lie(ctx)
	}

	return host.Run(ctx)
}

// bootID draws what the kernel of a real machine would (random(4)).
func bootID() string {
	raw := make([]byte, 16)
	_, _ = rand.Read(raw) // never fails (crypto/rand)

	return fmt.Sprintf("%s-%s-%s-%s-%s", hex.EncodeToString(raw[:4]), hex.EncodeToString(raw[4:6]), hex.EncodeToString(raw[6:8]),
		hex.EncodeToString(raw[8:10]), hex.EncodeToString(raw[10:]))
}

// part is what a character plays.
type part func(c *Character, i int, inventory core.Inventory)

// faulty are the parts that are asked for by what is wrong with them.
func faulty() map[string]part {
	return map[string]part{"disk": failsDisk, "ram": missesDIMM, "thermal": hot, "net": silent, "reset": resets}
}

// Faults are the words that CastOf knows.
func Faults() []string { return slices.Sorted(maps.Keys(faulty())) }

// CastOf returns n simulated machines that are healthy and have these faults in turn;
// without any, machines of all kinds.
func CastOf(n int, faults []string) ([]*Character, error) {
	if len(faults) == 0 {
		return Cast(n), nil
	}

	parts := []part{healthy}

	for _, fault := range faults {
		play, ok := faulty()[fault]
		if !ok {
			return nil, fmt.Errorf("there is no fault %q; choose of %s", fault, strings.Join(Faults(), ", "))
		}

		parts = append(parts, play)
	}

	return castOf(n, parts), nil
}

// Cast returns n simulated machines, of all kinds in turn.
func Cast(n int) []*Character {
	return castOf(n, []part{healthy, missesDIMM, failsDisk, hot, silent, resets, impostor, chatty, hangs, liar})
}

func castOf(n int, parts []part) []*Character {
	cast := make([]*Character, 0, n)

	for i := range n {
		inventory := machine(i)
		c := &Character{
			MAC: inventory.NICs[0].MAC, Temper: Steady, Outage: 12 * time.Second,
			identity: core.Identity{SMBIOSUUID: inventory.System.UUID, BoardSerial: inventory.Board.Serial, MACs: []core.MAC{inventory.NICs[0].MAC}},
		}
		parts[i%len(parts)](c, i, inventory)
		c.Name = fmt.Sprintf("%s-%d", c.Name, i)
		cast = append(cast, c)
	}

	return cast
}

func healthy(c *Character, _ int, inventory core.Inventory) {
	c.Name, c.About = "healthy", "has nothing wrong"
	c.Spec = "memory:\n  dimms:\n    count: 2\n"
	c.Script = paced(inventory, 20*time.Second)
}

func missesDIMM(c *Character, _ int, inventory core.Inventory) {
	c.Name, c.About = "misses-dimm", "has two DIMMs where four are expected"
	c.Spec = "memory:\n  dimms:\n    count: 4\n"
	c.Script = paced(inventory, 20*time.Second)
}

func failsDisk(c *Character, _ int, inventory core.Inventory) {
	c.Name, c.About = "bad-disk", "has a disk that fails its self-test"
	c.Script = paced(inventory, 25*time.Second)

	part := diskPart(&inventory.Disks[0])
	smart := c.Script[core.SMART]
	smart.Result.Verdict = core.Fail
	smart.Result.SubSteps[0].Verdict, smart.Result.SubSteps[0].Summary = core.Fail, "short self-test: read failure"
	smart.Result.Findings = []core.Finding{{
		Code: "smart/self-test-failed", Severity: core.Critical, Stage: core.SMART, Part: part,
		Evidence: "short self-test: read failure at LBA 123456789",
	}}
	c.Script = With(c.Script, core.SMART, smart)
}

func hot(c *Character, _ int, inventory core.Inventory) {
	c.Name, c.About = "hot", "has a disk that gets hotter than its rule allows"
	c.Script = paced(inventory, 30*time.Second)

	smart := c.Script[core.SMART]
	smart.Curve = func(gone, takes time.Duration) []core.Sample {
		disks := disksAt(gone, takes)
		disks[0].Value = min(102, math.Round(52+3*gone.Seconds())) // sda

		return disks
	}
	c.Script = With(c.Script, core.SMART, smart)
}

func silent(c *Character, _ int, inventory core.Inventory) {
	c.Name, c.About, c.Temper = "silent", "loses its network in the middle of the run", Silent
	c.Script = paced(inventory, time.Minute)
}

func resets(c *Character, _ int, inventory core.Inventory) {
	c.Name, c.About, c.Temper = "resets", "restarts by itself in the middle of the run", Resets
	c.Script = paced(inventory, time.Minute)
}

func impostor(c *Character, _ int, inventory core.Inventory) {
	c.Name, c.About, c.Temper = "impostor", "passes; from its second run on another machine answers behind its MAC", Impostor
	c.Script = paced(inventory, 15*time.Second)
}

func chatty(c *Character, _ int, inventory core.Inventory) {
	c.Name, c.About = "chatty", "writes thousands of log lines and samples"
	c.Script = paced(inventory, time.Minute)

	smart := c.Script[core.SMART]
	smart.Every = 20 * time.Millisecond

	for i := range 5000 {
		smart.Lines = append(smart.Lines, fmt.Sprintf("line %d of a machine that has much to say", i+1))
	}

	c.Script = With(c.Script, core.SMART, smart)
}

func hangs(c *Character, _ int, inventory core.Inventory) {
	c.Name, c.About = "hangs", "beats on and on in a stage that never ends, until somebody cancels its run"
	c.Script = paced(inventory, 20*time.Second)
	smart := c.Script[core.SMART]
	smart.Takes, smart.Stuck, smart.Every, smart.Curve = 2*time.Minute, true, 10*time.Second, nil
	c.Script = With(c.Script, core.SMART, smart)
}

func liar(c *Character, _ int, inventory core.Inventory) {
	c.Name, c.About, c.Temper = "liar", "says what is not so, which nobody believes, and falls silent", Liar
	c.Script = paced(inventory, 20*time.Second)
}

// machine is the inventory of the i-th simulated machine.
func machine(i int) core.Inventory {
	dimm := func(slot string) core.DIMM {
		return core.DIMM{
			Slot: slot, SizeBytes: 16 << 30, Type: "DDR4", Manufacturer: "Simulated", PartNumber: "SIM16G",
			Serial: fmt.Sprintf("%s-%04d", slot, i), RatedMTs: 3200, ConfiguredMTs: 3200,
		}
	}
	mac := core.MAC(fmt.Sprintf("52:54:02:00:%02x:%02x", i>>8&0xff, i&0xff))

	return core.Inventory{
		System: core.System{
			Manufacturer: "Simulated", Product: "Pretend 1U", Serial: fmt.Sprintf("SIM%05d", i),
			UUID: fmt.Sprintf("51d00000-0000-4000-8000-%012x", i),
		},
		Board:   core.Board{Manufacturer: "Simulated", Product: "Pretend Board", Serial: fmt.Sprintf("SB%05d", i)},
		Chassis: core.Chassis{Type: "Rack Mount"},
		BIOS:    core.BIOS{Vendor: "Simulated", Version: "1.0", Date: "01/02/2026", Mode: "uefi"},
		CPUs:    []core.CPU{{Socket: "CPU0", Manufacturer: "Simulated", Model: "Pretend CPU", Cores: 8, Threads: 16, Online: 16}},
		Memory:  core.MemoryTotal{TotalBytes: 32 << 30, UsableBytes: 32<<30 - 500<<20, Slots: 4, ECC: "multi-bit"},
		DIMMs:   []core.DIMM{dimm("DIMM_A1"), {Slot: "DIMM_A2"}, dimm("DIMM_B1"), {Slot: "DIMM_B2"}},
		Disks: []core.Disk{
			{Name: "sda", Transport: "sata", Model: "Pretend HDD", Serial: fmt.Sprintf("SIMHDD%05d", i), SizeBytes: 4000787030016, Rotational: true, SMART: true},
			{Name: "nvme0n1", Transport: "nvme", Model: "Pretend SSD", Serial: fmt.Sprintf("SIMSSD%05d", i), SizeBytes: 960197124096, SMART: true},
		},
		NICs: []core.NIC{{Name: "eth0", MAC: mac, Driver: "simulated", SpeedMbps: 1000, Link: true, BootNIC: true}},
	}
}
