package store

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"

	"vetting/core"
)

// The families of keys. Everything in Badger begins with one of these letters:
//
//	m/head                    the mark: how far the ledger reaches
//	e/<seq, 8 bytes>          an event
//	c/<run>/<seq, 8 bytes>    hash of the run's chain after its event seq
//	t/<table>/<key>           a record
//
// Numbers are big-endian so that their order is that of the keys.
const (
	familyMark   = "m/"
	familyEvent  = "e/"
	familyChain  = "c/"
	familyRecord = "t/"
)

// maxKey is the longest key of a record in bytes; Badger ends at 65 000.
const maxKey = 512

func markKey() []byte { return []byte(familyMark + "head") }

func eventKey(seq uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte(familyEvent), seq)
}

func seqOf(key []byte) (seq uint64, ok bool) {
	if len(key) < 8 {
		return 0, false
	}

	return binary.BigEndian.Uint64(key[len(key)-8:]), true
}

func chainPrefix(run core.RunID) []byte {
	return []byte(familyChain + string(run) + "/")
}

func chainKey(run core.RunID, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(chainPrefix(run), seq)
}

func recordKey(table core.Table, key string) string {
	return familyRecord + string(table) + "/" + key
}

// checkKey refuses what could not be found again: an empty name, a name that
// would reach into another table, bytes that are not text (the last of a table
// is found by seeking to 0xff, which no text contains).
func checkKey(table core.Table, key string) error {
	if !isTable(table) {
		return core.NewProblem(core.ErrInvalid, "store/bad-table", fmt.Sprintf("%q is no name of a table: use 1 to 32 letters a to z.", table))
	}

	if key == "" || len(key) > maxKey || !utf8.ValidString(key) {
		return core.NewProblem(core.ErrInvalid, "store/bad-key", fmt.Sprintf(
			"A key of table %s must be text of 1 to %d bytes; this one has %d.", table, maxKey, len(key)))
	}

	return nil
}

func isTable(table core.Table) bool {
	if table == "" || len(table) > 32 {
		return false
	}

	for _, c := range []byte(table) {
		if c < 'a' || c > 'z' {
			return false
		}
	}

	return true
}
