package hostmode

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"vetting/core"
)

// The global variables of UEFI (UEFI 2.10 section 3.3) as efivarfs names them.
const (
	efiVars   = "sys/firmware/efi/efivars"
	efiGlobal = "-8be4df61-93ca-11d2-aa0d-00e098032b8c"
	efiKept   = 7 // non-volatile, boot services, runtime
)

// Of a device path (UEFI 2.10 section 10.3).
const (
	pathMessaging = 3
	pathEnd       = 0x7f
	nodeMAC       = 11
	nodeIPv6      = 13
	nodeISCSI     = 19
	nodeURI       = 24
)

// ErrNoNetworkEntry says that the firmware's boot menu has no entry that boots
// from the network.
var ErrNoNetworkEntry = errors.New("the firmware has no entry that boots from the network")

// BootEntry is a network entry of the firmware's boot menu.
type BootEntry struct {
	Number uint16
	Name   string
	MAC    core.MAC // of the port; empty: not told
	rank   int      // smaller is better: PXE over IPv4, then HTTP, then IPv6
}

// NetworkEntry finds the entry that boots from the network, through the port with
// the address mac if there is one, else through any. root is the running
// system's.
func NetworkEntry(root fs.FS, mac core.MAC) (BootEntry, error) {
	files, err := fs.Glob(root, efiVars+"/Boot[0-9A-F][0-9A-F][0-9A-F][0-9A-F]"+efiGlobal)
	if err != nil || len(files) == 0 {
		return BootEntry{}, ErrNoNetworkEntry
	}

	var found []BootEntry

	for _, file := range files {
		number, err := strconv.ParseUint(filepath.Base(file)[4:8], 16, 16)
		if err != nil {
			continue
		}

		raw, err := fs.ReadFile(root, file)
		if err != nil {
			continue // one that cannot be read cannot be chosen
		}

		if entry, ok := parseEntry(raw); ok {
			entry.Number = uint16(number)
			found = append(found, entry)
		}
	}

	if len(found) == 0 {
		return BootEntry{}, ErrNoNetworkEntry
	}

	return slices.MinFunc(found, func(a, b BootEntry) int {
		return a.worth(mac) - b.worth(mac)
	}), nil
}

// worth orders entries: the right port first, then how it boots, then the menu's
// own order.
func (b *BootEntry) worth(mac core.MAC) int {
	worth := b.rank<<16 | int(b.Number)
	if b.MAC != mac {
		worth += 1 << 24
	}

	return worth
}

// parseEntry reads an EFI_LOAD_OPTION (UEFI 2.10 section 3.1.3) as efivarfs has
// it, behind four bytes of attributes. Entries that are switched off or do not
// boot from the network are none.
func parseEntry(raw []byte) (entry BootEntry, ok bool) {
	const head = 4 + 4 + 2

	if len(raw) < head || binary.LittleEndian.Uint32(raw[4:])&1 == 0 {
		return entry, false
	}

	length := int(binary.LittleEndian.Uint16(raw[8:]))
	rest := raw[head:]

	end := 0
	for end+1 < len(rest) && (rest[end] != 0 || rest[end+1] != 0) {
		entry.Name += string(rune(binary.LittleEndian.Uint16(rest[end:])))
		end += 2
	}

	if end+2 > len(rest) || length > len(rest)-end-2 {
		return entry, false
	}

	entry.Name = line(entry.Name, 128)

	return entry, entry.readPath(rest[end+2 : end+2+length])
}

// readPath reads a device path and reports whether it boots from the network.
func (b *BootEntry) readPath(path []byte) bool {
	network := false

	for len(path) >= 4 {
		kind, sub, length := path[0], path[1], int(binary.LittleEndian.Uint16(path[2:]))
		if length < 4 || length > len(path) || kind == pathEnd {
			break
		}

		if kind == pathMessaging {
			switch sub {
			case nodeISCSI:
				return false
			case nodeMAC:
				network = true
				b.MAC = macOf(path[4:length])
			case nodeIPv6:
				b.rank += 2
			case nodeURI:
				b.rank++
			}
		}

		path = path[length:]
	}

	return network
}

func macOf(node []byte) core.MAC {
	if len(node) < 6 {
		return ""
	}

	var digits []string
	for _, b := range node[:6] {
		digits = append(digits, fmt.Sprintf("%02x", b))
	}

	return core.MAC(strings.Join(digits, ":"))
}

// SetBootNext has the firmware boot an entry once. root is where the system's
// files are: "/".
func SetBootNext(root string, number uint16) error {
	value := binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint32(nil, efiKept), number)
	path := filepath.Join(root, efiVars, "BootNext"+efiGlobal)

	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, value) {
		return nil
	}

	// efivarfs takes a variable as one write, whole.
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644) //nolint:gosec // the mode that efivarfs gives to all
	if err != nil {
		return fmt.Errorf("choosing the next boot: %w", err)
	}

	_, err = file.Write(value)
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("choosing the next boot: %w", err)
	}

	return nil
}
