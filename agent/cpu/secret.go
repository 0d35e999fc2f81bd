package cpu

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/sha512"
	"math/big"
)

const shaBytes = 128 << 10

// sha hashes; the standard library uses the CPU's instructions for it where there
// are any.
func sha() Kernel {
	return Kernel{
		Name: "sha", What: "SHA-256 and SHA-512", Bytes: shaBytes,
		variants: plain(func() Block {
			data, out := make([]byte, shaBytes), make([]uint64, 4+8)

			return func(seed uint64) []uint64 {
				rnd := stream(seed)
				rnd.bytes(data)

				short, long := sha256.Sum256(data), sha512.Sum512(data)

				packed(out, short[:])
				packed(out[4:], long[:])

				return out
			}
		}),
	}
}

const signatures = 4

// signature signs and verifies: long chains of scalar multiplications in which
// nothing may go wrong.
func signature() Kernel {
	return Kernel{
		Name: "signature", What: "Ed25519: scalar multiplication with carries",
		variants: plain(func() Block {
			secret, message := make([]byte, ed25519.SeedSize), make([]byte, 256)
			out := make([]uint64, 0, signatures*13)

			return func(seed uint64) []uint64 {
				rnd := stream(seed)
				out = out[:0]

				for range signatures {
					rnd.bytes(secret)
					rnd.bytes(message)

					key := ed25519.NewKeyFromSeed(secret)
					signed := ed25519.Sign(key, message)
					public := key[ed25519.SeedSize:]

					valid := uint64(0)
					if ed25519.Verify(ed25519.PublicKey(public), message, signed) {
						valid = 1
					}

					out = append(out, valid)
					out = out[:len(out)+12]
					packed(out[len(out)-12:], public)
					packed(out[len(out)-8:], signed)
				}

				return out
			}
		}),
	}
}

const modexpBytes = 128

// modexp raises to a power modulo an odd number of 1024 bits: MULX, ADCX and ADOX
// where the CPU has them.
func modexp() Kernel {
	return Kernel{
		Name: "modexp", What: "1024-bit modular powers: multiplication with long carries",
		variants: plain(func() Block {
			raw, out := make([]byte, modexpBytes), make([]uint64, modexpBytes/8)

			number := func(rnd *stream) *big.Int {
				rnd.bytes(raw)

				return new(big.Int).SetBytes(raw)
			}

			return func(seed uint64) []uint64 {
				rnd := stream(seed)
				base, exponent, modulus := number(&rnd), number(&rnd), number(&rnd)
				modulus.SetBit(modulus, 0, 1)
				modulus.SetBit(modulus, 8*modexpBytes-1, 1)

				return packed(out, new(big.Int).Exp(base, exponent, modulus).FillBytes(raw))
			}
		}),
	}
}
