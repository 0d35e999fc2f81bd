package coldplug

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"time"
)

// Coldplug keeps the machine's modules loaded.
type Coldplug struct {
	Root   fs.FS
	Dir    string // of the modules, absolute: "/lib/modules/6.12.0"
	Always []string
	Late   []string // modules loaded once everything else is there; see Late
	Log    *slog.Logger
	// Early is called once, after the modules of Always are in. Settled is called
	// once, when every device known was handled and none has appeared for Quiet,
	// or after Patience.
	Early    func()
	Settled  func()
	Quiet    time.Duration
	Patience time.Duration
}

// Always returns the modules that no device asks for by its modalias.
// af_packet comes first: without it there is no DHCP.
func Always() []string {
	return []string{
		"af_packet", "efivarfs", "nls_cp437", "nls_ascii", "vfat", "sg", "sd_mod", "nvme", "msr", "cpuid", "i2c_dev", "ipmi_si",
		"ipmi_devintf", "drivetemp", "dmi_sysfs", "usbhid", "hid_generic", "evdev", "intel_rapl_msr",
	}
}

// Late returns the drivers of Super-I/O chips, which measure fans, voltages and the board.
// No bus lists these chips: a driver knocks at two ports of the board and goes away where
// nobody answers, or where the firmware keeps the chip for itself. That comes last, when
// the machine can already be heard.
func Late() []string { return []string{"nct6775", "it87"} }

// Run loads what is there, then what comes, until ctx ends.
func (c Coldplug) Run(ctx context.Context, tables *Tables) error {
	events, err := Listen()
	if err != nil {
		return err
	}

	defer events.closeOn(ctx)()

	loader := NewLoader(tables, Insert(c.Dir), c.Log)
	for _, name := range c.Always {
		loader.report(name, loader.Load(name))
	}

	c.Early()

	if err := loader.Walk(ctx, c.Root); err != nil {
		return err
	}

	c.Log.Info("modules loaded for the devices found", slog.Int("modules", loader.Loaded()))

	return c.follow(ctx, events, loader)
}

// source tells of devices as they come, as Listener does.
type source interface {
	Next(deadline time.Time) (event Uevent, missed bool, err error)
}

func (c Coldplug) follow(ctx context.Context, events source, loader *Loader) error {
	end, settled := time.Now().Add(c.Patience), false

	settle := func(why string) {
		if !settled {
			settled = true

			for _, name := range c.Late {
				loader.report(name, loader.Load(name))
			}

			c.Log.Info("devices settled", slog.String("why", why), slog.Int("modules", loader.Loaded()))
			c.Settled()
		}
	}

	for ctx.Err() == nil {
		deadline := time.Time{} // once settled, wait for good
		if !settled {
			deadline = time.Now().Add(c.Quiet)
		}

		event, missed, err := events.Next(deadline)

		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, os.ErrDeadlineExceeded):
			settle("no new device")
		case err != nil:
			return err
		case missed:
			if err := loader.Walk(ctx, c.Root); err != nil {
				return err
			}
		case event.Action == "add" && event.Modalias != "":
			loader.Device(event.Modalias)
		}

		if time.Now().After(end) {
			settle("waited long enough")
		}
	}

	return ctx.Err()
}
