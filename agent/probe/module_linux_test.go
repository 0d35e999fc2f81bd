package probe_test

import (
	"bytes"
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"vetting/agent/probe"
)

// A module is read page by page, as far as it has pages and the driver shows them.
func TestAModuleIsReadPageByPage(t *testing.T) {
	whole := module(t, "osfp-juniper-740-174932")
	short := bytes.Clone(whole[:256])
	short[2] |= 0x80

	hidden := bytes.Clone(whole)
	clear(hidden[640:])

	// One of sixteen lanes has a second bank of the pages 10h and 11h (CMIS 5.2, 8.2.1).
	banked := bytes.Clone(whole)
	banked[270] |= 1
	wide := append(bytes.Clone(banked), whole[512:]...)

	order := []byte{0x00, 0x01, 0x02, 0x10, 0x11}

	for name, c := range map[string]struct {
		memory, want []byte
		hides        byte // page
	}{
		"all of it":                              {whole, whole, 0xff},
		"one without more pages":                 {short, short, 0xff},
		"one of which the driver hides the last": {whole, hidden, 0x11},
		"an old kind":                            {module(t, "qsfp28-fs-ir4"), nil, 0xff},
		"one of two banks":                       {wide, wide, 0xff},
		"one whose driver hides the second bank": {banked, banked, 0xff},
	} {
		got := probe.Assemble(func(page, bank byte, offset int) ([]byte, error) {
			at := 0

			for i, p := range order {
				if offset == 128 && p == page {
					at = (i + 1) * 128
				}
			}

			if bank > 0 {
				at += int(bank) * 256
			}

			if page == c.hides || at+128 > len(c.memory) {
				return nil, errors.New("operation not supported")
			}

			return c.memory[at : at+128], nil
		})

		if !bytes.Equal(got, c.want) {
			t.Errorf("%s: %d bytes, want %d", name, len(got), len(c.want))
		}
	}
}

// The kernel of this machine is asked, of a port that has no module.
func TestTheKernelIsAskedForModules(t *testing.T) {
	family, err := probe.AskModule("lo", 0)
	if errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.ENOENT) {
		t.Skipf("no ethtool by netlink here: %v", err)
	}

	if family < 16 || !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENODEV) {
		t.Errorf("family %d: %v", family, err)
	}
}

func FuzzNetlink(f *testing.F) {
	f.Add([]byte{24, 0, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 6, 0, 1, 0, 21, 0, 0, 0}, uint16(16))
	f.Add([]byte{36, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 161, 255, 255, 255}, uint16(16))

	f.Fuzz(func(t *testing.T, b []byte, family uint16) {
		if value, err := probe.ParseNetlink(b, family, 1); err == nil && len(value) > len(b) {
			t.Errorf("%d bytes of %d", len(value), len(b))
		}
	})
}
