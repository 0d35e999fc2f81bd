package store

import (
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

const (
	memTableBytes = 12 << 20
	memTables     = 3
	memTablesTiny = 2
)

// badgerOptions are the settings whose reasons are in README.md: synced writes,
// no checksums of tables, since Check has verified them all before Badger opens
// one and every value has its own, no value in the value log (values
// end at 512 KiB, the threshold is 1 MiB), the schema as external magic.
func badgerOptions(cfg *Config) badger.Options {
	o := badger.DefaultOptions(filepath.Join(cfg.Dir, ledgerName)).
		WithSyncWrites(true).WithDetectConflicts(true).WithNumVersionsToKeep(1).
		WithChecksumVerificationMode(options.NoVerification).WithVerifyValueChecksum(true).
		WithValueThreshold(1 << 20).WithValueLogFileSize(64 << 20).
		WithMemTableSize(memTableBytes).WithNumMemtables(memTables).
		WithBlockCacheSize(16 << 20).WithIndexCacheSize(16 << 20).
		WithNumCompactors(2).WithCompactL0OnClose(true).
		// Batches of samples repeat the same names; a block must span several of
		// them to make that cheap.
		WithCompression(options.ZSTD).WithZSTDCompressionLevel(1).WithBlockSize(16 << 10).
		WithMetricsEnabled(false).
		WithExternalMagic(cfg.schema.version).
		// lockDir is the lock. Badger's own outlives its Close in a child that is just
		// being born, and the next Open would take that for damage.
		WithBypassLockGuard(true).
		WithLogger(badgerLog{cfg.Log})

	if cfg.Small {
		o = o.WithNumMemtables(memTablesTiny).WithBlockCacheSize(16 << 20).WithIndexCacheSize(16 << 20)
	}

	if cfg.memory {
		o = o.WithInMemory(true).WithDir("").WithValueDir("")
	}

	return o
}

// badgerLog hands Badger's lines to slog. Its warnings and errors are signs of
// ill health; the rest is for debugging.
type badgerLog struct{ log *slog.Logger }

func (l badgerLog) Errorf(format string, args ...any) {
	l.log.Error("badger error", slog.String("text", fmt.Sprintf(format, args...)))
}

func (l badgerLog) Warningf(format string, args ...any) {
	l.log.Warn("badger warning", slog.String("text", fmt.Sprintf(format, args...)))
}

func (l badgerLog) Infof(format string, args ...any) {
	l.log.Debug("badger info", slog.String("text", fmt.Sprintf(format, args...)))
}

func (badgerLog) Debugf(string, ...any) {}
