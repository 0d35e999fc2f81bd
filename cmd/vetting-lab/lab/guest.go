//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/vishvananda/netlink"

	"vetting/netboot/trial"
)

// Guest is a machine that is plugged into a segment: on or off, with disks that
// keep what is on them.
type Guest struct {
	Machine
	segment *Segment
	dir     string
	tap     string
	second  string     // of the second port; empty: none
	port    *os.File   // of the switch, where the machine's wire ends; nil: it has none, or it is laid
	before  []string   // fingerprints of the disks when they were made
	mu      sync.Mutex // guards the rest
	process *Process   // nil: never switched on
	boots   int
}

// Guest plugs a new machine into the segment, switched off, with new disks.
func (s *Segment) Guest(m Machine) (*Guest, error) {
	dir := filepath.Join(s.dir, m.Name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making room for machine %s: %w", m.Name, err)
	}

	g := &Guest{Machine: m, segment: s, dir: dir}

	var err error
	if m.Wire == nil {
		g.tap, err = s.tap()
	} else {
		g.tap, g.port, err = s.socket()
	}

	if err != nil {
		return nil, err
	}

	if m.Second != "" {
		if g.second, err = s.tap(); err != nil {
			return nil, err
		}
	}

	for i, disk := range m.Disks {
		if err := disk.create(diskPath(dir, i)); err != nil {
			return nil, err
		}
	}

	g.before, err = g.fingerprints()

	return g, err
}

func (g *Guest) fingerprints() ([]string, error) {
	var all []string

	for i := range g.Disks {
		mark, err := fingerprint(diskPath(g.dir, i))
		if err != nil {
			return nil, err
		}

		all = append(all, mark)
	}

	return all, nil
}

// PowerOn presses the power button. The returned process ends when the machine
// switches itself off; its Output is the serial console, and Started the moment
// of power-on. The end of ctx pulls the plug.
func (g *Guest) PowerOn(ctx context.Context) (*Process, error) {
	g.mu.Lock()
	defer g.mu.Unlock()

	if g.process != nil && !ended(g.process) {
		return nil, fmt.Errorf("machine %s is on already", g.Name)
	}

	if g.Firmware == UEFI {
		if err := g.freshVariables(); err != nil {
			return nil, err
		}
	}

	if err := g.answerIPMI(ctx); err != nil {
		return nil, err
	}

	args, err := g.arguments(g.dir, g.tap, g.second)
	if err != nil {
		return nil, err
	}

	if g.port != nil {
		if err := g.Wire.lay(ctx, g.dir, g.port); err != nil {
			return nil, err
		}

		g.port = nil
	}

	g.boots++
	log := filepath.Join(g.dir, fmt.Sprintf("serial%d.log", g.boots))
	g.process, err = g.segment.wire.Start(ctx, Command{Program: trial.QEMU, Args: args, Log: log})

	return g.process, err
}

// answerIPMI lets the machine's management controller answer, which it does until ctx
// ends, whether the machine is on or off.
func (g *Guest) answerIPMI(ctx context.Context) error {
	if g.BMC == nil || g.boots > 0 {
		return nil
	}

	listener, err := new(net.ListenConfig).Listen(ctx, "unix", bmcPath(g.dir))
	if err != nil {
		return fmt.Errorf("giving machine %s a BMC: %w", g.Name, err)
	}

	go g.BMC.Serve(ctx, listener)

	return nil
}

// freshVariables gives the machine the UEFI variables of a new board, once.
func (g *Guest) freshVariables() error {
	path := filepath.Join(g.dir, "vars.fd")
	if _, err := os.Stat(path); err == nil {
		return nil
	}

	fresh, err := os.ReadFile(g.variables())
	if err != nil {
		return fmt.Errorf("reading the UEFI firmware (apt-get install ovmf): %w", err)
	}

	if err := os.WriteFile(path, fresh, 0o600); err != nil {
		return fmt.Errorf("writing UEFI variables: %w", err)
	}

	return nil
}

// On reports whether the machine is running.
func (g *Guest) On() bool {
	process := g.Process()

	return process != nil && !ended(process)
}

// Process is the machine since it was last switched on; nil if it never was.
func (g *Guest) Process() *Process {
	g.mu.Lock()
	defer g.mu.Unlock()

	return g.process
}

func ended(p *Process) bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// PowerOff pulls the plug. Nothing happens when the machine is off.
func (g *Guest) PowerOff() {
	if process := g.Process(); process != nil {
		process.Kill()
	}
}

// Reset presses the reset button.
func (g *Guest) Reset(ctx context.Context) error { return g.Monitor(ctx, "system_reset", nil) }

// SecondPortMoved is how many bytes went over the machine's second port.
func (g *Guest) SecondPortMoved() (bytes uint64, err error) {
	err = g.segment.wire.Do(func() error {
		link, err := netlink.LinkByName(g.second)
		if err != nil {
			return fmt.Errorf("finding link %s: %w", g.second, err)
		}

		if s := link.Attrs().Statistics; s != nil {
			bytes = s.RxBytes + s.TxBytes
		}

		return nil
	})

	return bytes, err
}

// Visit connects to port 8443 of a machine over its Office.
func (g *Guest) Visit(ctx context.Context) (net.Conn, error) {
	return g.segment.wire.Dial(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", visitPort))
}

// DiskFile is the image of the machine's i-th disk.
func (g *Guest) DiskFile(i int) string { return diskPath(g.dir, i) }

// PullSecond pulls the cable of the machine's second port, or plugs it in again.
func (g *Guest) PullSecond(ctx context.Context, out bool) error {
	return g.Monitor(ctx, "set_link", map[string]any{"name": "net1", "up": !out})
}

// Touched names the disks on which something was written since they were made, by
// their serial numbers, in order. The machine must be off.
func (g *Guest) Touched() (serials []string, err error) {
	now, err := g.fingerprints()
	if err != nil {
		return nil, err
	}

	for i, disk := range g.Disks {
		if now[i] != g.before[i] {
			serials = append(serials, disk.Serial)
		}
	}

	return serials, nil
}

// Untouched returns an error that names each disk on which something was
// written since it was made, but those that were to be. The machine must be off.
func (g *Guest) Untouched(but ...string) error {
	touched, err := g.Touched()
	if err != nil {
		return err
	}

	var faults []error

	for _, serial := range touched {
		if !slices.Contains(but, serial) {
			faults = append(faults, fmt.Errorf("disk %s of machine %s was written to", serial, g.Name))
		}
	}

	return errors.Join(faults...)
}

// Remove unplugs the machine and forgets its disks.
func (g *Guest) Remove() error {
	g.PowerOff()

	err := g.segment.untap(g.tap)
	if g.second != "" {
		err = errors.Join(err, g.segment.untap(g.second))
	}

	return errors.Join(err, os.RemoveAll(g.dir))
}
