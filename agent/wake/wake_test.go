package wake_test

import (
	"errors"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"vetting/agent/wake"
)

// nic is a port as a driver would have it.
type nic struct {
	supported, options uint32
	password           [6]byte
	asked              []uint32
	broken             error
}

func (n *nic) WoL(_ string, s *wake.Setting) error {
	n.asked = append(n.asked, s.Cmd)

	switch {
	case n.broken != nil:
		return n.broken
	case s.Cmd == 5:
		s.Supported, s.Options, s.Password = n.supported, n.options, n.password
	default:
		n.options, n.password = s.Options, s.Password
	}

	return nil
}

func TestArm(t *testing.T) {
	broken := errors.New("broken")

	tests := map[string]struct {
		port  nic
		want  uint32
		asked []uint32
		err   error
	}{
		"what else wakes it stays":   {port: nic{supported: 0x7f, options: 0x41, password: [6]byte{1, 2}}, want: 0x61, asked: []uint32{5, 6}},
		"nothing is set twice":       {port: nic{supported: 0x20, options: 0x20}, want: 0x20, asked: []uint32{5}},
		"a port without magic":       {port: nic{supported: 0x01}, asked: []uint32{5}, err: wake.ErrUnsupported},
		"a driver that does not say": {port: nic{broken: broken}, asked: []uint32{5}, err: broken},
	}

	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			password := test.port.password
			if err := wake.Arm(&test.port, "eth0"); !errors.Is(err, test.err) {
				t.Errorf("Arm() = %v, want %v", err, test.err)
			}

			if diff := cmp.Diff(test.asked, test.port.asked); diff != "" || test.port.options != test.want || test.port.password != password {
				t.Errorf("options %#x, want %#x; asked %s", test.port.options, test.want, diff)
			}
		})
	}
}

func TestTheKernelIsAskedInItsOwnForm(t *testing.T) {
	if size := unsafe.Sizeof(wake.Setting{}); size != 20 {
		t.Errorf("struct ethtool_wolinfo has 20 bytes, not %d", size)
	}

	if err := wake.Arm(wake.System{}, "lo"); !errors.Is(err, wake.ErrUnsupported) {
		t.Errorf("the loopback port: %v", err)
	}

	if err := wake.Arm(wake.System{}, "a-name-that-is-too-long"); err == nil {
		t.Error("a name that is too long was taken")
	}
}
