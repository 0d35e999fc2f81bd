package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/dgraph-io/badger/v4"
)

// Badger's MANIFEST lists the tables. It begins with 4 bytes of magic, our
// schema, Badger's version (2 bytes each), then changes: length, CRC32C of what
// follows (4 bytes each, big-endian), a protobuf.
const manifestHead = 8

// schemaOf reads the schema of a ledger; exists is false for one to be made.
func schemaOf(ledger string) (schema uint16, exists bool, err error) {
	f, err := os.Open(filepath.Join(ledger, badger.ManifestFilename))
	if errors.Is(err, os.ErrNotExist) {
		return 0, false, nil
	}

	if err != nil {
		return 0, false, fmt.Errorf("opening the manifest: %w", err)
	}
	defer f.Close()

	var head [manifestHead]byte
	if _, err := io.ReadFull(f, head[:]); err != nil || string(head[:4]) != "Bdgr" {
		return 0, false, damaged("The file %s does not begin as a manifest does.", f.Name()).With("file", f.Name())
	}

	return binary.BigEndian.Uint16(head[4:]), true, nil
}

// readManifest returns the tables of a ledger. Badger takes a manifest that
// stops in the middle of a change for one whose writing was interrupted, and
// then deletes the tables it does not know; so we look at the end ourselves.
func readManifest(ledger string, version uint16) (badger.Manifest, error) {
	path := filepath.Join(ledger, badger.ManifestFilename)

	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return badger.Manifest{}, lonely(ledger)
	}

	if err != nil {
		return badger.Manifest{}, fmt.Errorf("opening the manifest: %w", err)
	}
	defer f.Close()

	manifest, end, err := badger.ReplayManifestFile(f, version, badger.Options{})
	if err != nil {
		return badger.Manifest{}, damaged("The file %s is damaged (%v).", path, err).With("file", path)
	}

	content, err := os.ReadFile(path)
	if err != nil {
		return badger.Manifest{}, fmt.Errorf("reading the manifest: %w", err)
	}

	if end < int64(len(content)) && !tornChange(content[end:]) {
		return badger.Manifest{}, damaged("The file %s is damaged: the length of a change in it is wrong.", path).With("file", path)
	}

	return manifest, nil
}

// tornChange reports whether the rest of a manifest is a change whose writing
// was interrupted. It is not when some beginning of it has the checksum the
// change claims: then all of it is there and the length lies.
func tornChange(rest []byte) bool {
	if len(rest) < 8 {
		return true
	}

	want, sum := binary.BigEndian.Uint32(rest[4:]), uint32(0)

	for i := 8; i < len(rest); i++ {
		if sum = crc32.Update(sum, castagnoli(), rest[i:i+1]); sum == want {
			return false
		}
	}

	return true
}

// lonely finds tables and logs that no manifest speaks of.
func lonely(ledger string) error {
	entries, err := os.ReadDir(ledger)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}

	if err != nil {
		return fmt.Errorf("reading the ledger's directory: %w", err)
	}

	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".sst") || strings.HasSuffix(e.Name(), ".mem") {
			return damaged("The directory %s has tables but no file %s.", ledger, badger.ManifestFilename).With("file", badger.ManifestFilename)
		}
	}

	return nil
}

// stampSchema writes another schema into the manifest. Two bytes of one sector
// are written or are not.
func stampSchema(ledger string, version uint16) (err error) {
	f, err := os.OpenFile(filepath.Join(ledger, badger.ManifestFilename), os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("opening the manifest: %w", err)
	}

	defer func() { err = errors.Join(err, f.Close()) }()

	if _, err := f.WriteAt(binary.BigEndian.AppendUint16(nil, version), 4); err != nil {
		return fmt.Errorf("writing schema %d: %w", version, err)
	}

	if err := f.Sync(); err != nil {
		return fmt.Errorf("syncing schema %d: %w", version, err)
	}

	return nil
}

// furthestInLogs returns the highest mark in the logs that Badger would replay.
func furthestInLogs(ledger string) (best mark, err error) {
	paths, err := filepath.Glob(filepath.Join(ledger, "*.mem"))
	if err != nil {
		return mark{}, fmt.Errorf("listing logs: %w", err)
	}

	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			return mark{}, fmt.Errorf("reading log: %w", err)
		}

		best = further(best, furthestInLog(content))
	}

	return best, nil
}

// Bits of an entry's first byte: it is part of a transaction, it ends one.
const (
	entryInTxn   = 1 << 6
	entryEndsTxn = 1 << 7
	logHead      = 20 // key id and IV
	versionSize  = 8  // what Badger adds to a key
)

// furthestInLog replays a log as Badger does: up to the first entry that is not
// whole, and only transactions that are.
func furthestInLog(content []byte) (best mark) {
	if len(content) < logHead {
		return mark{}
	}

	var inside mark

	for rest := content[logHead:]; ; {
		e, size := parseEntry(rest)
		if size == 0 {
			return best
		}

		rest = rest[size:]

		switch {
		case e.meta&entryEndsTxn != 0:
			best, inside = further(best, inside), mark{}
		case e.meta&entryInTxn != 0 && bytes.Equal(e.key, markKey()):
			if m, err := parseMark(e.value); err == nil {
				inside = m
			}
		}
	}
}

type logEntry struct {
	meta       byte
	key, value []byte
}

// parseEntry reads one entry of a log: meta, user meta, key length, value
// length, expiry (uvarints), key, value, CRC32C of all that. size 0: none.
func parseEntry(in []byte) (e logEntry, size int) {
	c := cursor{rest: in}
	meta := c.bytes(2)
	keySize, valueSize := c.uvarint(), c.uvarint()
	c.uvarint()

	key, value := c.bytes(keySize), c.bytes(valueSize)
	body := in[:len(in)-len(c.rest)]
	sum := c.bytes(4)

	if c.bad || keySize < versionSize || crc32.Checksum(body, castagnoli()) != binary.BigEndian.Uint32(sum) {
		return logEntry{}, 0
	}

	return logEntry{meta: meta[0], key: key[:keySize-versionSize], value: value}, len(body) + 4
}
