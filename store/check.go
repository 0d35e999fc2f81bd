package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/badger/v4/y"
)

// Check looks whether the ledger in dir is whole, without changing anything: the
// manifest, the checksum of every table, the logs, and whether the ledger
// reaches as far as was acknowledged. Damage comes back as a *core.Problem that
// names the file. It holds the directory's lock meanwhile, so it fails while an
// appliance runs on it. An empty directory is whole.
func Check(ctx context.Context, dir string) (err error) {
	if _, err := os.Stat(filepath.Join(dir, ledgerName)); errors.Is(err, os.ErrNotExist) {
		return nil
	}

	lock, err := lockDir(dir)
	if err != nil {
		return err
	}

	defer func() { err = errors.Join(err, unlock(lock)) }()

	has, exists, err := schemaOf(filepath.Join(dir, ledgerName))
	if err != nil {
		return err
	}

	if exists {
		if err := today().leadsFrom(dir, has); err != nil {
			return err
		}
	}

	return check(ctx, dir, has, false)
}

// check is Check for who holds the lock and knows the schema.
func check(ctx context.Context, dir string, version uint16, acceptLoss bool) error {
	ledger := filepath.Join(dir, ledgerName)

	manifest, err := readManifest(ledger, version)
	if err != nil {
		return err
	}

	var found mark

	for id, entry := range manifest.Tables {
		if err := ctx.Err(); err != nil {
			return err
		}

		m, err := checkTable(filepath.Join(ledger, table.IDToFilename(id)), id, entry)
		if err != nil {
			return err
		}

		found = further(found, m)
	}

	m, err := furthestInLogs(ledger)
	if err != nil {
		return err
	}

	if acceptLoss {
		return nil
	}

	return compareHead(dir, further(found, m))
}

func further(a, b mark) mark {
	if b.commit > a.commit {
		return b
	}

	return a
}

func compareHead(dir string, found mark) error {
	path := filepath.Join(dir, headName)

	stood, err := readHead(path)
	if errors.Is(err, os.ErrNotExist) {
		if found.commit == 0 {
			return nil
		}

		return damaged("The high-water mark %s is missing, so nobody can tell whether the ledger is whole.", path).With("file", path)
	}

	if err != nil {
		return err
	}

	if found.commit < stood.commit {
		return lostProblem(dir, stood, found)
	}

	return nil
}

// checkTable reads a table whole and verifies every block of it. It returns the
// mark that is in it, if one is. Badger's reader panics on some damage; here
// that is an answer like any other.
func checkTable(path string, id uint64, entry badger.TableManifest) (m mark, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = damagedTable(path, "its index cannot be read")
		}
	}()

	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return mark{}, damaged("The table %s of the ledger is missing.", path).With("file", path)
	}

	if err != nil {
		return mark{}, fmt.Errorf("reading table: %w", err)
	}

	t, err := table.OpenInMemoryTable(data, id, &table.Options{Compression: entry.Compression})
	if err != nil {
		return mark{}, damagedTable(path, err.Error())
	}

	if err := t.VerifyChecksum(); err != nil {
		return mark{}, damagedTable(path, err.Error())
	}

	return markIn(t)
}

func damagedTable(path, how string) error {
	return damaged("The table %s of the ledger is damaged (%s).", path, strconv.Quote(how)).With("file", path)
}

func markIn(t *table.Table) (mark, error) {
	it := t.NewIterator(table.NOCACHE)
	defer func() { _ = it.Close() }() // nothing was written

	// The newest version of a key comes first.
	it.Seek(y.KeyWithTs(markKey(), ^uint64(0)))

	if !it.Valid() || string(y.ParseKey(it.Key())) != string(markKey()) {
		return mark{}, nil
	}

	return parseMark(it.Value().Value)
}
