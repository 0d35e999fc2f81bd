package blockdev_test

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vetting/agent/blockdev"
	"vetting/agent/disk"
	"vetting/core/diskguard"
)

// subsystem is an NVMe subsystem: a controller and its namespaces.
type subsystem struct {
	spaces []*medium

	formats   bool
	fna       byte
	sanitizes uint32
	manages   bool // namespaces, and so it tells of all of them
	several   bool // controllers are in the subsystem
	listless  bool // it does not list namespaces
	refuses   bool // to format, although it says that it can
}

// drive is the way of commands to a namespace of a subsystem, and what it remembers.
type drive struct {
	*subsystem

	erase  func(all bool)
	sent   []disk.NVMeRequest // that change something
	log    [512]byte          // page 81h
	polls  int                // how often it was asked for it
	ends   int                // polls until a sanitize ends
	status uint16             // … with this status
	takes  time.Duration      // how long a format takes
	notes  []blockdev.Erasure // what was kept of it
	unkept error              // of what is to be
	asked  int                // how often it was asked how a format stands
}

func (d *drive) controller() []byte {
	b := make([]byte, 4096)
	oacs := uint16(0)

	if d.formats {
		oacs |= 2
	}

	if d.manages {
		oacs |= 8
	}

	if d.several {
		b[76] = 2
	}

	binary.LittleEndian.PutUint16(b[256:], oacs)
	b[524] = d.fna
	binary.LittleEndian.PutUint32(b[328:], d.sanitizes)

	return b
}

// Admin answers as NVMe 2.0 says.
func (d *drive) Admin(req disk.NVMeRequest) (reply disk.NVMeReply, err error) {
	const (
		getLog, identify, format, sanitize = 0x02, 0x06, 0x80, 0x84
		invalidField                       = 0x02
	)

	switch {
	case req.Opcode == identify && req.CDW10 == 1:
		reply.Data = d.controller()
	case req.Opcode == identify && req.Namespaced:
		reply.Data = make([]byte, 4096)
		reply.Data[26], reply.Data[29] = 0x12, 0x09 // format 2, extended metadata, protection type 1 at the front
		reply.Data[32] = 0x80 | 40
	case req.Opcode == identify && (req.CDW10 == 2 || d.manages && req.CDW10 == 16):
		if d.listless {
			reply.Status = invalidField

			break
		}

		reply.Data = make([]byte, 4096)

		for i := range d.spaces {
			binary.LittleEndian.PutUint32(reply.Data[4*i:], uint32(i+1))
		}
	case req.Opcode == getLog:
		reply.Data = d.sanitizing()
	case req.Opcode == format && d.refuses:
		reply.Status = invalidField
	case req.Opcode == format:
		time.Sleep(d.takes) // of synctest
		d.sent = append(d.sent, req)
		d.erase(d.fna&3 != 0)
	case req.Opcode == sanitize:
		d.sent = append(d.sent, req)
		d.log[4] = byte(req.CDW10)
		d.erase(true)
	default:
		reply.Status = 1
	}

	return reply, err
}

func (d *drive) sanitizing() []byte {
	d.polls++

	b := d.log
	if b[4] == 0 { // none was ever begun
		return b[:]
	}

	status, done := uint16(2), uint16(0x4000*min(d.polls, 3))
	if d.polls > d.ends {
		status, done = max(d.status, 1), 0xffff
	}

	binary.LittleEndian.PutUint16(b[0:], done)
	binary.LittleEndian.PutUint16(b[2:], status)

	return b[:]
}

func (*drive) Close() error { return nil }

// erasing is a world whose first disk is armed and can erase itself, or not.
type erasing struct {
	*world

	drive *drive
}

func (e *erasing) Write(name string, decision diskguard.Decision) (blockdev.Handle, error) {
	h, err := e.world.Write(name, decision)
	if err != nil {
		return nil, err
	}

	return &erasingHandle{h, e.drive}, nil
}

type erasingHandle struct {
	blockdev.Handle

	drive *drive
}

func (h *erasingHandle) Erasable(time.Duration) (disk.NVMe, error) { return h.drive, nil }

// erase opens the first disk, which is armed, and has it erase itself.
func erase(t *testing.T, change func(w *erasing)) (d *drive, how string, told []float64, err error) {
	t.Helper()

	w := &erasing{world: newWorld(t, 1)}
	w.calm, w.all[0].foreign, w.lease = true, false, w.now.Add(24*time.Hour)
	w.drive = &drive{subsystem: &subsystem{spaces: w.all[:1]}}
	d = w.drive
	d.erase = func(all bool) { w.all[0].written++ }

	request := w.request("S0", false)

	device, err := blockdev.Open(t.Context(), w, request)
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()

	change(w)

	how, err = device.Erase(t.Context(), blockdev.Progress{
		Note: func(e blockdev.Erasure) error { d.notes = append(d.notes, e); return d.unkept }, Told: func(done float64) { told = append(told, done) },
	})

	return d, how, told, err
}

// What is sent is what hits this namespace alone, and leaves its layout as it is.
func TestADiskErasesItself(t *testing.T) {
	const keep = 2 | 1<<4 | 1<<5 | 1<<8

	for name, c := range map[string]struct {
		disk subsystem
		more int // namespaces
		how  string
		sent uint32
		why  string
	}{
		"format, key":                   {subsystem{formats: true, fna: 4}, 0, "Format NVM, cryptographic erase", keep | 2<<9, ""},
		"format, data":                  {subsystem{formats: true}, 0, "Format NVM, user data erase", keep | 1<<9, ""},
		"format beside others":          {subsystem{formats: true, manages: true}, 2, "Format NVM, user data erase", keep | 1<<9, ""},
		"format of all, alone":          {subsystem{formats: true, fna: 3, manages: true}, 0, "Format NVM, user data erase", keep | 1<<9, ""},
		"format of all, beside others":  {subsystem{formats: true, fna: 2, manages: true}, 2, "", 0, "its Format NVM hits all namespaces at once"},
		"secure format of all":          {subsystem{formats: true, fna: 1}, 1, "", 0, "2 namespaces are there"},
		"format of all, others unknown": {subsystem{formats: true, fna: 2, several: true}, 0, "", 0, "it does not tell of all of them"},
		"format of all, without a list": {subsystem{formats: true, fna: 2, listless: true}, 0, "", 0, "it does not tell of all of them"},
		"sanitize, key":                 {subsystem{sanitizes: 7}, 0, "Sanitize, cryptographic erase", 4 | 8, ""},
		"sanitize, blocks":              {subsystem{sanitizes: 2}, 0, "Sanitize, block erase", 2 | 8, ""},
		"sanitize, overwrite alone":     {subsystem{sanitizes: 4}, 0, "", 0, "it has no Sanitize that erases blocks or keys"},
		"sanitize beside others":        {subsystem{sanitizes: 3}, 1, "", 0, "its Sanitize hits all namespaces at once"},
		"sanitize, several controllers": {subsystem{sanitizes: 3, several: true}, 0, "", 0, "it does not tell of all of them"},
		"sanitize, all are listed":      {subsystem{sanitizes: 3, several: true, manages: true}, 0, "Sanitize, cryptographic erase", 4 | 8, ""},
		"sanitize, format refused":      {subsystem{formats: true, refuses: true, sanitizes: 2}, 0, "Sanitize, block erase", 2 | 8, ""},
		"all refused":                   {subsystem{formats: true, refuses: true}, 0, "", 0, "Format NVM, user data erase: status 0x2"},
		"nothing":                       {subsystem{}, 0, "", 0, "it has no Format NVM"},
	} {
		d, how, _, err := erase(t, func(w *erasing) {
			c.disk.spaces = append(w.all[:1:1], w.all[2:2+c.more]...)
			w.drive.subsystem = &c.disk
		})

		if c.why != "" {
			if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), c.why) || len(d.sent) > 0 || d.spaces[0].written > 0 {
				t.Errorf("%s: %q, %v, sent %+v", name, how, err, d.sent)
			}

			continue
		}

		if err != nil || how != c.how || len(d.sent) != 1 || d.sent[0].CDW10 != c.sent || d.sent[0].NSID != 0 {
			t.Errorf("%s: %q, %v, sent %+v", name, how, err, d.sent)
		}
	}
}

// The gates are asked again, with a look that is made for it.
func TestADiskErasesItselfBehindTheGates(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *erasing)
		want   error
	}{
		"without a lease": {func(w *erasing) { w.lease = w.now }, blockdev.ErrNoLease},
		"another was plugged": {func(w *erasing) {
			w.disks["sdh"] = &medium{serial: "S0", wwn: "beef", model: "M", size: 1 << 20, transport: "sata"}
		}, nil},
		"it went away": {func(w *erasing) { delete(w.disks, "sda") }, blockdev.ErrLook},
		"names were swapped": {func(w *erasing) {
			w.disks["sda"], w.disks["sdb"] = w.disks["sdb"], w.disks["sda"]
			w.all[0].wwn = "other"
		}, nil},
	} {
		var refused *blockdev.Refused

		d, how, _, err := erase(t, func(w *erasing) {
			w.drive.formats = true
			c.change(w)
		})
		if err == nil || c.want != nil && !errors.Is(err, c.want) || c.want == nil && !errors.As(err, &refused) || len(d.sent) > 0 {
			t.Errorf("%s: %q, %v, sent %+v", name, how, err, d.sent)
		}
	}
}

// Nothing is sent that a later process would not know of.
func TestADiskErasesNothingThatIsNotKept(t *testing.T) {
	full := errors.New("no space left")

	d, how, _, err := erase(t, func(w *erasing) { w.drive.formats, w.drive.unkept = true, full })
	if !errors.Is(err, full) || errors.Is(err, blockdev.ErrErase) || how != "" || len(d.sent) > 0 || len(d.notes) != 1 {
		t.Errorf("%q, %v, sent %+v", how, err, d.sent)
	}
}

// A format that takes long is heard of, and so is a sanitize, whose end its log tells.
func TestErasingTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, told, err := erase(t, func(w *erasing) { w.drive.formats, w.drive.takes = true, time.Minute })
		if err != nil || len(told) < 59 || told[0] != 0.6 {
			t.Errorf("told %d times, %v: %v", len(told), told[:min(3, len(told))], err)
		}
	})

	for name, c := range map[string]struct {
		ends   int
		status uint16
		why    string
	}{
		"passed": {3, 1, ""}, "passed, and gave blocks back": {3, 4, ""}, "failed": {3, 3, "Sanitize, block erase failed"},
		"never begun": {0, 8, "Sanitize, block erase failed"}, "without an end": {1 << 20, 1, "still goes on"},
	} {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			_, _, told, err := erase(t, func(w *erasing) {
				w.drive.sanitizes, w.drive.ends, w.drive.status = 2, c.ends, c.status
				binary.LittleEndian.PutUint32(w.drive.log[12:], 120) // seconds that erasing blocks takes
			})

			switch {
			case c.why == "" && (err != nil || len(told) != 3 || told[2] != 0.75):
				t.Errorf("%s: %v, told %v", name, err, told)
			case c.why != "" && (!errors.Is(err, blockdev.ErrErase) || !strings.Contains(err.Error(), c.why)):
				t.Errorf("%s: %v", name, err)
			case c.ends > 100 && time.Since(begin) > 15*time.Minute:
				t.Errorf("%s: after %v", name, time.Since(begin))
			}
		})
	}
}

// A sanitize that is left goes on, and is not said to be done.
func TestASanitizeThatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &erasing{world: newWorld(t, 1)}
		w.calm, w.all[0].foreign, w.lease = true, false, w.now.Add(24*time.Hour)
		w.drive = &drive{subsystem: &subsystem{spaces: w.all[:1], sanitizes: 1}, ends: 1 << 20, erase: func(bool) {}}

		device, err := blockdev.Open(t.Context(), w, w.request("S0", false))
		if err != nil {
			t.Fatal(err)
		}
		defer device.Close()

		ctx, stop := context.WithCancel(t.Context())

		if _, err := device.Erase(ctx, blockdev.Progress{Note: func(blockdev.Erasure) error { return nil }, Told: func(float64) { stop() }}); !errors.Is(err, context.Canceled) || !errors.Is(err, blockdev.ErrErase) {
			t.Error(err)
		}
	})
}
