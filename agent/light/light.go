// Package light has parts of the machine found by their lights: a disk by that of its
// slot, which its enclosure switches, and a network port by those at its plug, which its
// driver blinks. To a disk itself nothing is said.
package light

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"time"

	"vetting/core"
)

// slice is for how long, in seconds, a driver is told to blink: it cannot be told to stop.
const slice = 2

// Lights are those of one machine.
type Lights struct {
	Root fs.FS // the root of the file system
	// Disk is the file of sysfs that switches the light of the slot of the disk with a
	// serial, and that slot's name.
	Disk func(serial string) (file, slot string, err error)
	// Write writes such a file.
	Write func(name, text string) error
	// Blink blinks a port, and returns when it is over.
	Blink func(port string, seconds uint32) error
}

// Show keeps a light on until ctx ends, and calls lit with where it is once it is on. Where ctx
// has ended already, the light is only put out.
func (l Lights) Show(ctx context.Context, kind, name string, lit func(where string)) error {
	switch kind {
	case core.LightDisk:
		return l.disk(ctx, name, lit)
	case core.LightNIC:
		return l.port(ctx, name, lit)
	default:
		return fmt.Errorf("this agent knows no light of a %q; boot the host with this appliance's image", kind)
	}
}

func (l Lights) disk(ctx context.Context, serial string, lit func(where string)) error {
	file, slot, err := l.Disk(serial)
	if err != nil {
		return err
	}

	if ctx.Err() == nil {
		if err := l.Write(file, "1"); err != nil {
			return fmt.Errorf("the enclosure does not switch the light of %s on: %w", slot, err)
		}

		lit(slot)
		<-ctx.Done()
	}

	if err := l.Write(file, "0"); err != nil {
		return fmt.Errorf("the enclosure does not switch the light of %s off: %w", slot, err)
	}

	return nil
}

func (l Lights) port(ctx context.Context, name string, lit func(where string)) error {
	if path.Base(name) != name || !fs.ValidPath(name) {
		return fmt.Errorf("%q is no name of a network port", name)
	}

	if _, err := fs.Stat(l.Root, path.Join("sys/class/net", name, "device")); err != nil {
		return fmt.Errorf("this machine has no network port %s", name)
	}

	for first := true; ctx.Err() == nil; first = false {
		begun := time.Now()

		if err := l.Blink(name, slice); err != nil {
			return fmt.Errorf("the driver of %s does not blink it: %w", name, err)
		}

		if first {
			lit("at its plug")
		}

		// A driver that comes back at once is not asked without a pause.
		if time.Since(begun) < time.Second {
			pause(ctx)
		}
	}

	return nil
}

// pause waits for a second, or until ctx ends.
func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Second):
	}
}
