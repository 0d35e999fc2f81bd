package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"vetting/agent"
	"vetting/agent/burn"
	"vetting/agent/coldplug"
	"vetting/agent/custom"
	"vetting/agent/gpu"
	"vetting/agent/initd"
	"vetting/agent/ipmi"
	"vetting/agent/kit"
	"vetting/agent/light"
	"vetting/agent/memory"
	"vetting/agent/network"
	"vetting/agent/probe"
	"vetting/agent/psu"
	"vetting/agent/screen"
	"vetting/agent/smartctl"
	"vetting/agent/stage"
	"vetting/agent/storage"
	"vetting/agent/wire"
	"vetting/core"
	"vetting/firmware/inventory"
)

// agentThreads is how many threads of the agent itself work at a time.
const agentThreads = 2

// How long devices may take to appear before the inventory is read.
const (
	quiet    = 2 * time.Second
	patience = 45 * time.Second
)

// machine is the running machine, as the agent finds it.
type machine struct {
	root    fs.FS
	log     *slog.Logger
	screen  *screen.Screen
	imageID string
	early   chan struct{} // filesystems that come with modules are mounted
	settled chan struct{} // every device was handled

	ownDisk  string                        // the disk that the machine was started from, which is no part of it; empty: none
	modules  []string                      // loaded besides those that every machine gets
	watchers []func(context.Context) error // look after the machine until ctx ends
}

// serve vets the machine once, as the child of the first process.
func serve(ctx context.Context) int {
	root := os.DirFS("/")
	shown := screen.New(consoles(root)...)
	m := &machine{
		root: root, log: slog.New(initd.NewLines(shown, slog.LevelInfo)), screen: shown,
		early: make(chan struct{}), settled: make(chan struct{}),
	}

	runtime.GOMAXPROCS(agentThreads) // the rest is for the tests
	calm(m.log)

	painting, stop := context.WithCancel(ctx)

	var painter sync.WaitGroup

	painter.Go(func() { _ = shown.Run(painting) }) // ends with painting, and with nothing else

	defer painter.Wait() // what came of it stays on the screen
	defer stop()

	err := m.vet(ctx)

	switch {
	case err == nil:
		return initd.ExitDone
	case errors.Is(err, agent.ErrFenced):
		shown.Show(screen.View{Phase: "Another boot of this machine has taken over; this one does nothing more."})
		m.log.Warn("another boot of this machine has taken over; this one does nothing more")

		return initd.ExitGiveUp
	default:
		shown.Show(screen.View{Phase: "[!] The agent ended and is started again: " + err.Error()})
		m.log.Error("the agent ends", slog.String("error", err.Error()))

		return 1
	}
}

// consoles are those of the machine, for its screen.
func consoles(root fs.FS) (all []screen.Console) {
	for _, console := range initd.OpenConsoles(root) {
		all = append(all, console)
	}

	return all
}

// takeScreen has the screen painted from now on, and the kernel say there only what is an
// error.
func (m *machine) takeScreen() {
	if err := initd.QuietKernel(); err != nil {
		m.log.Debug("the kernel stays talkative", slog.String("error", err.Error()))
	}

	m.screen.Show(screen.View{Phase: "Bringing the network up"})
}

func (m *machine) vet(ctx context.Context) error {
	image, id, err := initd.CheckImage(m.root)
	if err != nil {
		return err
	}

	m.imageID = id

	if stick, ok := kit.Asked(probe.Cmdline(m.root)); ok {
		return m.kit(ctx, image, stick)
	}

	m.takeScreen()

	ctx, stop := context.WithCancel(ctx)
	defer stop()

	go m.plug(ctx, image.Kernel)

	whole := make(chan error, 1)

	go func() { whole <- initd.CheckContent(ctx, m.root, image) }() // meanwhile the network comes up

	seed, seedErr := readSeed(m.root)

	given, err := wire.GivenBy(probe.Cmdline(m.root))
	if err != nil {
		return err
	}

	lease, err := m.connect(ctx, given, m.bootMAC(seed))
	if err != nil {
		return err
	}

	if seedErr != nil {
		if seed, err = m.awaitSeed(ctx, lease, given); err != nil {
			return errors.Join(seedErr, err)
		}
	}

	if err := wait(ctx, m.early); err != nil {
		return err
	}

	// Before the first word: a run never begins on another image.
	if err := errors.Join(<-whole, initd.SameImage(m.imageID, seed.ImageID)); err != nil {
		return err
	}

	config, err := m.config(seed, lease)
	if err != nil {
		return err
	}

	for _, watcher := range m.watchers {
		go func() { _ = watcher(ctx) }() // ends with ctx, and with nothing else
	}

	return agent.Run(ctx, config)
}

// connect brings the network up until ctx ends.
func (m *machine) connect(ctx context.Context, given wire.Given, boot core.MAC) (network.Lease, error) {
	config := network.Config{Root: m.root, Boot: boot, Log: m.log}

	if given.Addr.IsValid() {
		conn, err := network.Settle(ctx, config, given)
		if err != nil {
			return network.Lease{}, err
		}

		return conn.Lease, nil
	}

	conn, err := network.Connect(ctx, config)
	if err != nil {
		return network.Lease{}, err
	}

	go func() { _ = conn.Keep(ctx) }() // ends with ctx, and with nothing else

	lease := conn.Lease
	if given.Server.IsValid() {
		lease.Server = given.Server
	}

	return lease, nil
}

// seedEvery is how often a machine that was started from a boot medium asks for a run.
const seedEvery = 5 * time.Second

// awaitSeed asks the appliance for the seed. A machine that was started by the appliance
// has one waiting; who starts a machine from a medium may do so before the run is there.
func (m *machine) awaitSeed(ctx context.Context, lease network.Lease, given wire.Given) (seed wire.Seed, err error) {
	told := ""

	for {
		if seed, err = fetchSeed(ctx, lease); err == nil || !given.Server.IsValid() {
			return seed, err
		}

		if told != err.Error() {
			told = err.Error()

			m.log.Warn("waiting for a run of this machine", slog.String("appliance", lease.Server.String()), slog.String("error", told))
		}

		select {
		case <-ctx.Done():
			return seed, ctx.Err()
		case <-time.After(seedEvery):
		}
	}
}

// plug loads modules for what is there and what comes.
func (m *machine) plug(ctx context.Context, kernel string) {
	dir := "/lib/modules/" + kernel

	var early, settled sync.Once

	ready := func() { early.Do(func() { close(m.early) }) }
	done := func() { settled.Do(func() { close(m.settled) }) }

	late := coldplug.Late()
	if (probe.Machine{Root: m.root}).Virtual() { // no such chip, and another one's ports
		late = nil
	}

	tables, err := coldplug.ReadTables(m.root, strings.TrimPrefix(dir, "/"))
	if err == nil {
		err = coldplug.Coldplug{
			Root: m.root, Dir: dir, Always: append(coldplug.Always(), m.modules...), Late: late, Log: m.log, Quiet: quiet, Patience: patience, Settled: done,
			Early: func() {
				if err := initd.MountLate(); err != nil {
					m.log.Debug("mounting late", slog.String("error", err.Error()))
				}

				ready()
			},
		}.Run(ctx, tables)
	}

	if err != nil && ctx.Err() == nil {
		m.log.Error("loading modules", slog.String("error", err.Error()))
	}

	ready()
	done()
}

// bootMAC is the NIC the machine booted from, as the boot loader or the seed says.
func (m *machine) bootMAC(seed wire.Seed) core.MAC {
	if mac := network.BootMAC(probe.Cmdline(m.root)); mac != "" {
		return mac
	}

	return core.MAC(seed.MAC)
}

func (m *machine) config(seed wire.Seed, lease network.Lease) (agent.Config, error) {
	tables, err := inventory.ReadSMBIOS(m.root)
	if err != nil {
		m.log.Warn("SMBIOS is not readable", slog.String("error", err.Error()))
	}

	identity := inventory.Identity(tables)
	for _, link := range network.Links(m.root) {
		identity.MACs = append(identity.MACs, link.MAC)
	}

	bootID, err := line(m.root, "proc/sys/kernel/random/boot_id")
	if err != nil {
		return agent.Config{}, err
	}

	kernel, err := line(m.root, "proc/sys/kernel/osrelease")
	if err != nil {
		return agent.Config{}, err
	}

	faults, err := m.faults(tables, bootID, initd.StateDir, false)
	if err != nil {
		return agent.Config{}, err
	}

	sensors := m.sensors()
	m.watchers = append(m.watchers, faults.Run, sensors.Run)

	look := probe.Machine{Root: m.root, Bus: disks(), Ports: probe.System{}, BMC: &ipmi.System{}, TPM: probe.SystemTPM{}, Except: m.ownDisk}
	lights := light.Lights{Root: m.root, Disk: look.LightOf, Write: writeSys, Blink: probe.System{}.Blink}
	raid := smartctl.Find(m.root)
	tools := gpu.Tools{Root: m.root, Log: m.log}
	scripts := custom.New(m.root, custom.Fenced("/proc/self/exe", os.Args[0]))

	return agent.Config{
		Seed: seed, Identity: identity, BootID: bootID, Kernel: kernel,
		Stages: map[core.StageName]stage.Func{
			core.InventoryCheck: stage.InventoryCheck(look, m.settle),
			core.Firmware:       stage.Firmware(look, memory.BootLog, tools),
			core.SMART:          stage.SMARTThrough(look, raid),
			core.CPUStress:      stage.CPUStress(look, workforce, writeSys),
			core.Memory:         stage.Memory(look, memory.Run, memory.BootLog),
			core.Storage:        stage.Storage(look, workforce, storage.Run),
			core.Network:        stage.Network(look, wires{network.NewAddresses(lease, m.log), m.log}),
			core.Burn:           stage.SelfTestsAfter(stage.Burn(look, workforce, burn.Run), look, raid),
			core.GPU:            stage.GPU(look, tools),
			core.PSU:            stage.PSU(look, workforce, psu.Run, faults.Expect),
		},
		Whole:   scripts.Whole,
		Custom:  scripts.After,
		Watches: []stage.Watch{faults.Watch, sensors.Watch, stage.DiskCounters(look, raid)}, Bring: faults.Bring,
		FirmwareMode: inventory.BIOS(m.root, tables).Mode, SecureBoot: inventory.SecureBoot(m.root), ImageID: m.imageID,
		Version: version(), IP: lease.Addr.Addr().String(), MAC: lease.MAC, StateDir: initd.StateDir,
		Show: m.screen.Show, PowerOff: m.powerOff(lease.MAC), Restart: initd.Restart, OpenDoor: m.openDoor(lease), Light: lights.Show, SetClock: initd.SetClock, Log: m.log, Uptime: initd.Uptime,
	}, nil
}

// settle waits until the devices are there, and switches on the ports that came after the
// one that the machine booted from.
func (m *machine) settle(ctx context.Context) error {
	if err := wait(ctx, m.settled); err != nil {
		return err
	}

	if err := network.BringUp(ctx, m.root); err != nil && ctx.Err() == nil {
		m.log.Warn("a network port stays off", slog.String("error", err.Error()))
	}

	return ctx.Err()
}

// readSeed reads the seed that came as an initrd segment of this run's own.
func readSeed(root fs.FS) (seed wire.Seed, err error) {
	text, err := fs.ReadFile(root, strings.TrimPrefix(wire.SeedFile, "/"))
	if err != nil {
		return seed, fmt.Errorf("reading the seed: %w", err)
	}

	return decodeSeed(text)
}

func fetchSeed(ctx context.Context, lease network.Lease) (seed wire.Seed, err error) {
	text, err := network.FetchSeed(ctx, lease.Server, strings.TrimPrefix(wire.SeedFile, "/"))
	if err != nil {
		return seed, err
	}

	return decodeSeed(text)
}

func decodeSeed(text []byte) (seed wire.Seed, err error) {
	if err := json.Unmarshal(text, &seed); err != nil {
		return seed, fmt.Errorf("reading the seed: %w", err)
	}

	return seed, seed.Validate()
}

// wait waits for done, or ctx ends.
func wait(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-done:
		return nil
	}
}

func line(root fs.FS, name string) (string, error) {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return "", fmt.Errorf("reading /%s: %w", name, err)
	}

	return strings.TrimSpace(string(text)), nil
}

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}

	return info.Main.Version
}
