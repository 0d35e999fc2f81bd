package disk_test

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"vetting/agent/disk"
)

// shingles is IDENTIFY DEVICE of a disk of a model, with some of its words.
func shingles(t *testing.T, model string, words map[int]uint16) disk.ATAIdentity {
	t.Helper()

	b := make([]byte, 512)
	for n, word := range words {
		binary.LittleEndian.PutUint16(b[2*n:], word)
	}

	copy(b[54:94], strings.Repeat(" ", 40))

	for i := range len(model) {
		b[54+i^1] = model[i]
	}

	id, err := disk.ParseIdentify(b)
	if err != nil || id.Model != model {
		t.Fatalf("%+v %v", id, err)
	}

	return id
}

// A disk's own word, its model and TRIM say that its tracks overlap; flash and disks of
// which nothing speaks for it are none.
func TestShingledDisks(t *testing.T) {
	const turns, zoned, trim, rate = 217, 69, 169, 5400

	for name, c := range map[string]struct {
		model string
		words map[int]uint16
		want  disk.Shingling
		how   string
	}{
		"host aware":                 {"ST8000AS0022", map[int]uint16{turns: rate, zoned: 1}, disk.HostAware, "word 69"},
		"device managed":             {"X", map[int]uint16{turns: rate, zoned: 2}, disk.DriveManaged, "word 69"},
		"reserved":                   {"X", map[int]uint16{turns: rate, zoned: 3}, "", ""},
		"other bits of the word":     {"X", map[int]uint16{turns: rate, zoned: 0xfffc}, "", ""},
		"WD, by its model":           {"WDC WD40EFAX-68JH4N1", map[int]uint16{turns: rate}, disk.DriveManaged, "Western Digital"},
		"WD, not that one":           {"WDC WD80EFAX-68KNBN0", map[int]uint16{turns: rate}, "", ""},
		"WD, another letter":         {"WDC WD40EFRX-68N32N0", map[int]uint16{turns: rate}, "", ""},
		"WD for laptops":             {"WDC WD10SPZX-24Z10", map[int]uint16{turns: rate}, disk.DriveManaged, "Western Digital"},
		"Seagate, by its model":      {"ST4000DM004-2CV104", map[int]uint16{turns: rate}, disk.DriveManaged, "Seagate"},
		"Seagate, not that one":      {"ST1000DM010-2EP102", map[int]uint16{turns: rate}, "", ""},
		"Seagate for archives":       {"ST8000AS0002-1NA17Z", map[int]uint16{turns: rate}, disk.DriveManaged, "Archive"},
		"Toshiba, by its model":      {"TOSHIBA HDWD240", map[int]uint16{turns: rate}, disk.DriveManaged, "Toshiba"},
		"Toshiba for laptops":        {"TOSHIBA MQ04ABF100", map[int]uint16{turns: rate}, disk.DriveManaged, "Toshiba"},
		"Toshiba, not that one":      {"TOSHIBA HDWD110", map[int]uint16{turns: rate}, "", ""},
		"it turns and knows TRIM":    {"X", map[int]uint16{turns: rate, trim: 1}, disk.DriveManaged, "in all likelihood"},
		"flash":                      {"X", map[int]uint16{turns: 1, trim: 1}, "", ""},
		"flash that tells no rate":   {"X", map[int]uint16{trim: 1}, "", ""},
		"flash with such a model":    {"ST4000DM004", map[int]uint16{turns: 1}, "", ""},
		"a word that says nothing":   {"X", map[int]uint16{turns: rate, trim: 0xffff}, "", ""},
		"a name within another name": {"XWD40EFAX", map[int]uint16{turns: rate}, "", ""},
		"its own word before others": {"ST4000DM004", map[int]uint16{turns: rate, zoned: 1}, disk.HostAware, "word 69"},
		"nothing speaks for it":      {"HGST HUS728T8TALE6L4", map[int]uint16{turns: 7200}, "", ""},
	} {
		if got, how := disk.Shingle(shingles(t, c.model, c.words)); got != c.want || !strings.Contains(how, c.how) || (how == "") != (got == "") {
			t.Errorf("%s: %q %q", name, got, how)
		}
	}
}

// pages answers INQUIRY for vital product data with what there is.
type pages map[byte][]byte

func (p pages) Execute(req disk.SCSIRequest) (disk.SCSIReply, error) {
	payload, there := p[req.CDB[2]]
	if !there {
		return disk.SCSIReply{Status: 2, Sense: []byte{0x72, 5, 0x24, 0}}, nil
	}

	return disk.SCSIReply{Data: append([]byte{0, req.CDB[2], 0, byte(len(payload))}, payload...)}, nil
}

func (pages) Close() error { return nil }

func TestShingledSCSIDisks(t *testing.T) {
	medium := func(zoned byte) []byte { b := make([]byte, 60); b[4] = zoned << 4; return b }

	for name, c := range map[string]struct {
		kind  byte
		pages pages
		want  disk.Shingling
	}{
		"a device of its own kind": {0x14, pages{}, disk.HostManaged},
		"host aware":               {0, pages{0xb1: medium(1)}, disk.HostAware},
		"device managed":           {0, pages{0xb1: medium(2)}, disk.DriveManaged},
		"its zones alone tell":     {0, pages{0xb1: medium(0), 0xb6: make([]byte, 60)}, disk.HostAware},
		"an empty page":            {0, pages{0xb1: medium(0), 0xb6: nil}, ""},
		"a page cut short":         {0, pages{0xb1: {0x1c, 0x20}}, ""},
		"neither":                  {0, pages{0xb1: medium(0)}, ""},
		"no pages":                 {0, pages{}, ""},
	} {
		if got := disk.ReadShingling(c.pages, disk.Inquiry{Type: c.kind}); got != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// bridge is a layer before a recorded ATA disk that knows the shorter command alone, and
// says that it is a device of a type.
type bridge struct {
	disk.SCSI

	kind    byte
	refuses byte // ASC with which it refuses
	sent    []byte
}

func (b *bridge) Execute(req disk.SCSIRequest) (disk.SCSIReply, error) {
	b.sent = append(b.sent, req.CDB[0])

	switch c := req.CDB; c[0] {
	case 0x85:
		return disk.SCSIReply{Status: 2, Sense: []byte{0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, b.refuses, 0, 0, 0, 0, 0}}, nil
	case 0xa1:
		long := []byte{0x85, c[1], c[2], 0, c[3], 0, c[4], 0, c[5], 0, c[6], 0, c[7], 0, c[9], 0}

		return b.SCSI.Execute(disk.SCSIRequest{CDB: long, In: req.In})
	case 0x12:
		reply, err := b.SCSI.Execute(req)
		if err == nil && c[1]&1 == 0 {
			reply.Data[0] = b.kind
		}

		return reply, err
	default:
		return b.SCSI.Execute(req)
	}
}

// A bridge that knows ATA PASS-THROUGH(12) alone is spoken to in it, once it has said that
// a disk is behind it. To nothing else the command is sent: CD drives blank their medium.
func TestABridgeOfShortCommands(t *testing.T) {
	for name, c := range map[string]struct {
		kind, refuses byte
		short         bool
	}{
		"unknown":                  {0, 0x20, true},
		"a field is unknown":       {0, 0x24, true},
		"a simplified disk":        {0x0e, 0x20, true},
		"a CD drive":               {5, 0x20, false},
		"an optical memory":        {7, 0x20, false},
		"nothing that is known":    {0x1f, 0x20, false},
		"another kind of refusal":  {0, 0x26, false},
		"a medium that is missing": {0, 0x3a, false},
	} {
		b := &bridge{SCSI: scsi(t, "supermicro-x11dpi-n-3.3", "sdc"), kind: c.kind, refuses: c.refuses}
		ata := disk.ATAOver(b)

		id, err := disk.ReadIdentify(ata)
		if c.short != (err == nil && id.Serial == "WKD0102X") {
			t.Errorf("%s: %+v %v", name, id, err)
		}

		if used := strings.Contains(string(b.sent), "\xa1"); used != c.short {
			t.Errorf("%s: sent %x", name, b.sent)
		}

		if !c.short {
			if err == nil || !errors.Is(err, disk.ErrRefused) {
				t.Errorf("%s: %v", name, err)
			}

			continue
		}

		// From now on it is spoken to shortly, and what is too long for that is refused.
		b.sent = nil

		healthy, err := disk.ReadHealth(ata)
		if err != nil || !healthy || string(b.sent) != "\xa1" {
			t.Errorf("%s: %v %v, sent %x", name, healthy, err, b.sent)
		}

		if smart, err := disk.ReadAttributes(ata); err != nil || len(smart.Attributes) == 0 {
			t.Errorf("%s: %v", name, err)
		}

		if _, err := disk.ReadPhyEvents(ata); !errors.Is(err, disk.ErrRefused) {
			t.Errorf("%s: a command of 48 bits: %v", name, err)
		}
	}
}
