package probe_test

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"vetting/agent/probe"
)

// attributeOf is an attribute of netlink (struct nlattr).
func attributeOf(kind uint16, values ...[]byte) []byte {
	value := slices.Concat(values...)
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
	b = binary.NativeEndian.AppendUint16(b, kind)

	return append(append(b, value...), make([]byte, -len(value)&3)...)
}

func u32(n ...uint32) (b []byte) {
	for _, v := range n {
		b = binary.NativeEndian.AppendUint32(b, v)
	}

	return b
}

func u64(n ...uint64) (b []byte) {
	for _, v := range n {
		b = binary.NativeEndian.AppendUint64(b, v)
	}

	return b
}

// TestErrorCorrectionOfPorts: what the kernel answers of ports with and without it, in the
// order of its own source (net/ethtool/fec.c, fec_fill_reply).
func TestErrorCorrectionOfPorts(t *testing.T) {
	const nested = 1 << 15

	head := attributeOf(1|nested, attributeOf(1, u32(3)), attributeOf(2, []byte("eth0\x00")))
	modes := attributeOf(2|nested, attributeOf(1), attributeOf(2, u32(121)), attributeOf(4, u32(0, 1<<17|1<<18|1<<19, 0, 0)))
	stats := attributeOf(5|nested, attributeOf(2, u64(10, 4, 6)), attributeOf(3, u64(2, 1, 1)), attributeOf(4, u64(30)))

	for name, c := range map[string]struct {
		answer []byte
		want   probe.FEC
		fails  bool
	}{
		"rs, with counters": {
			slices.Concat(head, modes, attributeOf(3, []byte{1}), attributeOf(4, u32(50)), stats),
			probe.FEC{Active: "rs", Modes: []string{"off", "rs", "baser"}, Auto: true, Corrected: 10, Uncorrectable: 2, Counts: true},
			false,
		},
		"base-r":        {slices.Concat(head, attributeOf(3, []byte{0}), attributeOf(4, u32(51))), probe.FEC{Active: "baser"}, false},
		"low latency":   {slices.Concat(head, attributeOf(4, u32(74))), probe.FEC{Active: "llrs"}, false},
		"off":           {slices.Concat(head, attributeOf(4, u32(49))), probe.FEC{Active: "off"}, false},
		"no link":       {slices.Concat(head, attributeOf(3, []byte{0})), probe.FEC{}, false},
		"an unknown":    {slices.Concat(head, attributeOf(4, u32(7))), probe.FEC{}, false},
		"not counted":   {slices.Concat(head, attributeOf(4, u32(50)), attributeOf(5|nested, attributeOf(2, u64(math.MaxUint64)), attributeOf(3, u64(math.MaxUint64)))), probe.FEC{Active: "rs"}, false},
		"half a number": {slices.Concat(head, attributeOf(4, []byte{50, 0})), probe.FEC{}, true},
	} {
		got, err := probe.ParseFEC(c.answer)
		if (err != nil) != c.fails || err == nil && (got.Active != c.want.Active || !slices.Equal(got.Modes, c.want.Modes) || got.Auto != c.want.Auto ||
			got.Corrected != c.want.Corrected || got.Uncorrectable != c.want.Uncorrectable || got.Counts != c.want.Counts) {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
}

// TestTheKernelIsAskedForErrorCorrection of a port that has none: it knows the question.
func TestTheKernelIsAskedForErrorCorrection(t *testing.T) {
	f, err := probe.AskFEC("lo")
	if errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.ENOENT) {
		t.Skipf("no ethtool by netlink here: %v", err)
	}

	if f != nil || !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.ENODEV) {
		t.Errorf("%+v %v", f, err)
	}
}

func FuzzFEC(f *testing.F) {
	f.Add(slices.Concat(attributeOf(2, attributeOf(4, u32(0, 1<<17))), attributeOf(4, u32(50)), attributeOf(5, attributeOf(2, u64(10)), attributeOf(3, u64(1)))))
	f.Add([]byte{4, 0, 2, 0})

	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := probe.ParseFEC(b)
		if err == nil && (len(got.Modes) > 4 || !got.Counts && got.Active == "" && len(got.Modes) > 0 && len(b) < 12) {
			t.Errorf("%+v", got)
		}
	})
}
