package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
)

// A copy of a ledger is a stream of its keys and values in the order of the keys,
// each with its length before it (uvarint). The values are the ledger's own envelopes,
// so that every one has its checksum and the chains can be proved again.

// Reach says how far a ledger reaches.
type Reach struct {
	Schema  uint16 `json:"schema"`
	Commits uint64 `json:"commits"`
	Events  uint64 `json:"events"`
}

// maxCopied bounds what is read of a copy as one key or value; envelopes end below.
const maxCopied = maxValue + maxKey + 1<<10

// Copy writes the ledger to w as it stands now; updates go on meanwhile and are not in
// the copy.
func (s *Store) Copy(ctx context.Context, w io.Writer) (Reach, error) {
	if err := s.enter(); err != nil {
		return Reach{}, err
	}
	defer s.leave()

	snapshot := s.db.NewTransaction(false)
	defer snapshot.Discard()

	reach := Reach{Schema: s.cfg.schema.version}

	it := snapshot.NewIterator(badger.IteratorOptions{PrefetchValues: true, PrefetchSize: 64})
	defer it.Close()

	for it.Rewind(); it.Valid(); it.Next() {
		if err := ctx.Err(); err != nil {
			return Reach{}, err
		}

		key := it.Item().Key()

		err := it.Item().Value(func(value []byte) error {
			if err := reach.extend(key, value); err != nil {
				return err
			}

			return errors.Join(writeBlock(w, key), writeBlock(w, value))
		})
		if err != nil {
			return Reach{}, fmt.Errorf("copying the ledger: %w", err)
		}
	}

	return reach, nil
}

// extend looks at an entry of a copy: damage comes back as a *core.Problem.
func (r *Reach) extend(key, value []byte) error {
	if _, err := unseal(key, value); err != nil {
		return err
	}

	if string(key) == string(markKey()) {
		m, err := parseMark(value)
		r.Commits, r.Events = m.commit, m.seq

		return err
	}

	return nil
}

func writeBlock(w io.Writer, block []byte) error {
	if _, err := w.Write(binary.AppendUvarint(nil, uint64(len(block)))); err != nil {
		return err
	}

	_, err := w.Write(block)

	return err
}

// byteReader is what a copy is read from.
type byteReader interface {
	io.Reader
	io.ByteReader
}

// readBlock reads a key or a value; io.EOF where the copy ends before it.
func readBlock(r byteReader) ([]byte, error) {
	size, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, err
	}

	if size > maxCopied {
		return nil, damaged("The copy of the ledger has a record of %d bytes, which nothing writes.", size)
	}

	block := make([]byte, size)
	if _, err := io.ReadFull(r, block); err != nil {
		return nil, damaged("The copy of the ledger ends in the middle of a record.")
	}

	return block, nil
}

// Inspect reads a copy of a ledger of a schema to its end and proves every envelope in
// it.
func Inspect(ctx context.Context, schema uint16, r byteReader) (Reach, error) {
	reach := Reach{Schema: schema}

	err := eachCopied(ctx, r, reach.extend)

	return reach, err
}

func eachCopied(ctx context.Context, r byteReader, do func(key, value []byte) error) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}

		key, err := readBlock(r)
		if errors.Is(err, io.EOF) {
			return nil
		}

		if err != nil {
			return err
		}

		value, err := readBlock(r)
		if errors.Is(err, io.EOF) {
			return damaged("The copy of the ledger ends in the middle of a record.")
		}

		if err != nil {
			return err
		}

		if err := do(key, value); err != nil {
			return err
		}
	}
}

// Restore makes a ledger in dir, where there is none, from a copy of a schema, and
// proves it: every checksum, every event, every chain. What it leaves where it fails
// is not to be used.
func Restore(ctx context.Context, dir string, schema uint16, r byteReader) (Reach, error) {
	if err := today().leadsFrom(dir, schema); err != nil {
		return Reach{}, err
	}

	cfg := Config{Dir: dir, Ballast: -1}
	if err := os.MkdirAll(filepath.Join(dir, ledgerName), 0o700); err != nil {
		return Reach{}, fmt.Errorf("making the ledger's directory: %w", err)
	}

	lock, err := lockDir(dir)
	if err != nil {
		return Reach{}, err
	}

	reach, err := fill(ctx, cfg, schema, r)
	if err = errors.Join(err, unlock(lock)); err != nil {
		return reach, err
	}

	return reach, prove(ctx, cfg)
}

// fill writes a copy into a ledger of a schema, with its mark beside it.
func fill(ctx context.Context, cfg Config, version uint16, r byteReader) (reach Reach, err error) {
	cfg.schema = schema{version: version}
	reach.Schema = version

	db, err := badger.Open(badgerOptions(&cfg).WithLogger(nil))
	if err != nil {
		return reach, fmt.Errorf("making the ledger: %w", err)
	}

	batch := db.NewWriteBatch()
	err = eachCopied(ctx, r, func(key, value []byte) error {
		if err := reach.extend(key, value); err != nil {
			return err
		}

		return batch.Set(key, value)
	})

	if err == nil {
		err = batch.Flush()
	} else {
		batch.Cancel()
	}

	if err = errors.Join(err, db.Close()); err != nil {
		return reach, err
	}

	head, err := openHead(filepath.Join(cfg.Dir, headName), mark{commit: reach.Commits, seq: reach.Events})
	if err != nil {
		return reach, err
	}

	return reach, head.close()
}

// prove opens a ledger as an appliance does, which brings an older one up to date, and
// verifies all of it.
func prove(ctx context.Context, cfg Config) error {
	s, err := Open(ctx, cfg)
	if err != nil {
		return err
	}

	_, err = s.Verify(ctx)

	return errors.Join(err, s.Close())
}

// String tells people how far it reaches.
func (r *Reach) String() string {
	return fmt.Sprintf("%d commits, %d events", r.Commits, r.Events)
}
