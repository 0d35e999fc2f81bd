package store

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"

	"vetting/core"
)

// The formats of a record's payload. A number once given is never given again;
// what is on a disk somewhere must stay readable.
const (
	formatJSON    byte = 1 // encoding/json
	formatBatch   byte = 2 // core.SampleBatch without its stage, packed: read, no more written
	formatMark    byte = 3 // the mark: commit and seq, 8 bytes each
	formatChain   byte = 4 // a chain hash: 32 bytes
	formatSamples byte = 5 // core.SampleBatch, packed: see sample.go
	formatRollups byte = 6 // core.RollupBatch, packed: see rollup.go
)

// maxValue is the largest payload in bytes.
const maxValue = 512 << 10

// Every value in Badger is an envelope:
//
//	format    1 byte
//	commit    uvarint: the number of the commit that wrote it
//	payload
//	CRC32C    4 bytes, over the key, then all of the above
//
// The key is under the checksum, so that a value which comes back for another
// key (a damaged index does that) is noticed too.
const envelopeRoom = 1 + binary.MaxVarintLen64 + 4

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

func seal(key []byte, format byte, commit uint64, payload []byte) []byte {
	value := make([]byte, 0, len(payload)+envelopeRoom)
	value = append(value, format)
	value = binary.AppendUvarint(value, commit)
	value = append(value, payload...)

	return binary.BigEndian.AppendUint32(value, sumOf(key, value))
}

func sumOf(key, body []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli()), castagnoli(), body)
}

// record is an opened envelope. payload lies in the memory of the value.
type record struct {
	format  byte
	commit  uint64
	payload []byte
}

// unseal opens an envelope. Any damage is a *core.Problem of kind ErrDamaged.
func unseal(key, value []byte) (record, error) {
	if len(value) < 1+1+4 {
		return record{}, damagedRecord(key, "it is too short")
	}

	body := value[:len(value)-4]
	if sumOf(key, body) != binary.BigEndian.Uint32(value[len(body):]) {
		return record{}, damagedRecord(key, "its checksum is wrong")
	}

	commit, n := binary.Uvarint(body[1:])
	if n <= 0 {
		return record{}, damagedRecord(key, "its commit number is no number")
	}

	return record{format: body[0], commit: commit, payload: body[1+n:]}, nil
}

func damagedRecord(key []byte, how string) *core.Problem {
	return damaged("The record %q in the ledger is damaged: %s.", key, how).With("key", fmt.Sprintf("%q", key))
}

// encode turns a value of a caller into a payload.
func encode(value any) (format byte, payload []byte, err error) {
	switch v := value.(type) {
	case core.SampleBatch:
		format, payload = formatSamples, packSamples(&v)
	case *core.SampleBatch:
		format, payload = formatSamples, packSamples(v)
	case core.RollupBatch:
		format, payload = formatRollups, packRollups(&v)
	default:
		format = formatJSON
		payload, err = json.Marshal(value)
	}

	if err != nil {
		return 0, nil, core.NewProblem(core.ErrInvalid, "store/not-json", fmt.Sprintf(
			"A value of type %T cannot be stored: %v.", value, err))
	}

	if len(payload) > maxValue {
		return 0, nil, core.NewProblem(core.ErrInvalid, "store/value-too-large", fmt.Sprintf(
			"The value takes %d KiB and the ledger takes %d KiB at most. Store large things as artifacts.", len(payload)>>10, maxValue>>10))
	}

	return format, payload, nil
}

// decode fills what into points to.
func (r record) decode(key []byte, into any) error {
	switch r.format {
	case formatJSON:
		return decodeJSON(key, r.payload, into)
	case formatBatch:
		return decodePacked(key, r.payload, into, unpackBatch)
	case formatSamples:
		return decodePacked(key, r.payload, into, unpackSamples)
	case formatRollups:
		return decodePacked(key, r.payload, into, unpackRollups)
	default:
		return core.NewProblem(core.ErrConflict, "store/newer-record", fmt.Sprintf(
			"The record %q has format %d, which this program does not know. Run the version of vetting that wrote it.", key, r.format))
	}
}

func decodeJSON(key, payload []byte, into any) error {
	err := core.Decode(payload, into)
	if err == nil {
		return nil
	}

	// The checksum was right, so the caller asked for something else than what
	// was stored here.
	return fmt.Errorf("decoding record %q: %w", key, err)
}

func decodePacked[T any](key, payload []byte, into any, unpack func([]byte) (T, error)) error {
	batch, err := unpack(payload)
	if err != nil {
		return damagedRecord(key, err.Error())
	}

	if to, ok := into.(*T); ok {
		*to = batch

		return nil
	}

	text, err := json.Marshal(batch)
	if err != nil {
		return fmt.Errorf("decoding record %q: %w", key, err)
	}

	return decodeJSON(key, text, into)
}

// mark says how far the ledger reaches: the number of commits so far and the
// sequence number of the last event.
type mark struct {
	commit uint64
	seq    uint64
}

func (m mark) payload() []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, m.commit), m.seq)
}

func parseMark(value []byte) (mark, error) {
	rec, err := unseal(markKey(), value)
	if err != nil {
		return mark{}, err
	}

	if rec.format != formatMark || len(rec.payload) != 16 {
		return mark{}, damagedRecord(markKey(), "it is no mark")
	}

	return mark{
		commit: binary.BigEndian.Uint64(rec.payload),
		seq:    binary.BigEndian.Uint64(rec.payload[8:]),
	}, nil
}
