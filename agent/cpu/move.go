package cpu

import "hash/crc32"

const (
	moveBytes  = 64 << 10
	moveRounds = 96
)

// moves copies pieces of a buffer to odd places, with the string instructions where
// the CPU has them, and checks with CRC-32C, which CPUs have an instruction for.
func moves() Kernel {
	return Kernel{
		Name: "moves", What: "string moves, unaligned, and CRC-32C", Bytes: 2 * moveBytes,
		variants: func(f Features) []Variant {
			return append(repeatFast(f), Variant{Name: "go", Lanes: 1, New: func() Block {
				return moveBlock(func(to, from []byte) { copy(to, from) })
			}})
		},
	}
}

func moveBlock(move func(to, from []byte)) Block {
	from, to := make([]byte, moveBytes), make([]byte, moveBytes)
	table := crc32.MakeTable(crc32.Castagnoli)
	out := make([]uint64, 0, moveRounds+2)

	return func(seed uint64) []uint64 {
		rnd := stream(seed)
		rnd.bytes(from)
		clear(to)

		out = out[:0]

		for range moveRounds {
			v := rnd.next()
			n := 1 + int(v%(moveBytes/2))
			at, source := int(v>>20%(moveBytes/2)), int(v>>40%(moveBytes/2))

			move(to[at:at+n], from[source:source+n])
			out = append(out, uint64(crc32.Update(uint32(v), table, to[at:at+n])))

			from, to = to, from
		}

		out = append(out, uint64(crc32.Checksum(from, table)), uint64(crc32.Checksum(to, table)))

		return out
	}
}
