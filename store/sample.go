package store

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"vetting/core"
)

// A batch of samples is packed by column, because the columns of names repeat
// from batch to batch and then cost next to nothing once a table is compressed:
//
//	stage, attempt, unkept                  (of the batch; not in format 2)
//	run, epoch, seq, count
//	count keys, count units, count stages   (0: as before; else length+1, bytes)
//	count times                             (seconds, nanoseconds: change, zigzag)
//	count values                            (scale, then mantissa or 8 bytes)
//
// A value is a whole number divided by a power of ten where that is exact, else
// the float's bits; NaN and infinities are bits. Times come back in UTC.

const (
	maxScale  = 6
	scaleBits = 15 // the value follows as 8 bytes
)

func powerOfTen(scale byte) float64 { return math.Pow10(int(scale)) }

func packSamples(batch *core.SampleBatch) []byte {
	out := make([]byte, 0, 96+48*len(batch.Samples))
	out = appendText(out, string(batch.Stage))
	out = binary.AppendVarint(out, int64(batch.Attempt))
	out = binary.AppendVarint(out, int64(batch.Unkept))
	out = appendText(out, string(batch.Run))
	out = binary.AppendVarint(out, int64(batch.Epoch))
	out = binary.AppendUvarint(out, batch.Seq)
	out = binary.AppendUvarint(out, uint64(len(batch.Samples)))

	out = appendColumn(out, batch.Samples, func(s *core.Sample) string { return s.Key })
	out = appendColumn(out, batch.Samples, func(s *core.Sample) string { return s.Unit })
	out = appendColumn(out, batch.Samples, func(s *core.Sample) string { return string(s.Stage) })

	out = appendTimes(out, batch.Samples, func(s *core.Sample) time.Time { return s.Time })

	for i := range batch.Samples {
		out = appendValue(out, batch.Samples[i].Value)
	}

	return out
}

func appendText(out []byte, text string) []byte {
	return append(binary.AppendUvarint(out, uint64(len(text))), text...)
}

func appendColumn[T any](out []byte, rows []T, text func(*T) string) []byte {
	before := ""

	for i := range rows {
		now := text(&rows[i])
		if now == before {
			out = append(out, 0)

			continue
		}

		out = binary.AppendUvarint(out, uint64(len(now))+1)
		out = append(out, now...)
		before = now
	}

	return out
}

func appendTimes[T any](out []byte, rows []T, moment func(*T) time.Time) []byte {
	var sec, nsec int64

	for i := range rows {
		at := moment(&rows[i])
		out = binary.AppendVarint(out, at.Unix()-sec)
		out = binary.AppendVarint(out, int64(at.Nanosecond())-nsec)
		sec, nsec = at.Unix(), int64(at.Nanosecond())
	}

	return out
}

func appendValue(out []byte, value float64) []byte {
	for scale := range byte(maxScale + 1) {
		mantissa := math.Round(value * powerOfTen(scale))
		if !(math.Abs(mantissa) < 1<<53) { // NaN too
			break
		}

		// Through int64, so that minus zero is seen to lose its sign.
		whole := int64(mantissa)
		if math.Float64bits(float64(whole)/powerOfTen(scale)) == math.Float64bits(value) {
			return binary.AppendVarint(append(out, scale), whole)
		}
	}

	return binary.BigEndian.AppendUint64(append(out, scaleBits), math.Float64bits(value))
}

var errSamples = errors.New("it is no batch of samples")

// unpackSamples is the inverse of packSamples. It takes any bytes.
func unpackSamples(payload []byte) (core.SampleBatch, error) {
	in := cursor{rest: payload}
	stage, attempt, unkept := core.StageName(in.bytes(in.uvarint())), int(in.varint()), int(in.varint())

	if in.bad {
		return core.SampleBatch{}, errSamples
	}

	batch, err := unpackBatch(in.rest)
	batch.Stage, batch.Attempt, batch.Unkept = stage, attempt, unkept

	return batch, err
}

// unpackBatch reads what follows after the stage.
func unpackBatch(payload []byte) (core.SampleBatch, error) {
	in := cursor{rest: payload}

	batch := core.SampleBatch{Run: core.RunID(in.bytes(in.uvarint())), Epoch: int(in.varint()), Seq: in.uvarint()}

	// A sample takes at least seven bytes, so that a wild count cannot make us
	// reserve more memory than the payload is worth.
	count := in.uvarint()
	if in.bad || count > uint64(len(in.rest)/7) {
		return core.SampleBatch{}, errSamples
	}

	if count > 0 {
		batch.Samples = make([]core.Sample, count)
	}

	readColumn(&in, batch.Samples, func(s *core.Sample, text string) { s.Key = text })
	readColumn(&in, batch.Samples, func(s *core.Sample, text string) { s.Unit = text })
	readColumn(&in, batch.Samples, func(s *core.Sample, text string) { s.Stage = core.StageName(text) })
	readTimes(&in, batch.Samples, func(s *core.Sample, at time.Time) { s.Time = at })

	for i := range batch.Samples {
		batch.Samples[i].Value = in.value()
	}

	if in.bad || len(in.rest) != 0 {
		return core.SampleBatch{}, errSamples
	}

	return batch, nil
}

// cursor reads forward and remembers that it could not.
type cursor struct {
	rest []byte
	bad  bool
}

func (c *cursor) uvarint() uint64 {
	n, size := binary.Uvarint(c.rest)
	if size <= 0 {
		c.bad = true

		return 0
	}

	c.rest = c.rest[size:]

	return n
}

func (c *cursor) varint() int64 {
	n, size := binary.Varint(c.rest)
	if size <= 0 {
		c.bad = true

		return 0
	}

	c.rest = c.rest[size:]

	return n
}

func (c *cursor) bytes(n uint64) []byte {
	if n > uint64(len(c.rest)) {
		c.bad = true

		return nil
	}

	out := c.rest[:n]
	c.rest = c.rest[n:]

	return out
}

func readColumn[T any](c *cursor, rows []T, set func(*T, string)) {
	before := ""

	for i := range rows {
		if n := c.uvarint(); n > 0 {
			before = string(c.bytes(n - 1))
		}

		set(&rows[i], before)
	}
}

func readTimes[T any](c *cursor, rows []T, set func(*T, time.Time)) {
	var sec, nsec int64

	for i := range rows {
		sec += c.varint()
		nsec += c.varint()

		set(&rows[i], time.Unix(sec, nsec).UTC())
	}
}

func (c *cursor) value() float64 {
	kind := c.bytes(1)
	if c.bad {
		return 0
	}

	switch {
	case kind[0] <= maxScale:
		return float64(c.varint()) / powerOfTen(kind[0])
	case kind[0] == scaleBits:
		if bits := c.bytes(8); !c.bad {
			return math.Float64frombits(binary.BigEndian.Uint64(bits))
		}

		return 0
	default:
		c.bad = true

		return 0
	}
}
