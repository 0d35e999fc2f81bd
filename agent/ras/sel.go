package ras

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"vetting/core"
	"vetting/core/problem"
)

// BMC is the management controller's event log, in-band. Its times are its own:
// records are told apart by their numbers.
type BMC interface {
	// State returns how many records there are and when one was last added.
	State(ctx context.Context) (records int, added uint32, err error)
	// Record returns a record of 16 bytes and the number of the next one; 0 is the
	// first record, and a next of 0xFFFF says that there is none.
	Record(ctx context.Context, id uint16) (raw []byte, next uint16, err error)
}

const (
	selFirst  = 0
	selNone   = 0xffff
	selRecord = 16
	selSystem = 0x02 // record type "system event" (IPMI 2.0, table 32-1)
	maxSEL    = 16384
)

// selLog remembers how far the BMC's log was read.
type selLog struct {
	bmc     BMC
	read    bool // once
	records int
	added   uint32
	last    uint16
}

// fresh returns the records that were added since the call before; the first call
// returns all of them.
func (l *selLog) fresh(ctx context.Context) (entries [][]byte, err error) {
	records, added, err := l.bmc.State(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking for the BMC's event log: %w", err)
	}

	if l.read && records == l.records && added == l.added {
		return nil, nil
	}

	from := uint16(selFirst)

	if l.read && records >= l.records && l.last != 0 {
		_, next, err := l.bmc.Record(ctx, l.last)

		switch {
		case err == nil && next == selNone:
			return nil, nil
		case err == nil:
			from = next
		}
	}

	entries, err = l.walk(ctx, from, records)
	if err == nil {
		l.read, l.records, l.added = true, records, added
	}

	return entries, err
}

func (l *selLog) walk(ctx context.Context, id uint16, records int) (entries [][]byte, err error) {
	if records == 0 {
		l.last = 0

		return nil, nil
	}

	for range min(records+16, maxSEL) { // a log may grow while it is read
		raw, next, err := l.bmc.Record(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("reading record %#x of the BMC's event log: %w", id, err)
		}

		if len(raw) != selRecord {
			return nil, errors.New("reading the BMC's event log: a record has not 16 bytes")
		}

		entries, l.last = append(entries, raw), binary.LittleEndian.Uint16(raw)

		if next == selNone || next == id {
			break
		}

		id = next
	}

	return entries, nil
}

// Entry is a record of the BMC's log about an event of a sensor.
type Entry struct {
	Number   uint16
	Time     time.Time // as the BMC's clock has it; zero: not set
	Sort     byte      // of sensor: 0x0c is memory
	Sensor   byte      // its number
	Asserted bool
	Form     byte // event type: 0x6f is one of the sensor's own
	Offset   byte // which event
	Data     [2]byte
}

// ParseSEL reads a record (IPMI 2.0, table 32-1); false is a record of another
// sort, which only its maker can read.
func ParseSEL(raw []byte) (e Entry, ok bool) {
	if len(raw) != selRecord || raw[2] != selSystem {
		return e, false
	}

	e = Entry{
		Number: binary.LittleEndian.Uint16(raw), Sort: raw[10], Sensor: raw[11],
		Asserted: raw[12]&0x80 == 0, Form: raw[12] & 0x7f, Offset: raw[13] & 0x0f, Data: [2]byte{raw[14], raw[15]},
	}

	const beforeBoot = 0x20000000 // times below count from the BMC's own start
	if at := binary.LittleEndian.Uint32(raw[3:]); at >= beforeBoot {
		e.Time = time.Unix(int64(at), 0).UTC()
	}

	return e, true
}

// selRule says what an event of the BMC's log means (IPMI 2.0, table 42-3).
type selRule struct {
	sort, form, offset byte
	code               string
	severity           core.Severity
}

const (
	ownForm  = 0x6f
	limits   = 0x01 // a threshold was crossed; the offset says which
	anything = 0xff
)

func selRules() []selRule {
	return []selRule{
		{0x0c, ownForm, 0x0, "sel/memory-corrected", bySort},
		{0x0c, ownForm, 0x1, "sel/memory-uncorrected", core.Critical},
		{0x0c, ownForm, 0x2, "sel/memory-uncorrected", core.Critical},
		{0x0c, ownForm, 0x3, "sel/memory-uncorrected", core.Critical},
		{0x0c, ownForm, 0x4, "sel/memory-uncorrected", core.Critical},
		{0x0c, ownForm, 0x5, "sel/memory-corrected", core.Critical},
		{0x0c, ownForm, 0xa, "sel/memory-uncorrected", core.Critical},
		{0x07, ownForm, 0xc, "sel/processor", bySort},
		{0x07, ownForm, 0x7, "", ""}, // presence
		{0x07, ownForm, 0x9, "", ""}, // terminator presence
		{0x07, ownForm, 0xa, "sel/throttled", core.Warning},
		{0x07, ownForm, anything, "sel/processor", core.Critical},
		{0x13, ownForm, 0x7, "sel/bus-corrected", core.Warning},
		{0x13, ownForm, 0xb, "sel/bus-corrected", core.Warning},
		{0x13, ownForm, 0x0, "sel/bus-error", core.Warning}, // the NMI button
		{0x13, ownForm, anything, "sel/bus-error", core.Critical},
		{0x08, ownForm, 0x0, "", ""}, // presence
		{0x08, ownForm, anything, "sel/power-supply", core.Critical},
		{0x09, ownForm, 0x5, "sel/power-supply", core.Critical}, // soft power control failure
		{0x09, ownForm, 0x6, "sel/power-supply", core.Critical}, // power unit failure
		{0x0d, ownForm, 0x1, "sel/drive", core.Critical},
		{0x0d, ownForm, 0x2, "sel/drive", core.Warning},
		{0x01, limits, 0x7, "sel/temperature", core.Warning},
		{0x01, limits, 0x9, "sel/temperature", core.Critical},
		{0x01, limits, 0xb, "sel/temperature", core.Critical},
		{0x02, limits, 0x0, "sel/voltage", core.Warning},
		{0x02, limits, 0x7, "sel/voltage", core.Warning},
		{0x02, limits, anything, "sel/voltage", core.Critical},
		{0x04, limits, 0x0, "sel/fan", core.Warning},
		{0x04, limits, 0x2, "sel/fan", core.Critical},
		{0x04, limits, 0x4, "sel/fan", core.Critical},
		{0x0f, ownForm, 0x0, "sel/firmware-error", core.Critical},
	}
}

// judge makes a finding of a record that was added while a stage ran.
func (e *Entry) judge(stage core.StageName, used bool) (core.Finding, bool) {
	if !e.Asserted {
		return core.Finding{}, false
	}

	for _, rule := range selRules() {
		if rule.sort != e.Sort || rule.form != e.Form || rule.offset != anything && rule.offset != e.Offset {
			continue
		}

		if rule.code == "" {
			return core.Finding{}, false
		}

		event := Event{Severity: rule.severity, When: Always}

		return problem.Finding(rule.code, event.rank(used, false, false), stage, e.part(), e.String()), true
	}

	return core.Finding{}, false
}

// part names what the record is about. For memory the third byte of the event is
// the module, where the BMC tells it (table 42-3, sensor type 0Ch).
func (e *Entry) part() core.Part {
	kinds := map[byte]string{0x0c: "dimm", 0x07: "cpu", 0x13: "pci", 0x08: "psu", 0x09: "psu", 0x0d: "disk", 0x04: "fan"}

	kind, ok := kinds[e.Sort]
	if !ok {
		return core.Part{Kind: "board"}
	}

	place := fmt.Sprintf("BMC sensor %#02x", e.Sensor)
	if e.Sort == 0x0c && e.Data[1] != selNone&0xff {
		place = fmt.Sprintf("module %d of BMC sensor %#02x", e.Data[1], e.Sensor)
	}

	return core.Part{Kind: kind, Slot: place}
}

// String prints the record for people who look it up.
func (e *Entry) String() string {
	at := "without a time"
	if !e.Time.IsZero() {
		at = e.Time.Format(time.RFC3339)
	}

	return fmt.Sprintf("record %#04x of the BMC's event log, %s: sensor %#02x of type %#02x, event %#02x offset %d, data %02x %02x",
		e.Number, at, e.Sensor, e.Sort, e.Form, e.Offset, e.Data[0], e.Data[1])
}
