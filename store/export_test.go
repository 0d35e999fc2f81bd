package store

import (
	"context"
	"log/slog"

	"github.com/dgraph-io/badger/v4"

	"vetting/core"
)

// OpenMemory opens a ledger that nothing survives, for the conformance suite.
func OpenMemory(ctx context.Context, log *slog.Logger) (*Store, error) {
	return Open(ctx, Config{Log: log, memory: true, free: func() (Space, error) {
		return Space{Free: 1 << 40, Total: 1 << 40}, nil
	}})
}

// WithSpace makes cfg believe in a disk.
func WithSpace(cfg Config, free func() (Space, error)) Config {
	cfg.free = free

	return cfg
}

// WithSchema makes cfg that of a program of another age.
func WithSchema(cfg Config, version uint16, steps map[uint16]func(context.Context, *badger.DB) error) Config {
	cfg.schema = schema{version: version, steps: map[uint16]step{}}
	for from, take := range steps {
		cfg.schema.steps[from] = take
	}

	return cfg
}

// PackSamples is the payload that a batch is stored as.
func PackSamples(batch *core.SampleBatch) []byte { return packSamples(batch) }

// The parsers of foreign bytes, for fuzzing.

// UnpackBatch reads a batch as earlier programs wrote it.
func UnpackBatch(payload []byte) (core.SampleBatch, error) { return unpackBatch(payload) }

func UnpackSamples(payload []byte) (core.SampleBatch, error) { return unpackSamples(payload) }

// PackRollups is the payload that rollups are stored as.
func PackRollups(batch *core.RollupBatch) []byte { return packRollups(batch) }

func UnpackRollups(payload []byte) (core.RollupBatch, error) { return unpackRollups(payload) }

func Seal(key []byte, payload []byte) []byte { return seal(key, formatJSON, 1, payload) }

func Unseal(key, value []byte) ([]byte, error) {
	rec, err := unseal(key, value)

	return rec.payload, err
}

func FurthestInLog(content []byte) (commit uint64) { return furthestInLog(content).commit }

func TornChange(rest []byte) bool { return tornChange(rest) }

func DecodeHead(slot []byte) (commit uint64, ok bool) {
	m, ok := decodeHead(slot)

	return m.commit, ok
}

// SpaceOf is what the governor sees of a disk.
func SpaceOf(dir string) (Space, error) { return spaceOf(dir) }
