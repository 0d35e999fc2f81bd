package bmc

import (
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"vetting/agent/ipmi"
)

// Completion codes (IPMI 2.0 table 5-2).
const (
	okay           = 0x00
	invalidCommand = 0xc1
	noSuchLength   = 0xc8 // length of the request is wrong
	outOfRange     = 0xc9
	notPresent     = 0xcb
)

// BMC is a management controller. Safe for concurrent use.
type BMC struct {
	scene   Scene
	records [][]byte
	frus    map[byte][]byte

	mu     sync.Mutex
	load   float64   // guarded by mu
	begun  time.Time // guarded by mu: when somebody first asked for the state of a supply
	status [2]byte   // guarded by mu: as the log of events has it
	events [][]byte  // guarded by mu
	added  time.Time // guarded by mu: the last of them
}

var _ ipmi.BMC = (*BMC)(nil)

// New returns a controller that plays a scene, of a machine at half load.
func New(scene Scene) *BMC {
	return &BMC{
		scene: scene, records: records(), load: 0.5, status: [2]byte{1, 1},
		frus: map[byte][]byte{
			1: information("Lab Power", "LP-800", "LP-800-A", "1.2", "LP0000001"), 2: information("Lab Power", "LP-800", "LP-800-A", "1.2", "LP0000002"),
		},
	}
}

// SetLoad says how much the machine works, from 0 to 1.
func (b *BMC) SetLoad(load float64) {
	b.mu.Lock()
	defer b.mu.Unlock()

	b.load = load
}

// Unrated makes a supply (1 or 2) tell no capacity.
func (b *BMC) Unrated(number byte) {
	b.mu.Lock()
	defer b.mu.Unlock()

	const header, records = 7, 5

	information := b.frus[number]
	first := slices.Clone(information[:header])
	first[records] = 0 // no area of records

	b.frus[number] = append(closed(first), information[header+1:]...)
}

// SetModel makes a supply (1 or 2) another model.
func (b *BMC) SetModel(number byte, model, part, version string) {
	b.mu.Lock()
	defer b.mu.Unlock()

	b.frus[number] = information("Lab Power", model, part, version, "LP9999999")
}

// Without makes the controller forget all sensor records that drop chooses, by the text
// in them.
func (b *BMC) Without(drop func(record []byte) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()

	var left [][]byte

	for _, r := range b.records {
		if !drop(r) {
			left = append(left, r)
		}
	}

	b.records = left
}

// Change changes the sensor records.
func (b *BMC) Change(change func(record []byte)) {
	b.mu.Lock()
	defer b.mu.Unlock()

	for _, r := range b.records {
		change(r)
	}
}

// Do answers a request: the completion code and what follows it.
func (b *BMC) Do(req ipmi.Request) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()

	switch req.NetFn {
	case ipmi.App:
		return b.app(req), nil
	case ipmi.Chassis:
		if req.Command == 0x01 { // Get Chassis Status: on
			return []byte{okay, 0x01, 0, 0x40}, nil
		}
	case ipmi.Sensor:
		return b.sensor(req), nil
	case ipmi.Storage:
		return b.storage(req), nil
	case ipmi.Group:
		return b.dcmi(req), nil
	}

	return []byte{invalidCommand}, nil
}

// app are the commands by which a driver gets to know the controller (§20, §22).
func (*BMC) app(req ipmi.Request) []byte {
	switch req.Command {
	case 0x01: // Get Device ID
		return []byte{okay, 0x20, 0x81, 0x01, 0x07, 0x02, 0xbf, 0x00, 0x00, 0x00, 0x01, 0x00, 0, 0, 0, 0}
	case 0x04: // Get Self Test Results: no error
		return []byte{okay, 0x55, 0x00}
	case 0x2e, 0x30: // Set BMC Global Enables, Clear Message Flags
		return []byte{okay}
	case 0x2f, 0x31: // Get BMC Global Enables, Get Message Flags
		return []byte{okay, 0x00}
	default:
		return []byte{invalidCommand}
	}
}

// storage are the records of sensors, the information of FRUs and the log of events (§31
// to §34).
func (b *BMC) storage(req ipmi.Request) []byte {
	switch req.Command {
	case 0x10: // Get FRU Inventory Area Info
		if len(req.Data) < 1 || b.frus[req.Data[0]] == nil {
			return []byte{notPresent}
		}

		return append([]byte{okay}, word(len(b.frus[req.Data[0]]), 0)...)
	case 0x11: // Read FRU Data
		return b.fru(req.Data)
	case 0x20: // Get SDR Repository Info
		return append([]byte{okay, 0x51}, append(word(len(b.records), 0xff), make([]byte, 10)...)...)
	case 0x22: // Reserve SDR Repository
		return []byte{okay, 0x01, 0x00}
	case 0x23: // Get SDR
		return b.record(req.Data)
	case 0x40: // Get SEL Info
		b.happen()

		out := append([]byte{okay, 0x51}, word(len(b.events), 0xff)...)
		out[4] = 0x7f // of the free bytes, which are many
		out = append(out, 0)
		out = binary.LittleEndian.AppendUint32(out, b.addedAt())

		return append(binary.LittleEndian.AppendUint32(out, 0), 0x02)
	case 0x43: // Get SEL Entry
		return b.event(req.Data)
	case 0x48: // Get SEL Time
		return binary.LittleEndian.AppendUint32([]byte{okay}, uint32(time.Now().Unix()))
	default:
		return []byte{invalidCommand}
	}
}

// word is a number in two bytes, and one more byte.
func word(n int, more byte) []byte { return []byte{byte(n), byte(n >> 8), more} }

func (b *BMC) addedAt() uint32 {
	if b.added.IsZero() {
		return 0
	}

	return uint32(b.added.Unix())
}

func (b *BMC) fru(data []byte) []byte {
	if len(data) < 4 {
		return []byte{noSuchLength}
	}

	all, from, n := b.frus[data[0]], int(binary.LittleEndian.Uint16(data[1:])), int(data[3])
	if from >= len(all) {
		return []byte{outOfRange}
	}

	part := all[from:min(from+n, len(all))]

	return append([]byte{okay, byte(len(part))}, part...)
}

// record answers Get SDR (§33.12).
func (b *BMC) record(data []byte) []byte {
	const first, last = 0x0000, 0xffff

	if len(data) < 6 {
		return []byte{noSuchLength}
	}

	id, from, n := binary.LittleEndian.Uint16(data[2:]), int(data[4]), int(data[5])

	for i, r := range b.records {
		if id != first && binary.LittleEndian.Uint16(r) != id {
			continue
		}

		next := uint16(last)
		if i+1 < len(b.records) {
			next = binary.LittleEndian.Uint16(b.records[i+1])
		}

		if from >= len(r) {
			return []byte{outOfRange}
		}

		return append(binary.LittleEndian.AppendUint16([]byte{okay}, next), r[from:min(from+n, len(r))]...)
	}

	return []byte{notPresent}
}

// dcmi answers Get Power Reading (DCMI 1.5 §6.6.1).
func (b *BMC) dcmi(req ipmi.Request) []byte {
	if req.Command != 0x02 || len(req.Data) < 4 || req.Data[0] != 0xdc {
		return []byte{invalidCommand}
	}

	p := b.power()
	watts := uint16(p.Supplies[0].Input + p.Supplies[1].Input)
	out := []byte{okay, 0xdc}

	for range 4 { // current, least, most, mean
		out = binary.LittleEndian.AppendUint16(out, watts)
	}

	return append(append(out, make([]byte, 8)...), 0x40)
}

// power is what it is like now.
func (b *BMC) power() Power {
	since := time.Duration(0)
	if !b.begun.IsZero() {
		since = time.Since(b.begun)
	}

	return b.scene(b.load, since)
}
