package probe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"vetting/core"
	"vetting/firmware/inventory"
)

// TPM takes a command for a TPM 2.0 and returns its response, both as the TPM 2.0 Library
// Specification, part 1 §18, lays them out.
type TPM interface {
	Do(command []byte) ([]byte, error)
}

// ErrTPM is wrapped by what TrustedModule and Firmware return where a TPM 2.0 did not speak.
var ErrTPM = errors.New("the TPM did not tell of itself")

// Commands, capabilities and properties of the TPM 2.0 Library Specification, part 2 §6.5.2,
// §6.12 and §6.13.
const (
	tpmNoSessions    = 0x8001
	tpmGetCapability = 0x017a
	tpmProperties    = 6

	tpmFixed        = 0x100 // the first property that never changes: the family, "2.0"
	tpmManufacturer = 0x105
	tpmFirmware     = 0x10b // and the one behind it

	tpmAsked = tpmFirmware + 2 - tpmFixed // properties, up to the firmware
	tpmMost  = 4096                       // bytes of a response
)

// capabilityCommand is TPM2_GetCapability (part 3 §30.2) for the properties up to the
// firmware. It changes nothing, and is answered in failure mode as well.
func capabilityCommand() []byte {
	const size = 22

	command := binary.BigEndian.AppendUint16(nil, tpmNoSessions)
	for _, word := range []uint32{size, tpmGetCapability, tpmProperties, tpmFixed, tpmAsked} {
		command = binary.BigEndian.AppendUint32(command, word)
	}

	return command
}

// ParseTPM reads the response to TPM2_GetCapability: who made the TPM, and its firmware,
// written as SMBIOS type 43 is. Properties that it leaves out are empty.
func ParseTPM(response []byte) (core.TPM, error) {
	const header, list, pair = 10, 19, 8

	if len(response) < header || len(response) > tpmMost || int(binary.BigEndian.Uint32(response[2:])) != len(response) {
		return core.TPM{}, fmt.Errorf("a response of %d bytes is not what it says it is", len(response))
	}

	if code := binary.BigEndian.Uint32(response[6:]); code != 0 {
		return core.TPM{}, fmt.Errorf("it answers with the code 0x%03x", code)
	}

	if len(response) < list || binary.BigEndian.Uint16(response) != tpmNoSessions || binary.BigEndian.Uint32(response[11:]) != tpmProperties {
		return core.TPM{}, errors.New("it answers another question")
	}

	properties, count := response[list:], binary.BigEndian.Uint32(response[15:])
	if uint64(len(properties)) != pair*uint64(count) {
		return core.TPM{}, fmt.Errorf("%d properties do not fit into %d bytes", count, len(properties))
	}

	told := map[uint32][]byte{}
	for ; len(properties) > 0; properties = properties[pair:] {
		told[binary.BigEndian.Uint32(properties)] = properties[4:pair]
	}

	t := core.TPM{Version: letters(told[tpmFixed]), Manufacturer: letters(told[tpmManufacturer])}

	first, second := told[tpmFirmware], told[tpmFirmware+1]
	if len(first) > 0 && len(second) > 0 && (binary.BigEndian.Uint32(first) != 0 || binary.BigEndian.Uint32(second) != 0) {
		t.Firmware = fmt.Sprintf("%d.%d.%d.%d", binary.BigEndian.Uint16(first), binary.BigEndian.Uint16(first[2:]),
			binary.BigEndian.Uint16(second), binary.BigEndian.Uint16(second[2:]))
	}

	return t, nil
}

// letters is the text of a property: "IFX" of 49 46 58 00.
func letters(property []byte) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}

		return r
	}, string(property)))
}

// TrustedModule describes the TPM: by what it says itself, else by what SMBIOS and the
// kernel tell of it. nil without one; the error says why it did not speak.
func (m Machine) TrustedModule(tables []inventory.Structure) (*core.TPM, error) {
	known := inventory.TrustedModule(m.Root, tables)
	if known == nil || m.TPM == nil || inventory.TPM(m.Root) != "2" {
		return known, nil
	}

	response, err := m.TPM.Do(capabilityCommand())
	if err != nil {
		return known, fmt.Errorf("%w: %w", ErrTPM, err)
	}

	t, err := ParseTPM(response)
	if err != nil {
		return known, fmt.Errorf("%w: %w", ErrTPM, err)
	}

	known.Version, known.Manufacturer = firstText(t.Version, known.Version), firstText(t.Manufacturer, known.Manufacturer)
	known.Firmware = firstText(t.Firmware, known.Firmware)

	return known, nil
}
