package store

import (
	"encoding/binary"
	"errors"
	"time"

	"vetting/core"
)

// A batch of rollups is packed by column, as samples are:
//
//	run, stage, attempt, step in nanoseconds, count
//	count keys, count units, count rules, count severities, count verdicts
//	count times
//	count numbers of values, count numbers of samples without one
//	count least, count greatest, count mean values

func packRollups(batch *core.RollupBatch) []byte {
	rows := batch.Rollups
	out := make([]byte, 0, 96+48*len(rows))
	out = appendText(out, string(batch.Run))
	out = appendText(out, string(batch.Stage))
	out = binary.AppendVarint(out, int64(batch.Attempt))
	out = binary.AppendVarint(out, int64(batch.Step))
	out = binary.AppendUvarint(out, uint64(len(rows)))

	out = appendColumn(out, rows, func(r *core.Rollup) string { return r.Key })
	out = appendColumn(out, rows, func(r *core.Rollup) string { return r.Unit })
	out = appendColumn(out, rows, func(r *core.Rollup) string { return r.Rule })
	out = appendColumn(out, rows, func(r *core.Rollup) string { return string(r.Severity) })
	out = appendColumn(out, rows, func(r *core.Rollup) string { return string(r.Verdict) })
	out = appendTimes(out, rows, func(r *core.Rollup) time.Time { return r.Time })

	for _, number := range []func(*core.Rollup) int{
		func(r *core.Rollup) int { return r.Count }, func(r *core.Rollup) int { return r.Silent },
	} {
		for i := range rows {
			out = binary.AppendVarint(out, int64(number(&rows[i])))
		}
	}

	for _, value := range rollupValues() {
		for i := range rows {
			out = appendValue(out, *value(&rows[i]))
		}
	}

	return out
}

func rollupValues() []func(*core.Rollup) *float64 {
	return []func(*core.Rollup) *float64{
		func(r *core.Rollup) *float64 { return &r.Min },
		func(r *core.Rollup) *float64 { return &r.Max },
		func(r *core.Rollup) *float64 { return &r.Mean },
	}
}

var errRollups = errors.New("it is no batch of rollups")

// unpackRollups is the inverse of packRollups. It takes any bytes.
func unpackRollups(payload []byte) (core.RollupBatch, error) {
	in := cursor{rest: payload}

	batch := core.RollupBatch{
		Run: core.RunID(in.bytes(in.uvarint())), Stage: core.StageName(in.bytes(in.uvarint())), Attempt: int(in.varint()),
		Step: time.Duration(in.varint()),
	}

	// A rollup takes at least 15 bytes; see unpackBatch.
	count := in.uvarint()
	if in.bad || count > uint64(len(in.rest)/15) {
		return core.RollupBatch{}, errRollups
	}

	if count > 0 {
		batch.Rollups = make([]core.Rollup, count)
	}

	rows := batch.Rollups

	readColumn(&in, rows, func(r *core.Rollup, text string) { r.Key = text })
	readColumn(&in, rows, func(r *core.Rollup, text string) { r.Unit = text })
	readColumn(&in, rows, func(r *core.Rollup, text string) { r.Rule = text })
	readColumn(&in, rows, func(r *core.Rollup, text string) { r.Severity = core.Severity(text) })
	readColumn(&in, rows, func(r *core.Rollup, text string) { r.Verdict = core.Verdict(text) })
	readTimes(&in, rows, func(r *core.Rollup, at time.Time) { r.Time = at })

	for i := range rows {
		rows[i].Count = int(in.varint())
	}

	for i := range rows {
		rows[i].Silent = int(in.varint())
	}

	for _, value := range rollupValues() {
		for i := range rows {
			*value(&rows[i]) = in.value()
		}
	}

	if in.bad || len(in.rest) != 0 {
		return core.RollupBatch{}, errRollups
	}

	return batch, nil
}
