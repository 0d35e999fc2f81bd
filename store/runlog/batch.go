package runlog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"

	"vetting/core"
)

// name is what the agent calls a batch.
type name struct {
	epoch int
	seq   uint64
}

// ending is the object at the end of a batch.
type ending struct {
	Epoch int    `json:"epoch"`
	Seq   uint64 `json:"seq"`
	Last  uint64 `json:"last"`
	CRC   string `json:"crc32c"` // see checksum
}

func (e ending) name() name { return name{e.Epoch, e.Seq} }

const endingMark = `{"batch":`

// checksum covers the lines, whose sum is given, and the numbers of the ending.
func (e ending) checksum(lines uint32) string {
	table := crc32.MakeTable(crc32.Castagnoli)

	return fmt.Sprintf("%08x", crc32.Update(lines, table, fmt.Appendf(nil, "%d %d %d", e.Epoch, e.Seq, e.Last)))
}

// encodeBatch returns the bytes of a batch whose lines are numbered from
// last+1, and the number of its last line.
func encodeBatch(n name, last uint64, lines []core.LogLine) (content []byte, end uint64, err error) {
	var out bytes.Buffer

	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)

	for _, line := range lines {
		last++

		line = clean(line)
		line.Seq = last

		if err := encoder.Encode(line); err != nil {
			return nil, 0, core.NewProblem(core.ErrInvalid, "log/bad-line", fmt.Sprintf("A log line cannot be stored: %v.", err))
		}
	}

	e := ending{Epoch: n.epoch, Seq: n.seq, Last: last}
	e.CRC = e.checksum(crc32.Checksum(out.Bytes(), crc32.MakeTable(crc32.Castagnoli)))

	err = encoder.Encode(struct {
		Batch ending `json:"batch"`
	}{e})
	if err != nil {
		return nil, 0, fmt.Errorf("encoding the end of a log batch: %w", err)
	}

	return out.Bytes(), last, nil
}

// parseEnding reads the object that ends a batch; ok is false for a line.
func parseEnding(text []byte) (e ending, ok bool) {
	if !bytes.HasPrefix(text, []byte(endingMark)) {
		return ending{}, false
	}

	var in struct {
		Batch ending `json:"batch"`
	}

	if err := json.Unmarshal(text, &in); err != nil || len(in.Batch.CRC) != 8 {
		return ending{}, false
	}

	return in.Batch, true
}
