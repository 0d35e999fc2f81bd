//go:build (e2e || bench) && linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vetting/agent/coldplug"
	"vetting/agent/disk"
	"vetting/agent/probe"
	"vetting/agent/smartctl"
	"vetting/agent/stage"
	"vetting/agent/storage"
	"vetting/core"
)

// What follows runs as the first process of a virtual host: stages of the product, with
// its workers, on disks of the emulator that have faults. There is no appliance.

// guestWord is the variable on the kernel's command line that says what to do.
const guestWord = "TRIAL"

// said is a line that the virtual host writes to its second serial port.
type said struct {
	Step   string      `json:"step"`
	Result core.Result `json:"result,omitzero"`
	Text   []string    `json:"text,omitempty"`
	Failed string      `json:"failed,omitempty"` // the host itself cannot go on
}

// guest is the virtual host from inside.
type guest struct {
	ctx     context.Context //nolint:containedctx // of the whole program
	port    io.Writer
	look    probe.Machine
	watches []stage.Watch
	log     *slog.Logger
	tool    smartctl.Run
}

// beGuest does what the command line asks for and switches the host off.
func beGuest(t *testing.T) {
	t.Helper()

	runtime.LockOSThread()

	port, err := bringUp()
	if err != nil {
		t.Log(err)
	}

	g := &guest{ctx: t.Context(), port: port, log: slog.New(slog.NewTextHandler(os.Stderr, nil)), look: probe.Machine{Root: os.DirFS("/"), Bus: disks(), Ports: probe.System{}}}
	g.tool = smartctl.Find(g.look.Root)

	switch os.Getenv(guestWord) {
	case "faults":
		err = g.faults()
	case "bench":
		err = g.race()
	case "loop":
		err = g.loop()
	}

	if err != nil {
		g.say(said{Failed: err.Error()})
	}

	g.say(said{Step: "end"})
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

// bringUp mounts what programs expect and opens the second serial port.
func bringUp() (port *os.File, err error) {
	for _, m := range []struct{ kind, at string }{{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/tmp"}, {"tmpfs", "/run"}} {
		if err := unix.Mount(m.kind, m.at, m.kind, 0, ""); err != nil {
			return nil, fmt.Errorf("mounting %s: %w", m.at, err)
		}
	}

	if err := os.Mkdir("/run/vetting", 0o700); err != nil {
		return nil, err
	}

	return os.OpenFile("/dev/ttyS1", os.O_WRONLY|unix.O_NOCTTY, 0)
}

func (g *guest) say(s said) {
	line, err := json.Marshal(s)
	if err != nil {
		line = []byte(`{"failed":"` + err.Error() + `"}`)
	}

	_, _ = g.port.Write(append(line, '\n')) // nobody else would hear that it cannot be written
}

// modulesFolder is where the modules of the running kernel are.
func modulesFolder() (string, error) {
	folders, err := filepath.Glob("/lib/modules/*")
	if err != nil || len(folders) != 1 {
		return "", fmt.Errorf("modules in %q: %w", folders, err)
	}

	return folders[0], nil
}

// plug loads the drivers and waits for disks, by their serial numbers.
func (g *guest) plug(serials ...string) error {
	folder, err := modulesFolder()
	if err != nil {
		return err
	}

	tables, err := coldplug.ReadTables(g.look.Root, strings.TrimPrefix(folder, "/"))
	if err != nil {
		return err
	}

	loader := coldplug.NewLoader(tables, coldplug.Insert(folder), g.log)
	for _, name := range []string{"sg", "sd_mod", "nvme", "drivetemp"} {
		if err := loader.Load(name); err != nil {
			return err
		}
	}

	return g.until("the disks", func() bool {
		_ = loader.Walk(g.ctx, g.look.Root) // again, until all buses are found

		return g.has(serials...)
	})
}

// has reports whether all these disks are there, and tell who they are.
func (g *guest) has(serials ...string) bool {
	for _, serial := range serials {
		if g.drive(serial).Name == "" {
			return false
		}
	}

	return true
}

func (g *guest) drive(serial string) probe.Drive {
	drives, _ := g.look.Disks() //nolint:errcheck // who does not answer is not there

	for _, d := range drives {
		if d.Serial == serial {
			return d
		}
	}

	return probe.Drive{}
}

// until waits for something, for as long as a busy machine may need.
func (g *guest) until(what string, done func() bool) error {
	for range 600 {
		if done() {
			return nil
		}

		time.Sleep(200 * time.Millisecond)
	}

	return fmt.Errorf("waited in vain for %s", what)
}

// run runs a stage as the agent does, with what watches over it, and tells what came of
// it. Disks are expected as they are, those of armed serial numbers armed.
func (g *guest) run(step string, name core.StageName, f stage.Func, progress func(), config map[string]string, armed ...string) {
	env := stage.Env{
		Log: g.log, Sensor: func(...core.Sample) {}, Config: config, Scale: 1, Keep: func(string, []byte) {}, Checkpoint: func([]byte) bool { return true },
		WriteLease: func() time.Time { return time.Now().Add(time.Minute) },
		Progress: func(_ string, done float64, _ time.Duration) {
			if done > 0.1 && progress != nil {
				progress()
			}
		},
	}

	drives, _ := g.look.Disks() //nolint:errcheck // who does not answer is not expected
	for _, d := range drives {
		env.Disks = append(env.Disks, core.ExpectedDisk{
			Serial: d.Serial, WWN: d.WWN, Model: d.Model, SizeBytes: d.SizeBytes, Armed: slices.Contains(armed, d.Serial),
		})
	}

	var ends []func() stage.Seen

	for _, w := range g.watches {
		ends = append(ends, w(g.ctx, name, env, func(error) {}))
	}

	result := f(g.ctx, env)
	for _, end := range ends {
		result = stage.Merge(result, end())
	}

	g.say(said{Step: step, Result: result})
}

// The disks, by their serial numbers.
const (
	soundSATA   = "TRIALS1" // armed
	unreadable  = "TRIALR1" // cannot read one sector
	unwritable  = "TRIALW1" // armed; cannot write one sector
	nvmeDisk    = "TRIALN1"
	mediumError = "TRIALM1" // a SCSI disk that cannot read one sector
	vanishing   = "TRIALV1" // armed; pulled out while it is tested
	appearing   = "TRIALA1" // plugged in meanwhile
	swappedOne  = "TRIALB1" // armed; has another name later
	swappedTwo  = "TRIALB2"
	filling     = "TRIALF1" // takes a name
)

// faults goes through the faults. Where the host outside has to do something it says so,
// and waits until it was done.
func (g *guest) faults() error {
	if err := g.plug(soundSATA, unreadable, unwritable, nvmeDisk, mediumError, vanishing, swappedOne, swappedTwo); err != nil {
		return err
	}

	ctx, cancel := context.WithCancel(g.ctx)
	defer cancel()

	m := &machine{root: g.look.Root, log: g.log}

	collector, err := m.faults(nil, "trial", "/run/vetting", false)
	if err != nil {
		return err
	}

	go func() { _ = collector.Run(ctx) }() // ends with ctx

	g.watches = []stage.Watch{collector.Watch, stage.DiskCounters(g.look, nil)}

	var compared []string

	// smartctl's questions count among the errors that a disk is said to have, as ours do.
	g.run("smart", core.SMART, func(ctx context.Context, env stage.Env) core.Result {
		r := stage.SMART(g.look)(ctx, env)
		compared = append(g.compareATA(soundSATA), g.compareNVMe(nvmeDisk)...)

		return r
	}, nil, map[string]string{"SMART.policy": "used"})
	g.say(said{Step: "compared", Text: compared})

	test := stage.Storage(g.look, workforce, storage.Run)
	config := map[string]string{"Storage.mode": "destructive", "Storage.extent": "full", "Storage.random": "1s", "Storage.finish": "keep"}

	g.run("quiet", core.CPUStress, func(context.Context, stage.Env) core.Result { return core.Result{Verdict: core.Pass} }, nil, nil)

	once := false

	g.run("storage", core.Storage, test, func() {
		if once {
			return
		}

		once = true

		g.say(said{Step: "pull and plug"})
		_ = g.until("the disk to vanish", func() bool { return !g.has(vanishing) && g.has(appearing) }) // the result shows it
	}, config, soundSATA, unwritable, vanishing)

	g.say(said{Step: "warn"})

	if err := g.until("the warning", func() bool { return g.warning() != 0 }); err != nil {
		return err
	}

	g.run("burn", core.Burn, func(context.Context, stage.Env) core.Result { return core.Result{Verdict: core.Pass} }, nil, nil)

	return g.names(test, config)
}

// names has two disks change their names, and then a third come with the serial number of
// one of them.
func (g *guest) names(test stage.Func, config map[string]string) error {
	// The name of the disk that vanished is free, and would be the first to be taken.
	g.say(said{Step: "fill"})

	if err := g.until("a disk in its place", func() bool { return g.has(filling) }); err != nil {
		return err
	}

	one, two := g.drive(swappedOne).Name, g.drive(swappedTwo).Name
	later, first := swappedOne, swappedTwo

	if one > two { // who is plugged in first gets the lower name
		later, first = first, later
	}

	g.say(said{Step: "swap", Text: []string{first}})

	if err := g.until("the first to be back", func() bool { return g.has(first) && !g.has(later) }); err != nil {
		return err
	}

	g.say(said{Step: "swap", Text: []string{later}})

	if err := g.until("other names", func() bool { return g.drive(swappedOne).Name == two && g.drive(swappedTwo).Name == one }); err != nil {
		return err
	}

	// The NVMe disk can erase itself in the end, the other cannot.
	secure := maps.Clone(config)
	secure["Storage.finish"] = "secure"

	g.run("renamed", core.Storage, test, nil, secure, swappedOne, nvmeDisk)
	g.say(said{Step: "twin"})

	if err := g.until("the twin", func() bool { return g.count(swappedOne) == 2 }); err != nil {
		return err
	}

	g.run("twins", core.Storage, test, nil, config, swappedOne)

	return nil
}

// count is how many disks the kernel knows under a serial number: those of SCSI tell it on
// a page that the kernel keeps.
func (g *guest) count(serial string) (n int) {
	pages, _ := filepath.Glob("/sys/block/sd*/device/vpd_pg80") //nolint:errcheck // the pattern is sound

	for _, page := range pages {
		if raw, err := os.ReadFile(page); err == nil && strings.Contains(string(raw), serial) {
			n++
		}
	}

	return n
}

func (g *guest) warning() byte {
	dev, err := g.look.Bus.NVMe(g.drive(nvmeDisk).Name)
	if err != nil {
		return 0
	}
	defer dev.Close() //nolint:errcheck // opened for reading

	health, _ := disk.ReadNVMeHealth(dev) //nolint:errcheck // no warning then

	return health.CriticalWarning
}

// askSmartctl asks the smartctl of the overlay for everything.
func (g *guest) askSmartctl(name string, into any) error {
	out, err := g.tool(g.ctx, "--xall", "--json", "/dev/"+name)
	if err != nil {
		return err
	}

	return json.Unmarshal(out, into)
}
