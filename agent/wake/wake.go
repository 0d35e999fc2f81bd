// Package wake talks to network ports: it has them listen for magic packets while
// the machine sleeps (SecureOn aside, AMD publication 20213), as the kernel lets
// one ask with ethtool's SIOCETHTOOL.
package wake

import (
	"errors"
	"fmt"
)

// Names of <linux/ethtool.h>.
const (
	getWoL = 0x5    // ETHTOOL_GWOL
	setWoL = 0x6    // ETHTOOL_SWOL
	magic  = 1 << 5 // WAKE_MAGIC
)

// ErrUnsupported says that a port cannot wake its machine by a magic packet.
var ErrUnsupported = errors.New("the port does not wake its machine")

// Setting is struct ethtool_wolinfo.
type Setting struct {
	Cmd, Supported, Options uint32
	Password                [6]byte
	_                       [2]byte
}

// Port asks the driver of one port.
type Port interface {
	// WoL carries one request out, and leaves the answer in the setting.
	WoL(name string, s *Setting) error
}

// Arm has a port wake the machine by a magic packet; what else wakes it stays as
// it is. It changes nothing that is so already. ErrUnsupported when the port
// cannot do it.
func Arm(port Port, name string) error {
	s := Setting{Cmd: getWoL}
	if err := port.WoL(name, &s); err != nil {
		return fmt.Errorf("asking %s what wakes it: %w", name, err)
	}

	if s.Supported&magic == 0 {
		return fmt.Errorf("arming %s: %w", name, ErrUnsupported)
	}

	if s.Options&magic != 0 {
		return nil
	}

	s.Cmd, s.Options = setWoL, s.Options|magic
	if err := port.WoL(name, &s); err != nil {
		return fmt.Errorf("arming %s: %w", name, err)
	}

	return nil
}
