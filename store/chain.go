package store

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"

	"github.com/dgraph-io/badger/v4"

	"vetting/core"
)

// Every run has a chain of hashes over its events, and so has the appliance
// (the run with the empty name). One hash is stored for each run and commit,
// under the number of the run's last event in it:
//
//	hash = SHA-256(hash before, 32 zeros at first | for each event: seq, length, payload)
//
// A changed, missing, added or moved event breaks every later hash of its run.

// link is a hash to be stored.
type link struct {
	run  core.RunID
	seq  uint64
	hash chainHash
}

type chainHash [sha256.Size]byte

// hashing is a hash under way.
type hashing struct{ sum hash.Hash }

func startHash(before chainHash) hashing {
	h := hashing{sha256.New()}
	h.sum.Write(before[:])

	return h
}

func (h hashing) add(seq uint64, payload []byte) {
	var head [16]byte

	binary.BigEndian.PutUint64(head[:], seq)
	binary.BigEndian.PutUint64(head[8:], uint64(len(payload)))
	h.sum.Write(head[:])
	h.sum.Write(payload)
}

func (h hashing) end() (out chainHash) {
	h.sum.Sum(out[:0])

	return out
}

// chainCache remembers the last hash of the runs written lately.
type chainCache map[core.RunID]chainHash

const maxChains = 4096

// extend computes the links that g adds, in the order of their first event.
func (c chainCache) extend(g *group) ([]link, error) {
	if len(g.over.events) == 0 {
		return nil, nil
	}

	var order []core.RunID

	sums, last := map[core.RunID]hashing{}, map[core.RunID]uint64{}

	for _, e := range g.over.events {
		if _, has := sums[e.run]; !has {
			before, err := c.last(g.snapshot, e.run)
			if err != nil {
				return nil, err
			}

			sums[e.run] = startHash(before)

			order = append(order, e.run)
		}

		sums[e.run].add(e.seq, e.payload)
		last[e.run] = e.seq
	}

	links := make([]link, len(order))
	for i, run := range order {
		links[i] = link{run: run, seq: last[run], hash: sums[run].end()}
	}

	return links, nil
}

// remember keeps the hashes of links that are on the disk.
func (c chainCache) remember(links []link) {
	if len(c)+len(links) > maxChains {
		clear(c)
	}

	for _, l := range links {
		c[l.run] = l.hash
	}
}

// last returns the hash at the end of a run's chain.
func (c chainCache) last(txn *badger.Txn, run core.RunID) (chainHash, error) {
	if h, has := c[run]; has {
		return h, nil
	}

	prefix := chainPrefix(run)

	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, Reverse: true})
	defer it.Close()

	it.Seek(append(append([]byte(nil), prefix...), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff))

	if !it.ValidForPrefix(prefix) {
		return chainHash{}, nil
	}

	return hashOf(it.Item())
}

func hashOf(item *badger.Item) (out chainHash, err error) {
	err = item.Value(func(value []byte) error {
		rec, err := unseal(item.Key(), value)
		if err != nil {
			return err
		}

		if rec.format != formatChain || len(rec.payload) != len(out) {
			return damagedRecord(item.Key(), "it is no hash")
		}

		copy(out[:], rec.payload)

		return nil
	})

	return out, err
}
