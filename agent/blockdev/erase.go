package blockdev

import (
	"context"
	"errors"
	"fmt"
	"time"

	"vetting/agent/disk"
)

const (
	// erasePatience is how long a format may take, and a sanitize of a disk that does not
	// tell: some go through all of the medium.
	erasePatience = 4 * time.Hour
	// sanitizeSlack is how much longer than twice what it told a sanitize may take.
	sanitizeSlack = 10 * time.Minute
	// sanitizePoll is how often a disk is asked how its sanitize stands.
	sanitizePoll = 2 * time.Second
)

// ErrErase means that the disk began to erase itself and did not come to its end.
var ErrErase = errors.New("the disk did not erase itself")

// Erase has an NVMe disk make all of itself unreadable, by Format NVM or Sanitize, if the
// run still may write. All gates that are asked before a write are asked, with a look that
// is made for it, and nothing is sent that would hit another namespace. Told hears every
// second or two how much is done, 0..1, and 0 where the disk does not tell.
//
// errors.ErrUnsupported when the disk knows no way that hits it alone; then, as with
// ErrNoLease, ErrLook and *Refused, nothing was done.
func (d *Device) Erase(ctx context.Context, told func(done float64)) (how string, err error) {
	if err := d.mayErase(); err != nil {
		return "", err
	}

	dev, err := d.handle.Erasable(erasePatience)
	if err != nil {
		return "", err
	}

	can, err := disk.ReadNVMeErasure(dev)
	if err != nil {
		return "", fmt.Errorf("asking %s how it can be erased: %w", d.disk.Name, err)
	}

	ways, err := can.Ways()
	if err != nil {
		return "", err
	}

	for _, way := range ways {
		if err := d.mayErase(); err != nil {
			return "", err
		}

		err = d.erase(ctx, dev, way, told)
		if !errors.Is(err, disk.ErrRefused) {
			return way.Name, err
		}
	}

	return "", fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
}

// mayErase is what may is before a write, and looks anew.
func (d *Device) mayErase() error {
	d.mu.Lock()
	defer d.mu.Unlock()

	if d.over != nil {
		return d.over
	}

	if err := d.check(0); err != nil {
		return err
	}

	d.looked = d.request.Now()

	if !d.looked.Before(d.request.Lease()) {
		return ErrNoLease
	}

	return nil
}

func (d *Device) erase(ctx context.Context, dev disk.NVMe, way disk.Erasing, told func(done float64)) (err error) {
	if !way.Sanitize {
		during(func() {
			done, _ := disk.ReadNVMeFormatting(dev)
			told(done)
		}, erasePatience, func() { err = disk.SendNVMe(dev, way) })

		return err
	}

	if err := disk.SendNVMe(dev, way); err != nil {
		return err
	}

	return d.sanitized(ctx, dev, way, told)
}

// sanitized waits for the end of a sanitize, which goes on whatever becomes of us.
func (d *Device) sanitized(ctx context.Context, dev disk.NVMe, way disk.Erasing, told func(done float64)) error {
	for waited, patience := time.Duration(0), erasePatience; ; waited += sanitizePoll {
		s, err := disk.ReadNVMeSanitizing(dev)

		switch {
		case err != nil:
			return fmt.Errorf("%w: %w", ErrErase, err)
		case uint32(s.Action) != way.Request.CDW10&0x7:
			return fmt.Errorf("%w: its log tells of another sanitize (%d)", ErrErase, s.Action)
		case s.Passed:
			return nil
		case !s.Running:
			return fmt.Errorf("%w: %s failed", ErrErase, way.Name)
		}

		if n := s.Seconds(); n > 0 {
			patience = min(erasePatience, 2*time.Duration(n)*time.Second+sanitizeSlack)
		}

		if waited > patience {
			return fmt.Errorf("%w: %s still goes on after %s", ErrErase, way.Name, waited)
		}

		told(s.Done)

		timer := time.NewTimer(sanitizePoll)

		select {
		case <-ctx.Done():
			timer.Stop()

			return fmt.Errorf("%w: %s goes on: %w", ErrErase, way.Name, ctx.Err())
		case <-timer.C:
		}
	}
}
