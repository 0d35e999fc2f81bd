package blockdev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"vetting/agent/disk"
	"vetting/core/diskguard"
)

const (
	// erasePatience is how long a format may take, and a sanitize of a disk that does not
	// tell: some go through all of the medium.
	erasePatience = 4 * time.Hour
	// sanitizeSlack is how much longer than twice what it told a sanitize may take.
	sanitizeSlack = 10 * time.Minute
	// readableSoon is for how long a disk that says that it is at nothing may still not be
	// readable.
	readableSoon = time.Minute
	// pollLeast and pollMost bound how often a disk is asked how it stands.
	pollLeast = 2 * time.Second
	pollMost  = 30 * time.Second
)

// pollAfter is how long to wait before the next question to a disk that has been at it for
// so long: often at first, since many are done at once, and rarely when it takes hours,
// since each question takes its time.
func pollAfter(passed time.Duration) time.Duration { return min(max(passed/4, pollLeast), pollMost) }

// Erasure names what a disk is told to do, for who has to find it again where the process
// that told it ends in the midst of it.
type Erasure struct {
	Name   string `json:"name"`             // for people
	Action byte   `json:"action,omitempty"` // of a sanitize (SANACT); 0: it is a format
	Begun  bool   `json:"begun,omitempty"`  // the disk was seen at it
}

// Progress hears how an erasure stands. Both are called from one goroutine at a time.
type Progress struct {
	// Note hears what is about to be sent, before it is, and returns when that is kept;
	// an error says that it is not, and nothing is sent. It is called again when the disk is
	// first seen at it.
	Note func(e Erasure) error
	// Told hears every few seconds how much is done, 0..1, and 0 where the disk does not
	// tell.
	Told func(done float64)
}

// ErrErase means that the disk began to erase itself and did not come to its end.
var ErrErase = errors.New("the disk did not erase itself")

// ErrNeverBegun means that a disk has never begun what it was to be told.
var ErrNeverBegun = errors.New("it was never begun")

// Erase has an NVMe disk make all of itself unreadable, by Format NVM or Sanitize, if the
// run still may write. All gates that are asked before a write are asked, with a look that
// is made for it, and nothing is sent that would hit another namespace.
//
// errors.ErrUnsupported when the disk knows no way that hits it alone; then, as with
// ErrNoLease, ErrLook and *Refused, nothing was done.
func (d *Device) Erase(ctx context.Context, p Progress) (how string, err error) {
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
		e := Erasure{Name: way.Name}
		if way.Sanitize {
			e.Action = byte(way.Request.CDW10 & 0x7)
		}

		if err := p.Note(e); err != nil {
			return "", fmt.Errorf("%s was not begun: %w", way.Name, err)
		}

		if err := d.mayErase(); err != nil {
			return "", err
		}

		err = erase(ctx, dev, way, &watch{Erasure: e, Progress: p, begin: time.Now()})
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

func erase(ctx context.Context, dev disk.NVMe, way disk.Erasing, w *watch) (err error) {
	if !way.Sanitize {
		done := 0.0

		during(func() {
			if w.due() {
				done = w.formatting(dev)
			}

			w.Told(done)
		}, erasePatience, func() { err = disk.SendNVMe(dev, way) })

		return err
	}

	if err := disk.SendNVMe(dev, way); err != nil {
		return err
	}

	return w.sanitized(ctx, dev)
}

// watch follows an erasure that is under way. It is for one goroutine.
type watch struct {
	Erasure
	Progress

	begin, next time.Time
}

// due reports whether it is time for the next question.
func (w *watch) due() bool {
	now := time.Now()
	if now.Before(w.next) {
		return false
	}

	w.next = now.Add(pollAfter(now.Sub(w.begin)))

	return true
}

// seen notes, once, that the disk is at it.
func (w *watch) seen() {
	if !w.Begun {
		w.Begun = true
		_ = w.Note(w.Erasure) // it goes on, whoever knows of it
	}
}

// wait waits until the next question is due.
func (w *watch) wait(ctx context.Context) error {
	timer := time.NewTimer(pollAfter(time.Since(w.begin)))
	defer timer.Stop()

	select {
	case <-ctx.Done():
		return fmt.Errorf("%w: %s goes on: %w", ErrErase, w.Name, ctx.Err())
	case <-timer.C:
		return nil
	}
}

// formatting asks how much of a format is done; 0: the disk does not tell.
func (w *watch) formatting(dev disk.NVMe) (done float64) {
	done, told := disk.ReadNVMeFormatting(dev)
	if told && done < 1 {
		w.seen()
	}

	return done
}

// sanitized waits for the end of a sanitize, which goes on whatever becomes of us.
func (w *watch) sanitized(ctx context.Context, dev disk.NVMe) error {
	for patience := erasePatience; ; {
		s, err := disk.ReadNVMeSanitizing(dev)

		switch {
		case err != nil:
			return fmt.Errorf("%w: %w", ErrErase, err)
		case s.Action != w.Action:
			return fmt.Errorf("%w: its log tells of another sanitize (%d)", ErrErase, s.Action)
		case s.Passed:
			return nil
		case !s.Running:
			return fmt.Errorf("%w: %s failed", ErrErase, w.Name)
		}

		if n := s.Seconds(); n > 0 {
			patience = min(erasePatience, 2*time.Duration(n)*time.Second+sanitizeSlack)
		}

		if passed := time.Since(w.begin); passed > patience {
			return fmt.Errorf("%w: %s still goes on after %s", ErrErase, w.Name, passed.Round(time.Second))
		}

		w.seen()
		w.Told(s.Done)

		if err := w.wait(ctx); err != nil {
			return err
		}
	}
}

// Awaited is a disk whose erasure was waited for.
type Awaited struct {
	Name  string // of the kernel, now
	Begun bool   // the disk was seen at it, now or before
}

// Await waits for the end of an erasure that a process before this one has told a disk to
// do, and begins nothing: it only asks, through a way that lets nothing else pass, and
// reads. The disk is the only one that is there with the serial number, and has the WWN.
// readable says whether the disk can be read.
//
// A disk whose log tells nothing of it that could be the one is ErrNeverBegun. Without an
// error the disk is at its end, as far as it tells: what it was seen at is in Begun, and
// whether the data is gone, for who looks.
func Await(ctx context.Context, layer Asker, serial, wwn string, e Erasure, p Progress, readable func(r io.ReaderAt) error) (a Awaited, err error) {
	if a.Name, err = only(layer, serial, wwn, p); err != nil {
		return a, err
	}

	dev, err := layer.Ask(a.Name)
	if err != nil {
		return a, fmt.Errorf("asking %s how its erasure stands: %w", a.Name, err)
	}
	defer dev.Close()

	w := &watch{Erasure: e, Progress: p, begin: time.Now()}
	defer func() { a.Begun = w.Begun }()

	if e.Action == 0 {
		return a, w.formatted(ctx, dev, func() error {
			r, err := layer.Read(a.Name)
			if err != nil {
				return err
			}
			defer r.Close()

			return readable(r)
		})
	}

	// The log may tell of the one before, where ours was never sent.
	s, err := disk.ReadNVMeSanitizing(dev)
	if other := s.Action != e.Action || !s.Running && !s.Passed && !s.Failed; err == nil && other && !e.Begun {
		return a, ErrNeverBegun
	}

	return a, w.sanitized(ctx, dev)
}

// only finds the name of the disk that has this serial number and WWN, where no other
// claims to.
func only(layer Layer, serial, wwn string, p Progress) (name string, err error) {
	var disks []diskguard.Disk

	during(func() { p.Told(0) }, lookPatience, func() { disks, err = layer.Survey(0) })

	if err != nil {
		return "", fmt.Errorf("looking at the disks: %w", err)
	}

	var found []diskguard.Disk

	for _, d := range disks {
		if d.Serial == serial && serial != "" {
			found = append(found, d)
		}
	}

	switch {
	case len(found) == 0:
		return "", fmt.Errorf("looking for serial %q: %w", serial, ErrAbsent)
	case len(found) > 1:
		return "", fmt.Errorf("%w: %d disks have serial %q", ErrErase, len(found), serial)
	case !strings.EqualFold(found[0].WWN, wwn):
		return "", fmt.Errorf("%w: the disk with serial %q has WWN %q, and it was %q", ErrErase, serial, found[0].WWN, wwn)
	default:
		return found[0].Name, nil
	}
}

// formatted waits for the end of a format: until the disk says that it is at none, if it
// tells, and can be read again.
func (w *watch) formatted(ctx context.Context, dev disk.NVMe, readable func() error) error {
	for {
		done, told := disk.ReadNVMeFormatting(dev)
		passed := time.Since(w.begin)

		if told && done < 1 {
			w.seen()
		} else {
			err := readable()

			switch {
			case err == nil:
				return nil
			case told && passed > readableSoon:
				return fmt.Errorf("%w: it is at no format, and cannot be read: %w", ErrErase, err)
			}
		}

		if passed > erasePatience {
			return fmt.Errorf("%w: %s still goes on after %s", ErrErase, w.Name, passed.Round(time.Second))
		}

		w.Told(done)

		if err := w.wait(ctx); err != nil {
			return err
		}
	}
}
