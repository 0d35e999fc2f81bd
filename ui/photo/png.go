package photo

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
)

const (
	pngMagic  = "\x89PNG\r\n\x1a\n"
	pngFrame  = 12 // length, kind and checksum of a chunk
	pngHeader = 13 // bytes of IHDR
)

// png keeps the chunks that carry the picture (ISO 15948 §11). Texts, times, profiles and
// Exif go, and frames of a moving picture with them.
func png(data []byte) (Photo, error) {
	made := Photo{Type: "image/png"}
	out := bytes.NewBuffer(make([]byte, 0, len(data)))
	rest := data[len(pngMagic):]
	first, pictured := true, false

	out.WriteString(pngMagic)

	for {
		if len(rest) < pngFrame {
			return Photo{}, errEnds
		}

		length := uint64(binary.BigEndian.Uint32(rest))
		if length > uint64(len(rest)-pngFrame) {
			return Photo{}, errEnds
		}

		chunk, kind := rest[:pngFrame+length], string(rest[4:8])
		rest = rest[len(chunk):]

		if crc32.ChecksumIEEE(chunk[4:8+length]) != binary.BigEndian.Uint32(chunk[8+length:]) {
			return Photo{}, errors.New("the checksum of a part is wrong")
		}

		if first != (kind == "IHDR") || first && length != pngHeader {
			return Photo{}, errors.New("its header is not where it belongs")
		}

		switch kind {
		case "IHDR":
			made.Width, made.Height = side(chunk[8:]), side(chunk[12:])
			first = false

			out.Write(chunk)
		case "IDAT":
			pictured = true

			out.Write(chunk)
		case "PLTE", "tRNS", "gAMA", "cHRM", "sRGB", "sBIT":
			out.Write(chunk)
		case "IEND":
			if !pictured || length != 0 {
				return Photo{}, errors.New("it holds no picture")
			}

			out.Write(chunk)
			made.Data = out.Bytes()

			return made, nil
		default:
			if kind[0]&0x20 == 0 { // it says of itself that nobody may leave it out
				return Photo{}, errors.New("it has a part that is not known")
			}
		}
	}
}

// side reads a length in pixels; one that is out of all bounds is -1.
func side(b []byte) int {
	n := binary.BigEndian.Uint32(b)
	if n > maxSide {
		return -1
	}

	return int(n)
}
