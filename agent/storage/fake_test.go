package storage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"vetting/agent/blockdev"
	"vetting/agent/disk"
	"vetting/core/diskguard"
)

var errIO = errors.New("input/output error")

// fake is a disk with a fault. Its requests take time that does not pass.
type fake struct {
	size   int64
	serial string
	wwn    string
	name   string

	// The faults; each may be nil.
	place     func(offset int64) int64 // where a block of a write goes; negative: nowhere
	from      func(offset int64) int64 // where a block of a read comes from
	damage    func(offset int64, b []byte)
	readFails func(offset int64) bool
	writeFail func(offset int64) bool
	takes     func(offset int64) time.Duration
	gone      func(requests int) bool
	mute      func(looks int) bool
	refuses   int           // discards for which there is no lease
	answers   time.Duration // to be looked at again
	busy      atomic.Bool   // somebody else has it open
	erases    func() error  // what comes of erasing itself; nil: it cannot
	secures   bool          // it knows secure discards
	keeps     bool          // what it gives up is still there
	discarded func()        // called in the midst of it; nil: nobody waits

	controller *controller // nil: it is no NVMe disk

	mu       sync.Mutex // guards the rest
	data     []byte
	requests int
	looks    int
	written  int
	outside  int
	discards int
	flushes  int
}

func newFake(size int64) *fake {
	return &fake{size: size, data: make([]byte, size), serial: "F1", wwn: "5000c500a0000001", name: "sda"}
}

func (f *fake) begin(offset int64) error {
	f.mu.Lock()
	f.requests++
	n := f.requests
	f.mu.Unlock()

	took := 5 * time.Millisecond
	if f.takes != nil {
		took = f.takes(offset)
	}

	time.Sleep(took) // of synctest

	if f.gone != nil && f.gone(n) {
		return errors.New("no such device")
	}

	return nil
}

func (f *fake) ReadAt(p []byte, offset int64) (int, error) {
	if err := f.begin(offset); err != nil {
		return 0, err
	}

	f.mu.Lock()
	defer f.mu.Unlock()

	for at := 0; at < len(p); at += 4096 {
		end := min(at+4096, len(p))
		here := offset + int64(at)

		if f.readFails != nil && f.readFails(here) {
			return at, fmt.Errorf("reading at %d: %w", here, errIO)
		}

		if f.from != nil {
			here = f.from(here)
		}

		if here+int64(end-at) > int64(len(f.data)) {
			return at, errors.New("behind the end")
		}

		copy(p[at:end], f.data[here:])

		if f.damage != nil {
			f.damage(offset+int64(at), p[at:end])
		}
	}

	return len(p), nil
}

func (f *fake) WriteAt(p []byte, offset int64) (int, error) {
	if err := f.begin(offset); err != nil {
		return 0, err
	}

	f.mu.Lock()
	defer f.mu.Unlock()

	f.written++

	if offset < 0 || offset+int64(len(p)) > f.size {
		f.outside++

		return 0, errors.New("behind the end")
	}

	for at := 0; at < len(p); at += 4096 {
		here := offset + int64(at)
		if f.writeFail != nil && f.writeFail(here) {
			return at, fmt.Errorf("writing at %d: %w", here, errIO)
		}

		if f.place != nil {
			here = f.place(here)
		}

		if here >= 0 {
			copy(f.data[here:here+4096], p[at:])
		}
	}

	return len(p), nil
}

func (f *fake) WriteTimed(p []byte, offset int64) (n int, took time.Duration, err error) {
	begin := time.Now()
	n, err = f.WriteAt(p, offset)

	return n, time.Since(begin), err
}

func (f *fake) Flush() error {
	f.mu.Lock()
	defer f.mu.Unlock()

	f.flushes++

	return nil
}

func (f *fake) Erasable(time.Duration) (disk.NVMe, error) {
	if f.controller == nil {
		return nil, errors.ErrUnsupported
	}

	return f.controller, nil
}

// controller is that of an NVMe disk, which can erase itself in a way that takes time.
// Meanwhile nothing can be read.
type controller struct {
	f       *fake
	formats bool // by Format NVM, else by Sanitize
	silent  bool // it does not tell of formats
	takes   time.Duration
	sent    func() // called when it was told to

	mu     sync.Mutex // guards the rest
	orders int        // that change something
	asked  int
	ends   time.Time
	action byte
	fails  bool
}

// inhabit makes a disk one of such a controller.
func (c *controller) inhabit(f *fake) *controller {
	c.f, f.controller = f, c
	f.readFails = func(int64) bool { return c.busy() }

	return c
}

// busy reports whether it erases itself now. f.mu is held, or nobody uses f.
func (c *controller) busy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()

	if c.ends.IsZero() || time.Now().Before(c.ends) {
		return !c.ends.IsZero()
	}

	if !c.f.keeps && c.orders > 0 {
		clear(c.f.data)
	}

	return false
}

// begin begins to erase.
func (c *controller) begin(action byte) {
	c.mu.Lock()
	c.orders++
	c.action, c.ends = action, time.Now().Add(c.takes)
	c.mu.Unlock()

	if c.sent != nil {
		c.sent()
	}
}

// Admin answers as NVMe 2.0 says.
func (c *controller) Admin(req disk.NVMeRequest) (reply disk.NVMeReply, err error) {
	const getLog, identify, format, sanitize = 0x02, 0x06, 0x80, 0x84

	reply.Data = make([]byte, max(req.In, 4096))

	switch req.Opcode {
	case sanitize:
		c.begin(byte(req.CDW10 & 7))
	case format:
		c.begin(0)
		time.Sleep(c.takes)
	case getLog:
		reply.Data = c.log()
	case identify:
		c.identify(req, reply.Data)
	default:
		reply.Status = 1
	}

	return reply, nil
}

func (c *controller) identify(req disk.NVMeRequest, b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()

	switch {
	case req.CDW10 == 1 && c.formats:
		b[256] = 2
	case req.CDW10 == 1:
		b[328] = 2
	case req.CDW10 == 2:
		b[0] = 1
	case req.Namespaced:
		c.asked++

		if left := time.Until(c.ends); !c.silent && left > 0 {
			b[32] = 0x80 | byte(1+99*left/c.takes)
		} else if !c.silent {
			b[32] = 0x80
		}
	}
}

// log is page 81h.
func (c *controller) log() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()

	c.asked++

	b := make([]byte, 512)
	b[4] = c.action

	switch {
	case c.ends.IsZero():
	case time.Now().Before(c.ends):
		b[2] = 2
	case c.fails:
		b[2] = 3
	default:
		b[2] = 1
	}

	return b
}

// Close does nothing.
func (*controller) Close() error { return nil }

// asking lets questions pass alone.
type asking struct{ *controller }

// Admin answers questions.
func (a asking) Admin(req disk.NVMeRequest) (disk.NVMeReply, error) {
	if req.Opcode != 0x02 && req.Opcode != 0x06 {
		return disk.NVMeReply{}, errors.New("no question")
	}

	return a.controller.Admin(req)
}

// Erase erases itself in two steps.
func (f *fake) Erase(_ context.Context, p blockdev.Progress) (how string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()

	if err := p.Note(blockdev.Erasure{Name: "Format NVM"}); err != nil {
		return "", fmt.Errorf("Format NVM was not begun: %w", err) //nolint:staticcheck // as the disk calls it
	}

	if f.refuses > 0 {
		f.refuses--

		return "", blockdev.ErrNoLease
	}

	if f.erases == nil {
		return "", fmt.Errorf("it has no Format NVM: %w", errors.ErrUnsupported)
	}

	p.Told(0)
	p.Told(0.5)

	if !f.keeps {
		clear(f.data)
	}

	return "Format NVM", f.erases()
}

func (f *fake) Discard(offset, length int64, secure bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()

	if secure && !f.secures {
		return errors.ErrUnsupported
	}

	if f.refuses > 0 {
		f.refuses--

		return blockdev.ErrNoLease
	}

	f.discards++

	if !f.keeps {
		clear(f.data[offset : offset+length])
	}

	if f.discarded != nil {
		f.discarded()
	}

	return nil
}

// slowly is how long requests take of a disk that is quick while it is looked at.
func (f *fake) slowly(int64) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()

	if f.requests < 130 {
		return 5 * time.Millisecond
	}

	return 500 * time.Millisecond
}

func (f *fake) Close() error { return nil }

func (f *fake) Look() (diskguard.Opened, error) {
	f.mu.Lock()
	f.looks++
	n := f.looks
	f.mu.Unlock()

	if f.mute != nil && f.mute(n) {
		return diskguard.Opened{}, errors.New("unit attention")
	}

	return diskguard.Opened{Exclusive: true, Number: "8:0", Serial: f.serial, WWN: f.wwn, SizeBytes: uint64(f.size), Block: 512}, nil
}

func (f *fake) blank() bool { return bytes.Equal(f.data, make([]byte, len(f.data))) }
