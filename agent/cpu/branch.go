package cpu

import "slices"

const (
	sortWords = 16 << 10
	sortPiece = 1 << 10
	hashWords = 8 << 10
	hashPiece = 1 << 9
)

// sorting is full of branches that cannot be foretold.
func sorting() Kernel {
	return Kernel{
		Name: "sort", What: "branch prediction and speculation", Bytes: 8 * sortWords,
		variants: plain(func() Block {
			words, out := make([]uint64, sortWords), make([]uint64, 0, sortWords/sortPiece+1)

			return func(seed uint64) []uint64 {
				rnd := stream(seed)
				rnd.fill(words)
				slices.Sort(words)

				out = out[:0]

				for at := 0; at < sortWords; at += sortPiece {
					out = append(out, Digest(words[at:at+sortPiece]))
				}

				var d digest

				for range sortWords / 8 {
					at, found := slices.BinarySearch(words, rnd.next())
					if found {
						at = -at
					}

					d.word(uint64(at))
				}

				return append(out, uint64(d))
			}
		}),
	}
}

// hashing fills a hash table with open addressing, rewrites every third entry and
// looks all up.
func hashing() Kernel {
	return Kernel{
		Name: "hash", What: "pointer-like loads, compares, writes of single words", Bytes: 32 * hashWords,
		variants: plain(func() Block {
			t, out := make(table, 2*hashWords), make([]uint64, hashWords/hashPiece)

			return func(seed uint64) []uint64 {
				clear(t)

				rnd := stream(seed)
				for range hashWords {
					key := rnd.next() | 1
					t.put(key, rnd.next())
				}

				clear(out)

				rnd = stream(seed)
				for i := range hashWords {
					key, value := rnd.next()|1, rnd.next()

					if i%3 == 0 {
						t.put(key, ^value)
					}

					d := digest(out[i/hashPiece])
					d.word(t.get(key))
					d.word(t.get(value | 1))
					out[i/hashPiece] = uint64(d)
				}

				return out
			}
		}),
	}
}

// table is a hash table with linear probing; 0 is no key. Its length is a power of
// two, and it is never full.
type table []struct{ key, value uint64 }

func (t table) slot(key uint64) int {
	mask := len(t) - 1

	at := int(key*0x9e3779b97f4a7c15>>40) & mask
	for t[at].key != 0 && t[at].key != key {
		at = (at + 1) & mask
	}

	return at
}

func (t table) put(key, value uint64) {
	at := t.slot(key)
	t[at].key, t[at].value = key, value
}

func (t table) get(key uint64) uint64 { return t[t.slot(key)].value }
