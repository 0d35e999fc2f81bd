package probe

import "golang.org/x/sys/unix"

// Assemble puts the pages of a module together.
func Assemble(read func(page, bank byte, offset int) ([]byte, error)) []byte { return assemble(read) }

// AskModule asks the kernel for a page of a port's module, and returns the number of the
// family that was asked.
func AskModule(name string, page byte) (uint16, error) {
	sock, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_GENERIC)
	if err != nil {
		return 0, err
	}
	defer unix.Close(sock) //nolint:errcheck // nothing was written

	family, err := ethtoolFamily(sock)
	if err != nil {
		return 0, err
	}

	_, err = generic(sock, family, unix.ETHTOOL_MSG_MODULE_EEPROM_GET, eepromRequest(name, page, 0, 0))

	return family, err
}

// ParseNetlink finds an attribute in an answer.
func ParseNetlink(answer []byte, family, kind uint16) ([]byte, error) {
	attributes, err := parseGeneric(answer, family)
	if err != nil {
		return nil, err
	}

	return netlinkAttribute(attributes, kind)
}

// ParseFEC decodes an answer about error correction.
var ParseFEC = parseFEC

// AskFEC asks the kernel for that of a port.
func AskFEC(name string) (told *FEC, err error) {
	err = withEthtool(func(sock int, family uint16) error {
		answer, err := generic(sock, family, unix.ETHTOOL_MSG_FEC_GET, fecRequest(name))
		if err == nil {
			told, err = parseFEC(answer)
		}

		return err
	})

	return told, err
}
