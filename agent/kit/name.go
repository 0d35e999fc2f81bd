package kit

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"vetting/agent/network"
	"vetting/core"
)

// ProgramFile is where the appliance's program lies below BootDir.
const ProgramFile = "vetting/vetting"

// Address is what a machine is known by: the address of its first network port or,
// where it has none, one of its own making: locally administered (IEEE 802 §8.4), the
// same at every boot, from what its firmware says of it.
func Address(links []network.Link, identity core.Identity) core.MAC {
	if len(links) > 0 {
		return links[0].MAC
	}

	sum := sha256.Sum256([]byte(identity.SMBIOSUUID + "/" + identity.BoardSerial))

	return core.MAC(fmt.Sprintf("02:%02x:%02x:%02x:%02x:%02x", sum[0], sum[1], sum[2], sum[3], sum[4]))
}

// Name is what a machine is called: by what its maker has printed on it.
func Name(identity core.Identity) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' {
			return r
		}

		return -1
	}, identity.BoardSerial)

	if name == "" {
		return "kit-host"
	}

	return "kit-" + name[:min(len(name), 32)]
}
