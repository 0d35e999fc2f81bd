package cpu

// aesBlocks blocks of AES run a round of encryption with one key and a round of
// decryption with another, again and again. Every round is a bijection.
const (
	aesBlocks = 24
	aesSteps  = 12_000
)

// aesState holds blocks and keys as the registers hold them: 32-bit columns, the
// first byte lowest.
type aesState struct {
	x    [aesBlocks][4]uint32
	keys [2][4]uint32
}

func (s *aesState) seed(seed uint64) {
	rnd := stream(seed)

	for i := range s.keys {
		rnd.fill32(s.keys[i][:])
	}

	for i := range s.x {
		rnd.fill32(s.x[i][:])
	}
}

func aes() Kernel {
	return Kernel{
		Name: "aes", What: "AES rounds",
		variants: func(f Features) []Variant {
			return append(aesFast(f), Variant{Name: "go", Lanes: 1, New: func() Block {
				t := aesTables()

				return aesBlock(func(s *aesState, steps int) { t.run(s, steps) })
			}})
		},
	}
}

func aesBlock(run func(s *aesState, steps int)) Block {
	s, out := new(aesState), make([]uint64, 4*aesBlocks)

	return func(seed uint64) []uint64 {
		s.seed(seed)
		run(s, aesSteps)

		for i := range s.x {
			widened(out[4*i:], s.x[i][:])
		}

		return out
	}
}

// rounds are AES's substitution and column mix, and their inverses, joined to a
// table each (Daemen and Rijmen, The Design of Rijndael, 4.2).
type rounds struct{ forth, back [256]uint32 }

// aesTables computes the tables from the definition in FIPS 197.
func aesTables() *rounds {
	box, inverse := substitution()
	t := new(rounds)

	for i := range 256 {
		s := box[i]
		t.forth[i] = column(times(s, 2), s, s, times(s, 3))
		v := inverse[i]
		t.back[i] = column(times(v, 14), times(v, 9), times(v, 13), times(v, 11))
	}

	return t
}

func column(a, b, c, d byte) uint32 {
	return uint32(a) | uint32(b)<<8 | uint32(c)<<16 | uint32(d)<<24
}

// times multiplies in the field of FIPS 197, 4.2.
func times(a, b byte) (product byte) {
	for ; b != 0; b >>= 1 {
		if b&1 != 0 {
			product ^= a
		}

		high := a & 0x80
		a <<= 1

		if high != 0 {
			a ^= 0x1b
		}
	}

	return product
}

// substitution is the S-box of FIPS 197, 5.1.1, and its inverse.
func substitution() (box, inverse [256]byte) {
	for i := range 256 {
		var reciprocal byte

		for j := range 256 {
			if times(byte(i), byte(j)) == 1 {
				reciprocal = byte(j)
			}
		}

		s := reciprocal
		for shift := 1; shift <= 4; shift++ {
			s ^= reciprocal<<shift | reciprocal>>(8-shift)
		}

		s ^= 0x63
		box[i], inverse[s] = s, byte(i)
	}

	return box, inverse
}

func (t *rounds) run(s *aesState, steps int) {
	k, l := s.keys[0], s.keys[1]

	for i := range s.x {
		x := s.x[i]

		for range steps {
			x = t.encrypt(x, k)
			x = t.decrypt(x, l)
		}

		s.x[i] = x
	}
}

// encrypt is the instruction AESENC: rows shifted left, bytes replaced, columns
// mixed, key added.
func (t *rounds) encrypt(x, k [4]uint32) (y [4]uint32) {
	for c := range 4 {
		y[c] = mixed(&t.forth, x[c], x[(c+1)&3], x[(c+2)&3], x[(c+3)&3]) ^ k[c]
	}

	return y
}

// decrypt is the instruction AESDEC: the same with rows shifted right.
func (t *rounds) decrypt(x, k [4]uint32) (y [4]uint32) {
	for c := range 4 {
		y[c] = mixed(&t.back, x[c], x[(c+3)&3], x[(c+2)&3], x[(c+1)&3]) ^ k[c]
	}

	return y
}

// mixed looks one byte of each column up; the table serves the lower rows rotated.
func mixed(t *[256]uint32, a, b, c, d uint32) uint32 {
	v, w, z := t[b>>8&0xff], t[c>>16&0xff], t[d>>24]

	return t[a&0xff] ^ (v<<8 | v>>24) ^ (w<<16 | w>>16) ^ (z<<24 | z>>8)
}
