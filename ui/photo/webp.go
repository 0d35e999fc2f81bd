package photo

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// webp keeps the picture and its transparency (RFC 9649). Exif, XMP and profiles go;
// moving pictures are refused.
func webp(data []byte) (Photo, error) {
	length := uint64(binary.LittleEndian.Uint32(data[4:]))
	if length < 4 || length+8 > uint64(len(data)) {
		return Photo{}, errEnds
	}

	made := Photo{Type: "image/webp"}
	out := bytes.NewBuffer(make([]byte, 0, len(data)))
	rest := data[12 : 8+length]
	pictured := false

	out.WriteString("RIFF\x00\x00\x00\x00WEBP")

	for len(rest) > 0 {
		kind, body, after, err := riffChunk(rest)
		if err != nil {
			return Photo{}, err
		}

		rest = after

		switch kind {
		case "VP8X":
			if body, err = extended(body, &made); err != nil || pictured || out.Len() != 12 {
				return Photo{}, errors.New("its header makes no sense")
			}
		case "VP8 ", "VP8L":
			if pictured {
				return Photo{}, errors.New("it holds several pictures")
			}

			pictured = true

			if err := sized(kind, body, &made); err != nil {
				return Photo{}, err
			}
		case "ALPH":
		case "ANIM", "ANMF":
			return Photo{}, errors.New("it moves")
		default:
			continue
		}

		writeRIFF(out, kind, body)
	}

	if !pictured {
		return Photo{}, errors.New("it holds no picture")
	}

	made.Data = out.Bytes()
	binary.LittleEndian.PutUint32(made.Data[4:], uint32(len(made.Data)-8)) //nolint:gosec // MaxBytes at most

	return made, nil
}

// riffChunk reads the chunk that data begins with; its body is padded to even lengths.
func riffChunk(data []byte) (kind string, body, rest []byte, err error) {
	if len(data) < 8 {
		return "", nil, nil, errEnds
	}

	length := uint64(binary.LittleEndian.Uint32(data[4:]))
	if length > uint64(len(data)-8) {
		return "", nil, nil, errEnds
	}

	end := min(8+length+length&1, uint64(len(data)))

	return string(data[:4]), data[8 : 8+length], data[end:], nil
}

func writeRIFF(out *bytes.Buffer, kind string, body []byte) {
	out.WriteString(kind)
	out.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(body)))) //nolint:gosec // MaxBytes at most
	out.Write(body)

	if len(body)%2 != 0 {
		out.WriteByte(0)
	}
}

// alphaFlag says in VP8X that there is transparency; the other flags are those of what is
// left out.
const alphaFlag = 0x10

// extended reads VP8X and returns it without its other flags.
func extended(body []byte, made *Photo) ([]byte, error) {
	if len(body) != 10 {
		return nil, errEnds
	}

	made.Width, made.Height = int(uint24(body[4:]))+1, int(uint24(body[7:]))+1
	kept := bytes.Clone(body)
	kept[0] &= alphaFlag

	return kept, nil
}

func uint24(b []byte) uint32 { return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 }

// sized takes the size that a picture is coded with. What the header before it says must be
// the same: browsers make room by the one or the other.
func sized(kind string, body []byte, made *Photo) error {
	width, height := coded(kind, body)

	switch {
	case width == 0:
		return errors.New("its picture has no size")
	case made.Width != 0 && (made.Width != width || made.Height != height):
		return errors.New("its picture has another size than its header says")
	}

	made.Width, made.Height = width, height

	return nil
}

// coded reads the size out of the picture's own header (RFC 6386 §9.1, RFC 9649 §3.4).
func coded(kind string, body []byte) (width, height int) {
	const bits = 1<<14 - 1

	switch {
	case kind == "VP8 " && len(body) >= 10 && string(body[3:6]) == "\x9d\x01\x2a":
		return int(binary.LittleEndian.Uint16(body[6:]) & bits), int(binary.LittleEndian.Uint16(body[8:]) & bits)
	case kind == "VP8L" && len(body) >= 5 && body[0] == 0x2f:
		n := binary.LittleEndian.Uint32(body[1:])

		return int(n&bits) + 1, int(n>>14&bits) + 1
	default:
		return 0, 0
	}
}
