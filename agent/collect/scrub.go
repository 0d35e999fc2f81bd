package collect

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"path"
	"regexp"
	"strings"

	"vetting/agent/disk"
	"vetting/agent/ipmi"
	"vetting/agent/probe"
	"vetting/firmware/inventory"
)

// Scrub returns the files with serial numbers, hardware addresses, world wide
// names, UUIDs, asset tags and host names replaced by others of the same form. The
// same key replaces the same secret by the same stand-in, in this recording and in
// others; without the key there is no way back.
func (f Files) Scrub(key []byte) (Files, error) {
	root, err := ParseTree(bytes.NewReader(f[treeFile]))
	if err != nil {
		return nil, err
	}

	s := &scrubber{
		vault: newVault(key), root: root, out: Files{},
		macs: regexp.MustCompile(macPattern), uuids: regexp.MustCompile(uuidPattern), names: regexp.MustCompile(namePattern),
	}

	if err := s.find(f); err != nil {
		return nil, err
	}

	s.words = s.replacer()

	if err := s.replace(f); err != nil {
		return nil, err
	}

	return s.out, nil
}

type scrubber struct {
	*vault

	root  *Tree
	words *strings.Replacer
	out   Files

	macs, uuids, names *regexp.Regexp
}

// Patterns of what identifies a machine wherever it is written.
const (
	macPattern  = `(?i)\b[0-9a-f]{2}(?:([:-])[0-9a-f]{2})(?:[:-][0-9a-f]{2}){4}\b`
	uuidPattern = `(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`
	namePattern = `(?i)[0-9a-f]{16}(?:[0-9a-f]{16})?` // world wide names
	addrPattern = `\b(?:\d{1,3}\.){3}\d{1,3}\b`
)

// find gathers the secrets of all files.
func (s *scrubber) find(f Files) error {
	s.findFiles()
	s.findTables()
	s.findDisks(f[disksFile])
	s.findBMC(f[bmcFile])

	cmdline, err := s.root.ReadFile("proc/cmdline")
	if err != nil {
		cmdline = nil
	}

	for _, text := range []string{string(f[kmsgFile]), string(cmdline)} {
		for _, mac := range s.macs.FindAllString(text, -1) {
			s.hardware(mac)
		}

		for _, id := range s.uuids.FindAllString(text, -1) {
			s.uuid(id)
		}
	}

	for _, addr := range regexp.MustCompile(addrPattern).FindAllString(string(cmdline), -1) {
		s.add(addr, s.stand(addr, 0))
	}

	ports := Ports{}
	if text := f[portsFile]; text != nil {
		if err := json.Unmarshal(text, &ports); err != nil {
			return fmt.Errorf("scrubbing ports: %w", err)
		}
	}

	for _, port := range ports {
		s.hardware(string(port.PermMAC))

		if raw, err := hex.DecodeString(port.Module); err == nil {
			if module, ok := probe.ParseTransceiver(raw); ok {
				s.text(module.Serial)
			}
		}
	}

	return nil
}

// hardware hides a hardware address given as text; other texts are none.
func (s *scrubber) hardware(text string) {
	if raw, err := net.ParseMAC(strings.TrimSpace(text)); err == nil {
		s.mac(raw)
	}
}

// findFiles looks at the files of sysfs that hold identities by their name.
func (s *scrubber) findFiles() {
	texts := map[string]bool{
		"serial": true, "serial_number": true, "product_serial": true, "board_serial": true, "chassis_serial": true,
		"chassis_asset_tag": true, "board_asset_tag": true, "unique_id": true, "ppin": true, "subsysnqn": true, "guid": true,
	}
	addresses := map[string]bool{"wwid": true, "sas_address": true, "host_sas_address": true, "nguid": true, "eui": true, "wwpn": true, "wwnn": true}

	_ = fs.WalkDir(s.root, ".", func(name string, d fs.DirEntry, err error) error { //nolint:errcheck // the function below returns none
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // a file that could not be read holds nothing
		}

		base := path.Base(name)
		text := ""

		if texts[base] || addresses[base] || base == "address" || base == "product_uuid" || base == "uuid" || base == "boot_id" || base == "information" {
			content, err := s.root.ReadFile(name)
			if err != nil {
				return nil //nolint:nilerr // as above
			}

			text = strings.TrimSpace(string(content))
		}

		switch {
		case base == "serial" && strings.HasPrefix(path.Base(path.Dir(name)), "usb"):
			// A root hub's serial number is the address of its controller.
		case texts[base]:
			s.text(strings.TrimPrefix(inventory.Told(text), "0x"))
		case strings.HasPrefix(text, "nvme.") || strings.HasPrefix(text, "t10."):
			// Made of model and serial number, which are found elsewhere.
		case addresses[base]:
			for _, address := range s.names.FindAllString(text, -1) {
				if raw, err := hex.DecodeString(address); err == nil {
					s.wwn(raw)
				}
			}
		case base == "address":
			s.hardware(text)
		default:
			for _, id := range s.uuids.FindAllString(text, -1) {
				s.uuid(id)
			}
		}

		return nil
	})
}

// identities lists where SMBIOS structures have serial numbers and asset tags.
func identities() map[byte][]int {
	return map[byte][]int{1: {0x07}, 2: {0x07, 0x08}, 3: {0x07, 0x08}, 4: {0x20, 0x21}, 17: {0x18, 0x19}, 22: {0x07}, 39: {0x08, 0x09}}
}

// findTables looks at the SMBIOS tables.
func (s *scrubber) findTables() {
	tables, _ := inventory.ReadSMBIOS(s.root) //nolint:errcheck // what cannot be decoded is replaced by hideOEM
	s.uuid(inventory.System(tables).UUID)

	for _, table := range tables {
		for _, at := range identities()[table.Type] {
			s.text(table.Text(at))
		}
	}
}

// findDisks looks at what disks answered about themselves.
func (s *scrubber) findDisks(recording []byte) {
	replay, err := disk.NewReplay(bytes.NewReader(recording))
	if err != nil {
		return
	}

	for _, name := range replay.Names() {
		if dev, err := replay.NVMe(name); err == nil {
			s.findNVMe(dev)
		}

		if dev, err := replay.SCSI(name); err == nil {
			s.findSCSI(dev)
		}
	}
}

func (s *scrubber) findNVMe(dev disk.NVMe) {
	if controller, err := disk.ReadNVMeController(dev); err == nil {
		s.text(controller.Serial)
	}

	if namespace, err := disk.ReadNVMeNamespace(dev); err == nil {
		for _, id := range namespace.IDs {
			s.wwn(id)
		}
	}
}

func (s *scrubber) findSCSI(dev disk.SCSI) {
	if serial, err := disk.ReadSerial(dev); err == nil {
		s.text(serial)
	}

	if identity, err := disk.ReadIdentify(disk.ATAOver(dev)); err == nil {
		s.text(identity.Serial)

		if raw, err := hex.DecodeString(identity.WWN); err == nil {
			s.wwn(raw)
		}
	}

	if names, err := disk.ReadDesignators(dev); err == nil {
		for _, name := range names {
			s.wwn(name)
		}
	}

	if page, err := disk.ReadLog(dev, disk.LogPort); err == nil {
		for _, phy := range disk.ParseSASPhys(page) {
			s.wwn(binary.BigEndian.AppendUint64(nil, phy.Address))
			s.wwn(binary.BigEndian.AppendUint64(nil, phy.Attached))
		}
	}
}

func (s *scrubber) findBMC(recording []byte) {
	replay, err := ipmi.NewReplay(bytes.NewReader(recording))
	if err != nil {
		return
	}

	s.hardware(ipmi.ReadMAC(replay))
}
