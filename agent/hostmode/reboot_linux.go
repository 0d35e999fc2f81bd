package hostmode

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"vetting/agent/wake"
	"vetting/core"
)

// rebootTarget is the signal by which systemd starts reboot.target: SIGRTMIN+5
// with glibc's SIGRTMIN (systemd(1)).
const rebootTarget = unix.Signal(34 + 5)

// Rebooter reboots the machine into the network. All fields must be set; System
// has them for the running machine.
type Rebooter struct {
	Root  string                         // "/"
	Ports func() map[string]core.MAC     // as [Ports]
	Wake  wake.Port                      // arms the ports for magic packets
	Ask   func(signal unix.Signal) error // signals the first process
	Force func() error                   // reboots without asking anybody
	Wait  time.Duration                  // for the system to go down when asked
	Log   *slog.Logger
}

// System returns what reboots the running machine.
func System(ports func() map[string]core.MAC, log *slog.Logger) Rebooter {
	return Rebooter{
		Root: "/", Ports: ports, Wake: wake.System{}, Wait: 5 * time.Minute, Log: log,
		Ask: func(signal unix.Signal) error { return unix.Kill(1, signal) },
		Force: func() error {
			unix.Sync()

			return unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
		},
	}
}

// Reboot has the firmware boot from the network once, by the port with the
// address mac if it can, and reboots: by the first process, so that services end
// as they should, and by force when that takes too long. It returns when ctx
// ends, which is what a system that goes down does, or with the error.
func (r Rebooter) Reboot(ctx context.Context, mac core.MAC) error {
	r.arm(mac)
	r.chooseNetwork(mac)

	signal := unix.SIGINT // what Ctrl-Alt-Del is to other first processes
	if _, err := os.Stat(filepath.Join(r.Root, "run/systemd/system")); err == nil {
		signal = rebootTarget
	}

	if err := r.Ask(signal); err != nil {
		r.Log.Warn("the first process is not to be asked", slog.String("error", err.Error()))
	} else if !sleep(ctx, r.Wait) {
		return nil
	}

	r.Log.Warn("the system does not go down, rebooting by force")

	if err := r.Force(); err != nil {
		return fmt.Errorf("rebooting: %w", err)
	}

	return nil
}

// arm has the machine wake by a magic packet, should the reboot end in its sleep.
// A port that cannot is no reason not to reboot.
func (r Rebooter) arm(mac core.MAC) {
	name := PortWith(r.Ports(), mac)
	if name == "" {
		return
	}

	if err := wake.Arm(r.Wake, name); err != nil && !errors.Is(err, wake.ErrUnsupported) {
		r.Log.Warn("this machine may not wake over the network", slog.String("error", err.Error()))
	}
}

// chooseNetwork sets the next boot. Where the firmware has no such choice (BIOS, a
// menu without the network) its own order counts.
func (r Rebooter) chooseNetwork(mac core.MAC) {
	root := os.DirFS(r.Root)

	if _, err := os.Stat(filepath.Join(r.Root, efiVars)); err != nil {
		r.Log.Info("no UEFI here: the BIOS must have the network first in its order")

		return
	}

	entry, err := NetworkEntry(root, mac)
	if err == nil {
		err = SetBootNext(r.Root, entry.Number)
	}

	if err != nil {
		r.Log.Warn("the next boot is the firmware's own choice", slog.String("error", err.Error()))

		return
	}

	r.Log.Info("the next boot is from the network", slog.String("entry", fmt.Sprintf("Boot%04X", entry.Number)), slog.String("name", entry.Name))
}
