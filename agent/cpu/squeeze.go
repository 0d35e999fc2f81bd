package cpu

import (
	"bytes"
	"io"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
)

const (
	squeezeBytes = 48 << 10
	pieceBytes   = 4 << 10 // of what comes out again, each with a digest of its own
)

// text makes something that can be compressed: words of a small vocabulary, as of
// Zipf's law, with a few random bytes between.
func text(b []byte, seed uint64) {
	rnd := stream(seed)

	var words [64]uint64

	rnd.fill(words[:])

	for i := 0; i+8 <= len(b); i += 8 {
		v := rnd.next()
		word := words[v&(v>>6)&(v>>12)&63]

		if v>>60 == 0 {
			word = v
		}

		for j := range 8 {
			b[i+j] = byte(word >> (8 * j))
		}
	}
}

// squeeze is a round trip: what was packed is part of the answer, and so is what
// comes out again. The codecs are pinned by go.mod, since another version may pack
// in another way.
func squeeze(setup func() (pack, unpack func(out *bytes.Buffer, in []byte) error)) func() Block {
	return func() Block {
		pack, unpack := setup()
		data, out := make([]byte, squeezeBytes), make([]uint64, 0, squeezeBytes/pieceBytes+8)

		var small, large bytes.Buffer

		return func(seed uint64) []uint64 {
			text(data, seed)
			small.Reset()
			large.Reset()

			// An error is an answer too: the wrong one.
			broken := uint64(0)
			if pack(&small, data) != nil || unpack(&large, small.Bytes()) != nil {
				broken = 1
			}

			out = append(out[:0], broken, uint64(small.Len()), Digest(packed(nil, small.Bytes())))

			for rest := large.Bytes(); len(rest) > 0; {
				n := min(pieceBytes, len(rest))
				out = append(out, Digest(packed(nil, rest[:n])))
				rest = rest[n:]
			}

			return out
		}
	}
}

func deflate() Kernel {
	return Kernel{
		Name: "deflate", What: "compression and back: branches, tables, bit strings", Bytes: 1 << 20,
		variants: plain(squeeze(func() (pack, unpack func(out *bytes.Buffer, in []byte) error) {
			w, err := flate.NewWriter(nil, 6)
			if err != nil {
				panic(err) // level 6 exists
			}

			r := flate.NewReader(bytes.NewReader(nil))

			again, ok := r.(flate.Resetter)
			if !ok {
				panic("flate: a reader is a Resetter") // says its documentation
			}

			pack = func(out *bytes.Buffer, in []byte) error {
				w.Reset(out)

				if _, err := w.Write(in); err != nil {
					return err
				}

				return w.Close()
			}

			unpack = func(out *bytes.Buffer, in []byte) error {
				if err := again.Reset(bytes.NewReader(in), nil); err != nil {
					return err
				}

				_, err := io.Copy(out, r)

				return err
			}

			return pack, unpack
		})),
	}
}

func zstandard() Kernel {
	return Kernel{
		Name: "zstd", What: "compression and back: entropy coding, matches", Bytes: 4 << 20,
		variants: plain(squeeze(func() (pack, unpack func(out *bytes.Buffer, in []byte) error) {
			w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(64<<10), zstd.WithLowerEncoderMem(true))
			if err != nil {
				panic(err) // these options exist
			}

			r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
			if err != nil {
				panic(err)
			}

			var room []byte

			pack = func(out *bytes.Buffer, in []byte) error {
				room = w.EncodeAll(in, room[:0])
				_, err := out.Write(room)

				return err
			}

			unpack = func(out *bytes.Buffer, in []byte) (err error) {
				if room, err = r.DecodeAll(in, room[:0]); err != nil {
					return err
				}

				_, err = out.Write(room)

				return err
			}

			return pack, unpack
		})),
	}
}
