//go:build linux

package boots

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"vetting/cmd/vetting-lab/lab"
	"vetting/core"
)

// self is the appliance's address.
func self() netip.Addr { return netip.MustParsePrefix(lab.Address).Addr() }

// Recorder records rows.
type Recorder struct {
	Binary string // the appliance
	Blobs  string // folder of the boot image's files, for their sizes
	To     string // folder
	Say    io.Writer
}

// limit is how long a row may take.
const limit = 4 * time.Minute

// Record records rows, one after the other, each from an appliance of its own.
func (r Recorder) Record(ctx context.Context, rows []Row) error {
	if err := r.sizes(); err != nil {
		return err
	}

	for i := range rows {
		start := time.Now()

		tape, err := r.record(ctx, &rows[i])
		if err != nil {
			return fmt.Errorf("recording %s: %w", rows[i].Name, err)
		}

		kept := trim(tape)
		if err := write(filepath.Join(r.To, rows[i].Name+".pcap"), kept); err != nil {
			return err
		}

		fmt.Fprintf(r.Say, "%-16s %5d frames, %5d kept, %s\n", rows[i].Name, len(tape), len(kept), time.Since(start).Round(time.Second))
	}

	return nil
}

// sizes writes how large the files are that are served: a replay needs no more of them.
func (r Recorder) sizes() error {
	file, err := os.Create(filepath.Join(r.To, "files.txt"))
	if err != nil {
		return fmt.Errorf("writing sizes: %w", err)
	}
	defer file.Close() //nolint:errcheck // every write is looked at

	for _, name := range []string{
		"base.cpio.zst", "grubx64.efi", "ipxe-arm64.efi", "ipxe.efi", "ipxe.pxe", "modules.cpio", "shimx64.efi", "snponly.efi", "undionly.kpxe", "vmlinuz",
	} {
		source := name
		if name == "vmlinuz" {
			source = "kernel"
		}

		info, err := os.Stat(filepath.Join(r.Blobs, source))
		if err == nil {
			_, err = fmt.Fprintln(file, name, info.Size())
		}

		if err != nil {
			return fmt.Errorf("writing sizes: %w", err)
		}
	}

	return nil
}

// frame is a frame on tape.
type frame struct {
	lab.Frame

	toMachine bool
}

func (r Recorder) record(ctx context.Context, row *Row) (tape []frame, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()

	rack, err := lab.OpenRack(ctx, lab.ApplianceOptions{Binary: r.Binary, Port: 18443})
	if err != nil {
		return nil, err
	}

	defer func() { err = errors.Join(err, rack.Close()) }()

	machine := lab.Sample(lab.BIOS, 1)
	machine.Disks, machine.MiB, machine.CPUs = nil, 768, 2

	if row.Machine != nil {
		row.Machine(&machine)
	}

	d := &deck{row: row, reached: make(chan struct{})}
	machine.Wire = &lab.Wire{Note: d.note}

	if row.Fault != nil {
		fault := row.Fault()
		machine.Wire.Pass = func(b []byte, toMachine bool) bool { return fault(read(b), toMachine) }
	}

	guests, err := rack.Add(machine)
	if err != nil {
		return nil, err
	}

	if _, err := rack.API.Register(ctx, machine.Name, machine.MAC, core.PowerManual); err != nil {
		return nil, err
	}

	if _, err := rack.API.Vet(ctx, machine.MAC, "quick", 0.01); err != nil {
		return nil, err
	}

	if row.Rival {
		if err := rival(ctx, rack); err != nil {
			return nil, err
		}
	}

	if _, err := guests[0].PowerOn(ctx); err != nil {
		return nil, err
	}

	select {
	case <-d.reached:
	case <-ctx.Done():
		return nil, fmt.Errorf("%w; its last words:\n%s", ctx.Err(), guests[0].Process().Output.Tail(20))
	}

	return d.end(), nil
}

// rival starts another DHCP server on the segment.
func rival(ctx context.Context, rack *lab.Rack) error {
	station, err := rack.Station("rival", netip.MustParsePrefix("10.77.0.9/24"))
	if err != nil {
		return err
	}

	_, err = station.Dnsmasq(ctx, nil, "--no-ping", "--dhcp-range=10.77.0.200,10.77.0.220", "--dhcp-boot=pxelinux.0", "--dhcp-leasefile=/dev/null")

	return err
}

// deck takes frames down until enough were seen.
type deck struct {
	row     *Row
	reached chan struct{}

	mu    sync.Mutex // guards all below
	tape  []frame
	seen  int
	ended bool
}

func (d *deck) note(f lab.Frame, toMachine bool) {
	d.mu.Lock()
	defer d.mu.Unlock()

	p := read(f.Data)

	if d.row.Until(p, toMachine) {
		if d.seen++; d.seen == d.row.Times {
			time.AfterFunc(d.row.More, func() { close(d.reached) })
		}
	}

	if toMachine && len(p.payload) > 0 && !offers(p) {
		f.Data = f.Data[:min(len(f.Data), 100)] // what is sent to it is known
	}

	if !d.ended {
		d.tape = append(d.tape, frame{f, toMachine})
	}
}

func (d *deck) end() []frame {
	d.mu.Lock()
	defer d.mu.Unlock()

	d.ended = true

	return d.tape
}

// trim keeps what a replay needs, and what a person wants to see beside it.
func trim(tape []frame) (kept []frame) {
	const stride, pause = 1 << 20, 500 * time.Millisecond

	type state struct {
		acked uint32 // by the last ACK that was kept
		last  int    // where the last one is that was not; -1: none
		at    time.Time
	}

	keep := map[int]bool{}
	conns := map[uint16]*state{}

	for i, f := range tape {
		p := read(f.Data)

		switch {
		case f.toMachine:
			keep[i] = offers(p) || p.proto == tcp && p.flags&syn != 0 || p.proto == udp && p.to != 68 && len(p.payload) > 1 && p.payload[1] > 4
		case p.proto != tcp:
			keep[i] = true
		case len(p.payload) > 0 || p.flags&(syn|fin|rst) != 0:
			keep[i] = true
		default:
			s := conns[p.from]
			if s == nil {
				s = &state{acked: p.ack, last: -1}
				conns[p.from] = s
			}

			if s.last >= 0 && f.At.Sub(s.at) > pause {
				keep[s.last] = true // the last one before a silence
			}

			s.last, s.at = i, f.At

			if p.ack-s.acked > stride {
				keep[i], s.acked = true, p.ack
			}
		}
	}

	for _, s := range conns {
		if s.last >= 0 {
			keep[s.last] = true
		}
	}

	for i, f := range tape {
		if keep[i] {
			kept = append(kept, f)
		}
	}

	return slices.Clip(kept)
}

// write writes a capture (draft-ietf-opsawg-pcap): microseconds, Ethernet. The first frame
// is at the beginning of 2026: when a recording was made changes nothing in it.
func write(path string, tape []frame) error {
	file, err := os.Create(path) //nolint:gosec // where the person wants it
	if err != nil {
		return fmt.Errorf("writing a capture: %w", err)
	}

	out := bufio.NewWriter(file)
	le := binary.LittleEndian
	head := le.AppendUint32(nil, 0xa1b2c3d4)
	head = le.AppendUint32(le.AppendUint32(le.AppendUint32(le.AppendUint32(le.AppendUint32(head, 2|4<<16), 0), 0), 65535), 1)
	_, err = out.Write(head)

	base := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

	for _, f := range tape {
		at := base.Add(f.At.Sub(tape[0].At))
		rec := le.AppendUint32(nil, uint32(at.Unix()))                                        //nolint:gosec // until 2106
		rec = le.AppendUint32(rec, uint32(at.Nanosecond()/1000))                              //nolint:gosec // below a million
		rec = le.AppendUint32(le.AppendUint32(rec, uint32(len(f.Data))), uint32(len(f.Data))) //nolint:gosec // a frame
		_, errHead := out.Write(rec)
		_, errBody := out.Write(f.Data)
		err = errors.Join(err, errHead, errBody)
	}

	return errors.Join(err, out.Flush(), file.Close())
}
